//! `dlc run --profile`: where the time of compiled code goes.

use crate::{arguments::TextOrJson, cx::Cx, fault::Fault, output, parameters, watch::Code};
use driver::KernelTime;
use exec::{Arena, Dims, Pool};
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tensor::Tensor;

/// The model runs again and again for so long, but not more often than this.
const TIME: Duration = Duration::from_millis(300);
const MAX_RUNS: u32 = 1000;

/// Rows that agree in line and operators are told as one.
#[derive(Default)]
struct Row {
    calls: f64,
    seconds: f64,
    flops: f64,
    bytes: f64,
}

/// Runs the model, which has run once already, and tells what each kernel takes of one run.
pub fn profile(
    cx: &Cx,
    code: &Code,
    pool: &Pool,
    (inputs, weights): (&BTreeMap<String, Tensor>, &BTreeMap<String, Tensor>),
    dims: &Dims,
    format: TextOrJson,
) -> Result<(), Fault> {
    let entry = code.program.entry("run")?;
    let owned = parameters::arguments(cx, entry, inputs, weights)?;
    let args: Vec<&Tensor> = owned.iter().collect();
    let mut arena = Arena::new();
    let mut results = entry.call(&mut arena, pool, &args, dims)?;
    let mut results: Vec<&mut Tensor> = results.iter_mut().collect();
    code.profile.take("run");
    let began = Instant::now();
    let mut runs = 0;
    while runs == 0 || (runs < MAX_RUNS && began.elapsed() < TIME) {
        entry.call_into(&mut arena, pool, &args, &mut results, dims)?;
        runs += 1;
    }
    let seconds = began.elapsed().as_secs_f64() / f64::from(runs);
    let kernels = code.profile.take("run");
    match format {
        TextOrJson::Json => kernels.iter().filter(|kernel| kernel.calls > 0).try_for_each(|kernel| {
            let each = f64::from(runs);
            output::print(&format!(
                "{}\n",
                json!({
                    "kind": "kernel",
                    "model": code.program.model(),
                    "mode": "infer",
                    "sizes": dims,
                    "threads": pool.threads(),
                    "kernel": kernel.kernel,
                    "line": kernel.line,
                    "calls": kernel.calls as f64 / each,
                    "seconds": kernel.seconds / each,
                    "flops": kernel.flops / each,
                    "bytes": kernel.bytes / each,
                })
            ))
        }),
        TextOrJson::Human => output::print(&told(&kernels, f64::from(runs), seconds, pool.threads())),
    }
}

fn told(kernels: &[KernelTime], runs: f64, seconds: f64, threads: usize) -> String {
    let mut rows: BTreeMap<(&str, &str), Row> = BTreeMap::new();
    for kernel in kernels {
        let row = rows.entry((&kernel.line, &kernel.kernel)).or_default();
        row.calls += kernel.calls as f64 / runs;
        row.seconds += kernel.seconds / runs;
        row.flops += kernel.flops / runs;
        row.bytes += kernel.bytes / runs;
    }
    let inside: f64 = rows.values().map(|row| row.seconds).sum();
    let mut rows: Vec<_> = rows.into_iter().filter(|(_, row)| row.calls > 0.0).collect();
    rows.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
    let head = ["line", "kernel", "calls", "µs", "share", "MFLOP", "KiB", "GFLOP/s", "GB/s"];
    let mut cells = vec![head.map(String::from).to_vec()];
    for ((line, kernel), row) in &rows {
        let rate = |amount: f64| match amount / row.seconds.max(1e-9) * 1e-9 {
            rate if amount > 0.0 => format!("{rate:.1}"),
            _ => "–".into(),
        };
        let call = if row.calls.fract() == 0.0 { 0 } else { 1 };
        cells.push(vec![
            line.to_string(),
            kernel.to_string(),
            format!("{:.call$}", row.calls),
            format!("{:.1}", row.seconds * 1e6),
            format!("{:.1} %", 100.0 * row.seconds / seconds.max(1e-9)),
            format!("{:.3}", row.flops * 1e-6),
            format!("{:.1}", row.bytes / 1024.0),
            rate(row.flops),
            rate(row.bytes),
        ]);
    }
    let right = [false, false, true, true, true, true, true, true, true];
    let threads = if threads == 1 { "one thread".into() } else { format!("{threads} threads") };
    format!(
        "\n{}\none run of {runs}: {:.1} µs on {threads}, {:.1} µs of it in kernels\n",
        output::table(&cells, &right),
        seconds * 1e6,
        inside * 1e6
    )
}
