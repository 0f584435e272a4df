//! The error function in f64.

use std::f64::consts::PI;

/// Within a few units in the last place: the series of positive terms near 0, the continued fraction of the
/// complement elsewhere.
pub fn erf(x: f64) -> f64 {
    let magnitude = x.abs();
    if magnitude < 2.5 {
        // e^(-x²) · 2/√π · Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1))
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term.abs() > sum.abs() * 1e-18 {
            odd += 2.0;
            term *= 2.0 * x * x / odd;
            sum += term;
        }
        return sum * (-x * x).exp() * 2.0 / PI.sqrt();
    }
    if x.is_nan() {
        return x;
    }
    // e^(-x²) / √π / (x + ½/(x + 1/(x + ³⁄₂/(x + …))))
    let denominator = (1..=80).rev().fold(magnitude, |tail, k| magnitude + f64::from(k) * 0.5 / tail);
    (1.0 - (-x * x).exp() / PI.sqrt() / denominator).copysign(x)
}
