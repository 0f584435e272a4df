//! `dlc fmt`: the canonical form.

use crate::{cx::Cx, fault::Fault, output};
use base::{Format, SourceMap};
use clap::Args;
use std::path::PathBuf;

/// Write model files in canonical form
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc fmt digits.model\n  dlc fmt --check *.model\n  dlc fmt - < digits.model"
)]
pub struct Arguments {
    /// Model files; `-` reads standard input and writes standard output
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Change nothing; name the files that are not in canonical form, and fail if there are any
    #[arg(long)]
    check: bool,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let mut failed = false;
    for file in &arguments.files {
        let (name, text) = crate::cx::read_source(file)?;
        crate::bug::remember(&name, &text);
        let mut sources = SourceMap::new();
        let source = sources.add(name.as_str(), text.as_str());
        let formatted = match grammar::format(&source) {
            Ok(formatted) => formatted,
            Err(faults) => {
                cx.tell(&faults, &sources, Format::Human);
                failed = true;
                continue;
            }
        };
        let is_stdin = file.as_os_str() == "-";
        if arguments.check {
            if formatted != text {
                output::print(&format!("{name}\n"))?;
                failed = true;
            }
        } else if is_stdin {
            output::print(&formatted)?;
        } else if formatted != text {
            tensor::file::write_atomically(file, formatted.as_bytes())?;
        }
    }
    if failed { Err(Fault::Told) } else { Ok(()) }
}
