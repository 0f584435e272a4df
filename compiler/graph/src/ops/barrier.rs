//! The value itself, which passes take for another one: what is computed behind it is not merged with what is computed
//! before it. So a derivative can compute values again instead of keeping them.

use super::batching::elementwise;
use super::evaluation::{NOT_FLOAT, each};
use super::operands::take;
use super::sampling::{floats, integers, plain, smooth};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Barrier;

impl Operator for Barrier {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("barrier", inputs)?;
        Ok(vec![x.clone()])
    }

    fn vjp(&self, b: &mut Builder<'_>, _: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        vec![if b.dtype(dout).is_float() { Grad::Value(dout) } else { Grad::None(NOT_FLOAT) }]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        _: &[NodeId],
        _: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        Ok(tangents[0].map(|tangent| b.add(Barrier.into(), &[tangent])))
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        elementwise(b, self.clone().into(), inputs, batched, size)
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        each(output, |index| inputs[0].at(index))
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        Some(Form::Alias)
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        cx.reader.read(0, index)
    }

    fn samples() -> Vec<Sample> {
        vec![
            smooth(Barrier, vec![floats(&[2, 3], 1)], 0.0),
            plain(Barrier, vec![integers(&[3], 1, 9)], 0.0),
        ]
    }
}
