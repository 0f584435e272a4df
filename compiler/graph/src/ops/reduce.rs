//! One value from all along some axes, which vanish.

use super::StopGradient;
use super::batching::stretched;
use super::evaluation::{NOT_FLOAT, each, indices, truth};
use super::operands::{axis_in_range, needs, take};
use super::sampling::{between, bools, distinct, floats, integers, plain, smooth, specials, vector};
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{
    Binary::{Div, Eq, Mul},
    Combine::{self, *},
    Expr, Form,
};
use shape::{Dim, Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reduce {
    pub combine: Combine,
    /// Ascending.
    pub axes: Vec<usize>,
}

impl Operator for Reduce {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let name = self.word();
        let [x] = take(name, inputs)?;
        if !self.axes.is_sorted_by(|a, b| a < b) {
            return Err(Fault::axes(format!("the axes of `{name}` ascend, but got {:?}", self.axes)).into());
        }
        for axis in &self.axes {
            axis_in_range(name, *axis, 0, x)?;
        }
        let number = x.dtype.is_float() || x.dtype.is_int();
        let dtype = match self.combine {
            Sum | Product | Max | Min => {
                needs(name, "numbers", 0, x, number)?;
                x.dtype
            }
            Any | All => {
                needs(name, "bools", 0, x, x.dtype.is_bool())?;
                x.dtype
            }
            ArgMax | ArgMin => {
                needs(name, "numbers", 0, x, number)?;
                if self.axes.len() != 1 {
                    let message = format!("`{name}` needs one axis, but got {}", self.axes.len());
                    return Err(Fault::axes(message).label(0, format!("this is {x}")).into());
                }
                DType::I32
            }
        };
        let empty = self.axes.iter().find(|axis| x.shape[**axis].is_const(0));
        if let (Max | Min | ArgMax | ArgMin, Some(axis)) = (self.combine, empty) {
            let message = format!("`{name}` over axis {axis} of {}, which is empty, has no value", x.shape);
            return Err(Fault::shapes(message)
                .label(0, format!("axis {axis} of {x} has size 0"))
                .dims([&x.shape[*axis]])
                .into());
        }
        let kept = x.shape.iter().enumerate().filter(|(axis, _)| !self.axes.contains(axis));
        Ok(vec![Type::new(dtype, kept.map(|(_, dim)| dim.clone()).collect())])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], output: NodeId, dout: NodeId) -> Vec<Grad> {
        let (x, dtype) = (inputs[0], b.dtype(inputs[0]));
        if matches!(self.combine, ArgMax | ArgMin) {
            return vec![Grad::None("a position has no derivative")];
        }
        if !dtype.is_float() {
            return vec![Grad::None(NOT_FLOAT)];
        }
        let shape = b.ty(x).shape.clone();
        let spread = |b: &mut Builder<'_>, value| b.spread(value, &self.axes, &shape);
        vec![match self.combine {
            Sum => Grad::Value(spread(b, dout)),
            Product => {
                let others = self.product_of_others(b, x);
                let dout = spread(b, dout);
                Grad::Value(b.binary(Mul, dout, others))
            }
            // Equal shares for all that reach the extremum.
            Max | Min => {
                let mask = self.winners(b, x, output);
                let count = b.reduce(Sum, &self.axes, mask);
                let share = b.binary(Div, dout, count);
                let share = spread(b, share);
                Grad::Value(b.binary(Mul, share, mask))
            }
            Any | All | ArgMax | ArgMin => Grad::None(NOT_FLOAT),
        }]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        output: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        let Some(tangent) = tangents[0].filter(|_| b.dtype(output).is_float()) else { return Ok(None) };
        let x = inputs[0];
        Ok(match self.combine {
            Sum => Some(b.reduce(Sum, &self.axes, tangent)),
            Product => {
                let others = self.product_of_others(b, x);
                let parts = b.binary(Mul, tangent, others);
                Some(b.reduce(Sum, &self.axes, parts))
            }
            Max | Min => {
                let mask = self.winners(b, x, output);
                let parts = b.binary(Mul, tangent, mask);
                let sum = b.reduce(Sum, &self.axes, parts);
                let count = b.reduce(Sum, &self.axes, mask);
                Some(b.binary(Div, sum, count))
            }
            Any | All | ArgMax | ArgMin => None,
        })
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
        b.try_add(Reduce { combine: self.combine, axes }.into(), &[x])
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let x = inputs[0];
        let reduced: Vec<usize> = self.axes.iter().map(|axis| x.shape()[*axis]).collect();
        let reduced: Vec<Vec<usize>> = indices(&reduced).collect();
        each(output, |index| {
            let values = reduced.iter().map(|within| x.at(&self.source(index, within)));
            combine(self.combine, values)
        })
    }

    fn form(&self, inputs: &[&Type], _: &Type) -> Option<Form> {
        let extents = self.axes.iter().map(|axis| inputs[0].shape[*axis].clone()).collect();
        Some(Form::Reduce { extents, combine: self.combine })
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let (kept, within) = index.split_at(index.len() - self.axes.len());
        let source = self.source(kept, within);
        cx.reader.read(0, &source)
    }

    fn samples() -> Vec<Sample> {
        let shapes: &[(&[usize], &[usize])] = &[
            (&[], &[]),
            (&[1], &[0]),
            (&[17], &[0]),
            (&[3, 5], &[0]),
            (&[3, 5], &[1]),
            (&[2, 3], &[0, 1]),
            (&[0, 3], &[1]),
            (&[2, 3, 4, 5], &[0, 2, 3]),
            (&[3, 131], &[1]),
        ];
        let mut samples = Vec::new();
        for (seed, combine) in [Sum, Product, Max, Min].into_iter().enumerate() {
            for (shape, axes) in shapes {
                let reduce = Reduce { combine, axes: axes.to_vec() };
                let x = match combine {
                    Product => between(shape, seed as u64, 0.75, 1.25),
                    Sum => floats(shape, seed as u64),
                    // Derivatives jump at ties.
                    _ => distinct(shape, seed as u64),
                };
                let tolerance = if matches!(combine, Max | Min) { 0.0 } else { 1e-5 };
                samples.push(smooth(reduce, vec![x], tolerance));
            }
            let empty = Reduce { combine, axes: vec![0] };
            if matches!(combine, Sum | Product) {
                samples.push(plain(empty, vec![floats(&[0, 3], 1)], 0.0));
            }
            samples.push(plain(Reduce { combine, axes: vec![0] }, vec![specials()], 0.0));
            samples.push(plain(Reduce { combine, axes: vec![1] }, vec![integers(&[3, 7], 3, 5)], 0.0));
        }
        for combine in [ArgMax, ArgMin] {
            for (shape, axis) in [(&[7][..], 0), (&[3, 5], 0), (&[3, 5], 1), (&[2, 3, 67], 2)] {
                samples.push(plain(Reduce { combine, axes: vec![axis] }, vec![floats(shape, 5)], 0.0));
            }
            // The first of equals.
            let ties = vector(DType::F32, vec![1.0, 3.0, 3.0, 1.0]);
            samples.push(plain(Reduce { combine, axes: vec![0] }, vec![ties], 0.0));
        }
        for combine in [Any, All] {
            samples.push(plain(Reduce { combine, axes: vec![1] }, vec![bools(&[5, 2], 1)], 0.0));
            samples.push(plain(Reduce { combine, axes: vec![0] }, vec![bools(&[0, 2], 1)], 0.0));
        }
        samples
    }
}

