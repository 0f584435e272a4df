//! The area under the ROC curve, exactly, from all scores of a split.

/// The probability that a positive's score is above a negative's, ties counting half: by ranks, in O(n log n).
/// NaN where one of the classes is missing or a score is NaN.
pub fn roc_auc(scores: &[f64], positive: &[bool]) -> f64 {
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(positive.iter().copied()).collect();
    if order.iter().any(|(score, _)| score.is_nan()) {
        return f64::NAN;
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Twice the number of pairs (positive, negative) in the right order, plus the tied ones once: all exact integers.
    let (mut wins, mut negatives_below) = (0u128, 0u128);
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let positives = tied.iter().filter(|(_, positive)| *positive).count() as u128;
        let negatives = tied.len() as u128 - positives;
        wins += positives * (2 * negatives_below + negatives);
        negatives_below += negatives;
    }
    let pairs = (order.len() as u128 - negatives_below) * negatives_below;
    if pairs == 0 { f64::NAN } else { wins as f64 / (2 * pairs) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brute_force(scores: &[f64], positive: &[bool]) -> f64 {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (a, _) in scores.iter().zip(positive).filter(|(_, positive)| **positive) {
            for (b, _) in scores.iter().zip(positive).filter(|(_, positive)| !**positive) {
                pairs += 1.0;
                sum += if a > b { 1.0 } else { f64::from(u8::from(a == b)) / 2.0 };
            }
        }
        sum / pairs
    }

    #[test]
    fn equals_counting_all_pairs() {
        let stream = tensor::philox::Stream::new(3, "auc", 0);
        for round in 0..200u64 {
            let count = 2 + round % 40;
            let at = |index: u64| stream.uniform_f64(round * 1000 + index);
            // Coarse scores, so that many are tied; −0 and 0 tie as well.
            let scores: Vec<f64> = (0..count)
                .map(|index| (at(index) * 6.0).floor() * -0.0 + (at(index) * 6.0).floor())
                .collect();
            let mut positive: Vec<bool> = (0..count).map(|index| at(500 + index) < 0.4).collect();
            (positive[0], positive[1]) = (true, false);
            assert_eq!(roc_auc(&scores, &positive), brute_force(&scores, &positive), "round {round}");
        }
    }

    #[test]
    fn corners() {
        assert_eq!(roc_auc(&[0.1, 0.9], &[false, true]), 1.0);
        assert_eq!(roc_auc(&[0.1, 0.9], &[true, false]), 0.0);
        assert_eq!(roc_auc(&[0.0, -0.0], &[true, false]), 0.5);
        assert_eq!(roc_auc(&[f64::NEG_INFINITY, f64::INFINITY], &[false, true]), 1.0);
        assert!(roc_auc(&[0.1, 0.9], &[true, true]).is_nan());
        assert!(roc_auc(&[], &[]).is_nan());
        assert!(roc_auc(&[0.1, f64::NAN], &[false, true]).is_nan());
    }
}
