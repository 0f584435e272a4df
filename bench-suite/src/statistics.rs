//! What can be said from samples: medians with intervals, where a warm-up ends, whether two arms differ.
//!
//! A process is one draw: what differs between two processes of one program (where memory lies, what the machine does
//! beside) is more than what differs within one. So samples are resampled in two levels, and two arms are compared round
//! by round, since what disturbs a round disturbs its neighbours too.

use tensor::philox::Stream;

/// Resamples of a bootstrap.
const RESAMPLES: u64 = 1000;

/// Samples below which a percentile is not told: p99 of fewer than a thousand says little but the luck of a few.
pub const P99_SAMPLES: usize = 1000;

/// Linear between the neighbours; NaN where there are no values.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = part.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The `part` percentile, where so many samples can tell it.
pub fn percentile(values: &[f64], part: f64) -> Option<f64> {
    let needed = if part >= 0.99 { P99_SAMPLES } else { 20 };
    (values.len() >= needed).then(|| quantile(values, part))
}

/// The median over processes of each one's median.
pub fn median_of_medians(processes: &[Vec<f64>]) -> f64 {
    median(&processes.iter().map(|samples| median(samples)).collect::<Vec<_>>())
}

/// A 95 % bootstrap interval of [`median_of_medians`]: processes are drawn again, then samples within each.
pub fn interval(processes: &[Vec<f64>], seed: u64) -> [f64; 2] {
    if processes.iter().all(Vec::is_empty) {
        return [f64::NAN; 2];
    }
    let stream = Stream::new(seed, "bootstrap", 0);
    let mut drawn = 0u64;
    let mut index = |count: usize| {
        drawn += 1;
        ((stream.uniform_f64(drawn) * count as f64) as usize).min(count - 1)
    };
    let mut medians = Vec::new();
    for _ in 0..RESAMPLES {
        let mut of_processes = Vec::new();
        for _ in processes {
            let samples = &processes[index(processes.len())];
            if !samples.is_empty() {
                let again: Vec<f64> = samples.iter().map(|_| samples[index(samples.len())]).collect();
                of_processes.push(median(&again));
            }
        }
        medians.push(median(&of_processes));
    }
    [quantile(&medians, 0.025), quantile(&medians, 0.975)]
}

/// The first call after which a curve stays near where it ends; `None` where it has not arrived yet.
pub fn steady_from(samples: &[f64]) -> Option<usize> {
    const WINDOW: usize = 5;
    if samples.len() < 2 * WINDOW {
        return None;
    }
    let tail = &samples[samples.len() - (samples.len() / 4).max(WINDOW)..];
    let level = median(tail);
    let spread = median(&tail.iter().map(|value| (value - level).abs()).collect::<Vec<_>>());
    let limit = level + (4.0 * spread).max(0.05 * level);
    let calm = |start: usize| median(&samples[start..start + WINDOW]) <= limit;
    let first = (0..=samples.len() - WINDOW).find(|start| calm(*start))?;
    (first <= samples.len() / 2).then_some(first)
}

/// How many times longer `b` takes than `a`, by rounds in which both ran.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ratio {
    pub middle: f64,
    pub low: f64,
    pub high: f64,
}

/// Of process medians, round by round: the median ratio with the interval of Student's t of its logarithm.
pub fn ratio(a: &[f64], b: &[f64]) -> Option<Ratio> {
    let logs: Vec<f64> = a.iter().zip(b).map(|(a, b)| (b / a).ln()).filter(|log| log.is_finite()).collect();
    if logs.is_empty() {
        return None;
    }
    let middle = median(&logs);
    let half = half_width(&logs);
    Some(Ratio { middle: middle.exp(), low: (middle - half).exp(), high: (middle + half).exp() })
}

/// The noise floor of a page: how far apart two identical arms may come out, as a share. Differences inside it are none.
pub fn floor(a: &[f64], again: &[f64]) -> Option<f64> {
    let logs: Vec<f64> =
        a.iter().zip(again).map(|(a, b)| (b / a).ln()).filter(|log| log.is_finite()).collect();
    (logs.len() > 1).then(|| half_width(&logs).max(median(&logs).abs()).exp_m1())
}

/// Whether a ratio says that two arms differ: it lies outside of the floor, and its interval is on one side of 1.
pub fn differ(found: Ratio, floor: f64) -> bool {
    found.middle.ln().abs() > floor.ln_1p() && (found.low > 1.0 || found.high < 1.0)
}

