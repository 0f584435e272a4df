//! erf, for f32 by two polynomials, one of them below an exponential. f64 calls the library.

use super::Math;
use super::exponential::Reduced;
use crate::ir::Value;

/// erf(x) = x + x·P(x²) for |x| ≤ 0.921875, relative error 2⁻²⁷.
const SMALL: &[f64] = &[
    0.12837916612625122,
    -0.37612634897232056,
    0.11283699423074722,
    -0.026859592646360397,
    0.0052014668472111225,
    -0.0008147202315740287,
    8.387590787606314e-05,
];
/// ln(1 − erf(t)) for 0.92 ≤ t ≤ 4, absolute error of erf 2⁻²⁷.
const LARGE: &[f64] = &[
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

impl Math<'_> {
    pub fn erf(&self, x: Value) -> Value {
        if self.double {
            return self.call1("erf", x);
        }
        let magnitude = self.abs(x);
        let small = self.fma(x, self.polynomial(self.mul(x, x), SMALL), x);
        let Reduced { n, r } = self.reduce(self.polynomial(self.at_most(magnitude, self.c(4.0)), LARGE));
        let complement = self.scale_normal(self.exp_near(r), n);
        let large = self.with_sign(self.sub(self.c(1.0), complement), x);
        self.select(self.lt(self.c(0.921875), magnitude), large, small)
    }
}
