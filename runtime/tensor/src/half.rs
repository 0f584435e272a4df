//! 16-bit floating point, by its bits. Rounding is to nearest, ties to even, in one step from f64.

/// The layout of a 16-bit format: how many bits hold the fraction, and the exponent's bias.
struct Format {
    fraction_bits: u32,
    bias: i32,
}

const F16: Format = Format { fraction_bits: 10, bias: 15 };
const BF16: Format = Format { fraction_bits: 7, bias: 127 };

pub fn f16_to_f32(bits: u16) -> f32 {
    // Exact: f32 holds every f16.
    F16.decode(bits) as f32
}

pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

pub fn f64_to_f16(value: f64) -> u16 {
    F16.encode(value)
}

pub fn f64_to_bf16(value: f64) -> u16 {
    BF16.encode(value)
}

impl Format {
    fn exponent_mask(&self) -> u16 {
        0x7fff >> self.fraction_bits
    }

    fn decode(&self, bits: u16) -> f64 {
        let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let exponent = (bits >> self.fraction_bits) & self.exponent_mask();
        let fraction = bits & ((1 << self.fraction_bits) - 1);
        let unit = f64::from(1u32 << self.fraction_bits);
        if exponent == self.exponent_mask() {
            return if fraction == 0 { sign * f64::INFINITY } else { f64::NAN };
        }
        if exponent == 0 {
            return sign * f64::from(fraction) / unit * power_of_two(1 - self.bias);
        }
        sign * (1.0 + f64::from(fraction) / unit) * power_of_two(i32::from(exponent) - self.bias)
    }

    fn encode(&self, value: f64) -> u16 {
        let sign = ((value.to_bits() >> 63) as u16) << 15;
        let infinity = self.exponent_mask() << self.fraction_bits;
        if value.is_nan() {
            return sign | infinity | (1 << (self.fraction_bits - 1));
        }
        let magnitude = value.abs();
        // f64's own exponent; numbers below the format's normal range share its smallest one.
        let exponent = (((magnitude.to_bits() >> 52) as i32) - 1023).max(1 - self.bias);
        if exponent > self.bias {
            return sign | infinity;
        }
        // Scaling by a power of two is exact here, so the only rounding is the one to an integer.
        let steps = (magnitude * power_of_two(self.fraction_bits as i32 - exponent)).round_ties_even() as u32;
        // A normal number has its leading 1 in `steps`; adding carries a rounding overflow into the exponent,
        // and from the largest exponent into infinity.
        let normal_base = ((exponent + self.bias - 1) as u32) << self.fraction_bits;
        sign | (normal_base + steps) as u16
    }
}

/// 2^exponent for exponents of normal f64 numbers.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let cases = [
            (0.0, 0x0000, 0x0000),
            (-0.0, 0x8000, 0x8000),
            (1.0, 0x3c00, 0x3f80),
            (-2.0, 0xc000, 0xc000),
            (0.333_251_953_125, 0x3555, 0x3eab),
            (f64::INFINITY, 0x7c00, 0x7f80),
            (65504.0, 0x7bff, 0x4780),
            (65520.0, 0x7c00, 0x4780), // halfway to the next f16, which is infinity
            (65519.0, 0x7bff, 0x4780),
            (5.960_464_477_539_063e-8, 0x0001, 0x3380), // the smallest f16
            (2.980_232_238_769_531_3e-8, 0x0000, 0x3300), // half of it: tie to even
            (1e300, 0x7c00, 0x7f80),
        ];
        for (value, f16, bf16) in cases {
            assert_eq!(f64_to_f16(value), f16, "f16 of {value}");
            assert_eq!(f64_to_bf16(value), bf16, "bf16 of {value}");
        }
        assert!(f16_to_f32(f64_to_f16(f64::NAN)).is_nan());
        assert!(bf16_to_f32(f64_to_bf16(f64::NAN)).is_nan());
    }

    #[test]
    fn every_pattern_survives() {
        for bits in 0..=u16::MAX {
            let wide = f16_to_f32(bits);
            if !wide.is_nan() {
                assert_eq!(f64_to_f16(f64::from(wide)), bits, "f16 {bits:#06x}");
            }
            let wide = bf16_to_f32(bits);
            if !wide.is_nan() {
                assert_eq!(f64_to_bf16(f64::from(wide)), bits, "bf16 {bits:#06x}");
                assert_eq!(BF16.decode(bits) as f32, wide);
            }
        }
    }

    #[test]
    fn rounds_to_the_nearer_neighbour() {
        for bits in 0..0x7bffu16 {
            let (low, high) = (f64::from(f16_to_f32(bits)), f64::from(f16_to_f32(bits + 1)));
            let middle = (low + high) / 2.0;
            assert_eq!(f64_to_f16(low + (middle - low) * 0.75), bits);
            assert_eq!(f64_to_f16(middle + (high - middle) * 0.25), bits + 1);
            assert_eq!(f64_to_f16(middle), if bits % 2 == 0 { bits } else { bits + 1 });
        }
    }
}
