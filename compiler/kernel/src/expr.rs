//! Expressions: pure, typed, scalar or vector. Index arithmetic and element arithmetic are one language.
//!
//! Semantics, the same for the interpreter and for LLVM:
//! - Integer `Add Sub Mul` wrap; `Div` and `Rem` floor (the remainder has the divisor's sign); by zero gives 0.
//! - Float arithmetic is IEEE, one rounding an operation, never contracted or reordered; [`Expr::Fma`] rounds once.
//! - `Min` and `Max` propagate NaN; comparisons give `Bool`; `Ne` is true for NaN, the others false.
//! - f16 and bf16 are computed in f32 and rounded to their type after each operation.
//! - `Cast` to an integer truncates and saturates, NaN gives 0; to `Bool` it is `!= 0`.

use crate::{BufferId, DType, Ty, VarId};
use shape::Dim;

/// A typed constant. Floats are kept as the bits of an f64, so that expressions can be compared and hashed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Const {
    Float(DType, u64),
    Int(DType, i64),
    Bool(bool),
}

impl Const {
    pub fn dtype(self) -> DType {
        match self {
            Const::Float(dtype, _) | Const::Int(dtype, _) => dtype,
            Const::Bool(_) => DType::Bool,
        }
    }

    pub fn to_f64(self) -> f64 {
        match self {
            Const::Float(_, bits) => f64::from_bits(bits),
            Const::Int(_, value) => value as f64,
            Const::Bool(value) => f64::from(u8::from(value)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unary {
    Neg,
    Abs,
    Sign,
    Not,
    Floor,
    Ceil,
    /// Half to even.
    Round,
    Sqrt,
    Exp,
    Expm1,
    Log,
    Log1p,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    /// 1 / (1 + exp(−x)).
    Sigmoid,
    Erf,
    IsNan,
    IsInf,
    IsFinite,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
    Min,
    Max,
    Atan2,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    /// On `Bool` and on integers (bitwise).
    And,
    Or,
    Xor,
    Shl,
    /// Logical shift to the right.
    Shr,
    /// High 32 bits of the product of the low 32 bits of two i64, unsigned: what Philox multiplies with.
    MulHi32,
}

impl Binary {
    pub fn is_comparison(self) -> bool {
        matches!(self, Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne)
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Expr {
    Const(Const),
    /// A loop variable, a `Let`, or a register's present value.
    Var(VarId),
    /// A formula of the dynamic dimensions, fixed during a call. Type i64.
    Dim(Dim),
    /// An element, one index an axis of the buffer. With `lanes > 1` and scalar indices: consecutive elements along the
    /// last axis. With a vector among the indices: a gather of `lanes` elements. Where `mask` is false nothing is
    /// read and the lane is 0.
    Load {
        buffer: BufferId,
        index: Vec<Expr>,
        lanes: u16,
        mask: Option<Box<Expr>>,
    },
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `a * b + c` with one rounding.
    Fma(Box<Expr>, Box<Expr>, Box<Expr>),
    Select(Box<Expr>, Box<Expr>, Box<Expr>),
    Cast(DType, Box<Expr>),
    /// All lanes the same.
    Splat(Box<Expr>, u16),
    /// `base, base + stride, …` as i64.
    Ramp {
        base: Box<Expr>,
        stride: i64,
        lanes: u16,
    },
    /// One lane of a vector.
    Lane(Box<Expr>, u16),
    /// Lanes of two vectors in turn, `a0 b0 a1 b1 …`, of which a vector holds the first or the last ones.
    Interleave(Box<Expr>, Box<Expr>, Half),
    /// All lanes combined by `Add Mul Min Max And Or`, as a balanced tree: lane i with lane i + n/2 first.
    Horizontal(Binary, Box<Expr>),
}

/// Which half of a vector twice as long.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Half {
    Low,
    High,
}

impl Expr {
    /// The type, given the types of variables and buffers.
    pub fn ty(&self, var: &impl Fn(VarId) -> Ty, buffer: &impl Fn(BufferId) -> DType) -> Ty {
        match self {
            Expr::Const(value) => Ty::scalar(value.dtype()),
            Expr::Var(id) => var(*id),
            Expr::Dim(_) => Ty::INDEX,
            Expr::Load { buffer: id, lanes, .. } => Ty::vector(buffer(*id), *lanes),
            Expr::Unary(Unary::IsNan | Unary::IsInf | Unary::IsFinite, x) => {
                Ty::vector(DType::Bool, x.ty(var, buffer).lanes)
            }
            Expr::Unary(_, x) => x.ty(var, buffer),
            Expr::Binary(op, a, _) if op.is_comparison() => Ty::vector(DType::Bool, a.ty(var, buffer).lanes),
            Expr::Binary(_, a, _) | Expr::Fma(a, _, _) => a.ty(var, buffer),
            Expr::Select(_, a, _) | Expr::Interleave(a, ..) => a.ty(var, buffer),
            Expr::Cast(dtype, x) => Ty::vector(*dtype, x.ty(var, buffer).lanes),
            Expr::Splat(x, lanes) => Ty::vector(x.ty(var, buffer).dtype, *lanes),
            Expr::Ramp { lanes, .. } => Ty::vector(DType::I64, *lanes),
            Expr::Lane(x, _) | Expr::Horizontal(_, x) => Ty::scalar(x.ty(var, buffer).dtype),
        }
    }
}
