//! `dlc explain`: what a code means.

use crate::{cx::Cx, explanations, fault::Fault, output};
use clap::Args;

/// Explain an error code, with a wrong and a right example
#[derive(Args)]
#[command(after_help = "Examples:\n  dlc explain E0301\n  dlc explain --list")]
pub struct Arguments {
    /// Such as E0301
    #[arg(required_unless_present = "list")]
    code: Option<String>,
    /// All codes, one a line
    #[arg(long)]
    list: bool,
}

pub fn run(_: &Cx, arguments: Arguments) -> Result<(), Fault> {
    if arguments.list {
        let lines: String =
            explanations::all().iter().map(|entry| format!("{}  {}\n", entry.code, entry.title)).collect();
        return output::print(&lines);
    }
    let wanted = arguments.code.unwrap_or_default().to_uppercase();
    match explanations::find(&wanted) {
        Some(entry) => output::print(&format!("{}: {}\n\n{}\n", entry.code, entry.title, entry.text.trim())),
        None => {
            let codes = explanations::all();
            let near = base::did_you_mean(&wanted, codes.iter().map(|entry| entry.code));
            let hint = near.map_or(String::new(), |near| format!(", did you mean {near}?"));
            Err(Fault::Usage(format!("there is no code `{wanted}`{hint}; `dlc explain --list` shows all")))
        }
    }
}
