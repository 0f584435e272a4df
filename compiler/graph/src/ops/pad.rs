//! Room around and between the elements, filled with a value. Operands: the tensor, and the value as a scalar.
//! Negative `low` and `high` crop. Extent of an axis of n: low + max(n + (n − 1)·interior, 0) + high.

use super::Select;
use super::batching::stretched;
use super::evaluation::{NOT_FLOAT, each, map_form};
use super::operands::{at_least, one_an_axis, representable, same_dtype, take};
use super::sampling::{floats, smooth};
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Op, Operator, Sample, Type};
use kernel::{Combine, Const, Expr, Form};
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
            if !(0..1 << 31).contains(&self.interior[axis]) {
                let message = format!("the interior width of a pad cannot be {}", self.interior[axis]);
                return Err(Fault::attribute(message).into());
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

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        let (x, dtype) = (inputs[0], b.dtype(dout));
        if !dtype.is_float() {
            return vec![Grad::None(NOT_FLOAT); 2];
        }
        let sizes = b.ty(x).shape.clone();
        // Widths the other way round bring the first element back to place 0.
        let zero = b.scalar(dtype, 0.0);
        let cropped = Pad {
            low: self.low.iter().map(|low| -low).collect(),
            high: self.high.iter().map(|high| -high).collect(),
            interior: vec![0; sizes.rank()],
        };
        let mut dx = if cropped.is_nothing() { dout } else { b.add(cropped.into(), &[dout, zero]) };
        for (axis, interior) in self.interior.iter().enumerate() {
            if *interior > 0 {
                dx = b.slice_axis(dx, axis, &Dim::default(), &sizes[axis], interior + 1);
            }
        }
        // The value is everywhere where no element of the tensor is.
        let inside = b.full(DType::BOOL, &sizes, 0.0);
        let outside = b.scalar(DType::BOOL, 1.0);
        let padding = b.add(self.clone().into(), &[inside, outside]);
        let zeros = b.zeros_like(dout);
        let dpadding = b.select(padding, dout, zeros);
        let all: Vec<usize> = (0..sizes.rank()).collect();
        vec![Grad::Value(dx), Grad::Value(b.reduce(Combine::Sum, &all, dpadding))]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        _: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        if tangents.iter().all(Option::is_none) {
            return Ok(None);
        }
        let x = tangents[0].unwrap_or_else(|| b.zeros_like(inputs[0]));
        let value = tangents[1].unwrap_or_else(|| b.zeros_like(inputs[1]));
        Ok(Some(b.add(self.clone().into(), &[x, value])))
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        let x = stretched(b, inputs[0], batched[0], size);
        let mut pad = Pad { low: vec![Dim::default()], high: vec![Dim::default()], interior: vec![0] };
        pad.low.extend(self.low.iter().cloned());
        pad.high.extend(self.high.iter().cloned());
        pad.interior.extend(&self.interior);
        if !batched[1] {
            return b.try_add(pad.into(), &[x, inputs[1]]);
        }
        // One value a lane: pad with anything, then put the values where the padding is.
        let Type { dtype, shape } = b.ty(x).clone();
        let zero = b.scalar(dtype, 0.0);
        let inside = b.full(DType::BOOL, &shape, 0.0);
        let outside = b.scalar(DType::BOOL, 1.0);
        let padding = b.try_add(pad.clone().into(), &[inside, outside])?;
        let padded = b.try_add(pad.into(), &[x, zero])?;
        let shape = b.ty(padded).shape.clone();
        let axes: Vec<usize> = (1..shape.rank()).collect();
        let values = b.spread(inputs[1], &axes, &shape);
        b.try_add(Op::from(Select), &[padding, values, padded])
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        dims: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let low = self.low.iter().map(dims).collect::<Result<Vec<i64>, EvalError>>()?;
        let [x, value] = [inputs[0], inputs[1]];
        each(output, |index| {
            let mut source = Vec::with_capacity(index.len());
            for (axis, i) in index.iter().enumerate() {
                let (place, step) = (*i as i64 - low[axis], self.interior[axis] + 1);
                if place < 0 || place % step != 0 || place / step >= x.shape()[axis] as i64 {
                    return value.at(&[]);
                }
                source.push((place / step) as usize);
            }
            x.at(&source)
        })
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let sizes = cx.inputs[0].shape.clone();
        let mut inside = Expr::bool(true);
        let mut source = Vec::with_capacity(index.len());
        for (axis, i) in index.iter().enumerate() {
            let (low, step) = (&self.low[axis], Expr::int(self.interior[axis] + 1));
            let place = i.clone().sub(Expr::dim(low));
            // Tests that cannot fail are left out: nothing below, or nothing above.
            if low.as_const().is_none_or(|low| low > 0) {
                inside = inside.and(place.clone().ge(Expr::int(0)));
            }
            if self.interior[axis] > 0 {
                inside = inside.and(Expr::binary(
                    kernel::Binary::Eq,
                    place.clone().rem(step.clone()),
                    Expr::int(0),
                ));
            }
            let element = place.div(step);
            if self.high[axis].as_const().is_none_or(|high| high > 0) {
                inside = inside.and(element.clone().lt(Expr::dim(&sizes[axis])));
            }
            source.push(element);
        }
        if inside == Expr::bool(true) {
            return cx.reader.read(0, &source);
        }
        let element = cx.reader.read_where(inside.clone(), 0, &source);
        match cx.reader.read(1, &[]) {
            // What is not read is 0 already.
            Expr::Const(Const::Float(_, 0) | Const::Int(_, 0) | Const::Bool(false)) => element,
            value => Expr::select(inside, element, value),
        }
    }

    fn samples() -> Vec<Sample> {
        let pad = |shape: &[usize], low: &[i64], high: &[i64], interior: &[i64]| {
            let dims = |list: &[i64]| list.iter().copied().map(Dim::from).collect();
            let pad = Pad { low: dims(low), high: dims(high), interior: interior.to_vec() };
            smooth(pad, vec![floats(shape, 1), Array::scalar(DType::F32, 0.5)], 1e-6)
        };
        vec![
            pad(&[], &[], &[], &[]),
            pad(&[3], &[1], &[2], &[0]),
            pad(&[0], &[1], &[2], &[0]),
            pad(&[0], &[1], &[2], &[1]),
            pad(&[5], &[-1], &[-2], &[0]),
            pad(&[4], &[1], &[0], &[2]),
            pad(&[4], &[-2], &[1], &[1]),
            pad(&[1], &[0], &[-1], &[0]),
            pad(&[2, 3, 5], &[0, 1, 1], &[0, 1, 1], &[0, 0, 0]),
            pad(&[3, 17], &[2, -3], &[-1, 4], &[1, 2]),
        ]
    }
}

impl Pad {
    /// Whether the result is the operand.
    pub fn is_nothing(&self) -> bool {
        let none = |widths: &[Dim]| widths.iter().all(|width| width.is_const(0));
        none(&self.low) && none(&self.high) && self.interior.iter().all(|width| *width == 0)
    }
}

/// Places from the first to the last of `size` elements with `interior` between neighbours; none where there are none.
pub(super) fn span(size: &Dim, interior: i64, facts: &Facts) -> Dim {
    let spread = size + (size - 1) * interior;
    if interior == 0 || at_least(facts, &spread, &Dim::default()) {
        spread
    } else {
        spread.max(Dim::default())
    }
}
