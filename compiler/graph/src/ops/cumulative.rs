//! A linear recurrence along an axis: `h_t = a_t · h_(t−1) + b_t`, with nothing before the first, so `h_0 = b_0`.
//! Operands: the factors `a`, the terms `b`. Sums (`a` = 1), products (`b` = 0 but at the first) and moving averages
//! are this. Its derivatives are recurrences too: the adjoint runs the other way, and finds the factor of a step where
//! the step starts instead of where it ends.

use super::batching::all_stretched;
use super::evaluation::{NOT_FLOAT, each, indices};
use super::operands::{axis_in_range, needs, same_dtype, same_shape, take};
use super::sampling::{between, floats, integers, plain, smooth, vector};
use super::{Pad, Slice};
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{
    Binary::{self, Add, Mul},
    Expr, Form,
};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cumulative {
    pub axis: usize,
    /// From the last to the first.
    pub reverse: bool,
    /// The factor of a step stands where the step starts: `h_t = a_(t−1) · h_(t−1) + b_t`.
    pub leading: bool,
}

impl Cumulative {
    /// Cotangents of the terms: the transpose of the map from terms to results.
    fn adjoint(&self) -> Cumulative {
        Cumulative { axis: self.axis, reverse: !self.reverse, leading: !self.leading }
    }

    /// What stands one step earlier in the direction of the walk; 0 before the first.
    fn earlier(&self, b: &mut Builder<'_>, x: NodeId, reverse: bool) -> NodeId {
        let shape = b.ty(x).shape.clone();
        let zero = b.scalar(b.dtype(x), 0.0);
        let mut pad = Pad {
            low: vec![Dim::default(); shape.rank()],
            high: vec![Dim::default(); shape.rank()],
            interior: vec![0; shape.rank()],
        };
        let side = if reverse { &mut pad.high } else { &mut pad.low };
        side[self.axis] = Dim::from(1i64);
        let padded = b.add(pad.into(), &[x, zero]);
        let mut slice = Slice::whole(&shape);
        slice.start[self.axis] = Dim::from(i64::from(reverse));
        b.add(slice.into(), &[padded])
    }

    /// By what a factor is multiplied in the step that it belongs to: the result before that step, and `with` after it.
    fn partners(&self, b: &mut Builder<'_>, result: NodeId, with: NodeId) -> (NodeId, NodeId) {
        match self.leading {
            false => (self.earlier(b, result, self.reverse), with),
            true => (result, self.earlier(b, with, !self.reverse)),
        }
    }
}

