//! The adjoint of [`super::Window`]: overlapping windows are added into axes of the given extents.

use super::operands::{disagreement, equal, needs, representable, take};
use super::window::{check_attributes, count};
use crate::{Fault, Operator, Type};
use shape::{Dim, Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fold {
    pub axes: Vec<usize>,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
    pub dilation: Vec<i64>,
    /// Extents of the listed axes in the result.
    pub extents: Vec<Dim>,
}

impl Operator for Fold {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("fold", inputs)?;
        check_attributes("fold", &self.axes, [&self.size, &self.stride, &self.dilation])?;
        needs("fold", "numbers", 0, x, x.dtype.is_float() || x.dtype.is_int())?;
        let Some(rank) = x.rank().checked_sub(self.axes.len()) else {
            let message = format!("`fold` of {} axes in a tensor of rank {}", self.axes.len(), x.rank());
            return Err(Fault::axes(message).label(0, format!("this is {x}")).into());
        };
        if self.extents.len() != self.axes.len() {
            return Err(Fault::attribute("`fold` needs one extent an axis").into());
        }
        let mut shape = Shape(x.shape[..rank].to_vec());
        for (k, axis) in self.axes.iter().enumerate() {
            if *axis >= rank {
                return Err(Fault::axes(format!("`fold` along axis {axis} of {rank}")).into());
            }
            let expected = count(&self.extents[k], self.size[k], self.stride[k], self.dilation[k]);
            let wanted = [(*axis, expected), (rank + k, Dim::from(self.size[k]))];
            for (axis, wanted) in wanted {
                let given = &x.shape[axis];
                if !equal(facts, given, &wanted) {
                    let why = disagreement(facts, given, &wanted);
                    return Err(Fault::shapes(format!("the windows of `fold` do not fit: sizes of axis {axis} {why}"))
                        .label(0, format!("axis {axis} of {x} has size {given}"))
                        .dims([given, &wanted])
                        .into());
                }
            }
            shape.0[*axis] = self.extents[k].clone();
        }
        representable("fold", &shape)?;
        Ok(vec![Type::new(x.dtype, shape)])
    }

    rules_follow!();
}
