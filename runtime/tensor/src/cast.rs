//! Changing the element type, freely ([`Tensor::cast`]) or only without loss of meaning ([`Tensor::convert`]).

use crate::{DType, Tensor, f64_to_bf16, f64_to_f16};
use base::Diagnostic;

impl Tensor {
    /// Every element as `dtype`: floats round to nearest even and become integers towards zero, saturating (NaN gives 0);
    /// integers wrap to the narrower type; bool is "not zero".
    pub fn cast(&self, dtype: DType) -> Result<Tensor, Diagnostic> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        let mut result = Tensor::zeros(dtype, self.shape())?;
        if self.dtype().is_float() || dtype.is_float() {
            store_floats(&mut result, &self.to_f64_vec());
        } else {
            store_integers(&mut result, &self.to_i64_vec());
        }
        // i64 to f32 through f64 would round twice.
        if let (Some(wide), Some(narrow)) = (self.as_i64(), result.as_mut_slice::<f32>()) {
            narrow.iter_mut().zip(wide).for_each(|(narrow, wide)| *narrow = *wide as f32);
        }
        Ok(result)
    }

    /// As [`Tensor::cast`] for data that must keep its meaning: a fraction or NaN for an integer, a number out of range,
    /// or anything but 0 and 1 for bool is an error that tells the first such element. Rounding to a shorter float is fine.
    pub fn convert(&self, dtype: DType) -> Result<Tensor, Diagnostic> {
        let lost = if self.dtype().is_float() {
            self.to_f64_vec().iter().position(|value| !fits_float(*value, dtype))
        } else {
            self.to_i64_vec().iter().position(|value| !fits_integer(*value, dtype))
        };
        let Some(index) = lost else { return self.cast(dtype) };
        let value = if self.dtype().is_float() {
            self.to_f64_vec()[index].to_string()
        } else {
            self.to_i64_vec()[index].to_string()
        };
        let place = crate::shape_text(&unravel(index, self.shape()));
        Err(Diagnostic::error(
            "E0611",
            format!("the {} value {value} at {place} has no {dtype} form", self.dtype()),
        )
        .help(format!("store the values as {dtype}, or declare the field with the dtype of its values")))
    }

    /// Elements of an integer or bool tensor; float elements as [`Tensor::cast`] to i64 gives them.
    pub fn to_i64_vec(&self) -> Vec<i64> {
        match self.dtype() {
            DType::I64 => self.view::<i64>().to_vec(),
            DType::I32 => self.view::<i32>().iter().copied().map(i64::from).collect(),
            DType::I16 => self.view::<i16>().iter().copied().map(i64::from).collect(),
            DType::I8 => self.view::<i8>().iter().copied().map(i64::from).collect(),
            DType::U8 | DType::Bool => self.bytes().iter().copied().map(i64::from).collect(),
            DType::F64 | DType::F32 | DType::F16 | DType::BF16 => {
                self.to_f64_vec().iter().map(|value| *value as i64).collect()
            }
        }
    }
}

/// The row-major index of an element, axis by axis.
pub(crate) fn unravel(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut place = vec![0; shape.len()];
    for (axis, dim) in shape.iter().enumerate().rev() {
        let dim = (*dim).max(1);
        place[axis] = index % dim;
        index /= dim;
    }
    place
}

fn fits_float(value: f64, dtype: DType) -> bool {
    match dtype {
        DType::F64 => true,
        DType::F32 => !value.is_finite() || (value as f32).is_finite(),
        DType::F16 => !value.is_finite() || crate::f16_to_f32(f64_to_f16(value)).is_finite(),
        DType::BF16 => !value.is_finite() || crate::bf16_to_f32(f64_to_bf16(value)).is_finite(),
        DType::Bool => value == 0.0 || value == 1.0,
        DType::I64 | DType::I32 | DType::I16 | DType::I8 | DType::U8 => {
            let number = value as i64;
            // The second test refuses 2^63, which saturates to i64::MAX and would compare equal after rounding.
            number as f64 == value && value < 9_223_372_036_854_775_808.0 && fits_integer(number, dtype)
        }
    }
}

fn fits_integer(value: i64, dtype: DType) -> bool {
    match dtype {
        DType::Bool => value == 0 || value == 1,
        DType::F16 => value.unsigned_abs() < 65520,
        _ => dtype.integer_range().is_none_or(|(low, high)| (low..=high).contains(&value)),
    }
}

