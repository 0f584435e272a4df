//! Medians, quantiles, and intervals by drawing anew from what was measured. The same values give the same intervals.

/// How often samples are drawn anew for an interval.
const DRAWS: usize = 1000;

/// Linear between the two nearest, as most programs have it. `sorted` is ascending.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(low + (high - low) * at.fract())
}

pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

pub fn median(values: &[f64]) -> Option<f64> {
    quantile(&sorted(values), 0.5)
}

/// Of positive numbers.
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64).exp())
}

/// A value and where it lies in 95 of 100 cases.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// The times of the two sides of one ratio: medians of processes where they are known, else the one median.
#[derive(Clone, PartialEq, Debug)]
pub struct Pair {
    pub ours: Vec<f64>,
    pub theirs: Vec<f64>,
    /// The ratio of the medians: theirs / ours.
    pub ratio: f64,
}

/// The geometric mean of ratios: of each group (a model) over its rows, then over the groups, so that a model measured
/// at many batch sizes counts once. The interval draws groups anew, and within them the processes of both sides.
pub fn geometric_mean_of(groups: &[Vec<Pair>]) -> Option<Estimate> {
    let of_groups = |ratio: &mut dyn FnMut(&Pair) -> f64, chosen: &[&Vec<Pair>]| {
        let means: Vec<f64> = chosen
            .iter()
            .filter_map(|group| geometric_mean(&group.iter().map(&mut *ratio).collect::<Vec<_>>()))
            .collect();
        geometric_mean(&means)
    };
    let value = of_groups(&mut |pair| pair.ratio, &groups.iter().collect::<Vec<_>>())?;
    let mut draw = Draw(0x5eed);
    let mut means = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        let chosen: Vec<&Vec<Pair>> = groups.iter().map(|_| &groups[draw.below(groups.len())]).collect();
        let mut ratio = |pair: &Pair| match (draw.median(&pair.theirs), draw.median(&pair.ours)) {
            (Some(theirs), Some(ours)) => theirs / ours,
            _ => pair.ratio,
        };
        means.extend(of_groups(&mut ratio, &chosen));
    }
    let means = sorted(&means);
    let (low, high) = (quantile(&means, 0.025)?, quantile(&means, 0.975)?);
    Some(Estimate { value, low: low.min(value), high: high.max(value) })
}

/// SplitMix64 (Steele, Lea and Flood 2014): enough to choose samples by.
struct Draw(u64);

impl Draw {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % count.max(1) as u64) as usize
    }

    /// The median of as many values drawn anew; of fewer than two there is nothing to draw.
    fn median(&mut self, values: &[f64]) -> Option<f64> {
        (values.len() > 1)
            .then(|| median(&values.iter().map(|_| values[self.below(values.len())]).collect::<Vec<_>>()))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(ours: &[f64], theirs: &[f64]) -> Pair {
        let ratio = median(theirs).unwrap() / median(ours).unwrap();
        Pair { ours: ours.to_vec(), theirs: theirs.to_vec(), ratio }
    }

    #[test]
    fn quantiles_and_means() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
        assert_eq!((quantile(&[], 0.5), geometric_mean(&[])), (None, None));
        assert!((geometric_mean(&[0.5, 2.0]).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_model_counts_once_and_the_interval_holds_the_truth() {
        let twice = vec![pair(&[1.0], &[2.0]); 9];
        let half = vec![pair(&[2.0], &[1.0])];
        let mean = geometric_mean_of(&[twice, half]).unwrap();
        assert!((mean.value - 1.0).abs() < 1e-12);
        assert!(mean.low <= 0.5 + 1e-12 && mean.high >= 2.0 - 1e-12, "{mean:?}");
        // One model: what varies is its processes.
        let one = geometric_mean_of(&[vec![pair(&[1.0, 1.1, 0.9], &[2.0, 2.1, 1.9])]]).unwrap();
        assert!(one.low < 2.0 && one.high > 2.0 && one.high < 2.4, "{one:?}");
        assert_eq!(geometric_mean_of(&[]), None);
    }

    #[test]
    fn intervals_cover_as_often_as_they_say() {
        // Logarithms of true ratios vary around ln 1.2 with a deviation of 0.3; 12 models each time.
        let mut draw = Draw(7);
        let mut normal = || (0..12).map(|_| draw.below(1 << 20) as f64 / (1 << 20) as f64).sum::<f64>() - 6.0;
        let covered = (0..200).filter(|_| {
            let groups: Vec<Vec<Pair>> =
                (0..12).map(|_| vec![pair(&[1.0], &[(1.2f64.ln() + 0.3 * normal()).exp()])]).collect();
            let mean = geometric_mean_of(&groups).unwrap();
            mean.low <= 1.2 && 1.2 <= mean.high
        });
        let covered = covered.count();
        assert!((170..=198).contains(&covered), "{covered} of 200");
    }
}
