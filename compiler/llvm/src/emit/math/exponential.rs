//! exp, expm1, pow, and what the functions made of exponentials share.
//! With n the nearest integer of x / ln 2 and r the rest: eˣ = 2ⁿ(1 + r + r²q(r)).

use super::{Math, Nearest};
use crate::ir::Value;
use llvm_sys::LLVMRealPredicate::*;

/// q for |r| ≤ ln 2 / 2, relative error of 1 + r + r²q against eʳ: 2⁻²⁸.
const Q_SINGLE: &[f64] = &[
    0.4999999403953552,
    0.16666515171527863,
    0.041668083518743515,
    0.008369348011910915,
    0.0013840364990755916,
];
/// The same where eʳ − 1 is wanted, relative error of r + r²q: 2⁻²⁹.
const Q_SINGLE_REST: &[f64] = &[
    0.5,
    0.1666666716337204,
    0.041666463017463684,
    0.00833331048488617,
    0.0013933731243014336,
    0.000198910798644647,
];
/// For both, relative error of r + r²q: 2⁻⁶⁰.
const Q_DOUBLE: &[f64] = &[
    0.5,
    0.1666666666666667,
    0.04166666666666667,
    0.008333333333326084,
    0.0013888888888883711,
    0.0001984126987500228,
    2.480158732567746e-05,
    2.755725517000089e-06,
    2.755727347871858e-07,
    2.5105312729622103e-08,
    2.09147553258932e-09,
];

/// x split as n ln 2 + r.
pub(super) struct Reduced {
    pub n: Nearest,
    pub r: Value,
}

impl Math<'_> {
    pub fn exp(&self, x: Value) -> Value {
        let x = self.at_most(x, self.either(89.0, 710.0));
        let x = self.at_least(x, self.either(-104.5, -746.0));
        let Reduced { n, r } = self.reduce(x);
        self.scale(self.exp_near(r), n)
    }

    pub fn expm1(&self, x: Value) -> Value {
        let bounded = self.at_most(x, self.either(89.0, 710.0));
        let bounded = self.at_least(bounded, self.either(-20.0, -40.0));
        let Reduced { n, r } = self.reduce(bounded);
        let q = self.polynomial(r, if self.double { Q_DOUBLE } else { Q_SINGLE_REST });
        let tail = self.mul(self.mul(r, r), q);
        // Halved, since 2ⁿ may be just beyond the largest number where the result is not.
        let half = self.power_of_two(self.ir.sub(n.low, self.i(1)));
        // The first sum is exact where it cancels.
        let head = self.fma(half, r, self.sub(half, self.c(0.5)));
        let value = self.fma(half, tail, head);
        let value = self.add(value, value);
        let tiny = self.lt(self.abs(x), self.either(2f64.powi(-26), 2f64.powi(-55)));
        self.select(tiny, x, value)
    }

    pub fn pow(&self, x: Value, y: Value) -> Value {
        if self.double {
            return self.call2("pow", x, y);
        }
        let wide = self.wide();
        let result = wide.pow_in_f64(self.ir.fpext(x, wide.float), self.ir.fpext(y, wide.float));
        self.ir.fptrunc(result, self.float)
    }

    /// exp(y ln|x|) with C99's special cases, good for rounding to f32.
    fn pow_in_f64(&self, x: Value, y: Value) -> Value {
        let ir = self.ir;
        let magnitude = self.abs(x);
        let (zero, one, infinity) = (self.c(0.0), self.c(1.0), self.c(f64::INFINITY));
        let value = self.exp(self.mul(y, self.log(magnitude)));
        let whole = self.eq(self.floor(y), y);
        let half = self.mul(self.c(0.5), y);
        let odd = ir.and(whole, self.cmp(LLVMRealUNE, self.floor(half), half));
        let value = self.select(ir.and(odd, self.sign_bit(x)), ir.fneg(value), value);
        let negative = ir.and(self.lt(x, zero), self.lt(magnitude, infinity));
        let value = self.select(ir.and(negative, ir.not(whole)), self.c(f64::NAN), value);
        let one_to_infinity = ir.and(self.eq(magnitude, one), self.eq(self.abs(y), infinity));
        let is_one = ir.or(ir.or(self.eq(y, zero), self.eq(x, one)), one_to_infinity);
        // A NaN anywhere else remains one: it would be lost where the base is negative and y is NaN.
        self.select(is_one, one, value)
    }

    pub(super) fn reduce(&self, x: Value) -> Reduced {
        let n = self.nearest_product(x, self.c(std::f64::consts::LOG2_E));
        // The high part has so few bits that its product with n is exact.
        let r = self.fma(n.float, self.either(-0.693145751953125, -0.6931471805592082), x);
        let r = self.fma(n.float, self.either(-1.428606765330187e-06, -7.371002565167799e-13), r);
        Reduced { n, r }
    }

    /// eʳ for |r| ≤ ln 2 / 2.
    pub(super) fn exp_near(&self, r: Value) -> Value {
        let (one, q) = (self.c(1.0), self.exp_tail(r));
        if self.target.fma {
            return self.fma(self.fma(q, r, one), r, one);
        }
        // That would round too often here: 1 + r as a sum of two numbers instead.
        let high = self.add(one, r);
        let low = self.sub(r, self.sub(high, one));
        self.add(high, self.fma(self.mul(r, r), q, low))
    }

    /// eʳ − 1 for |r| ≤ ln 2 / 2, good for adding to 1 or more.
    pub(super) fn exp_rest(&self, r: Value) -> Value {
        self.fma(self.mul(r, r), self.exp_tail(r), r)
    }

    fn exp_tail(&self, r: Value) -> Value {
        self.polynomial(r, if self.double { Q_DOUBLE } else { Q_SINGLE })
    }
}
