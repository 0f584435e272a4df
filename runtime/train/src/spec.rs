//! What a training run is, as plain data: the `train` item after defaults, overrides and elaboration.

use base::{Diagnostic, did_you_mean};
use exec::Dims;

#[derive(Clone, PartialEq, Debug)]
pub struct Spec {
    pub model: String,
    /// Rows of a full batch.
    pub batch: usize,
    /// Batches whose gradients make up one update, at least 1.
    pub accumulate: usize,
    pub length: Length,
    pub seed: u64,
    /// Parts of the rows: train, validation and, with three of them, test.
    pub split: Vec<f64>,
    /// In the order of the source.
    pub metrics: Vec<Metric>,
    pub early_stop: Option<EarlyStop>,
    /// When the control `lr_scale` is lowered.
    pub plateau: Option<Plateau>,
    pub checkpoint: CheckpointPolicy,
    /// When the validation split is measured.
    pub eval_every: Every,
    /// Steps between two lines about training in the log; 0 chooses.
    pub log_every: u64,
    /// The `standardize` layers, whose states are fitted before the first step.
    pub fits: Vec<Fit>,
    /// Dimensions fixed by name, beside those that the data fix.
    pub dims: Dims,
    /// Effective configuration, a JSON text.
    pub config: String,
    /// Tells one source from another.
    pub source_hash: String,
    /// Of `dlc`.
    pub version: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    Epochs(u64),
    /// Updates of the optimiser.
    Steps(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Every {
    Epoch,
    Steps(u64),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metric {
    pub name: String,
    pub direction: Direction,
}

/// Which way a measured value gets better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Higher,
    Lower,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EarlyStop {
    /// `val.loss`, `val.accuracy`.
    pub on: String,
    /// Evaluations without an improvement after which training ends.
    pub patience: u64,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Plateau {
    /// `val.loss`, `val.accuracy`.
    pub on: String,
    /// What `lr_scale` is multiplied by, more than 0 and less than 1.
    pub factor: f64,
    /// Evaluations without an improvement after which it is.
    pub patience: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointPolicy {
    pub every: Every,
    /// How many of the newest stay, beside the last and the best.
    pub keep: usize,
    /// What decides which one is best: `val.loss`, `val.auc`.
    pub best: String,
}

/// A `standardize` layer: entry `fit` gives `NAME.count.sum`, `NAME.total.sum` and `NAME.squares.sum` of its input
/// minus the state `mean`; the fit sets the states `mean` and `std`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fit {
    pub name: String,
    pub mean: String,
    pub std: String,
    /// Layers of a later pass see the states of the earlier ones already fitted.
    pub pass: usize,
}

impl Default for CheckpointPolicy {
    fn default() -> Self {
        CheckpointPolicy { every: Every::Epoch, keep: 3, best: "val.loss".into() }
    }
}

impl Direction {
    /// Strictly better; a NaN never is.
    pub fn improves(self, value: f64, best: Option<f64>) -> bool {
        value.is_finite()
            && best.is_none_or(|best| match self {
                Direction::Higher => value > best,
                Direction::Lower => value < best,
            })
    }
}

impl Every {
    /// Whether it is time after `step` steps, where `epoch_ends` says that an epoch is just over.
    pub(crate) fn is_due(self, step: u64, epoch_ends: bool) -> bool {
        match self {
            Every::Epoch => epoch_ends,
            Every::Steps(interval) => step.is_multiple_of(interval.max(1)),
        }
    }
}

impl Spec {
    /// What `val.loss` or `val.NAME` measures: the bare name and its direction.
    pub(crate) fn watched(&self, key: &str, on: &str) -> Result<(String, Direction), Diagnostic> {
        let name = on.strip_prefix("val.").ok_or_else(|| {
            Diagnostic::error(
                "E0813",
                format!("`{key}` watches `{on}`, which is not measured on the validation split"),
            )
            .help("write `val.loss`, or `val.` and the name of a metric")
        })?;
        if name == "loss" {
            return Ok((name.into(), Direction::Lower));
        }
        let metric = self.metrics.iter().find(|metric| metric.name == name).ok_or_else(|| {
            let names = self.metrics.iter().map(|metric| metric.name.as_str()).chain(["loss"]);
            let near = did_you_mean(name, names.clone()).map(|near| format!("did you mean `val.{near}`?"));
            Diagnostic::error("E0813", format!("`{key}` watches `{on}`, but no metric is called `{name}`"))
                .note(format!("there are: {}", names.collect::<Vec<_>>().join(", ")))
                .maybe_help(near)
        })?;
        Ok((name.into(), metric.direction))
    }
}
