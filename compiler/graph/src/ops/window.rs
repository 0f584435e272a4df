//! Sliding windows as further axes, with no padding: `y[…, i, …, u] = x[…, stride·i + dilation·u, …]`.
//! Each listed axis of extent n becomes `div(n − dilation·(size − 1) − 1, stride) + 1`; the window axes are appended
//! at the end, in the order listed. Pooling is a reduction over them.

use super::operands::{at_least, axis_in_range, representable, take};
use crate::{Fault, Operator, Type};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    pub axes: Vec<usize>,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
    pub dilation: Vec<i64>,
}

impl Operator for Window {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("window", inputs)?;
        let mut shape = x.shape.clone();
        check_attributes("window", &self.axes, [&self.size, &self.stride, &self.dilation])?;
        for (k, axis) in self.axes.iter().enumerate() {
            axis_in_range("window", *axis, 0, x)?;
            let size = &x.shape[*axis];
            let count = count(size, self.size[k], self.stride[k], self.dilation[k]);
            if !at_least(facts, &count, &Dim::default()) {
                let message = format!(
                    "a window of {} (dilation {}) is not known to fit axis {axis} of {}",
                    self.size[k], self.dilation[k], x.shape
                );
                return Err(Fault::shapes(message)
                    .label(0, format!("axis {axis} of {x} has size {size}"))
                    .dims([size])
                    .help(format!("state the least size: `require {size} >= {}`", reach(self.size[k], self.dilation[k])))
                    .into());
            }
            shape.0[*axis] = count;
        }
        shape.0.extend(self.size.iter().map(|size| Dim::from(*size)));
        representable("window", &shape)?;
        Ok(vec![Type::new(x.dtype, shape)])
    }

    rules_follow!();
}

/// One size, stride and dilation an axis, all positive and small enough to compute with; each axis once.
pub(super) fn check_attributes(name: &str, axes: &[usize], attributes: [&[i64]; 3]) -> Result<(), Box<Fault>> {
    if attributes.iter().any(|list| list.len() != axes.len()) {
        return Err(Fault::attribute(format!("`{name}` needs one size, stride and dilation an axis")).into());
    }
    if let Some(value) = attributes.iter().copied().flatten().find(|value| !(1..1 << 31).contains(*value)) {
        return Err(Fault::attribute(format!("`{name}` needs positive sizes, strides and dilations, not {value}")).into());
    }
    if axes.iter().enumerate().any(|(k, axis)| axes[..k].contains(axis)) {
        return Err(Fault::axes(format!("`{name}` names an axis twice")).into());
    }
    Ok(())
}

/// How many windows fit an axis.
pub(super) fn count(extent: &Dim, size: i64, stride: i64, dilation: i64) -> Dim {
    (extent - reach(size, dilation)).div_floor(&Dim::from(stride)) + 1
}

/// Elements from a window's first to its last.
pub(super) fn reach(size: i64, dilation: i64) -> i64 {
    dilation.saturating_mul(size - 1).saturating_add(1)
}
