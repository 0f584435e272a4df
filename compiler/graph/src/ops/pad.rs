//! Room around and between the elements, filled with a value. Operands: the tensor, and the value as a scalar.
//! Negative `low` and `high` crop. Extent of an axis of n: low + max(n + (n − 1)·interior, 0) + high.

use super::operands::{at_least, one_an_axis, representable, same_dtype, take};
use crate::{Fault, Operator, Type};
use shape::{Dim, Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pad {
    pub low: Vec<Dim>,
    pub high: Vec<Dim>,
    /// Elements put between neighbours, at least 0.
    pub interior: Vec<i64>,
}

impl Operator for Pad {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x, value] = take("pad", inputs)?;
        same_dtype("pad", (0, x), (1, value))?;
        if value.rank() != 0 {
            let message = format!("`pad` needs a scalar to fill with, but got {value}");
            return Err(Fault::shapes(message).label(1, format!("this is {value}")).into());
        }
        one_an_axis("pad", "lower widths", self.low.len(), x)?;
        one_an_axis("pad", "upper widths", self.high.len(), x)?;
        one_an_axis("pad", "interior widths", self.interior.len(), x)?;
        let mut result = Vec::with_capacity(x.rank());
        for (axis, size) in x.shape.iter().enumerate() {
            if self.interior[axis] < 0 {
                return Err(Fault::attribute("the interior width of a pad is at least 0").into());
            }
            let padded = &self.low[axis] + span(size, self.interior[axis], facts) + &self.high[axis];
            if !padded.overflowed() && !at_least(facts, &padded, &Dim::default()) {
                let message = format!(
                    "padding axis {axis} of {} by {} and {} leaves {padded}, which is not known to be at least 0",
                    x.shape, self.low[axis], self.high[axis]
                );
                return Err(Fault::shapes(message)
                    .label(0, format!("axis {axis} of {x} has size {size}"))
                    .dims([size, &padded])
                    .into());
            }
            result.push(padded);
        }
        let result = Shape(result);
        representable("pad", &result)?;
        Ok(vec![Type::new(x.dtype, result)])
    }

    rules_follow!();
}

/// Places from the first to the last of `size` elements with `interior` between neighbours; none where there are none.
pub(super) fn span(size: &Dim, interior: i64, facts: &Facts) -> Dim {
    let spread = size + (size - 1) * interior;
    if interior == 0 || at_least(facts, &spread, &Dim::default()) { spread } else { spread.max(Dim::default()) }
}
