//! Functions of two operands of one type, element by element: arithmetic, comparisons (result bool), logic on bools.

use super::operands::{needs, same_dtype, same_shape, take};
use crate::{DType, Fault, Operator, Type};
use kernel::Binary::*;
use shape::Facts;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Binary {
    pub op: kernel::Binary,
}

impl Operator for Binary {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let name = self.sign();
        let [a, b] = take(name, inputs)?;
        same_dtype(name, (0, a), (1, b))?;
        let (float, int, bool) = (a.dtype.is_float(), a.dtype.is_int(), a.dtype.is_bool());
        match self.op {
            Add | Sub | Mul | Div | Rem | Min | Max | Lt | Le | Gt | Ge => {
                needs(name, "numbers", 0, a, float || int)?;
            }
            Pow | Atan2 => needs(name, "a floating dtype", 0, a, float)?,
            Eq | Ne => {}
            And | Or | Xor => needs(name, "bools or integers", 0, a, bool || int)?,
            Shl | Shr => needs(name, "integers", 0, a, int)?,
            MulHi32 => needs(name, "i64", 0, a, a.dtype == DType::I64)?,
        }
        same_shape(name, facts, (0, a), (1, b))?;
        let dtype = if self.op.is_comparison() { DType::BOOL } else { a.dtype };
        Ok(vec![Type::new(dtype, a.shape.clone())])
    }

    rules_follow!();
}

impl Binary {
    /// The name of the function in the text form.
    pub fn function(&self) -> &'static str {
        match self.op {
            Add => "add",
            Sub => "sub",
            Mul => "mul",
            Div => "div",
            Rem => "rem",
            Pow => "pow",
            Min => "min",
            Max => "max",
            Atan2 => "atan2",
            Lt => "lt",
            Le => "le",
            Gt => "gt",
            Ge => "ge",
            Eq => "eq",
            Ne => "ne",
            And => "and",
            Or => "or",
            Xor => "xor",
            Shl => "shl",
            Shr => "shr",
            MulHi32 => "mul_hi32",
        }
    }

    /// As users write it.
    pub fn sign(&self) -> &'static str {
        match self.op {
            Add => "+",
            Sub => "-",
            Mul => "*",
            Div => "/",
            Rem => "%",
            Pow => "^",
            Lt => "<",
            Le => "<=",
            Gt => ">",
            Ge => ">=",
            Eq => "==",
            Ne => "!=",
            _ => self.function(),
        }
    }
}
