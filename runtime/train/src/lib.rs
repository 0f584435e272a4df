//! Stage: runtime, the outermost: trains, measures and predicts with compiled code.
//! Input: a [`exec::Program`] with the entries `init`, `step`, `eval`, `eval_finish`, `run` and `fit`, a
//! [`data::RowSource`], and a [`Spec`].
//! Output: a run directory (config, log, checkpoints, report), [`Evaluation`]s, predictions.
//! Invariants: arguments and results are matched by role and name; equal inputs give equal bits, whether or not a run
//! was interrupted and resumed; files appear whole or not at all.
//!
//! The entries: `init(seed)` gives all weights, states and optimiser states. `step(fields, parameters, seed, step,
//! total_steps, epoch)` gives the loss, the parameters' new values under their own names, and measured scalars (`lr` for
//! one); `step` and `epoch` count from 0. Where an update takes several batches, `step` gets the last of them, and
//! `accumulate(fields, parameters, gradients, …)` those before: it gives the loss, states, and the sums of gradients
//! `gradient/NAME`, which `step` takes too. Both then take `part`, the number of the batch in its update from 0, and
//! `share`, its part of the update's rows, an f64 that its gradients are multiplied by. `lr_scale` is an f64 that begins
//! at 1. An optimiser state `ema/NAME` is the running average of the weight `NAME`, which measuring takes instead of it. `eval(fields, weights, states, seed)` gives accumulators: `NAME.sum` is added up
//! over the batches in f64, `NAME.keep` is concatenated. `eval_finish` takes accumulators by name and gives the loss and
//! the metrics; a metric `M` that it leaves out is the ROC AUC of `M.scores.keep` and `M.labels.keep`, and so is its
//! argument `M.auc`. `fit(fields, weights, states)` gives the moments that [`Fit`] describes. `run(fields, weights, states)` gives outputs.

mod auc;
mod checkpoint;
mod context;
mod evaluate;
mod events;
mod feed;
mod fit;
mod host;
mod log;
mod parameters;
mod plan;
mod predict;
mod report;
mod resume;
mod spec;
mod step;
mod trainer;

#[cfg(test)]
#[path = "../tests/fixture/failing.rs"]
mod failing;

pub use auc::roc_auc;
pub use checkpoint::{Checkpoint, Description, Progress, Record, read_weights};
pub use context::{Context, SplitName};
pub use evaluate::{Evaluation, evaluate};
pub use host::Host;
pub use log::{Line, parse_lines};
pub use parameters::{Parameters, fit_dtype};
pub use predict::predict;
pub use reports::training::About;
pub use spec::{CheckpointPolicy, Direction, EarlyStop, Every, Fit, Length, Metric, Plateau, Spec};
pub use trainer::{Outcome, RunOptions, train, train_on};
