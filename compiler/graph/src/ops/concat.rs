//! Operands one after the other along an axis.

use super::batching::all_stretched;
use super::evaluation::{NOT_FLOAT, each, map_form, no_element};
use super::operands::{axis_in_range, disagreement, equal, representable, same_dtype};
use super::sampling::{floats, smooth};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

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

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        if !b.dtype(dout).is_float() {
            return vec![Grad::None(NOT_FLOAT); inputs.len()];
        }
        let mut start = Dim::default();
        let mut grads = Vec::with_capacity(inputs.len());
        for x in inputs {
            let extent = b.ty(*x).shape[self.axis].clone();
            grads.push(Grad::Value(b.slice_axis(dout, self.axis, &start, &extent, 1)));
            start += extent;
        }
        grads
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
        let mut parts = Vec::with_capacity(inputs.len());
        for (x, tangent) in inputs.iter().zip(tangents) {
            parts.push(tangent.unwrap_or_else(|| b.zeros_like(*x)));
        }
        Ok(Some(b.add(self.clone().into(), &parts)))
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        let parts = all_stretched(b, inputs, batched, size);
        b.try_add(Concat { axis: self.axis + 1 }.into(), &parts)
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        each(output, |index| {
            let mut index = index.to_vec();
            for part in inputs {
                let extent = part.shape()[self.axis];
                if index[self.axis] < extent {
                    return part.at(&index);
                }
                index[self.axis] -= extent;
            }
            f64::NAN
        })
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let place = index[self.axis].clone();
        let last = cx.inputs.len() - 1;
        let mut ends = Vec::with_capacity(cx.inputs.len());
        let mut end = Dim::default();
        for ty in cx.inputs {
            end += ty.shape[self.axis].clone();
            ends.push(end.clone());
        }
        // From the last operand to the first, each takes the places below its end.
        let mut value = None;
        for operand in (0..=last).rev() {
            let start = if operand == 0 { Dim::default() } else { ends[operand - 1].clone() };
            let below =
                if operand == last { Expr::bool(true) } else { place.clone().lt(Expr::dim(&ends[operand])) };
            let above = if operand == 0 { Expr::bool(true) } else { place.clone().ge(Expr::dim(&start)) };
            let mut source = index.to_vec();
            source[self.axis] = place.clone().sub(Expr::dim(&start));
            let inside = below.clone().and(above);
            let part = if inside == Expr::bool(true) {
                cx.reader.read(operand, &source)
            } else {
                cx.reader.read_where(inside, operand, &source)
            };
            value = Some(match value {
                None => part,
                Some(rest) => Expr::select(below, part, rest),
            });
        }
        value.unwrap_or_else(|| no_element("concat"))
    }

    fn samples() -> Vec<Sample> {
        let concat = |axis, shapes: &[&[usize]]| {
            let parts = shapes.iter().enumerate().map(|(seed, shape)| floats(shape, seed as u64)).collect();
            smooth(Concat { axis }, parts, 0.0)
        };
        vec![
            concat(0, &[&[3]]),
            concat(0, &[&[3], &[1], &[17]]),
            concat(0, &[&[0], &[2]]),
            concat(1, &[&[2, 3], &[2, 0], &[2, 5]]),
            concat(0, &[&[1, 3], &[4, 3]]),
            concat(2, &[&[2, 3, 16], &[2, 3, 33]]),
        ]
    }
}
