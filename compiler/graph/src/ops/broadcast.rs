//! NumPy's broadcast of one operand, aligned at the right: axes that are literally 1 stretch, leading axes are added.

use super::batching::with_leading;
use super::evaluation::{NOT_FLOAT, each, map_form};
use super::operands::{disagreement, equal, representable, take};
use super::sampling::{floats, smooth};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Combine, Expr, Form};
use shape::{Dim, Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Broadcast {
    pub shape: Shape,
}

impl Operator for Broadcast {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("broadcast", inputs)?;
        representable("broadcast", &self.shape)?;
        let Some(added) = self.shape.rank().checked_sub(x.rank()) else {
            let message =
                format!("{} has more axes than {}, to which it is to be broadcast", x.shape, self.shape);
            return Err(Fault::shapes(message).label(0, format!("{x} has rank {}", x.rank())).into());
        };
        for (axis, (from, to)) in x.shape.iter().zip(&self.shape[added..]).enumerate() {
            if !from.is_const(1) && !equal(facts, from, to) {
                return Err(Fault::shapes(format!(
                    "{} cannot be broadcast to {}: sizes {}",
                    x.shape,
                    self.shape,
                    disagreement(facts, from, to)
                ))
                .label(0, format!("axis {axis} of {x} is {from}"))
                .dims([from, to])
                .into());
            }
        }
        Ok(vec![Type::new(x.dtype, self.shape.clone())])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        let (from, dtype) = (b.ty(inputs[0]).shape.clone(), b.dtype(dout));
        if !dtype.is_float() {
            return vec![Grad::None(NOT_FLOAT)];
        }
        let added = self.shape.rank() - from.rank();
        let stretched = |axis: usize| {
            axis < added || from[axis - added] != self.shape[axis] && from[axis - added].is_const(1)
        };
        let axes: Vec<usize> = (0..self.shape.rank()).filter(|axis| stretched(*axis)).collect();
        let sum = b.reduce(Combine::Sum, &axes, dout);
        vec![Grad::Value(b.reshape(sum, &from))]
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
        let (x, batched) = (inputs[0], batched[0]);
        let shape = with_leading(size, &self.shape);
        if !batched {
            return b.try_add(Broadcast { shape }.into(), &[x]);
        }
        // The lanes stay in front, the added axes go behind them.
        let from = b.ty(x).shape.clone();
        let added = shape.rank() - from.rank();
        let ones = std::iter::repeat_n(Dim::from(1i64), added);
        let aligned: Shape = from[..1].iter().cloned().chain(ones).chain(from[1..].iter().cloned()).collect();
        let x = b.reshape(x, &aligned);
        b.try_add(Broadcast { shape }.into(), &[x])
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let from = inputs[0].shape().to_vec();
        each(output, |index| {
            let aligned = &index[index.len() - from.len()..];
            let source: Vec<usize> =
                aligned.iter().zip(&from).map(|(i, n)| if *n == 1 { 0 } else { *i }).collect();
            inputs[0].at(&source)
        })
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let from = cx.inputs[0].shape.clone();
        let aligned = &index[index.len() - from.rank()..];
        let source: Vec<Expr> = aligned
            .iter()
            .zip(from.iter())
            .map(|(i, n)| if n.is_const(1) { Expr::int(0) } else { i.clone() })
            .collect();
        cx.reader.read(0, &source)
    }

    fn samples() -> Vec<Sample> {
        [
            (vec![], vec![]),
            (vec![], vec![3]),
            (vec![1], vec![0]),
            (vec![3], vec![2, 3]),
            (vec![3, 1], vec![3, 5]),
            (vec![1, 5], vec![3, 5]),
            (vec![1, 1], vec![2, 1, 7]),
            (vec![17], vec![2, 3, 17]),
            (vec![2, 1, 3], vec![4, 2, 5, 3]),
        ]
        .into_iter()
        .map(|(from, to): (Vec<usize>, Vec<i64>)| {
            smooth(Broadcast { shape: to.into_iter().map(Dim::from).collect() }, vec![floats(&from, 1)], 1e-6)
        })
        .collect()
    }
}
