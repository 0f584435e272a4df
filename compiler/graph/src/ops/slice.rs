//! A strided part: result element `i` of an axis is operand element `start + stride * i`, in bounds by proof.

use super::batching::stretched;
use super::evaluation::{NOT_FLOAT, each, map_form};
use super::operands::{at_least, one_an_axis, representable, take};
use super::pad::{Pad, span};
use super::sampling::{floats, smooth};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts, Proof, Shape};

/// Larger ones skip more than any axis has, and the derivative's padding counts in 32 bits.
const MAX_STRIDE: u64 = 1 << 31;

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
                return Err(Fault::attribute("the stride of a slice is not 0")
                    .label(0, "sliced here")
                    .into());
            }
            // The derivative puts as many zeros between elements.
            if stride.unsigned_abs() > MAX_STRIDE {
                let message = format!("the stride of a slice is at most {MAX_STRIDE}, but this is {stride}");
                return Err(Fault::attribute(message).label(0, "sliced here").into());
            }
            if !at_least(facts, extent, &zero) {
                return Err(out_of_bounds(
                    x,
                    axis,
                    format!("its size {extent} is not known to be at least 0"),
                )
                .dims([extent])
                .into());
            }
            if extent.is_const(0) {
                continue;
            }
            let last = start + (extent - 1) * stride;
            let (low, high) = if stride > 0 { (start, &last) } else { (&last, start) };
            if !at_least(facts, low, &zero) {
                let why = format!("its first element is at {low}, which is not known to be at least 0");
                return Err(out_of_bounds(x, axis, why).dims([low, &zero]).into());
            }
            if !at_least(facts, size, &(high + 1)) {
                let why = match facts.prove_ge(high, size) {
                    Proof::Proved => format!("its last element is at {high}, but there are {size}"),
                    _ => format!("its last element is at {high}, which is not known to be below {size}"),
                };
                return Err(out_of_bounds(x, axis, why).dims([high, size]).into());
            }
        }
        Ok(vec![Type::new(x.dtype, result)])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        let (x, dtype) = (inputs[0], b.dtype(dout));
        if !dtype.is_float() {
            return vec![Grad::None(NOT_FLOAT)];
        }
        let sizes = b.ty(x).shape.clone();
        let mut placed = dout;
        let (mut low, mut high, mut interior) = (Vec::new(), Vec::new(), Vec::new());
        for axis in 0..sizes.rank() {
            let (extent, stride) = (&self.extent[axis], self.stride[axis]);
            let mut first = self.start[axis].clone();
            if stride < 0 && !extent.is_const(0) {
                placed = b.reverse(placed, axis);
                first += (extent - 1) * stride;
            }
            let gap = stride.abs() - 1;
            high.push(&sizes[axis] - &first - span(extent, gap, b.facts()));
            low.push(first);
            interior.push(gap);
        }
        let zero = b.scalar(dtype, 0.0);
        vec![Grad::Value(b.add(Pad { low, high, interior }.into(), &[placed, zero]))]
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
        let mut slice = Slice::whole(&b.ty(x).shape);
        slice.start[1..].clone_from_slice(&self.start);
        slice.extent[1..].clone_from_slice(&self.extent);
        slice.stride[1..].clone_from_slice(&self.stride);
        b.try_add(slice.into(), &[x])
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        dims: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let start = self.start.iter().map(dims).collect::<Result<Vec<i64>, EvalError>>()?;
        each(output, |index| {
            let source = index
                .iter()
                .zip(&start)
                .zip(&self.stride)
                .map(|((i, start), stride)| (start + stride * *i as i64) as usize);
            inputs[0].at(&source.collect::<Vec<usize>>())
        })
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let source: Vec<Expr> = index
            .iter()
            .zip(&self.start)
            .zip(&self.stride)
            .map(|((i, start), stride)| i.clone().mul(Expr::int(*stride)).add(Expr::dim(start)))
            .collect();
        cx.reader.read(0, &source)
    }

    fn samples() -> Vec<Sample> {
        let slice = |shape: &[usize], start: &[i64], extent: &[i64], stride: &[i64]| {
            let dims = |list: &[i64]| list.iter().copied().map(Dim::from).collect();
            let slice = Slice { start: dims(start), extent: dims(extent), stride: stride.to_vec() };
            smooth(slice, vec![floats(shape, 1)], 0.0)
        };
        vec![
            slice(&[], &[], &[], &[]),
            slice(&[7], &[2], &[3], &[1]),
            slice(&[7], &[0], &[0], &[1]),
            slice(&[7], &[0], &[4], &[2]),
            slice(&[7], &[6], &[7], &[-1]),
            slice(&[7], &[5], &[2], &[-3]),
            slice(&[4, 17], &[1, 3], &[2, 5], &[1, 3]),
            slice(&[3, 4, 5], &[2, 0, 1], &[1, 4, 2], &[1, 1, 2]),
        ]
    }
}

fn out_of_bounds(x: &Type, axis: usize, why: String) -> Fault {
    Fault::shapes(format!("a slice of axis {axis} of {} is out of bounds: {why}", x.shape))
        .label(0, format!("axis {axis} of {x} has size {}", x.shape[axis]))
}

impl Slice {
    /// All elements of a tensor of this shape.
    pub fn whole(shape: &[Dim]) -> Slice {
        Slice {
            start: vec![Dim::default(); shape.len()],
            extent: shape.to_vec(),
            stride: vec![1; shape.len()],
        }
    }
}
