//! The training loop: steps, log, evaluations, checkpoints, early stopping.

use crate::{
    Context, Description, Direction, Evaluation, Host, Length, Line, Parameters, Progress, SplitName,
    checkpoint::{Store, sweep},
    evaluate::measure,
    feed::Controls,
    fit::fit,
    log::{Log, METRICS_FILE, Terminal, read_lines},
    plan::Plan,
    report::report,
    resume::{belongs, describe},
    step::{StepReport, Stepper},
};
use abi::Role;
use base::{Diagnostic, Severity};
use data::{Batches, Loader, Rows};
use exec::Arena;
use reports::training::About;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use tensor::file::Disk;

const CONFIG_FILE: &str = "config.json";
const REPORT_FILE: &str = "report.html";

/// Where a run goes and how it begins.
#[derive(Clone, PartialEq, Debug)]
pub struct RunOptions {
    /// `runs/<name>`; made where it is missing.
    pub directory: PathBuf,
    /// Go on from the directory's newest checkpoint.
    pub resume: bool,
    /// Begin with these weights and states instead of the initial ones, where names agree.
    pub start: Option<Parameters>,
    /// A line of progress on standard error, where that is a terminal.
    pub progress: bool,
    /// What the run's page says besides the log.
    pub about: About,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub progress: Progress,
    /// Of the last evaluation in this session.
    pub evaluation: Option<Evaluation>,
    pub parameters: Parameters,
    /// The host asked for an end before the run's own.
    pub interrupted: bool,
    pub warnings: Vec<Diagnostic>,
}

/// Trains to the end of the spec, or until early stopping. Everything worth keeping is in the directory at any time: an
/// interrupted run resumes from its newest checkpoint with the same bits as one that was never interrupted.
pub fn train(context: &Context, options: &RunOptions) -> Result<Outcome, Diagnostic> {
    train_on(context, options, &Host::default())
}

/// As [`train`], on a disk of the caller's, and until the caller wants an end.
pub fn train_on(context: &Context, options: &RunOptions, host: &Host) -> Result<Outcome, Diagnostic> {
    let mut run = Run::begin(context, options, host)?;
    let ended = run.train();
    // The curves are worth seeing above all when training failed.
    let reported = write_report(host.disk, &run.directory, &context.spec.model, &options.about);
    match (ended, reported) {
        (Err(fault), Err(other)) => return Err(fault.note(format!("and then: {}", other.message))),
        (ended, reported) => ended.and(reported)?,
    }
    Ok(Outcome {
        interrupted: !run.is_over(),
        progress: run.progress,
        evaluation: run.evaluation,
        parameters: run.parameters,
        warnings: run.warnings,
    })
}

struct Run<'a> {
    context: Context<'a>,
    host: Host<'a>,
    stepper: Stepper<'a>,
    parameters: Parameters,
    controls: Controls,
    arena: Arena,
    progress: Progress,
    train: Rows,
    validation: Rows,
    /// Rows of a full update.
    update_rows: usize,
    total_steps: u64,
    steps_per_epoch: u64,
    best: (String, Direction),
    early_stop: Option<(String, Direction, u64)>,
    plateau: Option<(String, Direction)>,
    directory: PathBuf,
    store: Store<'a>,
    log: Log<'a>,
    terminal: Terminal,
    /// What every checkpoint says of the run, with the progress left open.
    described: Description,
    interrupted: bool,
    evaluation: Option<Evaluation>,
    warnings: Vec<Diagnostic>,
    started: Instant,
    /// Of earlier sessions.
    seconds_before: f64,
}

impl<'a> Run<'a> {
    fn begin(context: &Context<'a>, options: &RunOptions, host: &Host<'a>) -> Result<Run<'a>, Diagnostic> {
        let spec = context.spec;
        let update_rows = context.update()?;
        let split = context.split()?;
        let steps_per_epoch = split.train.len().div_ceil(update_rows) as u64;
        let total_steps = match spec.length {
            Length::Epochs(epochs) => epochs.checked_mul(steps_per_epoch).ok_or_else(|| {
                Diagnostic::error("E0813", format!("{epochs} epochs are more steps than can be counted"))
            })?,
            Length::Steps(steps) => steps,
        };
        if total_steps == 0 {
            return Err(Diagnostic::error("E0813", "0 steps train nothing"));
        }
        let best = spec.watched("checkpoint.best", &spec.checkpoint.best)?;
        let early_stop = match &spec.early_stop {
            Some(stop) => {
                let (name, direction) = spec.watched("early_stop.on", &stop.on)?;
                context.rows(SplitName::Validation)?;
                Some((name, direction, stop.patience))
            }
            None => None,
        };
        let plateau = match &spec.plateau {
            Some(plateau) => {
                context.rows(SplitName::Validation)?;
                Some(spec.watched("plateau.on", &plateau.on)?)
            }
            None => None,
        };
        let checkpoints = options.directory.join("checkpoints");
        if !options.resume && (options.directory.join(METRICS_FILE).exists() || checkpoints.exists()) {
            let message = format!("`{}` already holds a run", options.directory.display());
            return Err(Diagnostic::error("E0814", message)
                .help("resume it with `--resume`, or choose another directory with `--out`"));
        }

