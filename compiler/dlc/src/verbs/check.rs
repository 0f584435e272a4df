//! `dlc check`: every error of the files.

use crate::{cx::Cx, fault::Fault, output};
use base::{Diagnostic, Format, Severity, SourceMap, Span, has_errors};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Find every error in model files, without running anything
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc check digits.model\n  dlc check --format json *.model\n  cat digits.model | dlc check -"
)]
pub struct Arguments {
    /// Model files; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How faults are shown; machine formats go to standard output
    #[arg(long, value_enum, default_value_t = Shown::Human)]
    format: Shown,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// Source excerpts with labels
    Human,
    /// file:line:column: error[CODE]: message
    Short,
    /// A list of objects
    Json,
    /// Static Analysis Results Interchange Format 2.1.0
    Sarif,
    /// Annotations of GitHub's workflows
    Github,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let (mut errors, mut warnings) = (0, 0);
    let mut objects: Vec<Value> = Vec::new();
    for file in &arguments.files {
        let (faults, sources) = match cx.session(file) {
            Ok(session) => (session.check(), session.sources),
            Err(Fault::Diagnostics(faults, sources)) => (faults, sources),
            Err(other) => return Err(other),
        };
        errors += faults.iter().filter(|fault| fault.is_error()).count();
        warnings += faults.iter().filter(|fault| fault.severity == Severity::Warning).count();
        debug_assert!(errors > 0 || !has_errors(&faults), "errors are counted");
        match arguments.format {
            Shown::Human => cx.tell(&faults, &sources, Format::Human),
            Shown::Short => cx.tell(&faults, &sources, Format::Short),
            Shown::Json => objects.extend(faults.iter().map(|fault| as_json(fault, &sources))),
            Shown::Sarif => objects.extend(faults.iter().map(|fault| as_sarif(fault, &sources))),
            Shown::Github => {
                for fault in &faults {
                    output::print(&as_github(fault, &sources))?;
                }
            }
        }
    }
    match arguments.format {
        Shown::Json => output::json(&Value::Array(objects))?,
        Shown::Sarif => output::json(&json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": { "name": "dlc", "version": driver::VERSION } },
                "results": objects,
            }],
        }))?,
        Shown::Human => {
            let files = plural(arguments.files.len(), "file");
            cx.say(&match (errors, warnings) {
                (0, 0) => format!("{files} checked, no errors"),
                (0, _) => format!("{files} checked, no errors, {}", plural(warnings, "warning")),
                (_, 0) => format!("{files} checked, {}", plural(errors, "error")),
                _ => format!("{files} checked, {}, {}", plural(errors, "error"), plural(warnings, "warning")),
            });
        }
        Shown::Short | Shown::Github => {}
    }
    if errors > 0 { Err(Fault::Told) } else { Ok(()) }
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn severity(fault: &Diagnostic) -> &'static str {
    match fault.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// First and last place of a span, one-based; the end is the column after the last character.
struct Place {
    file: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

fn place(span: Span, sources: &SourceMap) -> Option<Place> {
    let file = sources.get(span.file)?;
    let (line, column) = file.line_column(span.lo);
    let (end_line, end_column) = file.line_column(span.hi);
    Some(Place { file: file.name.to_string(), line, column, end_line, end_column })
}

fn place_json(span: Option<Span>, sources: &SourceMap) -> Value {
    span.and_then(|span| place(span, sources)).map_or(Value::Null, |place| {
        json!({
            "file": place.file, "line": place.line, "column": place.column,
            "end_line": place.end_line, "end_column": place.end_column,
        })
    })
}

fn as_json(fault: &Diagnostic, sources: &SourceMap) -> Value {
    let labels: Vec<Value> = fault
        .labels
        .iter()
        .map(|label| json!({ "place": place_json(Some(label.span), sources), "text": label.text }))
        .collect();
    json!({
        "code": fault.code,
        "severity": severity(fault),
        "message": fault.message,
        "place": place_json(fault.span, sources),
        "labels": labels,
        "notes": fault.notes,
        "help": fault.help,
    })
}

fn as_sarif(fault: &Diagnostic, sources: &SourceMap) -> Value {
    let locations: Vec<Value> = fault
        .span
        .and_then(|span| place(span, sources))
        .map(|place| {
            json!({ "physicalLocation": {
                "artifactLocation": { "uri": place.file },
                "region": {
                    "startLine": place.line, "startColumn": place.column,
                    "endLine": place.end_line, "endColumn": place.end_column,
                },
            }})
        })
        .into_iter()
        .collect();
    json!({
        "ruleId": fault.code,
        "level": severity(fault),
        "message": { "text": fault.message },
        "locations": locations,
    })
}

fn as_github(fault: &Diagnostic, sources: &SourceMap) -> String {
    let level = if fault.severity == Severity::Note { "notice" } else { severity(fault) };
    let escaped = fault.message.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let at = fault.span.and_then(|span| place(span, sources)).map_or(String::new(), |place| {
        format!(" file={},line={},col={},endLine={}", place.file, place.line, place.column, place.end_line)
    });
    let comma = if at.is_empty() { " " } else { "," };
    format!("::{level}{at}{comma}title={}::{escaped}\n", fault.code)
}
