//! One result of an operator that runs functions.

use super::evaluation::{THROUGH_CALLEE, no_element};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Get {
    pub index: usize,
}

impl Operator for Get {
    /// Here `inputs` are the types of all results of the one operand.
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        match inputs.get(self.index) {
            Some(ty) => Ok(vec![(*ty).clone()]),
            None => {
                let message = format!("result {} of a call that has {}", self.index, inputs.len());
                Err(Fault::attribute(message).into())
            }
        }
    }

    fn vjp(&self, _: &mut Builder<'_>, _: &[NodeId], _: NodeId, _: NodeId) -> Vec<Grad> {
        vec![Grad::None(THROUGH_CALLEE)]
    }

    fn jvp(
        &self,
        _: &mut Builder<'_>,
        _: &[NodeId],
        _: NodeId,
        _: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        Err(THROUGH_CALLEE)
    }

    fn batch(&self, _: &mut Builder<'_>, _: &[NodeId], _: &[bool], _: &Dim) -> Result<NodeId, Box<Fault>> {
        Err(Fault::attribute("a call is batched through the function it names").into())
    }

    fn eval(
        &self,
        _: &[&Array],
        _: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        Err(EvalError("results come from the functions that were run".into()))
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        None
    }

    fn element(&self, _: &mut ElementCx<'_>, _: &[Expr]) -> Expr {
        no_element("get")
    }

    fn samples() -> Vec<Sample> {
        Vec::new()
    }
}
