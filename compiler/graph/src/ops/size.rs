//! A dimension as a number: `x / n` where `n` is a dimension.

use super::operands::take;
use crate::{DType, Fault, Operator, Type};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Size {
    pub dim: Dim,
    pub dtype: DType,
}

impl Operator for Size {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [] = take("size", inputs)?;
        if self.dim.overflowed() {
            return Err(Fault::attribute("the dimension is too large to compute").into());
        }
        if self.dtype.is_bool() {
            return Err(Fault::dtypes("a dimension as a number cannot be bool").into());
        }
        Ok(vec![Type::scalar(self.dtype)])
    }

    rules_follow!();
}
