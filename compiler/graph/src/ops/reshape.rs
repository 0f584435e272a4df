//! Another shape for the same elements in row-major order.

use super::operands::{disagreement, equal, representable, take};
use crate::{Fault, Operator, Type};
use shape::{Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reshape {
    pub shape: Shape,
}

impl Operator for Reshape {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("reshape", inputs)?;
        representable("reshape", &self.shape)?;
        let (from, to) = (x.shape.elements(), self.shape.elements());
        if !equal(facts, &from, &to) {
            return Err(Fault::shapes(format!(
                "{} cannot be reshaped to {}: numbers of elements {}",
                x.shape,
                self.shape,
                disagreement(facts, &from, &to)
            ))
            .label(0, format!("{x} has {from} elements"))
            .dims([&from, &to])
            .into());
        }
        Ok(vec![Type::new(x.dtype, self.shape.clone())])
    }

    rules_follow!();
}
