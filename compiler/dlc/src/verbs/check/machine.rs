//! Diagnostics for programs: JSON, SARIF 2.1.0, annotations of GitHub's workflows.

use crate::explanations;
use base::{Diagnostic, Edit, Severity, SourceMap, Span};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub fn as_json(fault: &Diagnostic, sources: &SourceMap) -> Value {
    let labels = fault.labels.iter();
    let labels: Vec<Value> =
        labels.map(|label| json!({ "place": place_json(label.span, sources), "text": label.text })).collect();
    let fix = fault.fix.iter();
    let fix: Vec<Value> =
        fix.map(|edit| json!({ "place": place_json(edit.span, sources), "text": edit.text })).collect();
    json!({
        "code": fault.code,
        "severity": severity(fault),
        "message": fault.message,
        "place": fault.span.map_or(Value::Null, |span| place_json(span, sources)),
        "labels": labels,
        "notes": fault.notes,
        "help": fault.help,
        "fix": fix,
    })
}

/// A line of a workflow's log that GitHub shows beside the source.
pub fn as_github(fault: &Diagnostic, sources: &SourceMap) -> String {
    let level = if fault.severity == Severity::Note { "notice" } else { severity(fault) };
    let text = escaped(&in_full(fault));
    let at = fault.span.and_then(|span| place(span, sources)).map_or(String::new(), |place| {
        // Columns mean something to GitHub within one line only.
        let columns = if place.line == place.end_line {
            format!(",col={},endColumn={}", place.column, place.end_column)
        } else {
            String::new()
        };
        let file = escaped(&place.file).replace(':', "%3A").replace(',', "%2C");
        format!("file={file},line={},endLine={}{columns},", place.line, place.end_line)
    });
    format!("::{level} {at}title={}::{text}\n", fault.code)
}

/// A log with one run, the rules of which are the codes that it found.
#[derive(Default)]
pub struct Sarif {
    results: Vec<Value>,
    rules: BTreeMap<&'static str, &'static str>,
}

impl Sarif {
    pub fn add(&mut self, faults: &[Diagnostic], sources: &SourceMap) {
        for fault in faults {
            self.rules.insert(fault.code, severity(fault));
            self.results.push(result(fault, sources));
        }
    }

    pub fn finish(mut self) -> Value {
        let codes: Vec<&str> = self.rules.keys().copied().collect();
        for result in &mut self.results {
            let index = codes.iter().position(|code| result["ruleId"] == *code);
            result["ruleIndex"] = json!(index);
        }
        let rules: Vec<Value> = self.rules.iter().map(|(code, level)| rule(code, level)).collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": { "name": "dlc", "version": driver::VERSION, "rules": rules } },
                // A tab or a letter of any script is one column.
                "columnKind": "unicodeCodePoints",
                "results": self.results,
            }],
        })
    }
}

fn rule(code: &str, level: &str) -> Value {
    let mut rule = json!({ "id": code, "defaultConfiguration": { "level": level } });
    if let Some(entry) = explanations::find(code) {
        rule["shortDescription"] = json!({ "text": entry.title });
        rule["help"] = json!({ "text": entry.text.trim(), "markdown": entry.text.trim() });
    }
    rule
}

fn result(fault: &Diagnostic, sources: &SourceMap) -> Value {
    let mut result = json!({
        "ruleId": fault.code,
        "level": severity(fault),
        "message": { "text": in_full(fault) },
        "locations": Vec::from_iter(fault.span.and_then(|span| location(span, sources))),
    });
    let mut related = Vec::new();
    for label in &fault.labels {
        if let Some(mut location) = location(label.span, sources) {
            location["id"] = json!(related.len());
            location["message"] = json!({ "text": label.text });
            related.push(location);
        }
    }
    if !related.is_empty() {
        result["relatedLocations"] = json!(related);
    }
    if let (false, Some(help)) = (fault.fix.is_empty(), &fault.help) {
        result["fixes"] =
            json!([{ "description": { "text": help }, "artifactChanges": changes(&fault.fix, sources) }]);
    }
    result
}

fn changes(fix: &[Edit], sources: &SourceMap) -> Vec<Value> {
    let mut files: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for edit in fix {
        if let Some(place) = place(edit.span, sources) {
            files
                .entry(place.file.clone())
                .or_default()
                .push(json!({ "deletedRegion": region(&place), "insertedContent": { "text": edit.text } }));
        }
    }
    let change = |(file, replacements): (String, Vec<Value>)| json!({ "artifactLocation": { "uri": uri(&file) }, "replacements": replacements });
    files.into_iter().map(change).collect()
}

fn location(span: Span, sources: &SourceMap) -> Option<Value> {
    let place = place(span, sources)?;
    Some(
        json!({ "physicalLocation": { "artifactLocation": { "uri": uri(&place.file) }, "region": region(&place) } }),
    )
}

fn region(place: &Place) -> Value {
    json!({
        "startLine": place.line, "startColumn": place.column,
        "endLine": place.end_line, "endColumn": place.end_column,
    })
}

/// A path as a reference: what no URI may hold is escaped.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The message with its notes and its help, for viewers that show one text.
fn in_full(fault: &Diagnostic) -> String {
    let mut text = fault.message.clone();
    for note in &fault.notes {
        text += &format!("\nNote: {note}");
    }
    if let Some(help) = &fault.help {
        text += &format!("\nHelp: {help}");
    }
    text
}

/// For one line of a log.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
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

fn place_json(span: Span, sources: &SourceMap) -> Value {
    place(span, sources).map_or(Value::Null, |place| {
        json!({
            "file": place.file, "line": place.line, "column": place.column,
            "end_line": place.end_line, "end_column": place.end_column,
        })
    })
}
