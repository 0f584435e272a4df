//! Stage: tests; everything that reads text, given text that is nearly right.
//! Input: the corpus of the repository as seeds, and a number for each input. Output: panics, broken promises and inputs that
//! take too long, each as the text that shows it.
//! Invariants: an input follows from its target, its number and the corpus of its commit; what was found is kept in
//! `findings` and tried by a test ever after.

mod corpus;
mod mutate;
mod run;
mod targets;

pub use corpus::{Corpus, findings};
pub use mutate::input;
pub use run::{Finding, Report, campaign, try_one};
pub use targets::{TARGETS, Target, find};
