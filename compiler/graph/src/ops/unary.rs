//! Functions of one operand, element by element.

use super::operands::{needs, take};
mod erf;

use super::batching::elementwise;
use super::evaluation::{NOT_FLOAT, each, map_form, truth};
use super::sampling::{SHAPES, between, bools, plain, smooth, specials, vector};
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{
    Binary::{Add, Div, Mul, Sub},
    Expr, Form,
    Unary::*,
};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Unary {
    pub op: kernel::Unary,
}

impl Operator for Unary {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let name = self.function();
        let [x] = take(name, inputs)?;
        let dtype = match self.op {
            Neg | Abs | Sign => {
                needs(name, "numbers", 0, x, x.dtype.is_float() || x.dtype.is_int())?;
                x.dtype
            }
            Not => {
                needs(name, "a bool", 0, x, x.dtype.is_bool())?;
                x.dtype
            }
            IsNan | IsInf | IsFinite => {
                needs(name, "a floating dtype", 0, x, x.dtype.is_float())?;
                DType::BOOL
            }
            _ => {
                needs(name, "a floating dtype", 0, x, x.dtype.is_float())?;
                x.dtype
            }
        };
        Ok(vec![Type::new(dtype, x.shape.clone())])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], output: NodeId, dout: NodeId) -> Vec<Grad> {
        vec![self.scaled(b, inputs[0], output, dout)]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        output: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        Ok(match tangents[0].map(|tangent| self.scaled(b, inputs[0], output, tangent)) {
            Some(Grad::Value(tangent)) => Some(tangent),
            _ => None,
        })
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
        each(output, |index| self.value(inputs[0].at(index)))
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        Expr::unary(self.op, cx.reader.read(0, index))
    }

    fn samples() -> Vec<Sample> {
        let functions = [
            Neg, Abs, Sign, Floor, Ceil, Round, Sqrt, Exp, Expm1, Log, Log1p, Sin, Cos, Tan, Asin, Acos,
            Atan, Sinh, Cosh, Tanh, Sigmoid, Erf,
        ];
        let mut samples = Vec::new();
        for (seed, op) in functions.into_iter().enumerate() {
            let (low, high) = match op {
                Sqrt | Log => (0.25, 3.0),
                Log1p => (-0.75, 3.0),
                Asin | Acos => (-0.875, 0.875),
                // Away from the corners between integers.
                Floor | Ceil | Round => (1.125, 1.375),
                Abs | Sign => (0.125, 2.0),
                _ => (-1.4, 1.4),
            };
            let exact = matches!(op, Neg | Abs | Sign | Floor | Ceil | Round);
            let tolerance = if exact { 0.0 } else { 2e-6 };
            for shape in SHAPES {
                samples.push(smooth(Unary { op }, vec![between(shape, seed as u64, low, high)], tolerance));
            }
            samples.push(plain(Unary { op }, vec![specials()], tolerance));
        }
        for op in [IsNan, IsInf, IsFinite] {
            samples.push(plain(Unary { op }, vec![specials()], 0.0));
        }
        for op in [Neg, Abs, Sign] {
            samples.push(plain(Unary { op }, vec![vector(DType::I32, vec![-3.0, 0.0, 7.0])], 0.0));
        }
        samples.push(plain(Unary { op: Not }, vec![bools(&[2, 3], 1)], 0.0));
        samples
    }
}

impl Unary {
    /// The name of the function, in the text form and in messages.
    pub fn function(&self) -> &'static str {
        crate::attribute::unary_name(self.op)
    }
}

