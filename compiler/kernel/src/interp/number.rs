//! Scalar arithmetic: each operation once, by its stated semantics, rounded to the dtype afterwards.

use crate::{Binary, DType, Unary};

/// A scalar: floats in f64, integers and bools in i64.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    Float(f64),
    Int(i64),
}

impl Number {
    pub fn to_f64(self) -> f64 {
        match self {
            Number::Float(x) => x,
            Number::Int(x) => x as f64,
        }
    }

    pub fn to_i64(self) -> i64 {
        match self {
            Number::Float(x) => x as i64,
            Number::Int(x) => x,
        }
    }

    pub fn is_true(self) -> bool {
        match self {
            Number::Float(x) => x != 0.0,
            Number::Int(x) => x != 0,
        }
    }

    /// The value in another dtype: `as` of Rust saturates and takes NaN to 0, as the IR says.
    pub fn cast(self, to: DType) -> Number {
        match (to, self) {
            (DType::Bool, x) => Number::Int(i64::from(x.is_true())),
            (to, Number::Float(x)) if to.is_float() => Number::Float(round(to, x)),
            (DType::F64, Number::Int(x)) => Number::Float(x as f64),
            (to, Number::Int(x)) if to.is_float() => Number::Float(round(to, f64::from(x as f32))),
            (DType::I64, Number::Float(x)) => Number::Int(x as i64),
            (DType::I32, Number::Float(x)) => Number::Int(i64::from(x as i32)),
            (DType::I16, Number::Float(x)) => Number::Int(i64::from(x as i16)),
            (DType::I8, Number::Float(x)) => Number::Int(i64::from(x as i8)),
            (_, Number::Float(x)) => Number::Int(i64::from(x as u8)),
            (to, Number::Int(x)) => {
                let (low, high) = range(to);
                Number::Int(x.clamp(low, high))
            }
        }
    }
}

/// To the nearest value of a float dtype, ties to even.
pub fn round(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::F32 => f64::from(x as f32),
        DType::BF16 => {
            let bits = (x as f32).to_bits();
            if (x as f32).is_nan() {
                return f64::NAN;
            }
            let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) & 0xffff_0000;
            f64::from(f32::from_bits(rounded))
        }
        DType::F16 => {
            let x = f64::from(x as f32);
            if x == 0.0 || !x.is_finite() {
                return x;
            }
            // Ten bits after the leading one; below 2^-14 the spacing stays 2^-24.
            let exponent = x.abs().log2().floor().max(-14.0);
            let spacing = (exponent - 10.0).exp2();
            let rounded = (x / spacing).round_ties_even() * spacing;
            if rounded.abs() > 65504.0 { f64::INFINITY.copysign(x) } else { rounded }
        }
        _ => x,
    }
}

/// Smallest and largest value of an integer dtype.
pub fn range(dtype: DType) -> (i64, i64) {
    match dtype {
        DType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        DType::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        DType::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        DType::U8 => (0, 255),
        DType::Bool => (0, 1),
        _ => (i64::MIN, i64::MAX),
    }
}

fn wrap(dtype: DType, x: i64) -> Number {
    Number::Int(match dtype {
        DType::I32 => i64::from(x as i32),
        DType::I16 => i64::from(x as i16),
        DType::I8 => i64::from(x as i8),
        DType::U8 => i64::from(x as u8),
        DType::Bool => x & 1,
        _ => x,
    })
}

pub fn unary(op: Unary, dtype: DType, x: Number) -> Number {
    let truth = |x: bool| Number::Int(i64::from(x));
    match (op, x) {
        (Unary::IsNan, x) => truth(x.to_f64().is_nan()),
        (Unary::IsInf, x) => truth(x.to_f64().is_infinite()),
        (Unary::IsFinite, x) => truth(x.to_f64().is_finite()),
        (Unary::Not, Number::Int(x)) if dtype == DType::Bool => truth(x == 0),
        (Unary::Not, Number::Int(x)) => wrap(dtype, !x),
        (Unary::Neg, Number::Int(x)) => wrap(dtype, x.wrapping_neg()),
        (Unary::Abs, Number::Int(x)) => wrap(dtype, x.wrapping_abs()),
        (Unary::Sign, Number::Int(x)) => Number::Int(x.signum()),
        (_, Number::Int(x)) => Number::Int(x),
        (op, Number::Float(x)) => Number::Float(round(dtype, float_unary(op, x))),
    }
}

fn float_unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign if x == 0.0 || x.is_nan() => x,
        Unary::Sign => x.signum(),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Sqrt => x.sqrt(),
        Unary::Exp => x.exp(),
        Unary::Expm1 => x.exp_m1(),
        Unary::Log => x.ln(),
        Unary::Log1p => x.ln_1p(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tan => x.tan(),
        Unary::Asin => x.asin(),
        Unary::Acos => x.acos(),
        Unary::Atan => x.atan(),
        Unary::Sinh => x.sinh(),
        Unary::Cosh => x.cosh(),
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => sigmoid(x),
        Unary::Erf => erf(x),
        Unary::Not | Unary::IsNan | Unary::IsInf | Unary::IsFinite => x,
    }
}

fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}

/// The error function by its series with positive terms, `2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!`.
fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.abs() > 6.0 {
        return 1f64.copysign(x);
    }
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > sum.abs() * 1e-18 {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// An operation of two operands of `dtype`; comparisons give a bool.
pub fn binary(op: Binary, dtype: DType, a: Number, b: Number) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => int_binary(op, dtype, a, b),
        (a, b) => float_binary(op, dtype, a.to_f64(), b.to_f64()),
    }
}

fn float_binary(op: Binary, dtype: DType, a: f64, b: f64) -> Number {
    let truth = |x: bool| Number::Int(i64::from(x));
    let value = match op {
        Binary::Lt => return truth(a < b),
        Binary::Le => return truth(a <= b),
        Binary::Gt => return truth(a > b),
        Binary::Ge => return truth(a >= b),
        Binary::Eq => return truth(a == b),
        Binary::Ne => return truth(a != b),
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Rem => {
            let rest = a % b;
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
        }
        Binary::Pow => a.powf(b),
        Binary::Atan2 => a.atan2(b),
        Binary::Min | Binary::Max if a.is_nan() || b.is_nan() => f64::NAN,
        // The zeros are ordered: -0 below +0.
        Binary::Min => {
            if a < b || (a == b && a.is_sign_negative()) {
                a
            } else {
                b
            }
        }
        Binary::Max => {
            if a > b || (a == b && a.is_sign_positive()) {
                a
            } else {
                b
            }
        }
        Binary::And | Binary::Or | Binary::Xor | Binary::Shl | Binary::Shr | Binary::MulHi32 => f64::NAN,
    };
    Number::Float(round(dtype, value))
}

fn int_binary(op: Binary, dtype: DType, a: i64, b: i64) -> Number {
    let truth = |x: bool| Number::Int(i64::from(x));
    let bits = dtype.size() as u32 * 8;
    let unsigned = |x: i64| if bits == 64 { x as u64 } else { x as u64 & ((1 << bits) - 1) };
    match op {
        Binary::Add => wrap(dtype, a.wrapping_add(b)),
        Binary::Sub => wrap(dtype, a.wrapping_sub(b)),
        Binary::Mul => wrap(dtype, a.wrapping_mul(b)),
        Binary::Div if b == 0 => Number::Int(0),
        Binary::Div => {
            let (quotient, rest) = (a.wrapping_div(b), a.wrapping_rem(b));
            wrap(dtype, if rest != 0 && (rest < 0) != (b < 0) { quotient - 1 } else { quotient })
        }
        Binary::Rem if b == 0 => Number::Int(0),
        Binary::Rem => {
            let rest = a.wrapping_rem(b);
            Number::Int(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        Binary::Pow => wrap(dtype, power(a, b)),
        Binary::Min => Number::Int(a.min(b)),
        Binary::Max => Number::Int(a.max(b)),
        Binary::Lt => truth(a < b),
        Binary::Le => truth(a <= b),
        Binary::Gt => truth(a > b),
        Binary::Ge => truth(a >= b),
        Binary::Eq => truth(a == b),
        Binary::Ne => truth(a != b),
        Binary::And => wrap(dtype, a & b),
        Binary::Or => wrap(dtype, a | b),
        Binary::Xor => wrap(dtype, a ^ b),
        Binary::Shl => wrap(dtype, unsigned(a).checked_shl(b as u32).unwrap_or(0) as i64),
        Binary::Shr => wrap(dtype, unsigned(a).checked_shr(b as u32).unwrap_or(0) as i64),
        Binary::MulHi32 => Number::Int((((a as u64 & 0xffff_ffff) * (b as u64 & 0xffff_ffff)) >> 32) as i64),
        Binary::Atan2 => Number::Int(0),
    }
}

/// Wrapping power; a negative exponent gives 0 but for the bases 1 and −1.
fn power(base: i64, exponent: i64) -> i64 {
    match (base, exponent) {
        (1, _) => 1,
        (-1, e) => {
            if e % 2 == 0 {
                1
            } else {
                -1
            }
        }
        (_, e) if e < 0 => 0,
        (base, mut e) => {
            let (mut result, mut square) = (1i64, base);
            while e > 0 {
                if e & 1 == 1 {
                    result = result.wrapping_mul(square);
                }
                square = square.wrapping_mul(square);
                e >>= 1;
            }
            result
        }
    }
}

/// `a * b + c` rounded once.
pub fn fma(dtype: DType, a: Number, b: Number, c: Number) -> Number {
    match (a, b, c) {
        (Number::Int(a), Number::Int(b), Number::Int(c)) => wrap(dtype, a.wrapping_mul(b).wrapping_add(c)),
        (a, b, c) if dtype == DType::F64 => Number::Float(a.to_f64().mul_add(b.to_f64(), c.to_f64())),
        (a, b, c) => {
            let fused = (a.to_f64() as f32).mul_add(b.to_f64() as f32, c.to_f64() as f32);
            Number::Float(round(dtype, f64::from(fused)))
        }
    }
}
