//! A dimension as a number: `x / n` where `n` is a dimension.

use crate::DType;
use shape::Dim;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Size {
    pub dim: Dim,
    pub dtype: DType,
}
