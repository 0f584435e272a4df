//! The median of a measurement with its interval, from Criterion's samples.

use anyhow::{Context, Result, bail};
use bench_suite::statistics;
use serde::Deserialize;
use std::{fs, path::Path};

/// Median seconds of one iteration, and where 95 % of medians of resampled data lie.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

/// Criterion's `sample.json`: so many iterations took so many nanoseconds.
#[derive(Deserialize)]
struct Samples {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// The interval is that of order statistics (binomial, as in Conover, Practical Nonparametric Statistics, §3.2): it needs
/// no assumption about the distribution, and the same samples give the same numbers.
pub fn estimate(samples: &[f64]) -> Option<Estimate> {
    let mut sorted: Vec<f64> = samples.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    if n == 0 {
        return None;
    }
    let reach = 1.96 * (n as f64).sqrt() / 2.0;
    let low = ((n as f64 / 2.0 - reach).floor().max(0.0) as usize).min(n - 1);
    let high = ((n as f64 / 2.0 + reach).ceil() as usize).min(n - 1);
    Some(Estimate { median: statistics::median(&sorted), low: sorted[low], high: sorted[high] })
}

/// Every measurement below a folder of Criterion, by name, in the order of names.
pub fn read_all(folder: &Path) -> Result<Vec<(String, Estimate)>> {
    let mut found = Vec::new();
    walk(folder, folder, &mut found)?;
    found.sort_by(|a, b| a.0.cmp(&b.0));
    if found.is_empty() {
        bail!("no measurements in {}: run `cargo bench -p compiler-bench` first", folder.display());
    }
    Ok(found)
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, Estimate)>) -> Result<()> {
    let sample = folder.join("new").join("sample.json");
    if sample.is_file() {
        let text = fs::read_to_string(&sample).with_context(|| format!("reading {}", sample.display()))?;
        let samples: Samples = serde_json::from_str(&text)
            .with_context(|| format!("{} is not what Criterion writes", sample.display()))?;
        let seconds: Vec<f64> =
            samples.times.iter().zip(&samples.iters).map(|(time, count)| time / count / 1e9).collect();
        let name = folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().replace('\\', "/");
        if let Some(estimate) = estimate(&seconds) {
            found.push((name, estimate));
        }
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            walk(root, &path, found)?;
        }
    }
    Ok(())
}
