//! Stage: measuring the compiler itself, run by `make bench-compiler`.
//! Input: what Criterion measured (`target/criterion/…/new/sample.json`), and the history of earlier measurements.
//! Output: a line of the history for each measurement, and what changed since, beyond the noise.
//! Invariants: only measurements of one machine are compared; a change is claimed only where intervals are apart and the
//! difference is larger than what unchanged code showed before.

mod change;
mod estimate;
mod history;

pub use change::{Change, FLOOR, compare};
pub use estimate::{Estimate, estimate, read_all};
pub use history::{Entry, append, read};
