//! Literal data as bytes.

use kernel::{Constant, DType};

/// In little endian.
pub fn literal(constant: &graph::ops::Constant, dtype: DType) -> Constant {
    let width = dtype.size();
    let mut bytes = Vec::with_capacity(constant.bits.len() * width);
    for bits in &constant.bits {
        let value = f64::from_bits(*bits);
        let rounded = kernel::interp::round(dtype, value);
        let word: u64 = match dtype {
            DType::F64 => value.to_bits(),
            DType::F32 => u64::from((value as f32).to_bits()),
            DType::BF16 => u64::from((rounded as f32).to_bits() >> 16),
            DType::F16 => u64::from(half_bits(rounded)),
            DType::Bool => u64::from(value != 0.0),
            _ => value as i64 as u64,
        };
        bytes.extend_from_slice(&word.to_le_bytes()[..width]);
    }
    Constant { dtype, shape: constant.shape.clone(), bytes }
}

/// The bits of a value that is an f16 already.
fn half_bits(value: f64) -> u16 {
    let sign = if value.is_sign_negative() { 1u16 << 15 } else { 0 };
    let magnitude = value.abs();
    if value.is_nan() {
        return 0x7e00;
    }
    if magnitude.is_infinite() {
        return sign | 0x7c00;
    }
    let smallest_normal = (-14f64).exp2();
    if magnitude < smallest_normal {
        return sign | (magnitude * 24f64.exp2()) as u16;
    }
    let exponent = magnitude.log2().floor();
    let fraction = (magnitude / exponent.exp2() - 1.0) * 1024.0;
    sign | (((exponent + 15.0) as u16) << 10) | fraction as u16
}