impl Unary {
    /// `d` times the derivative: both directions multiply by the same number.
    fn scaled(&self, b: &mut Builder<'_>, x: NodeId, y: NodeId, d: NodeId) -> Grad {
        if !b.dtype(x).is_float() || !b.dtype(y).is_float() {
            return Grad::None(NOT_FLOAT);
        }
        Grad::Value(match self.op {
            Floor | Ceil | Round | Sign => return Grad::Zero,
            Not | IsNan | IsInf | IsFinite => return Grad::None(NOT_FLOAT),
            Neg => b.unary(Neg, d),
            Abs => {
                let sign = b.unary(Sign, x);
                b.binary(Mul, d, sign)
            }
            Sqrt => {
                let half = b.binary_with(Mul, d, 0.5);
                b.binary(Div, half, y)
            }
            Exp => b.binary(Mul, d, y),
            Expm1 => {
                let exp = b.binary_with(Add, y, 1.0);
                b.binary(Mul, d, exp)
            }
            Log => b.binary(Div, d, x),
            Log1p => {
                let shifted = b.binary_with(Add, x, 1.0);
                b.binary(Div, d, shifted)
            }
            Sin => {
                let cos = b.unary(Cos, x);
                b.binary(Mul, d, cos)
            }
            Cos => {
                let sin = b.unary(Sin, x);
                let product = b.binary(Mul, d, sin);
                b.unary(Neg, product)
            }
            Tan => {
                let square = b.binary(Mul, y, y);
                let factor = b.binary_with(Add, square, 1.0);
                b.binary(Mul, d, factor)
            }
            Asin | Acos => {
                let rest = one_minus_square(b, x);
                let root = b.unary(Sqrt, rest);
                let quotient = b.binary(Div, d, root);
                if self.op == Acos { b.unary(Neg, quotient) } else { quotient }
            }
            Atan => {
                let square = b.binary(Mul, x, x);
                let divisor = b.binary_with(Add, square, 1.0);
                b.binary(Div, d, divisor)
            }
            Sinh => {
                let cosh = b.unary(Cosh, x);
                b.binary(Mul, d, cosh)
            }
            Cosh => {
                let sinh = b.unary(Sinh, x);
                b.binary(Mul, d, sinh)
            }
            Tanh => {
                let factor = one_minus_square(b, y);
                b.binary(Mul, d, factor)
            }
            Sigmoid => {
                let one = b.full_like(y, 1.0);
                let rest = b.binary(Sub, one, y);
                let factor = b.binary(Mul, y, rest);
                b.binary(Mul, d, factor)
            }
            Erf => {
                let square = b.binary(Mul, x, x);
                let exponent = b.unary(Neg, square);
                let bell = b.unary(Exp, exponent);
                let factor = b.binary_with(Mul, bell, std::f64::consts::FRAC_2_SQRT_PI);
                b.binary(Mul, d, factor)
            }
        })
    }

    fn value(&self, x: f64) -> f64 {
        match self.op {
            Neg => -x,
            Abs => x.abs(),
            Sign if x > 0.0 => 1.0,
            Sign if x < 0.0 => -1.0,
            // Zeros keep their sign, NaN stays.
            Sign => x,
            Not => truth(x == 0.0),
            Floor => x.floor(),
            Ceil => x.ceil(),
            Round => x.round_ties_even(),
            Sqrt => x.sqrt(),
            Exp => x.exp(),
            Expm1 => x.exp_m1(),
            Log => x.ln(),
            Log1p => x.ln_1p(),
            Sin => x.sin(),
            Cos => x.cos(),
            Tan => x.tan(),
            Asin => x.asin(),
            Acos => x.acos(),
            Atan => x.atan(),
            Sinh => x.sinh(),
            Cosh => x.cosh(),
            Tanh => x.tanh(),
            Sigmoid => sigmoid(x),
            Erf => erf::erf(x),
            IsNan => truth(x.is_nan()),
            IsInf => truth(x.is_infinite()),
            IsFinite => truth(x.is_finite()),
        }
    }
}

/// The exponential of a negative number, which does not overflow.
fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}

fn one_minus_square(b: &mut Builder<'_>, x: NodeId) -> NodeId {
    let square = b.binary(Mul, x, x);
    let one = b.full_like(x, 1.0);
    b.binary(Sub, one, square)
}
