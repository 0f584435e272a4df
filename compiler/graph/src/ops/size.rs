//! A dimension as a number: `x / n` where `n` is a dimension.

use super::batching::repeated;
use super::evaluation::{each, map_form};
use super::operands::take;
use super::sampling::plain;
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Size {
    pub dim: Dim,
    pub dtype: DType,
}

impl Operator for Size {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [] = take("size", inputs)?;
        if self.dim.overflowed() {
            return Err(Fault::attribute("the dimension is too large to compute").into());
        }
        if self.dtype.is_bool() {
            return Err(Fault::dtypes("a dimension as a number cannot be bool").into());
        }
        Ok(vec![Type::scalar(self.dtype)])
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
        dims: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let value = dims(&self.dim)? as f64;
        each(output, |_| value)
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, _: &[Expr]) -> Expr {
        let dtype = cx.output.dtype.concrete(cx.float);
        match (self.dim.as_const(), dtype) {
            (Some(value), dtype) => Expr::number(dtype, value as f64),
            (None, kernel::DType::I64) => Expr::dim(&self.dim),
            (None, dtype) => Expr::cast(dtype, Expr::dim(&self.dim)),
        }
    }

    fn samples() -> Vec<Sample> {
        [DType::F32, DType::I32, DType::I64]
            .map(|dtype| plain(Size { dim: Dim::from(17i64), dtype }, Vec::new(), 0.0))
            .to_vec()
    }
}
