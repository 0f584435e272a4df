//! `dlc report`: one page from what `dlc bench` measured, or its rows as text.

use crate::{cx::Cx, fault::Fault, output, verbs::bench::rows};
use base::Diagnostic;
use clap::Args;
use reports::{Collector, Limits, PageOptions};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Make one HTML page of results of `dlc bench`: charts, tables, data and commands
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc report results.jsonl\n  dlc report before.jsonl after.jsonl -o page.html --title \"Two days\"\n  dlc bench models/mlp.model --out - | dlc report - -o -"
)]
pub struct Arguments {
    /// Results as JSON lines; `-` is standard input
    #[arg(required = true, value_name = "RESULTS.jsonl")]
    inputs: Vec<PathBuf>,
    /// The page; `-` is standard output
    #[arg(long, short, value_name = "PAGE.html", default_value = "report.html")]
    output: PathBuf,
    /// What the page is called
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Put results of several machines onto one page; ratios are still formed within each
    #[arg(long)]
    force: bool,
    /// Instead of a page, a row a cell as text: ratios, and the share of what the machine can do
    #[arg(long)]
    table: bool,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    if arguments.table {
        return tables(&arguments.inputs);
    }
    let mut collector = Collector::default();
    for input in &arguments.inputs {
        let limits = Limits::default();
        if input.as_os_str() == "-" {
            collector.add("<stdin>", std::io::stdin().lock(), &limits)?;
        } else {
            let name = input.display().to_string();
            let file = File::open(input).map_err(|fault| unreadable(&name, &fault))?;
            collector.add(&name, file, &limits)?;
        }
    }
    let results = collector.finish(arguments.force)?;
    let shown = |path: &Path| path.display().to_string();
    let options = PageOptions {
        title: arguments.title,
        inputs: arguments.inputs.iter().map(|input| shown(input)).collect(),
        output: shown(&arguments.output),
    };
    let page = reports::page(&results, &options)?;
    if arguments.output.as_os_str() == "-" {
        return output::print(&page);
    }
    tensor::file::write_atomically(&arguments.output, page.as_bytes())?;
    cx.say(&options.output);
    Ok(())
}

/// Each file's by itself: a ratio needs both times from one machine.
fn tables(inputs: &[PathBuf]) -> Result<(), Fault> {
    for input in inputs {
        let lines = if input.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let most = tensor::Limits::default().file_bytes;
            let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
            read.map_err(|fault| unreadable("<stdin>", &fault))?;
            bench_suite::parse(&bytes, "<stdin>")?
        } else {
            bench_suite::Results::read(input)?
        };
        output::print(&rows::tables(&lines, |_| true))?;
    }
    Ok(())
}

fn unreadable(name: &str, fault: &std::io::Error) -> Diagnostic {
    Diagnostic::error("E1020", format!("cannot read `{name}`: {fault}"))
}
