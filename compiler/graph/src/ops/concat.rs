//! Operands one after the other along an axis.

use super::operands::{axis_in_range, disagreement, equal, representable, same_dtype};
use crate::{Fault, Operator, Type};
use shape::Facts;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Concat {
    pub axis: usize,
}

impl Operator for Concat {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let Some((first, rest)) = inputs.split_first() else {
            return Err(Fault::attribute("`concat` needs at least one operand").into());
        };
        axis_in_range("concat", self.axis, 0, first)?;
        let mut shape = first.shape.clone();
        for (i, other) in rest.iter().enumerate() {
            same_dtype("concat", (0, first), (i + 1, other))?;
            if other.rank() != first.rank() {
                return Err(Fault::shapes(format!(
                    "`concat` needs equal ranks, but {} and {} have {} and {}",
                    first.shape,
                    other.shape,
                    first.rank(),
                    other.rank()
                ))
                .label(0, format!("this is {first}"))
                .label(i + 1, format!("this is {other}"))
                .into());
            }
            for (axis, (m, n)) in first.shape.iter().zip(other.shape.iter()).enumerate() {
                if axis != self.axis && !equal(facts, m, n) {
                    return Err(Fault::shapes(format!(
                        "`concat` along axis {} needs equal sizes elsewhere, but those of axis {axis} {}",
                        self.axis,
                        disagreement(facts, m, n)
                    ))
                    .label(0, format!("axis {axis} of {first} is {m}"))
                    .label(i + 1, format!("axis {axis} of {other} is {n}"))
                    .dims([m, n])
                    .into());
                }
            }
            shape.0[self.axis] += other.shape[self.axis].clone();
        }
        representable("concat", &shape)?;
        Ok(vec![Type::new(first.dtype, shape)])
    }

    rules_follow!();
}
