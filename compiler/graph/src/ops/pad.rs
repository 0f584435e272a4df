//! Room around and between the elements, filled with a value. Operands: the tensor, and the value as a scalar.
//! Negative `low` and `high` crop. Extent of an axis of n: low + max(n + (n − 1)·interior, 0) + high.

use shape::Dim;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pad {
    pub low: Vec<Dim>,
    pub high: Vec<Dim>,
    /// Elements put between neighbours, at least 0.
    pub interior: Vec<i64>,
}
