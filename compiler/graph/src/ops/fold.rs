//! The adjoint of [`super::Window`]: overlapping windows are added into axes of the given extents.

use super::batching::stretched;
use super::evaluation::{NOT_FLOAT, each, indices};
use super::operands::{disagreement, equal, needs, representable, take};
use super::sampling::{floats, smooth};
use super::window::{Window, check_attributes, count, window_samples};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
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

impl Fold {
    /// No two windows share a place, as in most pooling: then nothing is added, only moved.
    fn windows_are_apart(&self) -> bool {
        let apart = |k: usize| self.dilation[k] == 1 && self.size[k] <= self.stride[k];
        (0..self.axes.len()).all(apart)
    }

    /// Place `a` is element `a mod stride` of window `a div stride`, if that is within one.
    fn only_window(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let mut source = index.to_vec();
        let mut inside = Expr::bool(true);
        for (k, axis) in self.axes.iter().enumerate() {
            let stride = Expr::int(self.stride[k]);
            let window = index[*axis].clone().div(stride.clone());
            let within = index[*axis].clone().rem(stride);
            inside = inside.and(window.clone().lt(Expr::dim(&cx.inputs[0].shape[*axis])));
            if self.size[k] < self.stride[k] {
                inside = inside.and(within.clone().lt(Expr::int(self.size[k])));
            }
            source[*axis] = window;
            source.push(within);
        }
        cx.reader.read_where(inside, 0, &source)
    }
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
                    return Err(Fault::shapes(format!(
                        "the windows of `fold` do not fit: sizes of axis {axis} {why}"
                    ))
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

    fn vjp(&self, b: &mut Builder<'_>, _: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        if !b.dtype(dout).is_float() {
            return vec![Grad::None(NOT_FLOAT)];
        }
        vec![Grad::Value(b.add(self.adjoint().into(), &[dout]))]
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
        b.try_add(Fold { axes, ..self.clone() }.into(), &[x])
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let mut sums = each(output, |_| 0.0)?;
        let rank = output.rank();
        for index in indices(inputs[0].shape()) {
            let mut target = index[..rank].to_vec();
            for (k, axis) in self.axes.iter().enumerate() {
                target[*axis] =
                    self.stride[k] as usize * index[*axis] + self.dilation[k] as usize * index[rank + k];
            }
            sums.values[target.as_slice()] += inputs[0].at(&index);
        }
        Ok(sums)
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        if self.windows_are_apart() {
            return Some(Form::Map);
        }
        let extents = self.size.iter().copied().map(Dim::from).collect();
        Some(Form::Reduce { extents, combine: kernel::Combine::Sum })
    }

    /// Place `a` gets from window `i` its element `u` where `stride·i = a − dilation·u`.
    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        if self.windows_are_apart() {
            return self.only_window(cx, index);
        }
        let rank = index.len() - self.axes.len();
        let (target, within) = index.split_at(rank);
        let mut source = index.to_vec();
        let mut inside = Expr::bool(true);
        for (k, axis) in self.axes.iter().enumerate() {
            let count = cx.inputs[0].shape[*axis].clone();
            let start = target[*axis].clone().sub(within[k].clone().mul(Expr::int(self.dilation[k])));
            let stride = Expr::int(self.stride[k]);
            inside = inside.and(start.clone().ge(Expr::int(0)));
            if self.stride[k] > 1 {
                inside = inside.and(Expr::binary(
                    kernel::Binary::Eq,
                    start.clone().rem(stride.clone()),
                    Expr::int(0),
                ));
            }
            let window = start.div(stride);
            inside = inside.and(window.clone().lt(Expr::dim(&count)));
            source[*axis] = window;
        }
        if inside == Expr::bool(true) {
            cx.reader.read(0, &source)
        } else {
            cx.reader.read_where(inside, 0, &source)
        }
    }

    fn samples() -> Vec<Sample> {
        let mut samples = Vec::new();
        for (shape, window) in window_samples() {
            let extents: Vec<Dim> = window.axes.iter().map(|axis| Dim::from(shape[*axis])).collect();
            let mut windows = shape.clone();
            for (k, axis) in window.axes.iter().enumerate() {
                let count = count(&extents[k], window.size[k], window.stride[k], window.dilation[k]);
                windows[*axis] = count.as_const().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
                windows.push(window.size[k] as usize);
            }
            let Window { axes, size, stride, dilation } = window;
            samples.push(smooth(
                Fold { axes, size, stride, dilation, extents },
                vec![floats(&windows, 1)],
                1e-6,
            ));
        }
        samples
    }
}

impl Fold {
    fn adjoint(&self) -> Window {
        Window {
            axes: self.axes.clone(),
            size: self.size.clone(),
            stride: self.stride.clone(),
            dilation: self.dilation.clone(),
        }
    }
}
