//! Conversion between dtypes.

use super::batching::elementwise;
use super::evaluation::{NOT_FLOAT, each, map_form, truth};
use super::operands::take;
use super::sampling::{SHAPES, bools, floats, integers, plain, smooth, specials};
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cast {
    pub to: DType,
}

impl Operator for Cast {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("cast", inputs)?;
        Ok(vec![Type::new(self.to, x.shape.clone())])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        let from = b.dtype(inputs[0]);
        if !from.is_float() {
            return vec![Grad::None(NOT_FLOAT)];
        }
        if !self.to.is_float() {
            return vec![Grad::None("a conversion to integers or bools has no derivative")];
        }
        vec![Grad::Value(b.cast(dout, from))]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        _: &[NodeId],
        _: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        Ok(tangents[0].filter(|_| self.to.is_float()).map(|tangent| b.cast(tangent, self.to)))
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

    /// To an integer: towards 0, to the nearest it can hold, 0 for NaN. To bool: whether it is not 0.
    /// Rounding to a floating dtype is up to the interpreter.
    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let range = match output.dtype {
            DType::Of(kernel::DType::I64) => {
                // 2^63 itself would wrap, and there is nothing between.
                Some((i64::MIN as f64, (i64::MAX as f64).next_down()))
            }
            DType::Of(kernel::DType::I32) => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
            DType::Of(kernel::DType::I16) => Some((f64::from(i16::MIN), f64::from(i16::MAX))),
            DType::Of(kernel::DType::I8) => Some((f64::from(i8::MIN), f64::from(i8::MAX))),
            DType::Of(kernel::DType::U8) => Some((f64::from(u8::MIN), f64::from(u8::MAX))),
            _ => None,
        };
        each(output, |index| {
            let x = inputs[0].at(index);
            match range {
                _ if output.dtype.is_bool() => truth(x != 0.0),
                Some(_) if x.is_nan() => 0.0,
                Some((low, high)) => x.trunc().clamp(low, high),
                None => x,
            }
        })
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let to = self.to.concrete(cx.float);
        let same = cx.reader.dtype(0) == to;
        let x = cx.reader.read(0, index);
        if same { x } else { Expr::cast(to, x) }
    }

    fn samples() -> Vec<Sample> {
        let to = |to| Cast { to };
        let mut samples: Vec<Sample> =
            SHAPES.iter().map(|shape| smooth(to(DType::F64), vec![floats(shape, 1)], 0.0)).collect();
        for dtype in [
            kernel::DType::I8,
            kernel::DType::U8,
            kernel::DType::I32,
            kernel::DType::I64,
            kernel::DType::Bool,
        ] {
            // The largest i64 is not a number of f64.
            let tolerance = if dtype == kernel::DType::I64 { 1e-15 } else { 0.0 };
            samples.push(plain(to(DType::Of(dtype)), vec![specials()], tolerance));
            samples.push(plain(to(DType::Of(dtype)), vec![floats(&[9], 1)], 0.0));
        }
        for dtype in [kernel::DType::F16, kernel::DType::BF16] {
            samples.push(plain(to(DType::Of(dtype)), vec![floats(&[9], 1)], 0.0));
        }
        samples.push(plain(to(DType::F32), vec![integers(&[5], 1, 100)], 0.0));
        samples.push(plain(to(DType::F32), vec![bools(&[5], 1)], 0.0));
        samples
    }
}
