//! What an arm is held to before its time counts.

use crate::{protocol::Loaded, statistics::median};
use std::collections::BTreeMap;
use tensor::{DType, Tensor, compare_all};

/// How much faster than the measured peak a result may seem: the peak is measured too.
const SLACK: f64 = 1.05;

/// Results beside the reference's.
#[derive(Clone, PartialEq, Debug)]
pub struct Agreement {
    pub correct: bool,
    pub max_error: f64,
    /// Of the largest element of the reference.
    pub max_relative: f64,
    /// Rows of the last axis whose largest element is the same one.
    pub argmax: Option<f64>,
    pub report: String,
}

/// Every array of the reference, in whatever dtype the arm gives it.
pub fn agreement(
    given: &BTreeMap<String, Tensor>,
    reference: &BTreeMap<String, Tensor>,
    tolerance: f64,
) -> Agreement {
    let wide = |arrays: &BTreeMap<String, Tensor>| -> BTreeMap<String, Tensor> {
        let known = arrays.iter().filter(|(name, _)| reference.contains_key(*name));
        known
            .map(|(name, tensor)| (name.clone(), tensor.cast(DType::F64).unwrap_or_else(|_| tensor.clone())))
            .collect()
    };
    let (given, reference) = (wide(given), wide(reference));
    let found = compare_all(&given, &reference, tolerance);
    Agreement {
        correct: found.agrees,
        max_error: found.max_difference,
        max_relative: found.max_difference / found.max_reference.max(f64::MIN_POSITIVE),
        argmax: argmax(&given, &reference),
        report: found.report,
    }
}

fn argmax(given: &BTreeMap<String, Tensor>, reference: &BTreeMap<String, Tensor>) -> Option<f64> {
    let (mut same, mut rows) = (0usize, 0usize);
    for (name, right) in reference.iter().filter(|(_, tensor)| tensor.rank() > 1) {
        let left = given.get(name).filter(|left| left.shape() == right.shape())?;
        let width = right.shape().last().copied().filter(|width| *width > 1)?;
        let (left, right) = (left.to_f64_vec(), right.to_f64_vec());
        for (left, right) in left.chunks(width).zip(right.chunks(width)) {
            rows += 1;
            same += usize::from(largest(left) == largest(right));
        }
    }
    (rows > 0).then(|| same as f64 / rows as f64)
}

fn largest(row: &[f64]) -> Option<usize> {
    row.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(index, _)| index)
}

/// What the framework says it runs with, where it is not what was asked for.
pub fn other_threads(asked: usize, loaded: &Loaded) -> Option<String> {
    let seen = loaded.threads_seen.filter(|seen| *seen != asked)?;
    Some(format!("it was asked for {asked} threads and runs with {seen}"))
}

/// How much more processor time than its threads can take an arm may seem to use: clocks differ.
const BUSY_SLACK: f64 = 1.15;

/// Samples shorter than this say nothing of processors: their clocks are too coarse.
const SHORT: f64 = 0.005;

/// Whether an arm kept more processors busy than it was given threads; `cpu` and `samples` are seconds a call.
pub fn other_processors(asked: usize, cpu: &[f64], samples: &[f64], calls: u64) -> Option<String> {
    let long = cpu.iter().zip(samples).filter(|(_, wall)| **wall * calls as f64 > SHORT);
    let busy: Vec<f64> = long.map(|(cpu, wall)| cpu / wall).collect();
    let busy = median(&busy);
    (busy > asked as f64 * BUSY_SLACK)
        .then(|| format!("it was asked for {asked} threads and kept {busy:.1} processors busy"))
}

pub fn other_dtype(asked: &str, loaded: &Loaded) -> Option<String> {
    let seen = loaded.dtype_seen.rsplit(['.', ':']).next().unwrap_or_default().to_ascii_lowercase();
    let names: &[&str] = match asked {
        "f32" => &["f32", "float32", "fp32", "float"],
        "f64" => &["f64", "float64", "fp64", "double"],
        "f16" => &["f16", "float16", "fp16", "half"],
        "bf16" => &["bf16", "bfloat16"],
        _ => &[],
    };
    (!names.contains(&seen.as_str())).then(|| format!("it was asked for {asked} and computes in {seen}"))
}

