//! The adjoint of gather: updates are added along an axis at the places of an integer tensor.
//! Operands: base, index, updates (base's shape with the axis replaced by the shape of the index).

use super::gather::gathered;
use super::operands::{axis_in_range, equal, needs, same_dtype, take};
use crate::{Fault, Operator, Type};
use shape::Facts;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ScatterAdd {
    pub axis: usize,
}

impl Operator for ScatterAdd {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [base, index, updates] = take("scatter_add", inputs)?;
        axis_in_range("scatter_add", self.axis, 0, base)?;
        needs("scatter_add", "numbers", 0, base, base.dtype.is_float() || base.dtype.is_int())?;
        needs("scatter_add", "an integer index", 1, index, index.dtype.is_int())?;
        same_dtype("scatter_add", (0, base), (2, updates))?;
        let wanted = Type::new(base.dtype, gathered(&base.shape, self.axis, &index.shape));
        let fits = wanted.rank() == updates.rank()
            && wanted.shape.iter().zip(updates.shape.iter()).all(|(a, b)| equal(facts, a, b));
        if !fits {
            let message = format!("`scatter_add` needs updates of shape {}, but got {}", wanted.shape, updates.shape);
            return Err(Fault::shapes(message)
                .label(0, format!("this is {base}"))
                .label(1, format!("this is {index}"))
                .label(2, format!("this is {updates}"))
                .into());
        }
        Ok(vec![base.clone()])
    }

    rules_follow!();
}
