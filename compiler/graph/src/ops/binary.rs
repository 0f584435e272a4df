//! Functions of two operands of one type, element by element: arithmetic, comparisons (result bool), logic on bools.

use super::batching::elementwise;
use super::evaluation::{NOT_FLOAT, each, map_form, truth};
use super::operands::{needs, same_dtype, same_shape, take};
use super::sampling::{SHAPES, between, bools, plain, smooth, specials, vector};
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{
    Binary::*,
    Expr, Form,
    Unary::{Floor, Log, Neg},
};
use shape::{Dim, Facts};

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

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], output: NodeId, dout: NodeId) -> Vec<Grad> {
        vec![self.scaled(b, 0, inputs, output, dout), self.scaled(b, 1, inputs, output, dout)]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        output: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        let mut sum = None;
        for (side, tangent) in tangents.iter().enumerate() {
            if let Some(tangent) = tangent
                && let Grad::Value(part) = self.scaled(b, side, inputs, output, *tangent)
            {
                sum = Some(sum.map_or(part, |sum| b.binary(Add, sum, part)));
            }
        }
        Ok(sum)
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
        let dtype = inputs[0].dtype;
        each(output, |index| self.value(dtype, inputs[0].at(index), inputs[1].at(index)))
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let a = cx.reader.read(0, index);
        let b = cx.reader.read(1, index);
        Expr::Binary(self.op, Box::new(a), Box::new(b))
    }

    fn samples() -> Vec<Sample> {
        let mut samples = Vec::new();
        let smooth_functions = [Add, Sub, Mul, Div, Rem, Pow, Min, Max, Atan2];
        for (seed, op) in smooth_functions.into_iter().enumerate() {
            let exact = matches!(op, Add | Sub | Mul | Div | Min | Max);
            let tolerance = if exact { 1e-7 } else { 4e-6 };
            for shape in SHAPES {
                // The ranges keep away from corners: quotients of Rem from integers, operands of Min from ties.
                let (a, c) = match op {
                    Rem => (between(shape, seed as u64, 2.25, 2.75), between(shape, 77, 0.8, 0.875)),
                    Min | Max => (between(shape, seed as u64, 0.0, 1.0), between(shape, 78, 1.25, 2.0)),
                    _ => (between(shape, seed as u64, 0.25, 2.0), between(shape, 79, 0.5, 2.0)),
                };
                samples.push(smooth(Binary { op }, vec![a, c], tolerance));
            }
            let all = specials();
            let count = all.values.len();
            let pair = |pick: &dyn Fn(usize) -> usize| {
                vector(DType::F32, (0..count * count).map(|k| all.at(&[pick(k)])).collect())
            };
            samples.push(plain(Binary { op }, vec![pair(&|k| k / count), pair(&|k| k % count)], tolerance));
        }
        for op in [Lt, Le, Gt, Ge, Eq, Ne] {
            let pair = [vec![1.0, 2.0, 3.0, f64::NAN, 0.0], vec![2.0, 2.0, 2.0, 1.0, -0.0]];
            samples.push(plain(Binary { op }, pair.map(|side| vector(DType::F32, side)).to_vec(), 0.0));
        }
        for op in [Add, Sub, Mul, Div, Rem, Min, Max, And, Or, Xor, Lt, Eq, Shl, Shr] {
            let pair = if matches!(op, Shl | Shr) {
                [vec![-7.0, 7.0, 1.0, 9.0], vec![3.0, 2.0, 0.0, 31.0]]
            } else {
                [vec![-7.0, 7.0, -7.0, 7.0], vec![3.0, -3.0, 0.0, 7.0]]
            };
            samples.push(plain(Binary { op }, pair.map(|side| vector(DType::I32, side)).to_vec(), 0.0));
        }
        for op in [And, Or, Xor, Eq, Ne] {
            samples.push(plain(Binary { op }, vec![bools(&[2, 5], 1), bools(&[2, 5], 2)], 0.0));
        }
        let words = [vec![4_294_967_295.0, 3.0], vec![4_294_967_295.0, 5.0]];
        samples.push(plain(Binary { op: MulHi32 }, words.map(|side| vector(DType::I64, side)).to_vec(), 0.0));
        samples
    }
}

