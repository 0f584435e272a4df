//! Errors in units in the last place of the exact result.

use crate::exact::Exact;

/// The largest error so far, and where it is.
#[derive(Clone, Copy, Default)]
pub struct Worst {
    pub error: f64,
    pub at: [f64; 2],
}

impl Worst {
    pub fn see(&mut self, error: f64, at: [f64; 2]) {
        if error > self.error {
            *self = Worst { error, at };
        }
    }

    pub fn with(self, other: Worst) -> Worst {
        if other.error > self.error { other } else { self }
    }
}

/// Infinite for a NaN or a sign that is wrong; the number beyond the largest one counts as 2¹²⁸.
#[inline]
pub fn single(value: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if value.to_bits() == rounded.to_bits() {
        // Rightly rounded: half a unit at most.
        return 0.0;
    }
    if value.is_nan() || exact.is_nan() {
        return if value.is_nan() && exact.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if value.is_sign_negative() != exact.is_sign_negative() {
        return f64::INFINITY;
    }
    let beyond = 2f64.powi(128);
    let (found, wanted) = (f64::from(value.abs()).min(beyond), exact.abs().min(beyond));
    let exponent = ((wanted.to_bits() >> 52) as i32 - 1023).clamp(-126, 127);
    (found - wanted).abs() * 2f64.powi(23 - exponent)
}

pub fn double(value: f64, exact: Exact) -> f64 {
    let Exact { high, low, power } = exact;
    if value.is_nan() || high.is_nan() {
        return if value.is_nan() && high.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if high == 0.0 || high.is_infinite() {
        return if value.to_bits() == high.to_bits() { 0.0 } else { f64::INFINITY };
    }
    if value.is_sign_negative() != high.is_sign_negative() {
        return f64::INFINITY;
    }
    let exponent = ((high.abs().to_bits() >> 52) as i32 - 1023) + power;
    if exponent >= 1024 {
        return match value.abs() {
            f64::INFINITY => 0.0,
            f64::MAX if exponent == 1024 => 1.0,
            _ => f64::INFINITY,
        };
    }
    // Beside infinity the last number is one unit away.
    let (value, one_more) = if value.is_infinite() { (f64::MAX.copysign(value), 1.0) } else { (value, 0.0) };
    // Both are made numbers near 1, without loss.
    let near = scaled(value, -exponent);
    let (high, low) = (scaled(high, power - exponent), scaled(low, power - exponent));
    let unit = 2f64.powi(exponent.max(-1022) - 52 - exponent);
    ((near - high) - low).abs() / unit + one_more
}

/// a · 2ⁿ for |n| ≤ 2100, in steps that do not overflow on the way to a number near 1.
pub fn scaled(a: f64, n: i32) -> f64 {
    let third = n / 3;
    a * 2f64.powi(third) * 2f64.powi(third) * 2f64.powi(n - 2 * third)
}
