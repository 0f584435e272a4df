//! Random fields, for examples that bring no data and for problems whose samples are drawn.

use crate::Dataset;
use base::Diagnostic;
use indexmap::IndexMap;
use tensor::{DType, Limits, Tensor, element_count, philox::Stream};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Distribution {
    /// Mean and standard deviation.
    Normal(f64, f64),
    /// From the first number, up to but not including the second.
    Uniform(f64, f64),
}

#[derive(Clone, PartialEq, Debug)]
pub struct SyntheticField {
    pub name: String,
    pub dtype: DType,
    pub row_shape: Vec<usize>,
    pub distribution: Distribution,
}

/// `rows` rows, element by element keyed by (seed, "synthetic " and the field's name). Integer fields take the floor.
pub fn synthetic(
    rows: usize,
    fields: &[SyntheticField],
    seed: u64,
    limits: &Limits,
) -> Result<Dataset, Diagnostic> {
    let mut made = IndexMap::new();
    let mut total = 0u64;
    for field in fields {
        let wrong =
            |what: &str| Diagnostic::error("E0634", format!("synthetic field `{}`: {what}", field.name));
        match field.distribution {
            Distribution::Normal(mean, deviation)
                if !mean.is_finite() || !deviation.is_finite() || deviation < 0.0 =>
            {
                return Err(wrong("normal takes a mean and a standard deviation that is not negative"));
            }
            Distribution::Uniform(low, high) if !(high - low).is_finite() || low > high => {
                return Err(wrong("uniform takes a lower and an upper bound, in this order"));
            }
            _ => {}
        }
        let shape: Vec<usize> = std::iter::once(rows).chain(field.row_shape.iter().copied()).collect();
        let bytes =
            element_count(&shape).and_then(|count| (count as u64).checked_mul(field.dtype.size() as u64));
        total = bytes.and_then(|bytes| total.checked_add(bytes)).unwrap_or(u64::MAX);
        if total > limits.expanded_bytes {
            return Err(wrong(&format!(
                "its {rows} rows go beyond the limit of {} bytes",
                limits.expanded_bytes
            )));
        }
        let count = element_count(&shape).unwrap_or(0);
        let stream = Stream::new(seed, &format!("synthetic {}", field.name), 0);
        let values: Vec<f64> = (0..count as u64)
            .map(|index| match field.distribution {
                Distribution::Normal(mean, deviation) => mean + deviation * stream.normal_f64(index),
                Distribution::Uniform(low, high) => within(low, high, stream.uniform_f64(index), field.dtype),
            })
            .map(|value| if field.dtype.is_float() { value } else { value.floor() })
            .collect();
        let tensor =
            Tensor::from_vec(shape, &values)?.convert(field.dtype).map_err(|error| wrong(&error.message))?;
        if made.insert(field.name.clone(), tensor).is_some() {
            return Err(wrong("the name is used twice"));
        }
    }
    Dataset::new("the synthetic source", made)
}

/// A place in [low, high) that stays below `high` also after rounding to the field's dtype, as far as it has such a number.
fn within(low: f64, high: f64, unit: f64, dtype: DType) -> f64 {
    let value = low + (high - low) * unit;
    let rounded = match dtype {
        DType::F32 => f64::from(value as f32),
        DType::F16 => f64::from(tensor::f16_to_f32(tensor::f64_to_f16(value))),
        DType::BF16 => f64::from(tensor::bf16_to_f32(tensor::f64_to_bf16(value))),
        _ => value,
    };
    if rounded < high { value } else { low }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, dtype: DType, row_shape: &[usize], distribution: Distribution) -> SyntheticField {
        SyntheticField { name: name.into(), dtype, row_shape: row_shape.into(), distribution }
    }

    #[test]
    fn values_follow_the_seed_and_the_name() {
        let make = |rows, seed, name: &str| {
            let fields = [field(name, DType::F32, &[2], Distribution::Normal(3.0, 0.5))];
            synthetic(rows, &fields, seed, &Limits::default()).unwrap().fields[0].clone()
        };
        let x = make(100, 1, "x");
        assert_eq!(x.shape(), [100, 2]);
        assert_eq!(x, make(100, 1, "x"));
        assert_eq!(x.rows(0..50), make(50, 1, "x"));
        assert_ne!(x, make(100, 2, "x"));
        assert_ne!(x, make(100, 1, "y"));
        let mean = x.to_f64_vec().iter().sum::<f64>() / 200.0;
        assert!((mean - 3.0).abs() < 0.15, "{mean}");
    }

    #[test]
    fn uniform_stays_within_its_bounds() {
        let fields = [
            field("t", DType::BF16, &[], Distribution::Uniform(0.0, 1.0)),
            field("label", DType::I32, &[], Distribution::Uniform(-1.0, 3.0)),
        ];
        let made = synthetic(5000, &fields, 7, &Limits::default()).unwrap();
        assert!(made.fields["t"].to_f64_vec().iter().all(|value| (0.0..1.0).contains(value)));
        let labels = made.fields["label"].as_i32().unwrap();
        for label in -1..3 {
            assert!(labels.contains(&label));
        }
        assert!(labels.iter().all(|label| (-1..3).contains(label)));
    }

    #[test]
    fn refusals() {
        let one = |dtype, distribution| [field("x", dtype, &[], distribution)];
        let codes = [
            synthetic(4, &one(DType::F32, Distribution::Normal(0.0, -1.0)), 0, &Limits::default())
                .unwrap_err(),
            synthetic(4, &one(DType::F32, Distribution::Uniform(1.0, 0.0)), 0, &Limits::default())
                .unwrap_err(),
            synthetic(4, &one(DType::F32, Distribution::Uniform(0.0, f64::NAN)), 0, &Limits::default())
                .unwrap_err(),
            synthetic(4, &one(DType::U8, Distribution::Uniform(500.0, 501.0)), 0, &Limits::default())
                .unwrap_err(),
            synthetic(1 << 40, &one(DType::F32, Distribution::Uniform(0.0, 1.0)), 0, &Limits::default())
                .unwrap_err(),
            synthetic(
                usize::MAX,
                &[field("x", DType::F32, &[9], Distribution::Uniform(0.0, 1.0))],
                0,
                &Limits::default(),
            )
            .unwrap_err(),
        ];
        assert!(codes.iter().all(|error| error.code == "E0634"), "{codes:?}");
        let none = synthetic(0, &one(DType::F32, Distribution::Uniform(0.0, 1.0)), 0, &Limits::default())
            .unwrap_err();
        assert_eq!(none.code, "E0620");
    }
}
