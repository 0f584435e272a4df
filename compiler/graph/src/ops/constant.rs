//! Literal data.

use super::batching::repeated;
use super::evaluation::{each, no_element};
use super::operands::take;
use super::sampling::plain;
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

/// Row-major values, kept as the bits of f64 so that constants can be compared and hashed; integers up to 2^53.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Constant {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub bits: Vec<u64>,
}

impl Operator for Constant {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [] = take("const", inputs)?;
        let elements = self.shape.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent));
        if elements != Some(self.bits.len()) {
            let message = format!("a constant of shape {:?} with {} values", self.shape, self.bits.len());
            return Err(Fault::attribute(message).into());
        }
        Ok(vec![Type::new(self.dtype, self.shape.iter().map(|extent| Dim::from(*extent)).collect())])
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
        let mut values = self.bits.iter().map(|bits| f64::from_bits(*bits));
        // Row-major order is that in which the indices are asked for.
        each(output, |_| values.next().unwrap_or(f64::NAN))
    }

    /// Single values are folded into kernels; tables are data.
    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        // Longer ones are data of the plan, not part of an expression.
        (self.bits.len() == 1).then_some(Form::Map)
    }

    fn element(&self, cx: &mut ElementCx<'_>, _: &[Expr]) -> Expr {
        match self.bits.as_slice() {
            [bits] => Expr::number(cx.output.dtype.concrete(cx.float), f64::from_bits(*bits)),
            _ => no_element("const"),
        }
    }

    fn samples() -> Vec<Sample> {
        let constant = |dtype, shape: &[usize], values: &[f64]| {
            let bits = values.iter().map(|value| value.to_bits()).collect();
            plain(Constant { dtype, shape: shape.to_vec(), bits }, Vec::new(), 0.0)
        };
        vec![
            constant(DType::F32, &[], &[1.5]),
            constant(DType::F32, &[1], &[f64::NEG_INFINITY]),
            constant(DType::I32, &[0, 3], &[]),
            constant(DType::BOOL, &[2], &[1.0, 0.0]),
            constant(DType::F32, &[2, 3], &[0.0, -0.0, 1.0, f64::NAN, 4.0, -5.0]),
        ]
    }
}
