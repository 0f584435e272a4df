//! Rows in batches, shuffled anew each epoch.

use crate::Dataset;
use indexmap::IndexMap;
use std::num::NonZeroUsize;
use tensor::{Tensor, philox::permutation};

/// Some rows of every field, gathered in the batch's order.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    pub fields: IndexMap<String, Tensor>,
    /// Row numbers in the data set.
    pub rows: Vec<usize>,
}

/// The batches of one pass over some rows. The last one is short where the rows do not divide evenly.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    dataset: &'a Dataset,
    order: Vec<usize>,
    size: usize,
    next: usize,
}

impl<'a> Batches<'a> {
    /// In the given order, as for evaluation.
    ///
    /// # Panics
    /// Later, in `next`, where a row is not in the data set. Rows of a [`crate::Split`] of the same data set are.
    pub fn in_order(dataset: &'a Dataset, rows: &[usize], size: NonZeroUsize) -> Batches<'a> {
        Batches { dataset, order: rows.to_vec(), size: size.get(), next: 0 }
    }

    /// In the order of an epoch (the first is 0), as for training.
    pub fn of_epoch(
        dataset: &'a Dataset,
        rows: &[usize],
        size: NonZeroUsize,
        seed: u64,
        epoch: u64,
    ) -> Batches<'a> {
        Batches { dataset, order: epoch_order(rows, seed, epoch), size: size.get(), next: 0 }
    }

    /// Goes on after `batches` batches, as when training resumes within an epoch.
    #[must_use]
    pub fn starting_at(mut self, batches: usize) -> Batches<'a> {
        self.next = batches;
        self
    }

    /// How many batches the whole pass has.
    pub fn total(&self) -> usize {
        self.order.len().div_ceil(self.size)
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let start = self.next.checked_mul(self.size).filter(|start| *start < self.order.len())?;
        let rows = &self.order[start..self.order.len().min(start.saturating_add(self.size))];
        self.next += 1;
        let fields =
            self.dataset.fields.iter().map(|(name, tensor)| (name.clone(), tensor.gather_rows(rows)));
        Some(Batch { fields: fields.collect(), rows: rows.to_vec() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.total().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches<'_> {}

/// The rows in the order of an epoch, keyed by (seed, "epoch", number).
pub fn epoch_order(rows: &[usize], seed: u64, epoch: u64) -> Vec<usize> {
    permutation(seed, "epoch", epoch, rows.len()).into_iter().map(|place| rows[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset() -> Dataset {
        let x = Tensor::from_vec([10, 2], (0..20).map(|number| number as f32).collect::<Vec<_>>()).unwrap();
        let y = Tensor::from_vec([10], (0..10i32).collect::<Vec<_>>()).unwrap();
        Dataset::new("test", IndexMap::from([("x".to_string(), x), ("y".to_string(), y)])).unwrap()
    }

    fn size(size: usize) -> NonZeroUsize {
        NonZeroUsize::new(size).unwrap()
    }

    #[test]
    fn the_last_batch_is_short_and_kept() {
        let dataset = dataset();
        let rows = [9, 1, 2, 3, 4, 5, 6];
        let batches: Vec<Batch> = Batches::in_order(&dataset, &rows, size(3)).collect();
        assert_eq!(batches.iter().map(|batch| batch.rows.len()).collect::<Vec<_>>(), [3, 3, 1]);
        assert_eq!(batches[0].fields["y"].as_i32().unwrap(), [9, 1, 2]);
        assert_eq!(batches[0].fields["x"].as_f32().unwrap(), [18.0, 19.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(batches[2].fields["x"].shape(), [1, 2]);
        assert_eq!(Batches::in_order(&dataset, &rows, size(usize::MAX)).count(), 1);
        assert_eq!(Batches::in_order(&dataset, &[], size(3)).count(), 0);
    }

    #[test]
    fn each_epoch_sees_every_row_in_its_own_order() {
        let dataset = dataset();
        let rows: Vec<usize> = (0..10).collect();
        let order = |seed, epoch| -> Vec<usize> {
            Batches::of_epoch(&dataset, &rows, size(4), seed, epoch).flat_map(|batch| batch.rows).collect()
        };
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
        let mut sorted = order(1, 3);
        sorted.sort_unstable();
        assert_eq!(sorted, rows);
    }

    #[test]
    fn resuming_gives_the_rest() {
        let dataset = dataset();
        let rows: Vec<usize> = (0..10).collect();
        let whole: Vec<Batch> = Batches::of_epoch(&dataset, &rows, size(4), 1, 2).collect();
        let rest = Batches::of_epoch(&dataset, &rows, size(4), 1, 2).starting_at(1);
        assert_eq!((rest.total(), rest.len()), (3, 2));
        assert_eq!(rest.collect::<Vec<_>>(), whole[1..]);
        assert_eq!(Batches::in_order(&dataset, &rows, size(4)).starting_at(usize::MAX).count(), 0);
    }
}
