//! Short ways to write expressions. They fold what is constant, and nothing else.

use crate::{Binary, Const, DType, Expr, Unary, VarId};
use shape::Dim;

impl Expr {
    pub fn int(value: i64) -> Expr {
        Expr::Const(Const::Int(DType::I64, value))
    }

    pub fn float(dtype: DType, value: f64) -> Expr {
        Expr::Const(Const::Float(dtype, value.to_bits()))
    }

    pub fn bool(value: bool) -> Expr {
        Expr::Const(Const::Bool(value))
    }

    /// A number in any dtype: 1.0 is true as a bool.
    pub fn number(dtype: DType, value: f64) -> Expr {
        match dtype {
            DType::Bool => Expr::bool(value != 0.0),
            dtype if dtype.is_int() => Expr::Const(Const::Int(dtype, value as i64)),
            dtype => Expr::float(dtype, value),
        }
    }

    pub fn var(id: VarId) -> Expr {
        Expr::Var(id)
    }

    pub fn dim(dim: &Dim) -> Expr {
        match dim.as_const() {
            Some(value) => Expr::int(value),
            None => Expr::Dim(dim.clone()),
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Expr::Const(Const::Int(DType::I64, value)) => Some(*value),
            _ => None,
        }
    }

    pub fn unary(op: Unary, x: Expr) -> Expr {
        Expr::Unary(op, Box::new(x))
    }

    pub fn binary(op: Binary, a: Expr, b: Expr) -> Expr {
        match (op, a.as_int(), b.as_int()) {
            (Binary::Add, Some(x), Some(y)) => Expr::int(x.wrapping_add(y)),
            (Binary::Add, Some(0), _) => b,
            (Binary::Add | Binary::Sub, _, Some(0)) => a,
            (Binary::Sub, Some(x), Some(y)) => Expr::int(x.wrapping_sub(y)),
            (Binary::Mul, Some(x), Some(y)) => Expr::int(x.wrapping_mul(y)),
            (Binary::Mul, Some(1), _) => b,
            (Binary::Mul | Binary::Div, _, Some(1)) => a,
            (Binary::Mul, Some(0), _) | (Binary::Mul, _, Some(0)) => Expr::int(0),
            (Binary::Div, Some(x), Some(y)) if y > 0 => Expr::int(x.div_euclid(y)),
            (Binary::Rem, Some(x), Some(y)) if y > 0 => Expr::int(x.rem_euclid(y)),
            (Binary::Rem, _, Some(1)) => Expr::int(0),
            (Binary::Lt, Some(x), Some(y)) => Expr::bool(x < y),
            (Binary::Le, Some(x), Some(y)) => Expr::bool(x <= y),
            (Binary::Ge, Some(x), Some(y)) => Expr::bool(x >= y),
            (Binary::Eq, Some(x), Some(y)) => Expr::bool(x == y),
            _ => Expr::Binary(op, Box::new(a), Box::new(b)),
        }
    }

    #[allow(
        clippy::should_implement_trait,
        reason = "builders by value; operators would hide which IR they build"
    )]
    pub fn add(self, other: Expr) -> Expr {
        Expr::binary(Binary::Add, self, other)
    }

    #[allow(clippy::should_implement_trait, reason = "see `add`")]
    pub fn sub(self, other: Expr) -> Expr {
        Expr::binary(Binary::Sub, self, other)
    }

    #[allow(clippy::should_implement_trait, reason = "see `add`")]
    pub fn mul(self, other: Expr) -> Expr {
        Expr::binary(Binary::Mul, self, other)
    }

    /// Floor division of indices.
    #[allow(clippy::should_implement_trait, reason = "see `add`")]
    pub fn div(self, other: Expr) -> Expr {
        Expr::binary(Binary::Div, self, other)
    }

    #[allow(clippy::should_implement_trait, reason = "see `add`")]
    pub fn rem(self, other: Expr) -> Expr {
        Expr::binary(Binary::Rem, self, other)
    }

    pub fn lt(self, other: Expr) -> Expr {
        Expr::binary(Binary::Lt, self, other)
    }

    pub fn ge(self, other: Expr) -> Expr {
        Expr::binary(Binary::Ge, self, other)
    }

    /// Conjunction of bools; `true` vanishes.
    pub fn and(self, other: Expr) -> Expr {
        match (&self, &other) {
            (Expr::Const(Const::Bool(true)), _) => other,
            (_, Expr::Const(Const::Bool(true))) => self,
            _ => Expr::binary(Binary::And, self, other),
        }
    }

    pub fn select(condition: Expr, yes: Expr, no: Expr) -> Expr {
        match condition {
            Expr::Const(Const::Bool(true)) => yes,
            Expr::Const(Const::Bool(false)) => no,
            condition => Expr::Select(Box::new(condition), Box::new(yes), Box::new(no)),
        }
    }

    pub fn fma(a: Expr, b: Expr, c: Expr) -> Expr {
        Expr::Fma(Box::new(a), Box::new(b), Box::new(c))
    }

    pub fn cast(dtype: DType, x: Expr) -> Expr {
        Expr::Cast(dtype, Box::new(x))
    }

    pub fn splat(x: Expr, lanes: u16) -> Expr {
        if lanes == 1 { x } else { Expr::Splat(Box::new(x), lanes) }
    }

    pub fn ramp(base: Expr, stride: i64, lanes: u16) -> Expr {
        Expr::Ramp { base: Box::new(base), stride, lanes }
    }
}
