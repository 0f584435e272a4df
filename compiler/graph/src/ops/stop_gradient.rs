//! The value itself, which derivatives see as a constant.

use super::batching::elementwise;
use super::evaluation::each;
use super::operands::take;
use super::sampling::{floats, integers, plain};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StopGradient;

impl Operator for StopGradient {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("stop_gradient", inputs)?;
        Ok(vec![x.clone()])
    }

    fn vjp(&self, _: &mut Builder<'_>, _: &[NodeId], _: NodeId, _: NodeId) -> Vec<Grad> {
        vec![Grad::Zero]
    }

    fn jvp(
        &self,
        _: &mut Builder<'_>,
        _: &[NodeId],
        _: NodeId,
        _: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        Ok(None)
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
            plain(StopGradient, vec![floats(&[2, 3], 1)], 0.0),
            plain(StopGradient, vec![integers(&[3], 1, 9)], 0.0),
        ]
    }
}
