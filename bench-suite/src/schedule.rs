//! Who runs when: arms take turns, in an order that each round draws anew.

use tensor::philox;

/// Numbers of the arms in the order of a round.
pub fn order(seed: u64, round: u64, arms: usize) -> Vec<usize> {
    philox::permutation(seed, "bench order", round, arms)
}

/// The length of a variable that pads the environment: where the stack begins moves with it, and with it what shares a
/// line of the cache, which may decide between two arms that are equal.
pub fn padding(seed: u64, round: u64, arm: u64) -> usize {
    (philox::Stream::new(seed, "bench padding", round).uniform_f64(arm) * 4096.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_arm_runs_once_a_round_in_changing_order() {
        let mut orders = BTreeSet::new();
        for round in 0..20 {
            let order = order(7, round, 4);
            assert_eq!(order.iter().copied().collect::<BTreeSet<_>>().len(), 4);
            orders.insert(order);
        }
        assert!(orders.len() > 8, "{orders:?}");
        assert_ne!(padding(7, 0, 0), padding(7, 0, 1));
        assert!((0..100).all(|round| padding(7, round, 3) < 4096));
    }
}
