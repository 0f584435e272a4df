//! A strided part: result element `i` of an axis is operand element `start + stride * i`, in bounds by proof.

use super::operands::{at_least, one_an_axis, representable, take};
use crate::{Fault, Operator, Type};
use shape::{Dim, Facts, Proof, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slice {
    pub start: Vec<Dim>,
    /// Elements of each axis of the result.
    pub extent: Vec<Dim>,
    /// Not 0; negative walks backwards.
    pub stride: Vec<i64>,
}

impl Operator for Slice {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("slice", inputs)?;
        one_an_axis("slice", "starts", self.start.len(), x)?;
        one_an_axis("slice", "extents", self.extent.len(), x)?;
        one_an_axis("slice", "strides", self.stride.len(), x)?;
        let result: Shape = self.extent.iter().cloned().collect();
        representable("slice", &result)?;
        let zero = Dim::default();
        for (axis, size) in x.shape.iter().enumerate() {
            let (start, extent, stride) = (&self.start[axis], &self.extent[axis], self.stride[axis]);
            if stride == 0 {
                return Err(Fault::attribute("the stride of a slice is not 0").label(0, "sliced here").into());
            }
            if !at_least(facts, extent, &zero) {
                return Err(out_of_bounds(x, axis, format!("its size {extent} is not known to be at least 0"))
                    .dims([extent])
                    .into());
            }
            if extent.is_const(0) {
                continue;
            }
            let last = start + (extent - 1) * stride;
            let (low, high) = if stride > 0 { (start, &last) } else { (&last, start) };
            if !at_least(facts, low, &zero) {
                let why = format!("its first element {low} is not known to be at least 0");
                return Err(out_of_bounds(x, axis, why).dims([low, &zero]).into());
            }
            if !at_least(facts, size, &(high + 1)) {
                let verdict = match facts.prove_ge(high, size) {
                    Proof::Proved => "is past the end",
                    _ => "is not known to be below the size",
                };
                let why = format!("its last element {high} {verdict}, which is {size}");
                return Err(out_of_bounds(x, axis, why).dims([high, size]).into());
            }
        }
        Ok(vec![Type::new(x.dtype, result)])
    }

    rules_follow!();
}

fn out_of_bounds(x: &Type, axis: usize, why: String) -> Fault {
    Fault::shapes(format!("a slice of axis {axis} of {} is out of bounds: {why}", x.shape))
        .label(0, format!("axis {axis} of {x} has size {}", x.shape[axis]))
}
