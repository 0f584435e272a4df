//! NumPy's broadcast of one operand, aligned at the right: axes that are literally 1 stretch, leading axes are added.

use super::operands::{disagreement, equal, representable, take};
use crate::{Fault, Operator, Type};
use shape::{Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Broadcast {
    pub shape: Shape,
}

impl Operator for Broadcast {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("broadcast", inputs)?;
        representable("broadcast", &self.shape)?;
        let Some(added) = self.shape.rank().checked_sub(x.rank()) else {
            let message = format!("{} has more axes than {}, to which it is to be broadcast", x.shape, self.shape);
            return Err(Fault::shapes(message).label(0, format!("{x} has rank {}", x.rank())).into());
        };
        for (axis, (from, to)) in x.shape.iter().zip(&self.shape[added..]).enumerate() {
            if !from.is_const(1) && !equal(facts, from, to) {
                return Err(Fault::shapes(format!(
                    "{} cannot be broadcast to {}: sizes {}",
                    x.shape,
                    self.shape,
                    disagreement(facts, from, to)
                ))
                .label(0, format!("axis {axis} of {x} is {from}"))
                .dims([from, to])
                .into());
            }
        }
        Ok(vec![Type::new(x.dtype, self.shape.clone())])
    }

    rules_follow!();
}
