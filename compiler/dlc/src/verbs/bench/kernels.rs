//! Where the time of `dlc` goes in a cell: each kernel beside the work that it does, for the roofline.

use super::{Arrays, Definition, Job};
use crate::{cx::Cx, fault::Fault};
use bench_suite::{Cell, Folder, KernelLine};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

/// Calls are repeated for so long, but not more often than this.
const TIME: Duration = Duration::from_millis(300);
const MOST: u32 = 1000;

/// Seconds, operations and bytes of one call, by source line and kernel.
pub fn kernels(
    cx: &Cx,
    job: &Job,
    source: &Path,
    cell: &Cell,
    inputs: &Arrays,
    cell_folder: &Folder,
) -> Result<Vec<KernelLine>, Fault> {
    let definition = Definition::new(cx, job, source, cell, inputs);
    let (mut bound, profile) = definition.profiled(cell, &cell_folder.weights()?)?;
    let entry = if cell.mode.trains() { "step" } else { "run" };
    for _ in 0..3 {
        bound.call()?;
    }
    profile.take(entry);
    let (began, mut calls) = (Instant::now(), 0);
    while calls == 0 || (calls < MOST && began.elapsed() < TIME) {
        bound.call()?;
        calls += 1;
    }
    let mut rows: BTreeMap<(String, String), [f64; 3]> = BTreeMap::new();
    for kernel in profile.take(entry).into_iter().filter(|kernel| kernel.calls > 0) {
        let row = rows.entry((kernel.line, kernel.kernel)).or_default();
        for (sum, value) in row.iter_mut().zip([kernel.seconds, kernel.flops, kernel.bytes]) {
            *sum += value / f64::from(calls);
        }
    }
    // Results may be read elsewhere: of the user's files, the path from the source's folder.
    let folder = source.parent().map(|folder| format!("{}/", folder.display())).unwrap_or_default();
    let line = |((line, kernel), [seconds, flops, bytes]): ((String, String), [f64; 3])| KernelLine {
        model: cell.model.clone(),
        mode: cell.mode,
        batch: cell.batch,
        sizes: cell.sizes.clone(),
        threads: cell.threads,
        kernel,
        line: Some(line.strip_prefix(&folder).unwrap_or(&line).to_string()).filter(|line| !line.is_empty()),
        seconds,
        flops: Some(flops),
        bytes: Some(bytes),
        machine: String::new(),
        command: String::new(),
    };
    Ok(rows.into_iter().map(line).collect())
}
