//! A parameter of the function: stands for the operand that the caller gives.

use super::evaluation::no_element;
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

/// The parameter at `index`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Parameter {
    pub index: usize,
}

impl Operator for Parameter {
    fn infer(&self, _: &Facts, _: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        Err(Fault::attribute("the type of a parameter is stated, not inferred").into())
    }

    fn vjp(&self, _: &mut Builder<'_>, _: &[NodeId], _: NodeId, _: NodeId) -> Vec<Grad> {
        Vec::new()
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

    fn batch(&self, _: &mut Builder<'_>, _: &[NodeId], _: &[bool], _: &Dim) -> Result<NodeId, Box<Fault>> {
        Err(Fault::attribute("a parameter is batched by giving it a batched type").into())
    }

    fn eval(
        &self,
        _: &[&Array],
        _: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        Err(EvalError("the value of a parameter is the operand".into()))
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        None
    }

    fn element(&self, _: &mut ElementCx<'_>, _: &[Expr]) -> Expr {
        no_element("param")
    }

    fn samples() -> Vec<Sample> {
        Vec::new()
    }
}