        let init = context.program.entry("init")?;
        let mut controls = Controls::new(spec.seed, total_steps)?;
        let mut arena = Arena::new();
        let mut init_args = Vec::new();
        for arg in &init.info().args {
            let control =
                controls.get(&arg.name).ok_or_else(|| crate::feed::unknown(init, "argument", &arg.name))?;
            init_args.push(control);
        }
        let results = init.call(&mut arena, context.pool, &init_args, &spec.dims)?;
        // Builds of a half train f32.
        let step = context.program.entry("step")?;
        let mut parameters = Parameters::from_results(init, results)?.fitted(step, false)?;
        let store = Store::new(host.disk, checkpoints.clone(), spec.checkpoint.keep);
        let described = describe(context);
        let (mut progress, mut warnings) = (Progress::default(), Vec::new());
        if options.resume {
            let (checkpoint, damaged) = store.newest()?;
            warnings = damaged;
            if let Some(checkpoint) = checkpoint {
                warnings.extend(belongs(&checkpoint.description, &described)?);
                parameters.replace(checkpoint.parameters, &checkpoints.display().to_string())?;
                progress = checkpoint.description.progress;
            }
        } else if let Some(start) = &options.start {
            parameters.adopt(start)?;
            parameters.restart_averages();
        }
        warnings.extend(unused(context));
        // Whatever may fail for want of data or code fails before the directory is touched.
        let stepper = Stepper::new(context, &parameters, &controls)?;
        if progress.step == 0 {
            fit(context, &mut arena, &mut parameters, &controls, &split.train)?;
        }
        controls.set(progress.step, progress.epoch);

