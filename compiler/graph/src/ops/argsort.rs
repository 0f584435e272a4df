//! Where the elements along an axis stand in order: place k of the result is the index of the k-th, as i32. Equal
//! elements keep their order, also where it descends. NaN counts as above all numbers. Sorting, the largest few and
//! medians are this and picking along the axis, through which derivatives go; the order itself has none.

use super::batching::stretched;
use super::evaluation::{each, indices};
use super::operands::{axis_in_range, needs, take};
use super::sampling::{floats, integers, plain, specials, vector};
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};
use std::cmp::Ordering;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Argsort {
    pub axis: usize,
    pub descending: bool,
}

const NO_DERIVATIVE: &str = "the order of elements has no derivative";

impl Operator for Argsort {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("argsort", inputs)?;
        axis_in_range("argsort", self.axis, 0, x)?;
        needs("argsort", "numbers", 0, x, x.dtype.is_float() || x.dtype.is_int())?;
        Ok(vec![Type::new(DType::I32, x.shape.clone())])
    }

    fn vjp(&self, _: &mut Builder<'_>, _: &[NodeId], _: NodeId, _: NodeId) -> Vec<Grad> {
        vec![Grad::None(NO_DERIVATIVE)]
    }

    fn jvp(
        &self,
        _: &mut Builder<'_>,
        _: &[NodeId],
        _: NodeId,
        _: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        Err(NO_DERIVATIVE)
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        let x = stretched(b, inputs[0], batched[0], size);
        b.try_add(Argsort { axis: self.axis + 1, ..self.clone() }.into(), &[x])
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let x = inputs[0];
        let extent = x.shape()[self.axis];
        let mut places = each(output, |_| 0.0)?;
        let mut others = x.shape().to_vec();
        others[self.axis] = usize::from(extent > 0);
        for row in indices(&others) {
            let at = |k: usize| {
                let mut at = row.clone();
                at[self.axis] = k;
                at
            };
            let mut order: Vec<usize> = (0..extent).collect();
            order.sort_by(|a, b| {
                let ordering = compare(x.at(&at(*a)), x.at(&at(*b)));
                if self.descending { ordering.reverse() } else { ordering }
            });
            for (k, place) in order.into_iter().enumerate() {
                places.values[at(k).as_slice()] = place as f64;
            }
        }
        Ok(places)
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        Some(Form::Order { axis: self.axis, descending: self.descending })
    }

    /// What is put in order, at an index of the operand.
    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        cx.reader.read(0, index)
    }

    fn samples() -> Vec<Sample> {
        let shapes: &[(&[usize], usize)] = &[
            (&[1], 0),
            (&[2], 0),
            (&[17], 0),
            (&[0], 0),
            (&[3, 0], 1),
            (&[0, 3], 1),
            (&[8, 3], 0),
            (&[3, 5], 1),
            (&[2, 7, 3], 1),
            (&[2, 131], 1),
            (&[300], 0),
        ];
        let mut samples = Vec::new();
        for descending in [false, true] {
            for (shape, axis) in shapes {
                samples.push(plain(Argsort { axis: *axis, descending }, vec![floats(shape, 3)], 0.0));
            }
            let first = || Argsort { axis: 0, descending };
            // Many equals, and what no comparison puts anywhere.
            samples.push(plain(first(), vec![integers(&[67], 3, 5)], 0.0));
            samples.push(plain(first(), vec![specials()], 0.0));
            let nans = vec![f64::NAN, 1.0, f64::NAN, -1.0, f64::INFINITY, f64::NAN, 0.0, -0.0];
            samples.push(plain(first(), vec![vector(DType::F32, nans)], 0.0));
        }
        samples
    }
}

/// NaN is above all numbers and equal to itself; the zeros are equal.
fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}
