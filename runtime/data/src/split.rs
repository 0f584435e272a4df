//! Which rows train, which validate, which test.

use crate::{Order, Rows};
use base::Diagnostic;
use std::sync::Arc;

/// Nine tenths train, one validates.
pub const DEFAULT_FRACTIONS: [f64; 2] = [0.9, 0.1];

/// Row numbers of the parts, in the order of the one permutation keyed by (seed, "split").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Split {
    pub train: Rows,
    pub validation: Rows,
    /// Empty where only two parts are asked for.
    pub test: Rows,
}

impl Split {
    /// Two fractions are train and validation, a third adds test. The first ⌊a·n⌋ rows of the permutation train; with
    /// three parts those up to ⌊(a + b)·n⌋ validate; the last part takes the rest.
    pub fn new(rows: usize, fractions: &[f64], seed: u64) -> Result<Split, Diagnostic> {
        let wrong = |what: String| Diagnostic::error("E0633", what);
        let shown = || format!("{fractions:?}");
        if !(2..=3).contains(&fractions.len()) {
            return Err(wrong(format!(
                "a split has two or three parts, not {}: {}",
                fractions.len(),
                shown()
            )));
        }
        if !fractions.iter().all(|fraction| (0.0..=1.0).contains(fraction)) {
            return Err(wrong(format!("the parts of a split lie between 0 and 1: {}", shown())));
        }
        let sum: f64 = fractions.iter().sum();
        if (sum - 1.0).abs() > 1e-6 {
            return Err(wrong(format!("the parts of a split add up to 1, not {sum}: {}", shown())));
        }
        let train = boundary(fractions[0], rows);
        let validation =
            if fractions.len() == 3 { boundary(fractions[0] + fractions[1], rows) } else { rows };
        if train == 0 {
            return Err(wrong(format!("of {rows} rows, the split {} leaves none to train on", shown())));
        }
        let order = Arc::new(Order::new(seed, "split", 0, rows));
        let part = |places| Rows::of(Arc::clone(&order), places);
        let validation = validation.max(train);
        Ok(Split { train: part(0..train), validation: part(train..validation), test: part(validation..rows) })
    }
}

/// ⌊fraction · rows⌋ as on paper: 0.29 of 100 is 29, though the nearest binary number lies below.
fn boundary(fraction: f64, rows: usize) -> usize {
    let exact = fraction * rows as f64;
    let slack = exact * 4.0 * f64::EPSILON;
    ((exact + slack).floor() as usize).min(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_and_complete() {
        for (rows, fractions, sizes) in [
            (1797, &[0.8, 0.2][..], [1437, 360, 0]),
            (100, &[0.8, 0.1, 0.1], [80, 10, 10]),
            (100, &[0.29, 0.71], [29, 71, 0]),
            (10, &[0.7, 0.2, 0.1], [7, 2, 1]),
            (5, &DEFAULT_FRACTIONS, [4, 1, 0]),
            (3, &[1.0, 0.0], [3, 0, 0]),
            (3, &[1.0, 0.0, 0.0], [3, 0, 0]),
        ] {
            let split = Split::new(rows, fractions, 7).unwrap();
            assert_eq!([split.train.len(), split.validation.len(), split.test.len()], sizes, "{fractions:?}");
            let mut all = [split.train, split.validation, split.test].map(|part| part.to_vec()).concat();
            all.sort_unstable();
            assert_eq!(all, (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        let split = |seed| Split::new(50, &DEFAULT_FRACTIONS, seed).unwrap();
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }

    #[test]
    fn refusals() {
        for (rows, fractions) in [
            (10, &[1.0][..]),
            (10, &[]),
            (10, &[0.25; 4]),
            (10, &[0.5, 0.4]),
            (10, &[1.5, -0.5]),
            (10, &[f64::NAN, 0.1]),
            (1, &[0.9, 0.1]),
            (0, &[0.9, 0.1]),
        ] {
            assert_eq!(Split::new(rows, fractions, 0).unwrap_err().code, "E0633");
        }
    }
}
