//! Inputs, drawn from a seed and each array's name: the same on every machine.

use crate::{ArraySpec, Values, registry::Axis};
use base::Diagnostic;
use std::collections::BTreeMap;
use tensor::{DType, Tensor, philox::Stream};

/// Arrays of the registry at the sizes of a cell.
pub fn arrays<'a>(
    specs: impl IntoIterator<Item = (&'a String, &'a ArraySpec)>,
    dims: &BTreeMap<String, u64>,
    seed: u64,
) -> Result<BTreeMap<String, Tensor>, Diagnostic> {
    let drawn = specs.into_iter().map(|(name, spec)| Ok((name.clone(), array(name, spec, dims, seed)?)));
    drawn.collect()
}

fn array(
    name: &str,
    spec: &ArraySpec,
    dims: &BTreeMap<String, u64>,
    seed: u64,
) -> Result<Tensor, Diagnostic> {
    let axis = |axis: &Axis| {
        let size = match axis {
            Axis::Size(size) => Some(*size),
            Axis::Dim(dim) => dims.get(dim).copied(),
        };
        size.and_then(|size| usize::try_from(size).ok()).ok_or_else(|| {
            let Axis::Dim(dim) = axis else {
                return Diagnostic::error("E1011", format!("`{name}` is too large"));
            };
            Diagnostic::error("E1011", format!("`{name}` has the dimension `{dim}`, which has no size"))
                .help(format!("give it one in `sizes`, as in `sizes = {{ {dim} = 128 }}`"))
        })
    };
    let shape = spec.shape.iter().map(axis).collect::<Result<Vec<usize>, _>>()?;
    let unknown = || Diagnostic::error("E1011", format!("`{name}` has no dtype `{}`", spec.dtype));
    let dtype = DType::parse(&spec.dtype).ok_or_else(unknown)?;
    let count = tensor::element_count(&shape).unwrap_or(0) as u64;
    let stream = Stream::new(seed, &format!("bench/{name}"), 0);
    let value = |index: u64| match spec.values {
        Values::Uniform([low, high]) => low + (high - low) * stream.uniform_f64(index),
        Values::Normal([mean, deviation]) => mean + deviation * stream.normal_f64(index),
        Values::Below(count) => (stream.uniform_f64(index) * count as f64).floor(),
        Values::Value(value) => value,
    };
    Tensor::from_vec(shape, (0..count).map(value).collect::<Vec<f64>>())?.cast(dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_seed_and_name() {
        let spec = |values| ArraySpec {
            shape: vec![Axis::Dim("batch".into()), Axis::Size(1000)],
            dtype: "f32".into(),
            values,
        };
        let dims = BTreeMap::from([("batch".to_string(), 3u64)]);
        let drawn = |name: &str, seed, values| {
            let name = name.to_string();
            arrays([(&name, &spec(values))], &dims, seed).unwrap().remove(&name).unwrap()
        };
        let uniform = drawn("x", 1, Values::Uniform([-1.0, 3.0]));
        assert_eq!(uniform.shape(), [3, 1000]);
        let values = uniform.to_f64_vec();
        assert!(values.iter().all(|value| (-1.0..3.0).contains(value)));
        assert!((values.iter().sum::<f64>() / 3000.0 - 1.0).abs() < 0.1);
        assert_eq!(uniform, drawn("x", 1, Values::Uniform([-1.0, 3.0])));
        assert_ne!(uniform, drawn("x", 2, Values::Uniform([-1.0, 3.0])));
        assert_ne!(uniform, drawn("y", 1, Values::Uniform([-1.0, 3.0])));
        let below = drawn("x", 1, Values::Below(10)).to_f64_vec();
        assert!(below.iter().all(|value| (0.0..10.0).contains(value) && value.fract() == 0.0));
    }

    #[test]
    fn a_dimension_without_a_size_is_named() {
        let spec = ArraySpec {
            shape: vec![Axis::Dim("seq".into())],
            dtype: "f32".into(),
            values: Values::Value(0.0),
        };
        let fault = arrays([(&"x".to_string(), &spec)], &BTreeMap::new(), 0).unwrap_err();
        assert!(fault.message.contains("`seq`"), "{}", fault.message);
    }
}
