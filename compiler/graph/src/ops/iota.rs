//! 0, 1, 2, … along an axis, as i32.

use super::operands::{representable, take};
use crate::{DType, Fault, Operator, Type};
use shape::{Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Iota {
    pub shape: Shape,
    pub axis: usize,
}

impl Operator for Iota {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [] = take("iota", inputs)?;
        let ty = Type::new(DType::I32, self.shape.clone());
        if self.axis >= ty.rank() {
            return Err(Fault::axes(format!("`iota` along axis {} of {ty}", self.axis)).into());
        }
        representable("iota", &ty.shape)?;
        Ok(vec![ty])
    }

    rules_follow!();
}
