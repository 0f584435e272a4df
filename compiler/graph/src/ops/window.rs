//! Sliding windows as further axes, with no padding: `y[…, i, …, u] = x[…, stride·i + dilation·u, …]`.
//! Each listed axis of extent n becomes `div(n − dilation·(size − 1) − 1, stride) + 1`; the window axes are appended
//! at the end, in the order listed. Pooling is a reduction over them.

use super::Fold;
use super::batching::stretched;
use super::evaluation::{NOT_FLOAT, each, map_form};
use super::operands::{at_least, axis_in_range, representable, take};
use super::sampling::{floats, smooth};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
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
                    .help(format!(
                        "state the least size: `require {size} >= {}`",
                        reach(self.size[k], self.dilation[k])
                    ))
                    .into());
            }
            shape.0[*axis] = count;
        }
        shape.0.extend(self.size.iter().map(|size| Dim::from(*size)));
        representable("window", &shape)?;
        Ok(vec![Type::new(x.dtype, shape)])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        if !b.dtype(dout).is_float() {
            return vec![Grad::None(NOT_FLOAT)];
        }
        let extents = self.axes.iter().map(|axis| b.ty(inputs[0]).shape[*axis].clone()).collect();
        let fold = Fold {
            axes: self.axes.clone(),
            size: self.size.clone(),
            stride: self.stride.clone(),
            dilation: self.dilation.clone(),
            extents,
        };
        vec![Grad::Value(b.add(fold.into(), &[dout]))]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        _: &[NodeId],
        _: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        Ok(tangents[0].map(|tangent| b.add(self.clone().into(), &[tangent])))
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        let x = stretched(b, inputs[0], batched[0], size);
        let axes = self.axes.iter().map(|axis| axis + 1).collect();
        b.try_add(Window { axes, ..self.clone() }.into(), &[x])
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        each(output, |index| {
            let (places, within) = index.split_at(index.len() - self.axes.len());
            let mut source = places.to_vec();
            for (k, axis) in self.axes.iter().enumerate() {
                source[*axis] =
                    self.stride[k] as usize * places[*axis] + self.dilation[k] as usize * within[k];
            }
            inputs[0].at(&source)
        })
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let (places, within) = index.split_at(index.len() - self.axes.len());
        let mut source = places.to_vec();
        for (k, axis) in self.axes.iter().enumerate() {
            let start = places[*axis].clone().mul(Expr::int(self.stride[k]));
            source[*axis] = start.add(within[k].clone().mul(Expr::int(self.dilation[k])));
        }
        cx.reader.read(0, &source)
    }

    fn samples() -> Vec<Sample> {
        window_samples()
            .into_iter()
            .map(|(shape, window)| smooth(window, vec![floats(&shape, 1)], 0.0))
            .collect()
    }
}

/// One size, stride and dilation an axis, all positive and small enough to compute with; each axis once.
pub(super) fn check_attributes(
    name: &str,
    axes: &[usize],
    attributes: [&[i64]; 3],
) -> Result<(), Box<Fault>> {
    if attributes.iter().any(|list| list.len() != axes.len()) {
        return Err(Fault::attribute(format!("`{name}` needs one size, stride and dilation an axis")).into());
    }
    if let Some(value) = attributes.iter().copied().flatten().find(|value| !(1..1 << 31).contains(*value)) {
        return Err(Fault::attribute(format!(
            "`{name}` needs positive sizes, strides and dilations, not {value}"
        ))
        .into());
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

/// Operand shapes and windows that fit them: 1-d and 2-d, overlapping or not, with rests, dilated.
pub(super) fn window_samples() -> Vec<(Vec<usize>, Window)> {
    let window = |shape: &[usize], axes: &[usize], size: &[i64], stride: &[i64], dilation: &[i64]| {
        let window = Window {
            axes: axes.to_vec(),
            size: size.to_vec(),
            stride: stride.to_vec(),
            dilation: dilation.to_vec(),
        };
        (shape.to_vec(), window)
    };
    vec![
        window(&[5], &[0], &[1], &[1], &[1]),
        window(&[7], &[0], &[3], &[1], &[1]),
        window(&[7], &[0], &[2], &[2], &[1]),
        window(&[8], &[0], &[2], &[3], &[3]),
        window(&[2], &[0], &[3], &[1], &[1]),
        window(&[2, 3, 8, 8], &[2, 3], &[2, 2], &[2, 2], &[1, 1]),
        window(&[2, 7, 9], &[1, 2], &[3, 2], &[2, 1], &[1, 2]),
        window(&[5, 6, 2], &[1, 0], &[2, 3], &[1, 2], &[1, 1]),
    ]
}