fn store_floats(result: &mut Tensor, values: &[f64]) {
    fn fill<T: crate::buffer::sealed::Plain>(
        result: &mut Tensor,
        values: &[f64],
        convert: impl Fn(f64) -> T,
    ) {
        result.view_mut::<T>().iter_mut().zip(values).for_each(|(target, value)| *target = convert(*value));
    }
    match result.dtype() {
        DType::F64 => fill(result, values, |value| value),
        DType::F32 => fill(result, values, |value| value as f32),
        DType::F16 => fill(result, values, f64_to_f16),
        DType::BF16 => fill(result, values, f64_to_bf16),
        DType::I64 => fill(result, values, |value| value as i64),
        DType::I32 => fill(result, values, |value| value as i32),
        DType::I16 => fill(result, values, |value| value as i16),
        DType::I8 => fill(result, values, |value| value as i8),
        DType::U8 => fill(result, values, |value| value as u8),
        DType::Bool => fill(result, values, |value| u8::from(value != 0.0)),
    }
}

fn store_integers(result: &mut Tensor, values: &[i64]) {
    fn fill<T: crate::buffer::sealed::Plain>(
        result: &mut Tensor,
        values: &[i64],
        convert: impl Fn(i64) -> T,
    ) {
        result.view_mut::<T>().iter_mut().zip(values).for_each(|(target, value)| *target = convert(*value));
    }
    match result.dtype() {
        DType::I64 => fill(result, values, |value| value),
        DType::I32 => fill(result, values, |value| value as i32),
        DType::I16 => fill(result, values, |value| value as i16),
        DType::I8 => fill(result, values, |value| value as i8),
        DType::U8 => fill(result, values, |value| value as u8),
        DType::Bool => fill(result, values, |value| u8::from(value != 0)),
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 => {
            store_floats(result, &values.iter().map(|value| *value as f64).collect::<Vec<_>>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_dtypes_keeps_small_numbers() {
        let source = Tensor::from_vec([2, 2], [0i64, 1, 1, 0]).unwrap();
        for from in DType::ALL {
            let start = source.cast(from).unwrap();
            for to in DType::ALL {
                let there = start.convert(to).unwrap();
                assert_eq!(there.dtype(), to);
                assert_eq!(there.to_f64_vec(), [0.0, 1.0, 1.0, 0.0], "{from} to {to}");
            }
        }
    }

    #[test]
    fn cast_truncates_saturates_and_wraps() {
        let floats = Tensor::from_vec([4], [-1.7f64, 2.9, 1e20, f64::NAN]).unwrap();
        assert_eq!(floats.cast(DType::I32).unwrap().as_i32().unwrap(), [-1, 2, i32::MAX, 0]);
        assert_eq!(floats.cast(DType::Bool).unwrap().to_bool_vec().unwrap(), [true; 4]);
        let integers = Tensor::from_vec([2], [300i64, -1]).unwrap();
        assert_eq!(integers.cast(DType::U8).unwrap().as_u8().unwrap(), [44, 255]);
        let odd = Tensor::from_vec([1], [(1i64 << 60) + (1 << 36) + 1]).unwrap();
        assert_eq!(odd.cast(DType::F32).unwrap().as_f32().unwrap(), [((1i64 << 60) + (1 << 36) + 1) as f32]);
    }

    #[test]
    fn convert_refuses_what_changes_meaning() {
        let refused = [
            (Tensor::from_vec([2, 2], [1.0f64, 2.0, 3.0, 0.5]).unwrap(), DType::I32, "0.5 at [1, 1]"),
            (Tensor::from_vec([1], [3e9f64]).unwrap(), DType::I32, "3000000000 at [0]"),
            (Tensor::from_vec([1], [9_223_372_036_854_775_808.0f64]).unwrap(), DType::I64, "at [0]"),
            (Tensor::from_vec([1], [f64::NAN]).unwrap(), DType::I64, "NaN"),
            (Tensor::from_vec([1], [1e300f64]).unwrap(), DType::F32, "at [0]"),
            (Tensor::from_vec([1], [70000i64]).unwrap(), DType::F16, "70000"),
            (Tensor::from_vec([1], [-1i64]).unwrap(), DType::U8, "-1"),
            (Tensor::from_vec([1], [2i64]).unwrap(), DType::Bool, "2"),
        ];
        for (tensor, dtype, part) in refused {
            let error = tensor.convert(dtype).unwrap_err();
            assert_eq!(error.code, "E0611");
            assert!(error.message.contains(part), "{}", error.message);
        }
        let kept = Tensor::from_vec([2], [f64::INFINITY, 0.1]).unwrap().convert(DType::F32).unwrap();
        assert_eq!(kept.as_f32().unwrap(), [f32::INFINITY, 0.1]);
    }
}