        host.disk.make_folders(&checkpoints).map_err(|fault| {
            Diagnostic::error("E0708", format!("cannot make the folder `{}`: {fault}", checkpoints.display()))
        })?;
        store.forget_after(progress.step)?;
        sweep(host.disk, &options.directory, &[CONFIG_FILE, METRICS_FILE, REPORT_FILE])?;
        let config = options.directory.join(CONFIG_FILE);
        tensor::file::write_atomically_on(host.disk, &config, spec.config.as_bytes())?;
        Ok(Run {
            context: *context,
            host: *host,
            stepper,
            parameters,
            controls,
            arena,
            train: split.train,
            validation: split.validation,
            update_rows,
            total_steps,
            steps_per_epoch,
            best,
            early_stop,
            plateau,
            directory: options.directory.clone(),
            store,
            log: Log::open(host.disk, &options.directory, progress.step)?,
            terminal: Terminal::new(options.progress),
            described,
            interrupted: false,
            evaluation: None,
            warnings,
            started: Instant::now(),
            seconds_before: progress.seconds,
            progress,
        })
    }

    fn train(&mut self) -> Result<(), Diagnostic> {
        let loader = Loader::new(self.context.dataset, self.stepper.fields.clone());
        let plan = Plan {
            rows: self.train.clone(),
            seed: self.context.spec.seed,
            batch: self.context.batch()?,
            update: self.update_rows,
            updates: self.total_steps.saturating_sub(self.progress.step),
            epoch: self.progress.epoch,
            position: self.progress.position,
        };
        loader.load(plan.batches(), |batches| {
            while !self.is_over() && !self.interrupted {
                let rows = self.train.len();
                let from = self.progress.position.min(rows);
                let to = rows.min(from.saturating_add(self.update_rows));
                self.update(batches, to - from, to == rows)?;
            }
            Ok(())
        })
    }

    fn is_over(&self) -> bool {
        self.progress.step >= self.total_steps || self.progress.stopped
    }

    /// One update from the next so many rows, and all that is due after it.
    fn update(&mut self, batches: &mut Batches, rows: usize, epoch_ends: bool) -> Result<(), Diagnostic> {
        let spec = self.context.spec;
        self.controls.set(self.progress.step, self.progress.epoch);
        self.controls.set_rate_scale(self.progress.lr_scale.unwrap_or(1.0));
        let step = self.stepper.run(
            &self.context,
            &mut self.arena,
            &mut self.parameters,
            &mut self.controls,
            batches,
            rows,
        );
        let number = self.progress.step + 1;
        let report = step.map_err(|fault| fault.note(format!("at step {number} of {}", self.total_steps)))?;
        let epoch = self.progress.epoch + 1;
        self.progress.step = number;
        self.progress.position += rows;
        if epoch_ends {
            (self.progress.epoch, self.progress.position) = (epoch, 0);
        }
        self.progress.window_loss += report.loss;
        self.progress.window_steps += 1;
        let is_last = number == self.total_steps;
        let interval = if spec.log_every == 0 {
            self.steps_per_epoch.min(self.total_steps / 100)
        } else {
            spec.log_every
        };
        if number.is_multiple_of(interval.max(1)) || is_last {
            self.log_training(epoch, &report)?;
        }
        let improved =
            if !self.validation.is_empty() && (spec.eval_every.is_due(number, epoch_ends) || is_last) {
                self.evaluate(epoch)?
            } else {
                false
            };
        self.interrupted = (self.host.stop)(number);
        let is_end = is_last || self.progress.stopped || self.interrupted;
        if improved || is_end || spec.checkpoint.every.is_due(number, epoch_ends) {
            self.save(improved)?;
        }
        let (total, elapsed) = (self.total_steps, self.seconds());
        self.terminal.update(|| {
            format!("epoch {epoch}  step {number}/{total}  loss {:.4}  {elapsed:.1} s", report.loss)
        });
        Ok(())
    }

    fn log_training(&mut self, epoch: u64, report: &StepReport) -> Result<(), Diagnostic> {
        let line = Line {
            step: self.progress.step,
            epoch,
            split: SplitName::Train.name().into(),
            loss: self.progress.window_loss / self.progress.window_steps as f64,
            metrics: report.metrics.clone(),
            lr: report.lr,
            seconds: self.seconds(),
        };
        (self.progress.window_loss, self.progress.window_steps) = (0.0, 0);
        self.log.write(&line)
    }

    /// Measures the validation split; whether it is the best so far.
    fn evaluate(&mut self, epoch: u64) -> Result<bool, Diagnostic> {
        let evaluation = measure(
            &self.context,
            &mut self.arena,
            &self.parameters,
            &self.controls,
            SplitName::Validation,
            &self.validation,
        )?;
        let line = Line {
            step: self.progress.step,
            epoch,
            split: SplitName::Validation.name().into(),
            loss: evaluation.loss,
            metrics: evaluation.metrics.clone(),
            lr: None,
            seconds: self.seconds(),
        };
        self.log.write(&line)?;
        self.terminal.finish(&summary(&line, self.total_steps));
        let step = self.progress.step;
        self.progress.evaluated_at = Some(step);
        let value = |name: &str| evaluation.value(name).unwrap_or(f64::NAN);
        let improved = self.progress.best.observe(value(&self.best.0), self.best.1, step);
        if let Some((name, direction, patience)) = &self.early_stop {
            self.progress.early_stop.observe(value(name), *direction, step);
            self.progress.stopped = self.progress.early_stop.since >= (*patience).max(1);
        }
        if let (Some((name, direction)), Some(plateau)) = (&self.plateau, &self.context.spec.plateau) {
            let record = &mut self.progress.plateau;
            record.observe(value(name), *direction, step);
            if record.since >= plateau.patience.max(1) {
                record.since = 0;
                self.progress.lr_scale = Some(self.progress.lr_scale.unwrap_or(1.0) * plateau.factor);
            }
        }
        self.evaluation = Some(evaluation);
        Ok(improved)
    }

    fn save(&mut self, is_best: bool) -> Result<(), Diagnostic> {
        self.progress.seconds = self.seconds();
        let description = Description { progress: self.progress.clone(), ..self.described.clone() };
        self.log.sync()?;
        self.store.save(&description, &self.parameters, is_best)
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }
}

/// Makes `report.html` of a run directory anew, from its log and configuration.
fn write_report(disk: &dyn Disk, directory: &Path, model: &str, about: &About) -> Result<(), Diagnostic> {
    let path = directory.join(CONFIG_FILE);
    let config = std::fs::read_to_string(&path)
        .map_err(|fault| Diagnostic::error("E0708", format!("cannot read `{}`: {fault}", path.display())))?;
    let page = report(model, &read_lines(&directory.join(METRICS_FILE))?, &config, about);
    tensor::file::write_atomically_on(disk, &directory.join(REPORT_FILE), page.as_bytes())
}

fn summary(line: &Line, total_steps: u64) -> String {
    let mut text =
        format!("epoch {}  step {}/{total_steps}  val.loss {:.4}", line.epoch, line.step, line.loss);
    for (name, value) in &line.metrics {
        text += &format!("  {name} {value:.4}");
    }
    text + &format!("  {:.1} s", line.seconds)
}

/// A note about the fields that no entry point reads.
fn unused(context: &Context) -> Option<Diagnostic> {
    let reads = |name: &str| {
        let mut args = context.program.entries().iter().flat_map(|entry| &entry.info().args);
        args.any(|arg| arg.role == Role::Input && arg.name == name)
    };
    let fields = context.dataset.fields().into_iter().filter(|field| !reads(&field.name));
    let names: Vec<String> = fields.map(|field| format!("`{}`", field.name)).collect();
    let note = || Diagnostic {
        severity: Severity::Note,
        ..Diagnostic::warning(
            "W0801",
            format!("the model does not use these fields of the data: {}", names.join(", ")),
        )
    };
    (!names.is_empty()).then(note)
}
