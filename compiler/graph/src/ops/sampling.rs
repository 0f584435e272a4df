//! Data of the samples: deterministic, with few bits, so that every dtype holds them exactly.

use crate::{Array, DType, Op, Sample};

/// Sizes that have caught mistakes: empty, one, odd, prime, longer than a vector.
pub const SHAPES: &[&[usize]] = &[&[], &[0], &[1], &[3], &[17], &[2, 3], &[3, 0, 2], &[2, 1, 5], &[5, 67]];

/// Values in (-2, 2), none of them 0.
pub fn floats(shape: &[usize], seed: u64) -> Array {
    numbers(DType::F32, shape, seed, |bits| (bits % 1023) as f64 / 256.0 - 1.998_046_875)
}

/// Values no two of which are equal, in no order, around 0.
pub fn distinct(shape: &[usize], seed: u64) -> Array {
    let count = shape.iter().product::<usize>().max(1) as u64;
    let mut number = seed;
    Array::from_fn(DType::F32, shape, |_| {
        // A prime above all counts, so that the remainders are a permutation.
        number += 7919;
        (number % count) as f64 / 64.0 - count as f64 / 128.0
    })
}

/// Values in `[low, high)`, in steps that f32 holds.
pub fn between(shape: &[usize], seed: u64, low: f64, high: f64) -> Array {
    numbers(DType::F32, shape, seed, |bits| {
        f64::from((low + (high - low) * (bits % 1024) as f64 / 1024.0) as f32)
    })
}

/// Integers in `[0, bound)`.
pub fn integers(shape: &[usize], seed: u64, bound: u64) -> Array {
    numbers(DType::I32, shape, seed, |bits| (bits % bound.max(1)) as f64)
}

pub fn bools(shape: &[usize], seed: u64) -> Array {
    numbers(DType::BOOL, shape, seed, |bits| (bits % 2) as f64)
}

/// Values at which formulas go wrong.
pub fn specials() -> Array {
    let values = vec![
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -2.5,
        1e-30,
        f64::from(f32::MAX),
        f64::from(f32::MIN_POSITIVE),
    ];
    vector(DType::F32, values)
}

pub fn vector(dtype: DType, values: Vec<f64>) -> Array {
    Array { dtype, values: ndarray::ArrayD::from_shape_fn(vec![values.len()], |index| values[index[0]]) }
}

/// A sample that is differentiated.
pub fn smooth(op: impl Into<Op>, inputs: Vec<Array>, tolerance: f64) -> Sample {
    Sample { op: op.into(), inputs, differentiable: true, tolerance }
}

/// A sample of values only.
pub fn plain(op: impl Into<Op>, inputs: Vec<Array>, tolerance: f64) -> Sample {
    Sample { op: op.into(), inputs, differentiable: false, tolerance }
}

fn numbers(dtype: DType, shape: &[usize], seed: u64, mut number: impl FnMut(u64) -> f64) -> Array {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678);
    Array::from_fn(dtype, shape, |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        number(state >> 33)
    })
}
