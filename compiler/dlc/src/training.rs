//! From the `train` item to what the training loop takes.

use crate::{cx::Cx, fault::Fault};
use base::Diagnostic;
use driver::Session;
use sema::{Built, TrainSpec};
use serde_json::{Map, Value, json};
use tensor::Fnv64;
use train::{CheckpointPolicy, Every, Fit, Length, Metric, Spec};

pub fn no_training(model: &str) -> Diagnostic {
    Diagnostic::error("E0823", format!("the file does not say how `{model}` is trained"))
        .help(format!("add `train {model} {{ … }}` with at least `data` and `loss`"))
}

/// Refuses a model whose `train` item is only enough for gradients.
pub fn needs_optimizer(built: &Built) -> Result<(), Diagnostic> {
    if built.entries.iter().any(|(name, _)| *name == "step") {
        return Ok(());
    }
    let span = built.train.as_ref().map(|train| train.span).unwrap_or_default();
    Err(Diagnostic::error("E0415", "training needs an `optimizer`")
        .label(span, "this block has none")
        .help("as in `optimizer = adam(lr: 1e-3)`; for `dlc grad` the loss alone is enough"))
}

/// The run that a `train` item describes.
pub fn spec(cx: &Cx, session: &Session, built: &Built, train: &TrainSpec) -> Result<Spec, Fault> {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let length = match (train.steps, train.epochs) {
        (Some(steps), _) => Length::Steps(count(steps)),
        (None, epochs) => Length::Epochs(epochs.map_or(1, count)),
    };
    let direction = |direction: sema::Direction| match direction {
        sema::Direction::Lower => train::Direction::Lower,
        sema::Direction::Higher => train::Direction::Higher,
    };
    let metrics: Vec<Metric> = train
        .metrics
        .iter()
        .map(|metric| Metric { name: metric.name.clone(), direction: direction(metric.direction) })
        .collect();
    let checkpoint = &train.checkpoint;
    let every = match checkpoint.every_steps {
        Some(steps) => Every::Steps(count(steps)),
        None => Every::Epoch,
    };
    // What overrides a key of the block stands in that key.
    let set = session.options.sema.set.iter().filter(|(name, _)| !name.starts_with("train."));
    let set: Map<String, Value> = set.map(|(name, value)| (name.clone(), json!(value))).collect();
    let config = json!({
        "model": built.name,
        "source": session.source.name.as_ref(),
        "batch": train.batch,
        "accumulate": train.accumulate,
        "augment": train.augment.iter().map(|augment| format!("{}: {:?}", augment.field, augment.transforms)).collect::<Vec<_>>(),
        "ema": train.ema,
        "epochs": train.epochs,
        "steps": train.steps,
        "seed": train.seed,
        "split": train.split,
        "metrics": metrics.iter().map(|metric| (metric.name.clone(), json!(word(metric.direction)))).collect::<Map<_, _>>(),
        "eval_every": train.eval_every,
        "log_every": train.log_every,
        "early_stop": train.early_stop.as_ref().map(|stop| json!({ "on": stop.on, "patience": stop.patience })),
        "checkpoint": {
            "every": checkpoint.every_steps.map_or(json!("epoch"), |steps| json!(steps)),
            "keep": checkpoint.keep,
            "best": checkpoint.best.as_deref().map_or("val.loss".into(), validation),
        },
        "set": set,
        "bind": session.options.sema.bind,
        "precision": session.options.float.name(),
        "style": session.options.style.name(),
        "dlc": driver::VERSION,
    });
    Ok(Spec {
        model: built.name.clone(),
        batch: usize::try_from(train.batch).unwrap_or(0),
        accumulate: usize::try_from(train.accumulate).unwrap_or(1),
        length,
        seed: count(train.seed),
        split: train.split.clone(),
        metrics,
        early_stop: train
            .early_stop
            .as_ref()
            .map(|stop| train::EarlyStop { on: validation(&stop.on), patience: count(stop.patience) }),
        plateau: train.plateau.as_ref().map(|plateau| train::Plateau {
            on: validation(&plateau.on),
            factor: plateau.factor,
            patience: count(plateau.patience),
        }),
        checkpoint: CheckpointPolicy {
            every,
            keep: usize::try_from(checkpoint.keep).unwrap_or(1),
            best: checkpoint.best.as_deref().map_or("val.loss".into(), validation),
        },
        eval_every: train.eval_every.map_or(Every::Epoch, |steps| Every::Steps(count(steps))),
        log_every: count(train.log_every),
        fits: fits(&built.fits),
        dims: cx.dims(),
        config: format!("{config:#}\n"),
        source_hash: format!("{:016x}", Fnv64::new().text(&session.source.text).finish()),
        version: driver::VERSION.into(),
    })
}

fn word(direction: train::Direction) -> &'static str {
    match direction {
        train::Direction::Higher => "higher",
        train::Direction::Lower => "lower",
    }
}

/// `loss` is short for `val.loss`.
fn validation(on: &str) -> String {
    if on.contains('.') { on.into() } else { format!("val.{on}") }
}

/// Layers of `standardize` in the order of the source: a later one may read what an earlier one gives.
fn fits(names: &[String]) -> Vec<Fit> {
    let fits = names.iter().enumerate().map(|(pass, name)| Fit {
        name: name.clone(),
        mean: format!("{name}.mean"),
        std: format!("{name}.std"),
        pass,
    });
    fits.collect()
}
