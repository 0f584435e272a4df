//! Random numbers that follow from (seed, path, draw) and (element, step): Philox 4x32-10 (Salmon et al., 2011).
//! Operands: seed, path (a hash of the instance's name, below 2^52), step; i64 scalars.

use super::operands::{needs, representable, take};
use crate::{DType, Fault, Operator, Type};
use shape::{Facts, Shape};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Distribution {
    /// In [0, 1): 24 bits for f32 and below, 53 bits for f64.
    Uniform,
    /// Mean 0, variance 1, by Box and Muller from two uniforms of the same element.
    Normal,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Random {
    pub distribution: Distribution,
    pub dtype: DType,
    pub shape: Shape,
    /// Which draw in the source of the instance.
    pub draw: u32,
}

impl Operator for Random {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let operands: [&Type; 3] = take("random", inputs)?;
        for (operand, ty) in operands.into_iter().enumerate() {
            needs("random", "i64 scalars", operand, ty, ty.dtype == DType::I64 && ty.rank() == 0)?;
        }
        if !self.dtype.is_float() {
            let message = format!("random numbers are drawn in a floating dtype, not {}", self.dtype);
            return Err(Fault::dtypes(message).into());
        }
        representable("random", &self.shape)?;
        Ok(vec![Type::new(self.dtype, self.shape.clone())])
    }

    rules_follow!();
}
