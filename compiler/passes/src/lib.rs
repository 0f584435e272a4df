//! Stage ⑤: passes over the tensor IR, graph → graph.
//! Input: a verified module, the functions of it that are entry points, the build's options.
//! Output: the same module, whose entry points compute the same values; [`pipeline`] lists what is done.
//! Invariants: functions are never removed or renumbered; parameters and results of entry points keep their order,
//! names and roles; only the driver verifies and reports, passes do not.

mod cse;
mod expand_composites;
mod fold;
mod hoist;
mod inline;
mod narrow;
mod pass;
mod phases;
pub mod pipeline;
mod precision;
mod rebuild;
pub mod rematerialise;
pub mod simplify;
mod sink;
mod tape;

pub use pass::{Changed, Pass, PassCx};
pub use pipeline::{Observer, Options, PassBug, PassError, run_pipeline};
