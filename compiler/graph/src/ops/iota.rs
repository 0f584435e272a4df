//! 0, 1, 2, … along an axis, as i32.

use super::batching::repeated;
use super::evaluation::{each, map_form};
use super::operands::{representable, take};
use super::sampling::plain;
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Iota {
    pub shape: Shape,
    pub axis: usize,
}

impl Operator for Iota {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [] = take("iota", inputs)?;
        let ty = Type::new(DType::I32, self.shape.clone());
        if self.axis >= ty.rank() {
            return Err(Fault::axes(format!("`iota` along axis {} of {ty}", self.axis)).into());
        }
        representable("iota", &ty.shape)?;
        Ok(vec![ty])
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

    fn batch(&self, b: &mut Builder<'_>, _: &[NodeId], _: &[bool], size: &Dim) -> Result<NodeId, Box<Fault>> {
        repeated(b, self.clone().into(), size)
    }

    fn eval(
        &self,
        _: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        each(output, |index| index[self.axis] as f64)
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, _: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        Expr::cast(kernel::DType::I32, index[self.axis].clone())
    }

    fn samples() -> Vec<Sample> {
        [(vec![5], 0), (vec![0], 0), (vec![2, 3], 0), (vec![2, 3], 1), (vec![3, 1, 33], 2)]
            .into_iter()
            .map(|(shape, axis): (Vec<i64>, usize)| {
                plain(Iota { shape: shape.into_iter().map(Dim::from).collect(), axis }, Vec::new(), 0.0)
            })
            .collect()
    }
}
