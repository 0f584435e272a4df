//! `cargo dev VERB`.

use anyhow::{Context, Result};
use dev::{Tree, tidy};
use std::{
    env,
    fs::OpenOptions,
    io::Write,
    path::Path,
    process::{Command, ExitCode, Stdio},
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
        Some("campaign") => {
            campaign(&["test", "--quiet", "-p", "filetests", "--test", "cases", "--", "campaign"])
        }
        Some("accuracy") => accuracy(),
        Some("fuzz") => campaign(&["run", "--quiet", "-p", "fuzz", "--"]),
        _ => {
            eprintln!(
                "usage: cargo dev tidy | campaign compiled|everything|derivatives FROM TO | fuzz TARGET FROM TO | \
                 accuracy [--speed] [FUNCTION…]"
            );
            Ok(ExitCode::from(2))
        }
    }
}

/// Runs a campaign by cargo, and notes the line that it ends with, with date and commit.
fn campaign(words: &[&str]) -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    cargo.current_dir(&root).args(words).args(env::args().skip(2)).stderr(Stdio::inherit());
    let output = cargo.output().context("starting cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    if let Some(line) = text.lines().rev().find_map(|line| line.strip_prefix('{')) {
        let date = word(Command::new("date").args(["-u", "+%F"]))?;
        let commit = word(Command::new("git").current_dir(&root).args(["rev-parse", "--short=12", "HEAD"]))?;
        let log = root.join("compiler/fuzz/log.jsonl");
        let mut file = OpenOptions::new().create(true).append(true).open(log).context("opening the log")?;
        writeln!(file, "{{\"date\":\"{date}\",\"commit\":\"{commit}\",{line}").context("writing the log")?;
    }
    Ok(if output.status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures the errors of functions of numbers by cargo, or what they cost.
fn accuracy() -> Result<ExitCode> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["run", "--quiet", "--release", "-p", "compiler-bench", "--example", "accuracy", "--"];
    let status =
        Command::new(cargo).args(words).args(env::args().skip(2)).status().context("starting cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a command says.
fn word(command: &mut Command) -> Result<String> {
    let output = command.output().context("starting a command")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}
