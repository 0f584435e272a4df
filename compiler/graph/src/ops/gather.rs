//! Rows picked along an axis by an integer tensor: that axis is replaced by the shape of the index.
//! Operands: the tensor, the index. An index out of bounds ends the run with a status.

use super::operands::{axis_in_range, needs, take};
use crate::{Fault, Operator, Type};
use shape::{Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gather {
    pub axis: usize,
}

impl Operator for Gather {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x, index] = take("gather", inputs)?;
        axis_in_range("gather", self.axis, 0, x)?;
        needs("gather", "an integer index", 1, index, index.dtype.is_int())?;
        Ok(vec![Type::new(x.dtype, gathered(&x.shape, self.axis, &index.shape))])
    }

    rules_follow!();
}

/// The shape with an axis replaced by the shape of the index.
pub(super) fn gathered(shape: &Shape, axis: usize, index: &Shape) -> Shape {
    shape[..axis].iter().chain(index.iter()).chain(&shape[axis + 1..]).cloned().collect()
}
