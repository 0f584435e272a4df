//! `dlc check`: every error of the files.

mod machine;

use crate::{cx::Cx, fault::Fault, output};
use base::{Format, Severity, has_errors};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;

/// Find every error in model files, without running anything
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc check digits.model\n  dlc check --deny-warnings --format github *.model\n  cat digits.model | dlc check -"
)]
pub struct Arguments {
    /// Model files; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How faults are shown; machine formats go to standard output
    #[arg(long, value_enum, default_value_t = Shown::Human)]
    format: Shown,
    /// Warnings fail the check as errors do
    #[arg(long)]
    deny_warnings: bool,
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
    let mut log = machine::Sarif::default();
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
            Shown::Json => objects.extend(faults.iter().map(|fault| machine::as_json(fault, &sources))),
            Shown::Sarif => log.add(&faults, &sources),
            Shown::Github => {
                for fault in &faults {
                    output::print(&machine::as_github(fault, &sources))?;
                }
            }
        }
    }
    match arguments.format {
        Shown::Json => output::json(&Value::Array(objects))?,
        Shown::Sarif => output::json(&log.finish())?,
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
    let failed = errors > 0 || (arguments.deny_warnings && warnings > 0);
    if failed { Err(Fault::Told) } else { Ok(()) }
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
