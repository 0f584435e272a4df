//! `dlc train`: runs the model's `train` item.

use crate::{
    cx::Cx,
    dataset,
    fault::{self, Fault, InSession},
    memory::MemoryArguments,
    output, parameters, training,
    watch::Code,
};
use base::{Diagnostic, Format, SourceMap};
use clap::Args;
use driver::Session;
use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use train::{About, Context, Evaluation, Host, RunOptions};

/// Train a model; the run's folder gets configuration, log, checkpoints and a page with curves
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc train digits.model\n  dlc train digits.model --set train.epochs=3 --out runs/short\n  dlc train digits.model --resume runs/digits\n  dlc train digits.model --nan\n  dlc train unet.model --data pictures.npz --max-memory 2G"
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
    /// Stop at the line that makes the first NaN or infinity, forward, backward or in the update: compiled with a test of
    /// every value, which takes longer
    #[arg(long)]
    nan: bool,
    #[command(flatten)]
    memory: MemoryArguments,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let mut session = cx.session(&arguments.file)?;
    session.options.sema.write_out = arguments.nan;
    let (built, warnings) = session.build(cx.model(), true).within(&session)?;
    cx.warn(&warnings, &session);
    let Some(item) = &built.train else { return Err(training::no_training(&built.name).into()) };
    training::needs_optimizer(&built).within(&session)?;
    let spec = training::spec(cx, &session, &built, item)?;
    let data = dataset::read(cx, &session, &arguments.file, item, &arguments.data, &BTreeMap::new())?;
    let batch = item.batch_symbol.iter().map(|symbol| (symbol.clone(), item.batch));
    session.options.max_memory = arguments.memory.limit(cx.dims().into_iter().chain(batch).collect());
    let entries = Session::entries(&built, &["init", "accumulate", "step", "eval", "eval_finish", "fit"]);
    let code = Code::new(cx, &mut session, &built, &entries, arguments.nan)?;
    let program = &code.program;
    let pool = cx.pool()?;
    let directory = match (&arguments.resume, &arguments.out) {
        (Some(directory), _) | (None, Some(directory)) => directory.clone(),
        (None, None) => Path::new("runs").join(Session::prefix(&built)),
    };
    if arguments.overwrite && arguments.resume.is_none() {
        clear(&directory)?;
    }
    let start = match &arguments.weights {
        Some(file) => {
            let read = parameters::read_weights(cx, &session, &built, file)?;
            Some(read.parameters.fitted(program.entry("step")?, cx.rounds())?)
        }
        None => None,
    };
    let context = Context { program, pool: &pool, dataset: data.as_ref(), spec: &spec };
    let options = RunOptions {
        directory: directory.clone(),
        resume: arguments.resume.is_some(),
        start,
        progress: !cx.everywhere.quiet,
        about: about(cx, &pool),
    };
    let interrupted = interruption()?;
    let stop = |_| interrupted.load(Ordering::Relaxed);
    let outcome = train::train_on(&context, &options, &Host { stop: &stop, ..Host::default() })
        .map_err(|fault| code.explained(cx, &session, &pool, fault.into()))?;
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
    if outcome.interrupted {
        let (file, folder) = (arguments.file.display(), directory.display());
        cx.say(&format!("interrupted after {text}\ngo on with `dlc train {file} --resume {folder}`"));
        return Err(Fault::Interrupted);
    }
    output::print(&format!("{text}\n{}\n", directory.join("report.html").display()))
}

/// What the run's page says of the command, the program and the machine.
fn about(cx: &Cx, pool: &exec::Pool) -> About {
    let words = std::env::args_os().skip(1).map(|word| reports::quoted(&word.to_string_lossy()));
    let command = ["dlc".to_string()].into_iter().chain(words).collect::<Vec<_>>().join(" ");
    let target = llvm::Target::native();
    let mut environment = vec![
        ("dlc".to_string(), format!("{}, LLVM {}", driver::VERSION, llvm::version())),
        ("processor".to_string(), format!("{} ({})", target.cpu, target.triple)),
        ("threads".to_string(), pool.threads().to_string()),
    ];
    environment.extend(cx.everywhere.seed.map(|seed| ("seed".to_string(), seed.to_string())));
    About { command, environment }
}

/// Becomes true when somebody wants the program to end (Ctrl-C, or a signal to terminate): then a checkpoint is written
/// first. The second time the program ends at once.
fn interruption() -> Result<Arc<AtomicBool>, Fault> {
    let asked = Arc::new(AtomicBool::new(false));
    let seen = asked.clone();
    let handler = move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(fault::INTERRUPTED));
        }
    };
    ctrlc::set_handler(handler).map_err(|fault| {
        Diagnostic::error("E0826", format!("the system does not tell of interruptions: {fault}"))
    })?;
    Ok(asked)
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
