//! `compiler-bench [--criterion DIR] [--history FILE]`: compares Criterion's latest measurements with the history, prints
//! what changed, and adds them to it.

use anyhow::{Context, Result, bail};
use bench_suite::{EnvironmentLine, environment};
use compiler_bench::{Change, Entry, append, compare, read, read_all};
use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let mut criterion = target.join("criterion");
    let mut history = root.join("bench-suite/results/compiler.jsonl");
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("`{word}` needs a path"))?;
        match word.as_str() {
            "--criterion" => criterion = value.into(),
            "--history" => history = value.into(),
            _ => bail!("usage: compiler-bench [--criterion DIR] [--history FILE]"),
        }
    }
    let known = read(&history)?;
    let EnvironmentLine { machine, commit, date, .. } = environment(0);
    let (mut entries, mut slower) = (Vec::new(), 0);
    println!("{:<34} {:>12} {:>9}  change", "bench", "median", "± 95 %");
    for (bench, estimate) in read_all(&criterion)? {
        let earlier: Vec<Entry> =
            known.iter().filter(|entry| entry.bench == bench && entry.machine == machine).cloned().collect();
        let change = match compare(&earlier, &estimate) {
            Change::New => "new".to_string(),
            Change::Same { noise } => format!("no difference beyond {:.0} %", noise * 100.0),
            Change::Faster { ratio, noise } => format!("faster: {ratio:.2} (noise {:.0} %)", noise * 100.0),
            Change::Slower { ratio, noise } => {
                slower += 1;
                format!("SLOWER: {ratio:.2} (noise {:.0} %)", noise * 100.0)
            }
        };
        let half = (estimate.high - estimate.low) / 2.0 / estimate.median * 100.0;
        println!("{bench:<34} {:>9.3} ms {half:>7.1} %  {change}", estimate.median * 1e3);
        entries.push(Entry {
            kind: "compiler".into(),
            bench,
            median_s: estimate.median,
            ci95_s: [estimate.low, estimate.high],
            commit: commit.clone(),
            date: date.clone(),
            machine: machine.clone(),
        });
    }
    append(&history, &entries)?;
    println!("{} measurements added to {}", entries.len(), history.display());
    Ok(if slower == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
