//! Arithmetic on values while they are read: in f64, then rounded once to the wanted dtype.

use base::Diagnostic;
use tensor::{DType, Tensor};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    Add(f64),
    Multiply(f64),
    Divide(f64),
}

/// One value through all steps.
pub fn apply(steps: &[Step], value: f64) -> f64 {
    steps.iter().fold(value, |value, step| match step {
        Step::Add(number) => value + number,
        Step::Multiply(number) => value * number,
        Step::Divide(number) => value / number,
    })
}

/// Elements that are widened at a time.
const CHUNK: usize = 1 << 16;

/// All values of an array through all steps, then as `dtype`: a value that has no form there is an error.
pub fn apply_all(steps: &[Step], tensor: Tensor, dtype: DType) -> Result<Tensor, Diagnostic> {
    if steps.is_empty() {
        return if tensor.dtype() == dtype { Ok(tensor) } else { tensor.convert(dtype) };
    }
    let shape = tensor.shape().to_vec();
    let count = tensor.len();
    let flat = tensor.reshape([count])?;
    let mut result = Tensor::zeros(dtype, [count])?;
    for start in (0..count).step_by(CHUNK) {
        let end = count.min(start + CHUNK);
        let values: Vec<f64> =
            flat.rows(start..end).to_f64_vec().into_iter().map(|value| apply(steps, value)).collect();
        let part = Tensor::from_vec([end - start], values)?.convert(dtype)?;
        let size = dtype.size();
        result.bytes_mut()[start * size..end * size].copy_from_slice(part.bytes());
    }
    result.reshape(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rounding_at_the_end() {
        let bytes = Tensor::from_vec([256], (0..=255u8).collect::<Vec<_>>()).unwrap();
        let scaled = apply_all(&[Step::Divide(255.0)], bytes, DType::F32).unwrap();
        let expected: Vec<f32> = (0..256).map(|byte| (f64::from(byte) / 255.0) as f32).collect();
        assert_eq!(scaled.as_f32().unwrap(), expected);
    }

    #[test]
    fn steps_go_from_the_inside_out_across_chunks() {
        let count = CHUNK + 3;
        let numbers = Tensor::from_vec([count, 1], (0..count as i64).collect::<Vec<_>>()).unwrap();
        let steps = [Step::Multiply(-1.0), Step::Add(1.0)];
        let result = apply_all(&steps, numbers, DType::I32).unwrap();
        assert_eq!(result.shape(), [count, 1]);
        assert_eq!(result.to_i64_vec()[count - 1], 1 - (count as i64 - 1));
    }

    #[test]
    fn a_fraction_is_no_integer() {
        let numbers = Tensor::from_vec([2], [2i64, 3]).unwrap();
        assert_eq!(apply_all(&[Step::Divide(2.0)], numbers, DType::I32).unwrap_err().code, "E0611");
    }
}
