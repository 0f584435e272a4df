//! Stage: foundation, the algebra of dimensions and shapes.
//! Input: expressions over sizes (`4*h + 1`, `ceil_div(h, 2)`) and what is known about them (`require d % heads == 0`).
//! Output: canonical dimensions, proofs about them, broadcast shapes, solved unknowns.
//! Invariants: a [`Dim`] is always in canonical form, so structural equality decides most equalities; a simplification
//! holds for all integers for which the expression is defined (a divisor is never 0). Only [`Facts`] knows that sizes
//! are at least 0. Arithmetic is checked: what leaves the range is a poison value ([`Dim::overflowed`]), never a panic.

mod symbol;

mod atom;
mod dim;

mod arithmetic;
mod division;
mod simplify;

mod eval;
mod parse;
mod print;

mod facts;
mod proof;
mod solve;

mod shape;

pub use atom::{Atom, Term};
pub use dim::Dim;
pub use eval::EvalError;
pub use facts::{Assumption, Facts};
pub use parse::ParseDimError;
pub use proof::Proof;
pub use shape::{BroadcastError, Shape};
pub use solve::solve;
pub use symbol::Symbol;
