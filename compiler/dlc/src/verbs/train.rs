//! `dlc train`: runs the model's `train` item.

use crate::{
    cx::Cx,
    dataset,
    fault::{Fault, InSession},
    output,
};
use base::{Diagnostic, Format, SourceMap};
use clap::Args;
use driver::{Session, Trace};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};
use tensor::{Limits, safetensors::Weights};
use train::{Context, Evaluation, Parameters, RunOptions};

/// Train a model; the run's folder gets configuration, log, checkpoints and a page with curves
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc train digits.model\n  dlc train digits.model --set train.epochs=3 --out runs/short\n  dlc train digits.model --resume runs/digits"
)]
pub struct Arguments {
    file: PathBuf,
    /// Where the data lie: PATH instead of the model's, or NAME=PATH for the field NAME
    #[arg(long, value_name = "[NAME=]PATH")]
    data: Vec<String>,
    /// The run's folder; runs/NAME unless stated
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Go on with the run in this folder, bit for bit as if it had not stopped
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Replace a run that the folder holds
    #[arg(long)]
    overwrite: bool,
    /// Begin with these weights, where names agree
    #[arg(long, value_name = "W.safetensors")]
    weights: Option<PathBuf>,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let session = cx.session(&arguments.file)?;
    let (built, warnings) = session.build(cx.model(), true).within(&session)?;
    cx.warn(&warnings, &session);
    let Some(item) = &built.train else { return Err(dataset::no_training(&built.name).into()) };
    dataset::needs_optimizer(&built).within(&session)?;
    let spec = dataset::spec(cx, &session, &built, item)?;
    let data = dataset::read(cx, &session, &arguments.file, item, &arguments.data)?;
    let entries = Session::entries(&built, &["init", "accumulate", "step", "eval", "eval_finish", "fit"]);
    let compiled = session.compile(&built, &entries, &cx.cache, &mut Trace::default()).within(&session)?;
    let program = compiled.load().within(&session)?;
    let pool = cx.pool()?;
    let directory = match (&arguments.resume, &arguments.out) {
        (Some(directory), _) | (None, Some(directory)) => directory.clone(),
        (None, None) => Path::new("runs").join(Session::prefix(&built)),
    };
    if arguments.overwrite && arguments.resume.is_none() {
        clear(&directory)?;
    }
    let start = match &arguments.weights {
        Some(file) => Some(Parameters::from_weights(Weights::read(file, &Limits::default())?)),
        None => None,
    };
    let context = Context { program: &program, pool: &pool, dataset: &data, spec: &spec };
    let options = RunOptions {
        directory: directory.clone(),
        resume: arguments.resume.is_some(),
        start,
        progress: !cx.everywhere.quiet,
    };
    let outcome = train::train(&context, &options)?;
    if !cx.everywhere.quiet {
        cx.tell(&outcome.warnings, &SourceMap::new(), Format::Human);
    }
    let steps = outcome.progress.step;
    let mut text = format!("{steps} steps in {:.1} s", outcome.progress.seconds);
    if outcome.progress.stopped {
        text += ", ended early";
    }
    if let Some(evaluation) = &outcome.evaluation {
        text += &format!("; {}", summary(evaluation));
    }
    output::print(&format!("{text}\n{}\n", directory.join("report.html").display()))
}

/// `val.loss 0.0541, val.accuracy 0.9833`
pub fn summary(evaluation: &Evaluation) -> String {
    let split = evaluation.split.name();
    let mut parts = vec![format!("{split}.loss {:.4}", evaluation.loss)];
    parts.extend(evaluation.metrics.iter().map(|(name, value)| format!("{split}.{name} {value:.4}")));
    parts.join(", ")
}

/// Removes what a run consists of, and nothing else.
fn clear(directory: &Path) -> Result<(), Fault> {
    let gone = |result: std::io::Result<()>, path: &Path| match result {
        Err(fault) if fault.kind() != ErrorKind::NotFound => {
            Err(Diagnostic::error("E0826", format!("cannot replace `{}`: {fault}", path.display())))
        }
        _ => Ok(()),
    };
    let checkpoints = directory.join("checkpoints");
    gone(fs::remove_dir_all(&checkpoints), &checkpoints)?;
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_ours = ["config.json", "metrics.jsonl", "report.html"].contains(&name.as_str())
            || name.starts_with("events.out.tfevents");
        if is_ours {
            gone(fs::remove_file(&path), &path)?;
        }
    }
    Ok(())
}