impl Operator for Cumulative {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [a, b] = take("cumulative", inputs)?;
        axis_in_range("cumulative", self.axis, 1, b)?;
        needs("cumulative", "numbers", 1, b, b.dtype.is_float() || b.dtype.is_int())?;
        same_dtype("cumulative", (0, a), (1, b))?;
        same_shape("cumulative", facts, (0, a), (1, b))?;
        Ok(vec![b.clone()])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], output: NodeId, dout: NodeId) -> Vec<Grad> {
        if !b.dtype(dout).is_float() {
            return vec![Grad::None(NOT_FLOAT); 2];
        }
        let dterms = b.add(self.adjoint().into(), &[inputs[0], dout]);
        let (before, after) = self.partners(b, output, dterms);
        vec![Grad::Value(b.binary(Mul, before, after)), Grad::Value(dterms)]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        output: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        let of_factors = tangents[0].map(|tangent| {
            // Where the factor leads, its change arrives one step later.
            match self.leading {
                false => {
                    let before = self.earlier(b, output, self.reverse);
                    b.binary(Mul, tangent, before)
                }
                true => {
                    let product = b.binary(Mul, tangent, output);
                    self.earlier(b, product, self.reverse)
                }
            }
        });
        let terms = match (of_factors, tangents[1]) {
            (Some(x), Some(y)) => b.binary(Add, x, y),
            (Some(x), None) | (None, Some(x)) => x,
            (None, None) => return Ok(None),
        };
        Ok(Some(b.add(self.clone().into(), &[inputs[0], terms])))
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        let operands = all_stretched(b, inputs, batched, size);
        b.try_add(Cumulative { axis: self.axis + 1, ..self.clone() }.into(), &operands)
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let [a, b] = [inputs[0], inputs[1]];
        let mut h = each(output, |place| b.at(place))?;
        let extent = h.shape()[self.axis];
        let mut others = h.shape().to_vec();
        others[self.axis] = usize::from(extent > 0);
        for mut place in indices(&others) {
            for step in 1..extent {
                let at = |step: usize| if self.reverse { extent - 1 - step } else { step };
                place[self.axis] = at(step - 1);
                let before = h.at(&place);
                let leading = a.at(&place);
                place[self.axis] = at(step);
                let factor = if self.leading { leading } else { a.at(&place) };
                h.values[place.as_slice()] += factor * before;
            }
        }
        Ok(h)
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        Some(Form::Recurrence { axis: self.axis, reverse: self.reverse })
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let (index, before) = index.split_at(index.len() - 1);
        let dtype = cx.output.dtype.concrete(cx.float);
        let wide = dtype.accumulator();
        let widen = |x: Expr| if wide == dtype { x } else { Expr::cast(wide, x) };
        let place = &index[self.axis];
        let first = match self.reverse {
            false => Expr::int(0),
            true => Expr::dim(&(&cx.output.shape[self.axis] - 1)),
        };
        let mut at = index.to_vec();
        if self.leading {
            let step = Expr::int(1);
            at[self.axis] = if self.reverse { place.clone().add(step) } else { place.clone().sub(step) };
        }
        let later = Expr::binary(if self.reverse { Binary::Lt } else { Binary::Gt }, place.clone(), first);
        let factor = cx.reader.read_where(later, 0, &at);
        let term = widen(cx.reader.read(1, index));
        if factor == Expr::number(dtype, 0.0) {
            return term;
        }
        let before = before[0].clone();
        if factor == Expr::number(dtype, 1.0) {
            return Expr::binary(Add, before, term);
        }
        let factor = widen(factor);
        match dtype.is_float() {
            true => Expr::fma(factor, before, term),
            false => Expr::binary(Add, Expr::binary(Mul, factor, before), term),
        }
    }

    fn samples() -> Vec<Sample> {
        let shapes: &[(&[usize], usize)] = &[
            (&[1], 0),
            (&[17], 0),
            (&[0], 0),
            (&[3, 0], 1),
            (&[0, 3], 1),
            (&[3, 5], 0),
            (&[3, 5], 1),
            (&[2, 7, 3], 1),
            (&[5, 2, 67], 1),
            (&[19, 4], 1),
            (&[2, 131], 1),
        ];
        let mut samples = Vec::new();
        for (number, (shape, axis)) in shapes.iter().enumerate() {
            for kind in 0..4 {
                let op = Cumulative { axis: *axis, reverse: kind & 1 == 1, leading: kind & 2 == 2 };
                let factors = between(shape, number as u64, -1.125, 1.125);
                let sample = smooth(op, vec![factors, floats(shape, 7)], 1e-5);
                samples.push(Sample { differentiable: shape.iter().product::<usize>() < 100, ..sample });
            }
        }
        let op = Cumulative { axis: 1, reverse: false, leading: false };
        samples.push(plain(op.clone(), vec![integers(&[2, 9], 1, 3), integers(&[2, 9], 2, 5)], 0.0));
        // What is not finite begins where it stands; the first factor counts for nothing.
        let op = Cumulative { axis: 0, ..op };
        let factors = vector(DType::F32, vec![f64::INFINITY, 0.0, 2.0, f64::NAN]);
        samples.push(plain(op, vec![factors, vector(DType::F32, vec![1.0, 3.0, f64::INFINITY, 0.0])], 0.0));
        samples
    }
}