impl Binary {
    /// The name of the function in the text form.
    pub fn function(&self) -> &'static str {
        crate::attribute::binary_name(self.op)
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

impl Binary {
    /// `d` times the derivative by operand `side`.
    fn scaled(&self, b: &mut Builder<'_>, side: usize, inputs: &[NodeId], y: NodeId, d: NodeId) -> Grad {
        let (left, right) = (inputs[0], inputs[1]);
        if self.op.is_comparison() {
            return Grad::None("a comparison has no derivative");
        }
        if !b.dtype(left).is_float() || !b.dtype(y).is_float() {
            return Grad::None(NOT_FLOAT);
        }
        Grad::Value(match (self.op, side) {
            (Add, _) | (Sub | Rem, 0) => d,
            (Sub, _) => b.unary(Neg, d),
            (Mul, 0) => b.binary(Mul, d, right),
            (Mul, _) => b.binary(Mul, d, left),
            (Div, 0) => b.binary(Div, d, right),
            (Div, _) => {
                let ratio = b.binary(Div, y, right);
                let product = b.binary(Mul, d, ratio);
                b.unary(Neg, product)
            }
            // x − floor(x / y) · y
            (Rem, _) => {
                let ratio = b.binary(Div, left, right);
                let turns = b.unary(Floor, ratio);
                let product = b.binary(Mul, d, turns);
                b.unary(Neg, product)
            }
            // y · x^(y − 1), and 0 where y is 0, also at x = 0.
            (Pow, 0) => {
                let less = b.binary_with(Sub, right, 1.0);
                let power = b.binary(Pow, left, less);
                let slope = b.binary(Mul, right, power);
                let product = b.binary(Mul, d, slope);
                let zero = b.zeros_like(right);
                let constant = b.binary(Eq, right, zero);
                b.select(constant, zero, product)
            }
            // ln x · x^y, and 0 where x is 0 and y is not negative.
            (Pow, _) => {
                let zero = b.zeros_like(left);
                let at_zero = b.binary(Eq, left, zero);
                let not_negative = b.binary(Ge, right, zero);
                let corner = b.binary(And, at_zero, not_negative);
                // The logarithm is kept finite there, so that second derivatives are.
                let one = b.full_like(left, 1.0);
                let base = b.select(corner, one, left);
                let log = b.unary(Log, base);
                let slope = b.binary(Mul, log, y);
                let product = b.binary(Mul, d, slope);
                b.select(corner, zero, product)
            }
            // The winner takes it, each half on a tie.
            (Min | Max, _) => {
                let (mine, other) = if side == 0 { (left, right) } else { (right, left) };
                let better = if self.op == Max { Gt } else { Lt };
                let wins = b.binary(better, mine, other);
                let ties = b.binary(Eq, mine, other);
                let half = b.binary_with(Mul, d, 0.5);
                let zero = b.zeros_like(d);
                let otherwise = b.select(ties, half, zero);
                b.select(wins, d, otherwise)
            }
            // x/(x² + y²) by y = operand 0, −y/(x² + y²) by x = operand 1.
            (Atan2, _) => {
                let squares = [b.binary(Mul, left, left), b.binary(Mul, right, right)];
                let norm = b.binary(Add, squares[0], squares[1]);
                let scaled = b.binary(Div, d, norm);
                if side == 0 {
                    b.binary(Mul, scaled, right)
                } else {
                    let product = b.binary(Mul, scaled, left);
                    b.unary(Neg, product)
                }
            }
            (Lt | Le | Gt | Ge | Eq | Ne | And | Or | Xor | Shl | Shr | MulHi32, _) => {
                return Grad::None(NOT_FLOAT);
            }
        })
    }

    fn value(&self, dtype: DType, a: f64, b: f64) -> f64 {
        match self.op {
            Add => a + b,
            Sub => a - b,
            Mul => a * b,
            Div | Rem if dtype.is_int() && b == 0.0 => 0.0,
            Div if dtype.is_int() => (a / b).floor(),
            Div => a / b,
            // The exact remainder, moved to the divisor's side of 0.
            Rem => {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
            }
            Pow => a.powf(b),
            Min | Max if a.is_nan() || b.is_nan() => f64::NAN,
            Min => a.min(b),
            Max => a.max(b),
            Atan2 => a.atan2(b),
            Lt => truth(a < b),
            Le => truth(a <= b),
            Gt => truth(a > b),
            Ge => truth(a >= b),
            Eq => truth(a == b),
            Ne => truth(a != b),
            And => (a as i64 & b as i64) as f64,
            Or => (a as i64 | b as i64) as f64,
            Xor => (a as i64 ^ b as i64) as f64,
            Shl => shift(dtype, b, |by| (a as i64).wrapping_shl(by)),
            Shr => shift(dtype, b, |by| ((a as i64 as u64 & low_bits(dtype)) >> by) as i64),
            MulHi32 => {
                let word = |x: f64| x as i64 as u64 & 0xffff_ffff;
                ((word(a) * word(b)) >> 32) as f64
            }
        }
    }
}

fn bits(dtype: DType) -> u32 {
    match dtype {
        DType::Of(dtype) => 8 * dtype.size() as u32,
        DType::Float => 64,
    }
}

fn low_bits(dtype: DType) -> u64 {
    u64::MAX >> (64 - bits(dtype))
}

/// Everything is shifted out by the width or more.
fn shift(dtype: DType, by: f64, shifted: impl Fn(u32) -> i64) -> f64 {
    if by >= 0.0 && by < f64::from(bits(dtype)) { shifted(by as u32) as f64 } else { 0.0 }
}
