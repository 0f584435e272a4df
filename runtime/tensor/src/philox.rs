//! Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): random words as a pure
//! function of a key and a counter, so that every element can be drawn alone, on any target, in any order.

use crate::Fnv64;

/// The random numbers of one purpose. The key is FNV-1a-64 of the seed (8 bytes, lowest first), the purpose (its length
/// in 8 bytes, then its UTF-8) and the number (8 bytes); its lower half is the key's first word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stream {
    pub key: [u32; 2],
    /// The training step, third word of the counter.
    pub step: u32,
    /// The loop iteration, fourth word of the counter.
    pub iteration: u32,
}

impl Stream {
    pub fn new(seed: u64, purpose: &str, number: u64) -> Stream {
        let hash = Fnv64::new().number(seed).text(purpose).number(number).finish();
        Stream { key: [hash as u32, (hash >> 32) as u32], step: 0, iteration: 0 }
    }

    /// The four words of an element.
    pub fn words(&self, index: u64) -> [u32; 4] {
        philox4x32([index as u32, (index >> 32) as u32, self.step, self.iteration], self.key)
    }

    /// In [0, 1): the first word's upper 24 bits.
    pub fn uniform_f32(&self, index: u64) -> f32 {
        unit_f32(self.words(index)[0])
    }

    /// In [0, 1): 53 bits of the first two words.
    pub fn uniform_f64(&self, index: u64) -> f64 {
        let words = self.words(index);
        unit_f64(words[0], words[1])
    }

    /// Mean 0, variance 1 (Box–Muller on the element's own four words).
    pub fn normal_f64(&self, index: u64) -> f64 {
        let words = self.words(index);
        // 1 − u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - unit_f64(words[0], words[1])).ln()).sqrt();
        radius * (std::f64::consts::TAU * unit_f64(words[2], words[3])).cos()
    }
}

/// Ten rounds of Philox.
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut a, mut b, mut c, mut d], [mut first, mut second]) = (counter, key);
    for round in 0..10 {
        if round > 0 {
            first = first.wrapping_add(0x9e37_79b9);
            second = second.wrapping_add(0xbb67_ae85);
        }
        let left = u64::from(a) * 0xd251_1f53;
        let right = u64::from(c) * 0xcd9e_8d57;
        (a, b, c, d) =
            ((right >> 32) as u32 ^ b ^ first, right as u32, (left >> 32) as u32 ^ d ^ second, left as u32);
    }
    [a, b, c, d]
}

/// A word's upper 24 bits as a number in [0, 1).
pub fn unit_f32(word: u32) -> f32 {
    (word >> 8) as f32 / (1u32 << 24) as f32
}

/// `high` and the upper 21 bits of `low` as a number in [0, 1).
pub fn unit_f64(high: u32, low: u32) -> f64 {
    let bits = (u64::from(high) << 21) | u64::from(low >> 11);
    bits as f64 / (1u64 << 53) as f64
}

/// A random order of `0..n`: Fisher–Yates from the end, every draw unbiased, the same on every platform.
pub fn permutation(seed: u64, purpose: &str, number: u64, n: usize) -> Vec<usize> {
    let mut draws = Draws { stream: Stream::new(seed, purpose, number), next: 0 };
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, draws.below(last as u64 + 1) as usize);
    }
    order
}

struct Draws {
    stream: Stream,
    next: u64,
}

impl Draws {
    fn word(&mut self) -> u64 {
        let words = self.stream.words(self.next);
        self.next += 1;
        u64::from(words[0]) | u64::from(words[1]) << 32
    }

    /// Uniform in 0..bound (Lemire 2019): the upper half of a product, redrawn where the lower half falls into the
    /// part that would favour some results.
    fn below(&mut self, bound: u64) -> u64 {
        let unfair = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.word()) * u128::from(bound);
            if product as u64 >= unfair {
                return (product >> 64) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn units_stay_below_one() {
        assert_eq!(unit_f32(u32::MAX), 1.0 - f32::EPSILON / 2.0);
        assert_eq!(unit_f64(u32::MAX, u32::MAX), 1.0 - f64::EPSILON / 2.0);
        assert_eq!(unit_f32(0), 0.0);
        assert_eq!(unit_f64(0, 0x7ff), 0.0);
    }

    #[test]
    fn moments() {
        let stream = Stream::new(7, "moments", 0);
        let n = 20_000;
        let moments = |draw: &dyn Fn(u64) -> f64| {
            let mean = (0..n).map(draw).sum::<f64>() / n as f64;
            (mean, (0..n).map(|index| (draw(index) - mean).powi(2)).sum::<f64>() / n as f64)
        };
        let (mean, variance) = moments(&|index| stream.uniform_f64(index));
        assert!((mean - 0.5).abs() < 0.01 && (variance - 1.0 / 12.0).abs() < 0.003, "{mean} {variance}");
        let (mean, variance) = moments(&|index| stream.normal_f64(index));
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
    }

    #[test]
    fn streams_differ_by_each_part_of_the_key() {
        let base = Stream::new(1, "split", 0);
        for other in [Stream::new(2, "split", 0), Stream::new(1, "epoch", 0), Stream::new(1, "split", 1)] {
            assert_ne!(base.key, other.key);
            assert_ne!(base.words(0), other.words(0));
        }
        assert_ne!(base.words(5), Stream { step: 1, ..base }.words(5));
        assert_ne!(base.words(5), Stream { iteration: 1, ..base }.words(5));
        assert_ne!(base.words(0), base.words(1 << 32));
    }

    #[test]
    fn permutations_are_complete_and_fair() {
        for n in [0, 1, 2, 17, 1000] {
            let mut order = permutation(3, "split", 0, n);
            assert!(n < 17 || order != (0..n).collect::<Vec<_>>());
            order.sort_unstable();
            assert_eq!(order, (0..n).collect::<Vec<_>>());
        }
        let mut counts = std::collections::BTreeMap::new();
        for number in 0..6000 {
            *counts.entry(permutation(3, "epoch", number, 3)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
