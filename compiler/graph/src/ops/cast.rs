//! Conversion between dtypes.

use crate::DType;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cast {
    pub to: DType,
}
