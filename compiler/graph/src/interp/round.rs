//! Rounding of a real number, carried in f64, to a dtype.

use kernel::DType;

/// Half to even for floats, by way of f32 for the 16-bit ones as compiled code does it; integers wrap.
pub fn round(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F64 => value,
        DType::F32 => f64::from(value as f32),
        DType::F16 => round_binary(f64::from(value as f32), 10, -14, 65504.0),
        DType::BF16 => round_binary(f64::from(value as f32), 7, -126, BF16_MAX),
        DType::I64 => wrap(value, 64, true),
        DType::I32 => wrap(value, 32, true),
        DType::I16 => wrap(value, 16, true),
        DType::I8 => wrap(value, 8, true),
        DType::U8 => wrap(value, 8, false),
        DType::Bool => f64::from(u8::from(value != 0.0)),
    }
}

/// (2 − 2⁻⁷) · 2¹²⁷.
const BF16_MAX: f64 = 255.0 / 128.0 * 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

/// To `fraction_bits` after the leading one; below 2^`min_exponent` the spacing stays constant.
fn round_binary(value: f64, fraction_bits: i32, min_exponent: i32, max: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let exponent = ((value.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(min_exponent);
    let spacing = f64::powi(2.0, exponent - fraction_bits);
    // Both the division and the product are by a power of two, hence exact.
    let rounded = (value / spacing).round_ties_even() * spacing;
    if rounded.abs() > max { f64::INFINITY.copysign(value) } else { rounded }
}

fn wrap(value: f64, bits: u32, signed: bool) -> f64 {
    let modulus = f64::powi(2.0, bits as i32);
    let (low, high) = if signed { (-modulus / 2.0, modulus / 2.0) } else { (0.0, modulus) };
    if value >= low && value < high {
        return value.trunc();
    }
    if !value.is_finite() {
        return 0.0;
    }
    let positive = value.trunc().rem_euclid(modulus);
    if positive >= high { positive - modulus } else { positive }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_round_half_to_even() {
        assert_eq!(round(1.0 + f64::powi(2.0, -11), DType::F16), 1.0);
        assert_eq!(round(1.0 + 3.0 * f64::powi(2.0, -11), DType::F16), 1.0 + f64::powi(2.0, -9));
        assert_eq!(round(65519.0, DType::F16), 65504.0);
        assert_eq!(round(-65520.0, DType::F16), f64::NEG_INFINITY);
        assert_eq!(round(f64::powi(2.0, -25), DType::F16), 0.0);
        assert_eq!(round(1.5 * f64::powi(2.0, -24), DType::F16), f64::powi(2.0, -23));
        assert_eq!(round(1.0 + f64::powi(2.0, -8), DType::BF16), 1.0);
        assert_eq!(round(f64::from(f32::MAX), DType::BF16), f64::INFINITY);
        assert_eq!(round(BF16_MAX, DType::BF16), BF16_MAX);
        assert_eq!(round(0.1, DType::F32), f64::from(0.1f32));
        assert!(round(f64::NAN, DType::F16).is_nan());
        assert!(round(-0.0, DType::BF16).is_sign_negative());
    }

    #[test]
    fn integers_wrap() {
        assert_eq!(round(128.0, DType::I8), -128.0);
        assert_eq!(round(-129.0, DType::I8), 127.0);
        assert_eq!(round(-1.0, DType::U8), 255.0);
        assert_eq!(round(2147483648.0, DType::I32), -2147483648.0);
        assert_eq!(round(f64::powi(2.0, 63), DType::I64), -f64::powi(2.0, 63));
    }
}
