//! Stage ④: derivatives and batching, graph → graph.
//! Input: a function under construction (not in the module yet) and values of it, or a function of the module.
//! Output: nodes appended to that same function, so that derivatives nest; functions of the module for called ones.
//! Invariants: only the operators' rules know mathematics, here are walks over them; what has no derivative is an error
//! that names the place, never a silent zero; a function and its derivative are made once for each set of operands.

mod batch;
mod dependence;
mod derived;
mod flat;
mod forward;
mod no_derivative;
mod reach;
mod reverse;
mod split;

pub use batch::{Draws, NotBatchable, vmap, vmap_function};
pub use forward::{jvp, jvp_function, pushforward};
pub use no_derivative::NoDerivative;
pub use reverse::{grad, pullback, vjp, vjp_function};
