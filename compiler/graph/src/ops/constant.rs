//! Literal data.

use crate::DType;

/// Row-major values, kept as the bits of f64 so that constants can be compared and hashed; integers up to 2^53.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Constant {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub bits: Vec<u64>,
}
