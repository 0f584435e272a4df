//! `fuzz TARGET FROM TO`: tries the inputs of these numbers, keeps what it finds, and prints a line for the log.
//! `fuzz TARGET FILE…`: tries these texts.

use anyhow::{Context, Result, bail};
use fuzz::{Corpus, Target, campaign, find};
use serde_json::json;
use std::{env, fs, panic, path::Path, process::ExitCode, thread};

/// The checker recurses as deep as the language allows.
const STACK: usize = 256 << 20;
/// Findings that are written down; more of one kind teach nothing.
const MAX_KEPT: usize = 20;

fn main() -> Result<ExitCode> {
    let worker = thread::Builder::new().stack_size(STACK).spawn(run)?;
    match worker.join() {
        Ok(outcome) => outcome,
        Err(_) => bail!("the campaign itself panics"),
    }
}

/// Whether texts that showed something once still do.
fn again(target: &Target, paths: &[String]) -> Result<ExitCode> {
    panic::set_hook(Box::new(|_| {}));
    let mut n_faults = 0;
    for path in paths {
        let text = fs::read(path).with_context(|| path.clone())?;
        if let Err(what) = fuzz::try_one(target, &String::from_utf8_lossy(&text)) {
            eprintln!("{path}: {what}");
            n_faults += 1;
        }
    }
    println!("{} texts, {n_faults} faults", paths.len());
    Ok(if n_faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run() -> Result<ExitCode> {
    let words: Vec<String> = env::args().skip(1).collect();
    let usage = "fuzz parser|formatter|checker|graph|shape FROM TO, or TARGET NUMBER to see one input, or TARGET FILE…";
    let target = words.first().and_then(|name| find(name)).context(usage)?;
    let named = &words[1..];
    if !named.is_empty() && named.iter().all(|word| Path::new(word).is_file()) {
        return again(target, named);
    }
    let corpus = Corpus::of(target).context("reading seeds")?;
    let number = |word: &String| word.parse::<u64>().context(usage);
    let (from, to) = match &words[1..] {
        [one] => {
            print!("{}", fuzz::input(target, &corpus, number(one)?));
            return Ok(ExitCode::SUCCESS);
        }
        [from, to] => (number(from)?, number(to)?),
        _ => bail!(usage),
    };
    panic::set_hook(Box::new(|_| {}));
    let report = campaign(target, &corpus, from, to);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("findings").join(target.name);
    for finding in report.findings.iter().take(MAX_KEPT) {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{}.txt", finding.number)), &finding.text)?;
        eprintln!("{} {}: {}", target.name, finding.number, finding.what);
    }
    let found: Vec<u64> = report.findings.iter().map(|finding| finding.number).collect();
    let line = json!({
        "target": target.name,
        "from": from,
        "to": to,
        "inputs": report.inputs,
        "accepted": report.accepted,
        "findings": found,
        "slowest_ms": report.slowest.as_millis() as u64,
        "seconds": report.elapsed.as_secs(),
    });
    println!("{line}");
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
