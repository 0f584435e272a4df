//! log and log1p. With x = 2ᵏ(1 + f), 1 + f within [√½, √2) and s = f / (2 + f):
//! ln(1 + f) = f − (f²/2 − s(f²/2 + s²R(s²))).

use super::Math;
use crate::ir::Value;
use llvm_sys::LLVMRealPredicate::*;

/// R, relative error of ln(1 + f) 2⁻³² and 2⁻⁶¹.
const R_SINGLE: &[f64] = &[0.6666666865348816, 0.4000012278556824, 0.28550779819488525, 0.23331613838672638];
const R_DOUBLE: &[f64] = &[
    0.6666666666666666,
    0.40000000000000885,
    0.28571428570799784,
    0.22222222392581045,
    0.18181795547521137,
    0.15386244737621665,
    0.13268638369266825,
    0.13088034850927555,
];

/// A positive number as 2ᵏ(1 + f).
struct Split {
    k: Value,
    f: Value,
}

impl Math<'_> {
    pub fn log(&self, x: Value) -> Value {
        let Split { k, f } = self.split(x);
        let value = self.log_of_split(k, f, self.c(0.0));
        self.log_corners(x, value)
    }

    pub fn log1p(&self, x: Value) -> Value {
        let u = self.add(self.c(1.0), x);
        let Split { k, f } = self.split(u);
        // What the sum lost, relative to it.
        let large = self.lt(self.c(2.0), u);
        let lost_large = self.sub(self.c(1.0), self.sub(u, x));
        let lost_small = self.sub(x, self.sub(u, self.c(1.0)));
        let lost = self.div(self.select(large, lost_large, lost_small), u);
        let value = self.log_corners(u, self.log_of_split(k, f, lost));
        let tiny = self.lt(self.abs(x), self.either(2f64.powi(-25), 2f64.powi(-54)));
        self.select(tiny, x, value)
    }

    fn split(&self, x: Value) -> Split {
        let ir = self.ir;
        let bits = self.mantissa_bits();
        // Denormals are scaled to normal numbers first.
        let least = 2f64.powi(1 - self.exponent_bias() as i32);
        let denormal = self.lt(x, self.c(least));
        let scaled = self.select(denormal, self.mul(x, self.c(2f64.powi(bits as i32))), x);
        let root_half = if self.double { 0x3fe6_a09e_667f_3bcd } else { 0x3f35_04f3 };
        let distance = ir.sub(self.bits(scaled), self.i(root_half));
        let k = ir.ashr(distance, self.i(bits));
        let mantissa = ir.sub(self.bits(scaled), ir.shl(k, self.i(bits)));
        let f = self.sub(self.float_of_bits(mantissa), self.c(1.0));
        let shift = self.select(denormal, self.c(bits as f64), self.c(0.0));
        Split { k: self.sub(ir.sitofp(k, self.float), shift), f }
    }

    /// k ln 2 + ln(1 + f) + correction.
    fn log_of_split(&self, k: Value, f: Value, correction: Value) -> Value {
        let s = self.div(f, self.add(self.c(2.0), f));
        let z = self.mul(s, s);
        let r = self.mul(z, self.polynomial(z, if self.double { R_DOUBLE } else { R_SINGLE }));
        let half_square = self.mul(self.c(0.5), self.mul(f, f));
        let low = self.fma(k, self.either(1.428606765330187e-06, 7.371002565167799e-13), correction);
        let tail = self.fma(s, self.add(half_square, r), low);
        let near = self.sub(f, self.sub(half_square, tail));
        self.fma(k, self.either(0.693145751953125, 0.6931471805592082), near)
    }

    /// The logarithm's value at 0, below it, at infinity and NaN.
    fn log_corners(&self, x: Value, value: Value) -> Value {
        let infinity = self.c(f64::INFINITY);
        let value = self.select(self.lt(x, infinity), value, x);
        let value = self.select(self.eq(x, self.c(0.0)), self.c(f64::NEG_INFINITY), value);
        let value = self.select(self.lt(x, self.c(0.0)), self.c(f64::NAN), value);
        self.select(self.cmp(LLVMRealUNO, x, x), x, value)
    }
}
