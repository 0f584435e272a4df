//! Stage: tests; sources for the compiler to be tried with.
//! Input: a seed. Output: the text of a well-typed `.model` file, what its inputs are, and the shapes of its results.
//! Invariants: a seed always gives the same model; the text is all that the compiler sees; shapes are worked out here,
//! apart from the checker; values stay finite.

mod derive;
mod dim;
mod draft;
mod model;
mod range;
mod reduce;
mod rng;
mod rules;

pub use dim::Dim;
pub use draft::DType;
pub use model::{Input, Model, Output};
pub use reduce::reduce;
pub use rng::Rng;
pub use rules::names as rules;

/// What a model is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Everything that can be run.
    Forward,
    /// A scalar with its derivatives, as [`DERIVED`] lists them.
    Derivatives,
}

/// Results of a model of [`Kind::Derivatives`], with the number of the input in place of `#`: the value, its derivative along
/// the direction in reverse and forward, gradients, and the second derivative times the direction both ways. Inputs are
/// `x0`, `x1`, …, directions `d0`, `d1`, ….
pub const DERIVED: [&str; 6] = ["y", "reverse", "forward", "slope#", "bend#", "turn#"];

/// The model of a seed.
pub fn model(seed: u64, kind: Kind) -> Model {
    match kind {
        Kind::Forward => model::forward(seed),
        Kind::Derivatives => derive::model(seed),
    }
}
