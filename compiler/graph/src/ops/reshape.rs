//! Another shape for the same elements in row-major order.

use super::batching::{stretched, with_leading};
use super::evaluation::{NOT_FLOAT, each, linear_index};
use super::operands::{disagreement, equal, representable, take};
use super::sampling::{floats, smooth};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts, Shape};
use std::ops::Range;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reshape {
    pub shape: Shape,
}

impl Operator for Reshape {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("reshape", inputs)?;
        representable("reshape", &self.shape)?;
        let (from, to) = (x.shape.elements(), self.shape.elements());
        if !equal(facts, &from, &to) {
            return Err(Fault::shapes(format!(
                "{} cannot be reshaped to {}: numbers of elements {}",
                x.shape,
                self.shape,
                disagreement(facts, &from, &to)
            ))
            .label(0, format!("{x} has {from} elements"))
            .dims([&from, &to])
            .into());
        }
        Ok(vec![Type::new(x.dtype, self.shape.clone())])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        if !b.dtype(dout).is_float() {
            return vec![Grad::None(NOT_FLOAT)];
        }
        let from = b.ty(inputs[0]).shape.clone();
        vec![Grad::Value(b.reshape(dout, &from))]
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
        b.try_add(Reshape { shape: with_leading(size, &self.shape) }.into(), &[x])
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let mut values = inputs[0].values.iter();
        each(output, |_| values.next().copied().unwrap_or(f64::NAN))
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        Some(Form::Alias)
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let source = source_index(&cx.inputs[0].shape.clone(), &cx.output.shape, index);
        cx.reader.read(0, &source)
    }

    fn samples() -> Vec<Sample> {
        [
            (vec![], vec![1, 1]),
            (vec![1], vec![]),
            (vec![6], vec![2, 3]),
            (vec![0, 3], vec![3, 0]),
            (vec![5, 16, 4, 4], vec![5, 256]),
            (vec![5, 256], vec![5, 16, 4, 4]),
            (vec![3, 1, 17], vec![3, 17]),
            (vec![2, 6, 5], vec![4, 3, 5]),
            (vec![4, 6], vec![6, 4]),
        ]
        .into_iter()
        .map(|(from, to): (Vec<usize>, Vec<i64>)| {
            smooth(Reshape { shape: to.into_iter().map(Dim::from).collect() }, vec![floats(&from, 1)], 0.0)
        })
        .collect()
    }
}

/// The operand's index at an index of the result. Runs of axes with equal products are converted by themselves, so
/// that axes which only moved stay plain variables.
fn source_index(from: &[Dim], to: &[Dim], index: &[Expr]) -> Vec<Expr> {
    let mut source = Vec::with_capacity(from.len());
    for (taken, given) in groups(from, to) {
        let linear = linear_index(&to[given.clone()], &index[given]);
        let first = source.len();
        let mut rest = linear;
        for axis in taken.clone().rev() {
            let extent = Expr::dim(&from[axis]);
            // The first axis of a group takes what is left; it is in bounds because the products are equal.
            let place = if from[axis].is_const(1) {
                Expr::int(0)
            } else if axis == taken.start {
                rest.clone()
            } else {
                rest.clone().rem(extent.clone())
            };
            rest = rest.div(extent);
            source.insert(first, place);
        }
    }
    source
}

/// Shortest runs of axes on both sides with equal numbers of elements, in order; they cover all axes.
fn groups(from: &[Dim], to: &[Dim]) -> Vec<(Range<usize>, Range<usize>)> {
    let mut groups = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < from.len() || j < to.len() {
        let (taken, given) = if i < from.len() && from[i].is_const(1) {
            (1, 0)
        } else if j < to.len() && to[j].is_const(1) {
            (0, 1)
        } else {
            shortest(&from[i..], &to[j..]).unwrap_or((from.len() - i, to.len() - j))
        };
        groups.push((i..i + taken, j..j + given));
        (i, j) = (i + taken, j + given);
    }
    groups
}

fn shortest(from: &[Dim], to: &[Dim]) -> Option<(usize, usize)> {
    let product = |dims: &[Dim]| dims.iter().product::<Dim>();
    (2..=from.len() + to.len()).find_map(|total| {
        let taken = (1..total).filter(|taken| *taken <= from.len() && total - taken <= to.len());
        taken
            .map(|taken| (taken, total - taken))
            .find(|(taken, given)| product(&from[..*taken]) == product(&to[..*given]))
    })
}