impl Reduce {
    /// The word of the language.
    pub fn word(&self) -> &'static str {
        match self.combine {
            Sum => "sum",
            Product => "prod",
            Max => "max",
            Min => "min",
            Any => "any",
            All => "all",
            ArgMax => "argmax",
            ArgMin => "argmin",
        }
    }
}

impl Reduce {
    /// The operand's index from those of the kept and of the reduced axes.
    fn source<I: Clone>(&self, kept: &[I], within: &[I]) -> Vec<I> {
        let (mut kept, mut within) = (kept.iter(), within.iter());
        let rank = kept.len() + within.len();
        (0..rank)
            .filter_map(|axis| if self.axes.contains(&axis) { within.next() } else { kept.next() })
            .cloned()
            .collect()
    }

    /// 1 where the operand reaches the result, 0 elsewhere.
    fn winners(&self, b: &mut Builder<'_>, x: NodeId, y: NodeId) -> NodeId {
        let Type { dtype, shape } = b.ty(x).clone();
        let y = b.spread(y, &self.axes, &shape);
        let equal = b.binary(Eq, x, y);
        let mask = b.cast(equal, dtype);
        // Who wins changes at single points only: a constant, and meant so.
        b.add(StopGradient.into(), &[mask])
    }

    /// For each element the product of all others it is multiplied with. Zeros rule out dividing, in the second
    /// derivative too, so this takes one more axis: all others, and 1 in its own place.
    fn product_of_others(&self, b: &mut Builder<'_>, x: NodeId) -> NodeId {
        // All reduced axes as one, at the end.
        let shape = b.ty(x).shape.clone();
        let kept: Vec<usize> = (0..shape.rank()).filter(|axis| !self.axes.contains(axis)).collect();
        let perm: Vec<usize> = kept.iter().chain(&self.axes).copied().collect();
        let ordered = b.transpose(x, &perm);
        let ordered_shape = b.ty(ordered).shape.clone();
        let count: Dim = self.axes.iter().map(|axis| &shape[*axis]).product();
        let mut flat: Vec<Dim> = kept.iter().map(|axis| shape[*axis].clone()).collect();
        flat.push(count.clone());
        let flat = Shape(flat);
        let row = b.reshape(ordered, &flat);
        let mut square = flat.clone();
        square.0.insert(kept.len(), count);
        let others = b.spread(row, &[kept.len()], &square);
        let places = [b.iota(DType::I32, &square, kept.len()), b.iota(DType::I32, &square, kept.len() + 1)];
        let own = b.binary(Eq, places[0], places[1]);
        let one = b.full_like(others, 1.0);
        let factors = b.select(own, one, others);
        let products = b.reduce(Product, &[kept.len() + 1], factors);
        let products = b.reshape(products, &ordered_shape);
        let mut inverse = vec![0; perm.len()];
        for (to, from) in perm.iter().enumerate() {
            inverse[*from] = to;
        }
        b.transpose(products, &inverse)
    }
}

fn combine(combine: Combine, mut values: impl Iterator<Item = f64>) -> f64 {
    let better = |a: f64, b: f64, largest: bool| if largest { a > b } else { a < b };
    match combine {
        Sum => values.fold(0.0, |sum, value| sum + value),
        Product => values.product(),
        Max => {
            values.fold(f64::NEG_INFINITY, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) })
        }
        Min => values.fold(f64::INFINITY, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }),
        Any => truth(values.any(|value| value != 0.0)),
        All => truth(values.all(|value| value != 0.0)),
        ArgMax | ArgMin => {
            let mut best: Option<(usize, f64)> = None;
            for (place, value) in values.enumerate() {
                if best.is_none_or(|(_, least)| better(value, least, combine == ArgMax)) {
                    best = Some((place, value));
                }
            }
            best.map_or(0.0, |(place, _)| place as f64)
        }
    }
}
