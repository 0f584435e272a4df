//! Random numbers: fixed for ever, spread as they should be, different where they should differ.

use graph::{
    Array, DType, Module, Op, Type,
    ops::{Distribution, Random},
};
use shape::{Dim, Facts};

fn draw(distribution: Distribution, dtype: DType, count: i64, keys: [f64; 3], draw: u32) -> Vec<f64> {
    let op = Op::from(Random { distribution, dtype, shape: [Dim::from(count)].into_iter().collect(), draw });
    let inputs = keys.map(|key| Array::scalar(DType::I64, key));
    let scalar = Type::scalar(DType::I64);
    let types = op.infer_in(&Module::default(), &Facts::default(), &[&scalar; 3]).expect("three keys");
    let value = op.eval(&inputs.each_ref(), &types[0], &|_| Ok(0)).expect("a value");
    value.values.into_iter().collect()
}

/// Checkpoints and results depend on these bits.
#[test]
fn numbers_stay() {
    let words = draw(Distribution::Uniform, DType::F32, 3, [7.0, 1234.0, 5.0], 2);
    let words: Vec<f64> = words.iter().map(|x| x * f64::from(1 << 24)).collect();
    assert_eq!(words, EXPECTED);
}

/// Computed by another program from the definition.
const EXPECTED: [f64; 3] = [9_373_443.0, 9_163_041.0, 8_873_483.0];

#[test]
fn uniform_fills_the_interval() {
    for (dtype, bits) in [(DType::F32, 24), (DType::F64, 53), (DType::Of(kernel::DType::BF16), 8)] {
        let values = draw(Distribution::Uniform, dtype, 20_000, [1.0, 2.0, 3.0], 0);
        let steps = f64::powi(2.0, bits);
        assert!(values.iter().all(|x| (0.0..1.0).contains(x) && (x * steps).fract() == 0.0));
        let (mean, variance) = moments(&values);
        // The mean of the lower ends of the steps is half a step below ½. Five standard errors.
        assert!(
            (mean - 0.5 + 0.5 / steps).abs() < 5.0 * (1.0 / 12.0 / 20_000f64).sqrt(),
            "{dtype}: mean {mean}"
        );
        assert!((variance - 1.0 / 12.0).abs() < 0.003, "{dtype}: variance {variance}");
    }
}

#[test]
fn normal_has_the_moments() {
    let values = draw(Distribution::Normal, DType::F32, 20_000, [1.0, 2.0, 3.0], 0);
    let (mean, variance) = moments(&values);
    assert!(mean.abs() < 5.0 / 20_000f64.sqrt(), "mean {mean}");
    assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
    let within = values.iter().filter(|x| x.abs() < 1.0).count() as f64 / 20_000.0;
    assert!((within - 0.6827).abs() < 0.02, "{within} within one standard deviation");
}

#[test]
fn every_key_matters() {
    let base = ([7.0, 8.0, 9.0], 1);
    let others = [
        ([6.0, 8.0, 9.0], 1),
        ([7.0, 7.0, 9.0], 1),
        ([7.0, 8.0, 8.0], 1),
        ([7.0, 8.0, 9.0], 2),
        ([8.0, 7.0, 9.0], 1),
    ];
    let of = |(keys, number)| draw(Distribution::Uniform, DType::F32, 8, keys, number);
    for other in others {
        let equal = of(base).iter().zip(of(other)).filter(|(x, y)| **x == *y).count();
        assert_eq!(equal, 0, "{other:?}");
    }
    assert_eq!(of(base), of(base));
}

fn moments(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64)
}
