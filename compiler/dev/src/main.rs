//! `cargo dev VERB`.

use anyhow::{Context, Result};
use dev::{Tree, tidy};
use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

fn main() -> Result<ExitCode> {
    let verb = env::args().nth(1);
    match verb.as_deref() {
        Some("tidy") => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            let tree = Tree::read(&root).context("reading the working tree")?;
            let (faults, warnings) = tidy::check(&tree);
            for warning in &warnings {
                println!("warning: {warning}");
            }
            for fault in &faults {
                println!("error: {fault}");
            }
            println!(
                "tidy: {} files, {} errors, {} warnings",
                tree.files.len(),
                faults.len(),
                warnings.len()
            );
            Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        // `cargo dev campaign compiled 0 10000`
        Some("campaign") => {
            let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["test", "--quiet", "--package", "filetests", "--test", "cases", "--", "campaign"]);
            let status = cargo.args(env::args().skip(2)).status().context("starting cargo")?;
            Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => {
            eprintln!("usage: cargo dev tidy | campaign compiled|everything|derivatives FROM TO");
            Ok(ExitCode::from(2))
        }
    }
}
