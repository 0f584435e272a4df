//! sinh, cosh, tanh and the logistic function: polynomials near 0, elsewhere one exponential and one division.

use super::exponential::Reduced;
use super::{Math, Nearest};
use crate::ir::Value;

/// tanh x = x + x³T(x²) for |x| ≤ 0.5625, relative errors 2⁻²⁹ and 2⁻⁶².
const T_SINGLE: &[f64] = &[
    -0.3333331346511841,
    0.13332436978816986,
    -0.053835757076740265,
    0.021000375971198082,
    -0.00616961345076561,
];
const T_DOUBLE: &[f64] = &[
    -0.3333333333333333,
    0.13333333333332925,
    -0.053968253967942824,
    0.021869488524293587,
    -0.008863235264950663,
    0.0035921242633455887,
    -0.001455798448506335,
    0.0005897926943080237,
    -0.00023806949418514603,
    9.363978695452497e-05,
    -3.2541383323206136e-05,
    7.20864942338296e-06,
];
/// sinh x = x + x³S(x²) for |x| ≤ 1, relative errors 2⁻²⁵ and 2⁻⁶¹.
const S_SINGLE: &[f64] = &[0.1666671633720398, 0.008330270648002625, 0.00020373343431856483];
const S_DOUBLE: &[f64] = &[
    0.16666666666666669,
    0.008333333333332912,
    0.00019841269841593408,
    2.755731910675844e-06,
    2.5052130998299975e-08,
    1.6056659213289708e-10,
    7.776598321675014e-13,
];

impl Math<'_> {
    pub fn tanh(&self, x: Value) -> Value {
        let (one, two) = (self.c(1.0), self.c(2.0));
        let magnitude = self.abs(x);
        let small = self.odd(magnitude, if self.double { T_DOUBLE } else { T_SINGLE });
        // 1 − 2 / (e²ˣ + 1), which is 1 beyond the bound.
        let bounded = self.at_most(magnitude, self.either(10.0, 20.0));
        let Reduced { n, r } = self.reduce(self.add(bounded, bounded));
        let square = self.scale_normal(self.exp_near(r), n);
        let large = self.sub(one, self.div(two, self.add(square, one)));
        let value = self.select(self.lt(self.c(0.5625), magnitude), large, small);
        self.with_sign(value, x)
    }

    pub fn sinh(&self, x: Value) -> Value {
        let magnitude = self.abs(x);
        let small = self.odd(magnitude, if self.double { S_DOUBLE } else { S_SINGLE });
        let half = self.half_exp(magnitude);
        let large = self.sub(half, self.div(self.c(0.25), half));
        let value = self.select(self.lt(self.c(1.0), magnitude), large, small);
        self.with_sign(value, x)
    }

    pub fn cosh(&self, x: Value) -> Value {
        let half = self.half_exp(self.abs(x));
        self.add(half, self.div(self.c(0.25), half))
    }

    /// x + x³p(x²).
    fn odd(&self, x: Value, coefficients: &[f64]) -> Value {
        let square = self.mul(x, x);
        self.fma(self.mul(x, square), self.polynomial(square, coefficients), x)
    }

    /// eˣ / 2 for x ≥ 0; infinite only where that is too large.
    fn half_exp(&self, x: Value) -> Value {
        let Reduced { n, r } = self.reduce(self.at_most(x, self.either(91.0, 712.0)));
        let less = Nearest { float: self.sub(n.float, self.c(1.0)), low: self.ir.sub(n.low, self.i(1)) };
        self.scale(self.exp_near(r), less)
    }

    /// 1 / (1 + e⁻ˣ). With e⁻ˣ = 2ⁿ(1 + p) it is 2ᵃ / (2ᵃ + 2ᵇ + 2ᵇp), where the larger of 2ᵃ and 2ᵇ is 1.
    pub fn sigmoid(&self, x: Value) -> Value {
        let (zero, one) = (self.c(0.0), self.c(1.0));
        let bounded = self.at_most(self.ir.fneg(x), self.either(106.0, 750.0));
        let bounded = self.at_least(bounded, self.either(-40.0, -80.0));
        let Reduced { n, r } = self.reduce(bounded);
        let b = self.at_most(n.float, zero);
        let a = self.sub(b, n.float);
        let power_b = self.power(self.whole(b));
        // Below this it does not change the sum, and is a normal number.
        let power_a = self.power(self.whole(self.at_least(a, self.c(-64.0))));
        let smaller = self.at_most(power_a, power_b);
        let sum = self.add(one, smaller);
        let lost = self.sub(smaller, self.sub(sum, one));
        let divisor = self.add(sum, self.fma(power_b, self.exp_rest(r), lost));
        self.scale(self.div(one, divisor), self.whole(a))
    }
}