/// Half the 95 % interval of a median of normal values, whose standard error is 1.2533 times that of the mean.
fn half_width(values: &[f64]) -> f64 {
    let count = values.len();
    if count < 2 {
        return f64::INFINITY;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1) as f64;
    // The median of two is their mean.
    let factor = if count == 2 { 1.0 } else { 1.2533 };
    student(count - 1) * factor * (variance / count as f64).sqrt()
}

/// The 97.5 % quantile of Student's t.
fn student(freedom: usize) -> f64 {
    const TABLE: [f64; 20] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
        2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    ];
    match freedom {
        0 => f64::INFINITY,
        1..=20 => TABLE[freedom - 1],
        _ => 1.96 + 2.5 / freedom as f64,
    }
}

/// At most so many values, evenly from all.
pub fn thinned(values: &[f64], most: usize) -> Vec<f64> {
    if values.len() <= most {
        return values.to_vec();
    }
    (0..most).map(|index| values[index * values.len() / most]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(&[0.0, 1.0, 2.0, 3.0], 0.5), 1.5);
        assert!(median(&[]).is_nan());
        assert_eq!(percentile(&[1.0; 999], 0.99), None);
        assert_eq!(percentile(&[1.0; 1000], 0.99), Some(1.0));
        assert_eq!(percentile(&[1.0; 19], 0.9), None);
    }

    #[test]
    fn the_interval_holds_the_true_median() {
        let mut inside = 0;
        for run in 0..200 {
            let processes = simulated(run, 7, 20, 1.0, 0.02, 0.01);
            let [low, high] = interval(&processes, run);
            assert!(low <= median_of_medians(&processes) && median_of_medians(&processes) <= high);
            inside += usize::from(low <= 1.0 && 1.0 <= high);
        }
        assert!((180..=200).contains(&inside), "{inside} of 200");
    }

    #[test]
    fn warm_up_ends_where_the_curve_is_calm() {
        let mut curve: Vec<f64> = (0..20).map(|i| 1.0 + 5.0 / f64::from(1 + i)).collect();
        curve.extend((0..60).map(|i| 1.0 + 0.001 * f64::from(i % 3)));
        let from = steady_from(&curve).unwrap();
        assert!((8..=20).contains(&from), "{from}");
        assert_eq!(steady_from(&[1.0; 40]), Some(0));
        let falling: Vec<f64> = (0..40).map(|i| f64::from(400 - 10 * i)).collect();
        assert_eq!(steady_from(&falling), None);
        assert_eq!(steady_from(&[1.0; 4]), None);
    }

    /// Processes with samples around a time, with noise between and within processes, and samples that were disturbed.
    fn simulated(
        seed: u64,
        processes: usize,
        samples: usize,
        time: f64,
        between: f64,
        within: f64,
    ) -> Vec<Vec<f64>> {
        let stream = Stream::new(seed, "simulated", 0);
        let process = |p: usize| {
            let level = time * (between * stream.normal_f64(p as u64)).exp();
            let sample = |s: usize| {
                let at = 1000 + (p * samples + s) as u64;
                let disturbed = if stream.uniform_f64(at + 1_000_000) < 0.05 { 1.5 } else { 1.0 };
                level * disturbed * (within * stream.normal_f64(at)).exp()
            };
            (0..samples).map(sample).collect()
        };
        (0..processes).map(process).collect()
    }

    fn medians(processes: &[Vec<f64>]) -> Vec<f64> {
        processes.iter().map(|samples| median(samples)).collect()
    }

    /// In how many of 200 experiments a difference is claimed, where the second arm takes `slower` times as long.
    fn claims(rounds: usize, slower: f64, between: f64, within: f64) -> usize {
        (0..200u64)
            .filter(|run| {
                let arm =
                    |number, time| medians(&simulated(run * 4 + number, rounds, 20, time, between, within));
                let (first, again, other) = (arm(0, 1.0), arm(1, 1.0), arm(2, slower));
                differ(ratio(&first, &other).unwrap(), floor(&first, &again).unwrap())
            })
            .count()
    }

    #[test]
    fn no_difference_is_claimed_where_there_is_none() {
        for (rounds, between) in [(3, 0.02), (5, 0.02), (7, 0.02), (5, 0.1), (12, 0.05)] {
            let found = claims(rounds, 1.0, between, 0.02);
            assert!(found <= 10, "{found} of 200 with {rounds} rounds and noise {between}");
        }
    }

    #[test]
    fn ten_percent_are_found() {
        for (rounds, between) in [(5, 0.01), (7, 0.02), (9, 0.025)] {
            let found = claims(rounds, 1.1, between, 0.02);
            assert!(found >= 190, "{found} of 200 with {rounds} rounds and noise {between}");
        }
    }
}
