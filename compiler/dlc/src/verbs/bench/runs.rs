//! Whole trainings, as users start them: from a file that does not fit into memory, and until they are good.

use super::suite::absolute;
use crate::{cx::Cx, fault::Fault};
use base::Diagnostic;
use bench_suite::{
    Agreement, Arm, ArmLine, Cell, CurveLine, EnvironmentLine, Line, Ruler, agreement, line_of_samples,
};
use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    process::{Command, Stdio},
};
use tensor::{Tensor, file::write_atomically};

/// Times the batch: rows of the table.
const BATCHES: usize = 200;
const EPOCHS: usize = 3;
/// Steps between lines of the log.
const LOG_EVERY: usize = 20;

/// Seconds a step of `dlc train` on a table in a file, and on the same in memory. Both give the same bits, which is what
/// they are held to.
pub fn streamed(
    cx: &Cx,
    source: &Path,
    cell: &Cell,
    fields: &[&Tensor],
    folder: &Path,
    ruler: &Ruler,
) -> Result<Vec<ArmLine>, Fault> {
    let table = folder.join("table.csv");
    if !table.is_file() {
        write_atomically(&table, table_text(fields).as_bytes())?;
    }
    let settings = [
        format!("train.batch={}", cell.batch),
        format!("train.epochs={EPOCHS}"),
        format!("train.log_every={LOG_EVERY}"),
    ];
    let mut more: Vec<String> = settings.into_iter().flat_map(|word| ["--set".to_string(), word]).collect();
    more.extend(["--data".to_string(), table.display().to_string()]);
    // Seconds of steps, process by process, from the file and from memory.
    let mut samples = [Vec::new(), Vec::new()];
    let mut losses: [BTreeMap<String, Tensor>; 2] = Default::default();
    for round in 0..ruler.processes.0 {
        for kind in [round % 2, 1 - round % 2] {
            let memory = ["1KiB", "8GiB"][kind];
            let mut arguments = more.clone();
            arguments.extend(["--data-memory".to_string(), memory.into()]);
            let log = train(source, &arguments, cell.threads, &folder.join("run"))?;
            let steps: Vec<&train::Line> = log.iter().filter(|line| line.split == "train").collect();
            let pairs = steps.windows(2).filter(|pair| pair[0].epoch == pair[1].epoch);
            let seconds =
                pairs.map(|pair| (pair[1].seconds - pair[0].seconds) / (pair[1].step - pair[0].step) as f64);
            samples[kind].push(seconds.collect::<Vec<f64>>());
            let last: Vec<f64> = steps.iter().map(|line| line.loss).collect();
            losses[kind] = BTreeMap::from([("loss".to_string(), Tensor::from_vec([last.len()], last)?)]);
        }
    }
    let [from_file, from_memory] = samples;
    let same = agreement(&losses[0], &losses[1], 0.0);
    let itself = Agreement { correct: true, max_error: 0.0, max_relative: 0.0, ..same.clone() };
    let named = |name: &str| Arm {
        name: name.into(),
        command: Vec::new(),
        style: cx.everywhere.style().of_driver().name().into(),
        install: String::new(),
        options: BTreeMap::new(),
        described_in: String::new(),
        dynamic_sizes: None,
    };
    let mut lines = vec![
        line_of_samples(cell, &named("dlc"), from_file, same, ruler),
        line_of_samples(cell, &named("dlc-in-memory"), from_memory, itself, ruler),
    ];
    for line in &mut lines {
        line.framework = Some("dlc".into());
        line.version = Some(driver::VERSION.into());
        line.threads_seen = Some(cell.threads);
        line.dtype_seen = Some(cell.precision.clone());
    }
    Ok(lines)
}

/// Rows of the fields one after the other, the first field first: what `columns(0..n)` of a source reads.
fn table_text(fields: &[&Tensor]) -> String {
    let fields: Vec<(usize, usize, Vec<f64>)> = fields
        .iter()
        .map(|tensor| {
            let rows = tensor.row_count();
            (rows, tensor.len() / rows.max(1), tensor.to_f64_vec())
        })
        .collect();
    let mut text = String::new();
    for number in 0..BATCHES * fields.first().map_or(0, |(rows, ..)| *rows) {
        let cells = fields.iter().flat_map(|(rows, width, values)| {
            let row = number % rows;
            values[row * width..(row + 1) * width].iter()
        });
        text += &cells.map(|value| value.to_string()).collect::<Vec<_>>().join(",");
        text.push('\n');
    }
    text
}

/// How loss and accuracy of the validation split get better with time, in a training as the file says.
pub fn curve(cx: &Cx, file: &Path, environment: &EnvironmentLine) -> Result<Line, Fault> {
    let name = file.file_stem().map_or("model".into(), |stem| stem.to_string_lossy().into_owned());
    let folder = env::temp_dir().join(format!("dlc-bench-{name}-{}", std::process::id()));
    let threads = cx.everywhere.threads().max(1);
    let log = train(&absolute(file), &[], threads, &folder);
    let _ = fs::remove_dir_all(&folder);
    let measured: Vec<train::Line> = log?.into_iter().filter(|line| line.split == "val").collect();
    let metric = |line: &train::Line| line.metrics.first().map_or(f64::NAN, |(_, value)| *value);
    Ok(Line::Curve(CurveLine {
        arm: "dlc".into(),
        model: name,
        seconds: measured.iter().map(|line| line.seconds).collect(),
        loss: measured.iter().map(|line| line.loss).collect(),
        accuracy: measured.iter().map(metric).filter(|value| value.is_finite()).collect(),
        threads,
        machine: environment.machine.clone(),
        command: format!("dlc bench --curve {} --threads {threads}", file.display()),
    }))
}

/// One `dlc train` in a process of its own, and its log.
fn train(source: &Path, more: &[String], threads: usize, out: &Path) -> Result<Vec<train::Line>, Fault> {
    let program = env::current_exe()
        .map_err(|fault| Diagnostic::error("E1014", format!("`dlc` does not find itself: {fault}")))?;
    let mut command = Command::new(program);
    command.arg("train").arg(source).args(["--overwrite", "--quiet", "--threads", &threads.to_string()]);
    command
        .arg("--out")
        .arg(out)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let failed = |what: String| {
        Diagnostic::error("E1014", format!("`dlc train {}` did not go well", source.display())).note(what)
    };
    let ran = command.output().map_err(|fault| failed(fault.to_string()))?;
    if !ran.status.success() {
        return Err(failed(String::from_utf8_lossy(&ran.stderr).trim().to_string()).into());
    }
    let text = fs::read_to_string(out.join("metrics.jsonl")).map_err(|fault| failed(fault.to_string()))?;
    Ok(text.lines().filter_map(train::Line::parse).collect())
}
