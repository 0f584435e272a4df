//! Literal data.

use super::operands::take;
use crate::{DType, Fault, Operator, Type};
use shape::{Dim, Facts};

/// Row-major values, kept as the bits of f64 so that constants can be compared and hashed; integers up to 2^53.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Constant {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub bits: Vec<u64>,
}

impl Operator for Constant {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [] = take("const", inputs)?;
        let elements = self.shape.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent));
        if elements != Some(self.bits.len()) {
            let message = format!("a constant of shape {:?} with {} values", self.shape, self.bits.len());
            return Err(Fault::attribute(message).into());
        }
        Ok(vec![Type::new(self.dtype, self.shape.iter().map(|extent| Dim::from(*extent)).collect())])
    }

    rules_follow!();
}
