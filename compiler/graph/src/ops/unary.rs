//! Functions of one operand, element by element.

use super::operands::{needs, take};
use crate::{DType, Fault, Operator, Type};
use kernel::Unary::*;
use shape::Facts;

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

    rules_follow!();
}

impl Unary {
    /// The name of the function, in the text form and in messages.
    pub fn function(&self) -> &'static str {
        match self.op {
            Neg => "neg",
            Abs => "abs",
            Sign => "sign",
            Not => "not",
            Floor => "floor",
            Ceil => "ceil",
            Round => "round",
            Sqrt => "sqrt",
            Exp => "exp",
            Expm1 => "expm1",
            Log => "log",
            Log1p => "log1p",
            Sin => "sin",
            Cos => "cos",
            Tan => "tan",
            Asin => "asin",
            Acos => "acos",
            Atan => "atan",
            Sinh => "sinh",
            Cosh => "cosh",
            Tanh => "tanh",
            Erf => "erf",
            IsNan => "is_nan",
            IsInf => "is_inf",
            IsFinite => "is_finite",
        }
    }
}