/// What the machine can do, measured: by threads.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Peaks {
    /// Operations a second.
    pub flops: BTreeMap<usize, f64>,
    /// Bytes a second, read and written together.
    pub bytes: BTreeMap<usize, f64>,
    /// Of all caches together: what fits there need not come from memory.
    pub cache_bytes: u64,
}

/// The work of one call.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Work {
    pub flops: Option<f64>,
    /// Of arguments and results, each once.
    pub bytes: Option<f64>,
}

/// Why no machine as fast as the measured peak can have done this work in this time.
pub fn impossible(peaks: &Peaks, threads: usize, work: Work, savings: f64, seconds: f64) -> Option<String> {
    if seconds <= 0.0 || !seconds.is_finite() {
        return Some(format!("a call takes {seconds} s"));
    }
    if let (Some(flops), Some(peak)) = (work.flops, peaks.flops.get(&threads)) {
        let reached = flops / savings.max(1.0) / seconds;
        if reached > peak * SLACK {
            return Some(format!(
                "{:.0} GFLOP/s, where this machine reached {:.0} with {threads} threads",
                reached / 1e9,
                peak / 1e9
            ));
        }
    }
    // Twice the caches: then at least half has to come from memory, call by call.
    let large = work.bytes.filter(|bytes| *bytes > 2.0 * peaks.cache_bytes as f64);
    if let (Some(bytes), Some(peak)) = (large, peaks.bytes.get(&threads)) {
        let reached = (bytes - peaks.cache_bytes as f64) / seconds;
        if reached > peak * SLACK {
            return Some(format!(
                "{:.1} GB/s from memory, where this machine reached {:.1} with {threads} threads",
                reached / 1e9,
                peak / 1e9
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(values: &[f32]) -> BTreeMap<String, Tensor> {
        BTreeMap::from([("y".to_string(), Tensor::from_vec([2, values.len() / 2], values).unwrap())])
    }

    #[test]
    fn results_are_held_to_the_reference() {
        let reference = array(&[1.0, 2.0, 3.0, 0.0]);
        let found = agreement(&array(&[1.0, 2.0, 3.0001, 0.0]), &reference, 1e-4);
        assert!(found.correct && found.argmax == Some(1.0) && found.max_relative > 1e-5, "{found:?}");
        let found = agreement(&array(&[2.0, 1.0, 3.0, 0.0]), &reference, 1e-4);
        assert!(!found.correct && found.argmax == Some(0.5), "{found:?}");
        let found = agreement(&array(&[f32::NAN, 2.0, 3.0, 0.0]), &reference, 1e-4);
        assert!(!found.correct, "{found:?}");
        let found = agreement(&BTreeMap::new(), &reference, 1e-4);
        assert!(!found.correct && found.report.contains("missing"), "{found:?}");
    }

    #[test]
    fn processor_time_tells_of_threads() {
        let found = other_processors(1, &[0.019, 0.02, 0.021], &[0.01; 3], 1);
        assert!(found.is_some_and(|why| why.contains("2.0 processors")));
        assert_eq!(other_processors(2, &[0.02; 3], &[0.01; 3], 1), None);
        assert_eq!(other_processors(1, &[0.0101; 3], &[0.01; 3], 1), None);
        // Ticks of a coarse clock.
        assert_eq!(other_processors(1, &[0.01; 3], &[0.001; 3], 1), None);
        assert_eq!(other_processors(1, &[], &[], 1), None);
    }

    #[test]
    fn what_beats_the_machine_is_impossible() {
        let peaks = Peaks {
            flops: BTreeMap::from([(1, 1e11)]),
            bytes: BTreeMap::from([(1, 1e10)]),
            cache_bytes: 1 << 20,
        };
        let work = Work { flops: Some(1e9), bytes: Some(1e6) };
        assert_eq!(impossible(&peaks, 1, work, 1.0, 0.0101), None);
        assert!(impossible(&peaks, 1, work, 1.0, 0.009).is_some_and(|why| why.contains("111 GFLOP/s")));
        assert_eq!(impossible(&peaks, 1, work, 2.25, 0.009), None);
        let work = Work { flops: None, bytes: Some(1e9) };
        assert!(impossible(&peaks, 1, work, 1.0, 0.05).is_some_and(|why| why.contains("GB/s")));
        assert!(impossible(&peaks, 1, Work::default(), 1.0, 0.0).is_some());
    }
}
