//! Whether a measurement differs from the history by more than its noise.

use crate::{Entry, Estimate};
use bench_suite::statistics;

/// Differences below this share are never claimed: the layout of code and memory alone moves a measurement so far.
pub const FLOOR: f64 = 0.03;
/// How many earlier measurements tell the noise.
const WINDOW: usize = 12;
/// Deviations of a normal distribution in one median absolute deviation.
const MAD_TO_SIGMA: f64 = 1.4826;
/// A median absolute deviation of n values is as good as a deviation of 0.37 n (Rousseeuw and Croux 1993), and times have
/// longer tails than a normal distribution: with this, the simulated sessions of the tests claim less than 1 in 20.
const SPARSE: f64 = 10.0;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Change {
    /// There is nothing to compare with.
    New,
    /// Within the noise, which is this share of the median.
    Same {
        noise: f64,
    },
    /// Ratios of the new median to the earlier one, and the noise that it exceeds.
    Faster {
        ratio: f64,
        noise: f64,
    },
    Slower {
        ratio: f64,
        noise: f64,
    },
}

/// `earlier` are the measurements of one bench on one machine, oldest first. The reference is the median of the latest ones;
/// the noise is three deviations of them or more (by the median absolute deviation, so that one earlier change does not hide
/// the next; of few values that is a poor estimate, so as Student's t it grows the fewer there are), and never below [`FLOOR`] or half of the width of either interval.
pub fn compare(earlier: &[Entry], now: &Estimate) -> Change {
    let latest = &earlier[earlier.len().saturating_sub(WINDOW)..];
    let Some(reference) = median(latest.iter().map(|entry| entry.median_s)) else { return Change::New };
    if reference <= 0.0 || !reference.is_finite() || now.median <= 0.0 {
        return Change::New;
    }
    let deviation =
        median(latest.iter().map(|entry| (entry.median_s / reference - 1.0).abs())).unwrap_or(0.0);
    let width = |low: f64, high: f64| (high - low).abs() / 2.0;
    let widths = latest.iter().map(|entry| width(entry.ci95_s[0], entry.ci95_s[1]));
    let before = median(widths).unwrap_or(0.0) / reference;
    let reach = 3.0 * (1.0 + SPARSE / latest.len() as f64);
    let noise =
        FLOOR.max(reach * MAD_TO_SIGMA * deviation).max(before).max(width(now.low, now.high) / now.median);
    let ratio = now.median / reference;
    // In logarithms, so that twice as fast and twice as slow are equally far.
    if ratio.ln().abs() <= noise.ln_1p() {
        Change::Same { noise }
    } else if ratio < 1.0 {
        Change::Faster { ratio, noise }
    } else {
        Change::Slower { ratio, noise }
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let finite: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    (!finite.is_empty()).then(|| statistics::median(&finite))
}
