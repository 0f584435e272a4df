//! exp and what is made of it: expm1, sinh, cosh, tanh, erf, pow.
//! With n the nearest integer of x / ln 2 and r the rest: eˣ = 2ⁿ(1 + r + r²q(r)).

use super::Math;
use crate::ir::Value;
use llvm_sys::LLVMRealPredicate::*;

/// q for |r| ≤ ln 2 / 2, relative error of r + r²q against eʳ − 1: 2⁻²⁹ and 2⁻⁶⁰.
const Q_SINGLE: &[f64] = &[
    0.5,
    0.1666666716337204,
    0.041666463017463684,
    0.00833331048488617,
    0.0013933731243014336,
    0.000198910798644647,
];
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

/// erf(x) = x + x·P(x²) for |x| ≤ 0.921875, relative error 2⁻²⁷.
const ERF_SMALL: &[f64] = &[
    0.12837916612625122,
    -0.37612634897232056,
    0.11283699423074722,
    -0.026859592646360397,
    0.0052014668472111225,
    -0.0008147202315740287,
    8.387590787606314e-05,
];
/// ln(1 − erf(t)) for 0.92 ≤ t ≤ 4, absolute error of erf 2⁻²⁷.
const ERF_LARGE: &[f64] = &[
    0.00032044152612797916,
    -1.1302375793457031,
    -0.6318145394325256,
    -0.11009448021650314,
    0.026431018486618996,
    -0.00476357527077198,
    0.0005977434921078384,
    -4.6177912736311555e-05,
    1.6435697034467012e-06,
];

/// x split as n ln 2 + r.
struct Reduced {
    n: Value,
    r: Value,
}

impl Math<'_> {
    pub fn exp(&self, x: Value) -> Value {
        let x = self.at_most(x, self.either(89.0, 710.0));
        let x = self.at_least(x, self.either(-104.5, -746.0));
        let Reduced { n, r } = self.reduce(x);
        let value = self.add(self.c(1.0), self.exp_rest(r));
        // In two steps, since 2ⁿ itself may be infinite or denormal where the result is not.
        let half = self.ir.ashr(n, self.i(1));
        let rest = self.ir.sub(n, half);
        self.mul(self.mul(value, self.power_of_two(half)), self.power_of_two(rest))
    }

    pub fn expm1(&self, x: Value) -> Value {
        let bounded = self.at_most(x, self.either(89.0, 710.0));
        let bounded = self.at_least(bounded, self.either(-20.0, -40.0));
        let Reduced { n, r } = self.reduce(bounded);
        // Halved, since 2ⁿ may be just beyond the largest number where the result is not.
        let half = self.power_of_two(self.ir.sub(n, self.i(1)));
        let value = self.fma(half, self.exp_rest(r), self.sub(half, self.c(0.5)));
        let value = self.add(value, value);
        let tiny = self.lt(self.abs(x), self.either(2f64.powi(-26), 2f64.powi(-55)));
        self.select(tiny, x, value)
    }

    pub fn tanh(&self, x: Value) -> Value {
        let magnitude = self.at_most(self.abs(x), self.c(22.0));
        let t = self.expm1(self.add(magnitude, magnitude));
        let value = self.div(t, self.add(t, self.c(2.0)));
        let tiny = self.lt(magnitude, self.either(2f64.powi(-13), 2f64.powi(-28)));
        self.select(tiny, x, self.with_sign(value, x))
    }

    pub fn sinh(&self, x: Value) -> Value {
        if !self.double {
            return self.through_f64(x, |wide, x| wide.sinh(x));
        }
        let magnitude = self.abs(x);
        let t = self.expm1(self.at_most(magnitude, self.c(30.0)));
        let small = self.mul(self.c(0.5), self.add(t, self.div(t, self.add(t, self.c(1.0)))));
        // e^(x/2) twice: eˣ may overflow where half of it does not.
        let root = self.exp(self.mul(self.c(0.5), magnitude));
        let large = self.mul(self.mul(self.c(0.5), root), root);
        let value = self.select(self.lt(self.c(22.0), magnitude), large, small);
        let tiny = self.lt(magnitude, self.c(2f64.powi(-28)));
        self.select(tiny, x, self.with_sign(value, x))
    }

    pub fn cosh(&self, x: Value) -> Value {
        if !self.double {
            return self.through_f64(x, |wide, x| wide.cosh(x));
        }
        let magnitude = self.abs(x);
        let e = self.exp(self.at_most(magnitude, self.c(30.0)));
        let small = self.mul(self.c(0.5), self.add(e, self.div(self.c(1.0), e)));
        let root = self.exp(self.mul(self.c(0.5), magnitude));
        let large = self.mul(self.mul(self.c(0.5), root), root);
        self.select(self.lt(self.c(22.0), magnitude), large, small)
    }

    pub fn erf(&self, x: Value) -> Value {
        if self.double {
            return self.call1("erf", x);
        }
        let magnitude = self.abs(x);
        let small = self.fma(x, self.polynomial(self.mul(x, x), ERF_SMALL), x);
        let t = self.at_most(magnitude, self.c(4.0));
        let complement = self.exp(self.polynomial(t, ERF_LARGE));
        let large = self.with_sign(self.sub(self.c(1.0), complement), x);
        self.select(self.lt(self.c(0.921875), magnitude), large, small)
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

    fn reduce(&self, x: Value) -> Reduced {
        let scaled = self.mul(x, self.c(std::f64::consts::LOG2_E));
        let (float, n) = self.nearest(scaled);
        // The high part has so few bits that its product with n is exact.
        let r = self.fma(float, self.either(-0.693145751953125, -0.6931471805592082), x);
        let r = self.fma(float, self.either(-1.428606765330187e-06, -7.371002565167799e-13), r);
        Reduced { n, r }
    }

    /// eʳ − 1 for |r| ≤ ln 2 / 2.
    fn exp_rest(&self, r: Value) -> Value {
        let q = self.polynomial(r, if self.double { Q_DOUBLE } else { Q_SINGLE });
        self.fma(self.mul(r, r), q, r)
    }
}
