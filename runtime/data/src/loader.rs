//! Batches in a stated order, read ahead on a thread of their own where rows do not lie in memory.

use crate::{RowSource, Rows};
use base::Diagnostic;
use std::{
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
};
use tensor::Tensor;

/// Batches that are read before they are asked for: as many as bridge the moments in which the reading thread does not get
/// a processor, but of large ones only a few.
const AHEAD: std::ops::RangeInclusive<usize> = 2..=64;
/// Bytes that they take together, where there are more than the fewest.
const AHEAD_BYTES: usize = 32 << 20;

/// Reads some fields of a source, batch by batch.
#[derive(Clone)]
pub struct Loader<'a> {
    source: &'a dyn RowSource,
    wanted: Vec<usize>,
}

/// The rows of a batch to come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    pub rows: Vec<usize>,
    /// Of training, where rows may be augmented.
    pub epoch: Option<u64>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// In the order of the loader's fields.
    pub fields: Vec<Tensor>,
    pub rows: usize,
}

/// What a loader gives, in the order of the plan.
pub struct Batches<'a> {
    from: From<'a>,
    current: Option<Batch>,
}

enum From<'a> {
    Memory { loader: &'a Loader<'a>, plan: Box<dyn Iterator<Item = Planned> + 'a> },
    Thread { filled: Receiver<Result<Batch, Diagnostic>>, used: Sender<Batch> },
}

impl<'a> Loader<'a> {
    /// `wanted` are numbers of [`RowSource::fields`].
    pub fn new(source: &'a dyn RowSource, wanted: Vec<usize>) -> Loader<'a> {
        Loader { source, wanted }
    }

    /// Lets `consume` take the planned batches. Its end ends the reading, whether all were taken or not.
    pub fn load<T>(
        &self,
        plan: impl Iterator<Item = Planned> + Send,
        consume: impl FnOnce(&mut Batches) -> T,
    ) -> T {
        if self.source.is_held() {
            let from = From::Memory { loader: self, plan: Box::new(plan) };
            return consume(&mut Batches { from, current: None });
        }
        let mut plan = plan.peekable();
        let ahead = self.ahead(plan.peek().map_or(0, |first| first.rows.len()));
        thread::scope(|scope| {
            let (full, filled) = sync_channel(ahead);
            let (used, spare) = channel();
            scope.spawn(move || self.read_ahead(plan, &full, &spare));
            // Dropped at the end of this closure, which the reading thread notices; the scope waits for it.
            consume(&mut Batches { from: From::Thread { filled, used }, current: None })
        })
    }

    /// How many batches of so many rows are read ahead.
    fn ahead(&self, rows: usize) -> usize {
        let fields = self.source.fields();
        let row = self.wanted.iter().map(|field| {
            let elements = tensor::element_count(&fields[*field].row_shape).unwrap_or(usize::MAX);
            elements.saturating_mul(fields[*field].dtype.size())
        });
        let batch = row.fold(0usize, usize::saturating_add).saturating_mul(rows);
        (AHEAD_BYTES / batch.max(1)).clamp(*AHEAD.start(), *AHEAD.end())
    }

    fn read_ahead(
        &self,
        plan: impl Iterator<Item = Planned>,
        full: &SyncSender<Result<Batch, Diagnostic>>,
        spare: &Receiver<Batch>,
    ) {
        for planned in plan {
            let old = spare.try_recv().ok();
            let batch = self.read(&planned, old);
            let failed = batch.is_err();
            if full.send(batch).is_err() || failed {
                return;
            }
        }
    }

    fn read(&self, planned: &Planned, old: Option<Batch>) -> Result<Batch, Diagnostic> {
        let mut fields = old.map(|batch| batch.fields).unwrap_or_default();
        self.source.gather(&self.wanted, &planned.rows, planned.epoch, &mut fields)?;
        Ok(Batch { fields, rows: planned.rows.len() })
    }
}

impl Batches<'_> {
    /// The next batch, `None` after the last; it stays until the one after it is asked for.
    pub fn next_batch(&mut self) -> Result<Option<&Batch>, Diagnostic> {
        let old = self.current.take();
        self.current = match &mut self.from {
            From::Memory { loader, plan } => match plan.next() {
                Some(planned) => Some(loader.read(&planned, old)?),
                None => None,
            },
            From::Thread { filled, used } => {
                // Where the reading thread has ended already, it needs no memory any more.
                old.map(|old| used.send(old).is_ok());
                filled.recv().ok().transpose()?
            }
        };
        Ok(self.current.as_ref())
    }
}

/// A pass over some rows in their own order, as for measuring.
pub fn in_order(rows: &Rows, size: usize) -> impl Iterator<Item = Planned> + Send + '_ {
    rows.chunks(size).map(|rows| Planned { rows, epoch: None })
}

/// A pass over some rows from the first of the data to the last, for what does not depend on their order.
pub fn ascending(rows: &Rows, size: usize) -> impl Iterator<Item = Planned> + Send + use<> {
    let mut rows = rows.ascending();
    std::iter::from_fn(move || {
        let rows: Vec<usize> = rows.by_ref().take(size.max(1)).collect();
        (!rows.is_empty()).then_some(Planned { rows, epoch: None })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, FieldInfo, Order};
    use indexmap::IndexMap;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    /// Rows in memory that pretend to be far away, one of which cannot be read.
    struct Far {
        data: Dataset,
        broken: Option<usize>,
        read: AtomicUsize,
    }

    impl RowSource for Far {
        fn rows(&self) -> usize {
            self.data.rows
        }
        fn fields(&self) -> Vec<FieldInfo> {
            self.data.fields()
        }
        fn tables(&self) -> &IndexMap<String, Vec<String>> {
            &self.data.tables
        }
        fn content_hash(&self) -> u64 {
            0
        }
        fn is_held(&self) -> bool {
            false
        }
        fn gather(
            &self,
            wanted: &[usize],
            rows: &[usize],
            epoch: Option<u64>,
            batch: &mut Vec<Tensor>,
        ) -> Result<(), Diagnostic> {
            self.read.fetch_add(1, Ordering::SeqCst);
            if rows.iter().any(|row| Some(*row) == self.broken) {
                return Err(Diagnostic::error("E0601", "gone"));
            }
            self.data.gather(wanted, rows, epoch, batch)
        }
    }

    fn data() -> Dataset {
        let x = Tensor::from_vec([10, 2], (0..20).map(|number| number as f32).collect::<Vec<_>>()).unwrap();
        let y = Tensor::from_vec([10], (0..10i32).collect::<Vec<_>>()).unwrap();
        Dataset::new("test", IndexMap::from([("x".to_string(), x), ("y".to_string(), y)])).unwrap()
    }

    fn far(broken: Option<usize>) -> Far {
        Far { data: data(), broken, read: AtomicUsize::new(0) }
    }

    fn rows() -> Rows {
        Rows::of(Arc::new(Order::new(1, "split", 0, 10)), 0..7)
    }

    fn all(source: &dyn RowSource, size: usize) -> Result<Vec<Batch>, Diagnostic> {
        Loader::new(source, vec![1, 0]).load(in_order(&rows(), size), |batches| {
            let mut all = Vec::new();
            while let Some(batch) = batches.next_batch()? {
                all.push(batch.clone());
            }
            Ok(all)
        })
    }

    #[test]
    fn a_thread_gives_the_same_batches_in_the_same_order() {
        for size in [1, 3, 7, usize::MAX] {
            let here = all(&data(), size).unwrap();
            assert_eq!(here.iter().map(|batch| batch.rows).sum::<usize>(), 7);
            assert_eq!(all(&far(None), size).unwrap(), here);
            let ids: Vec<i64> = here.iter().flat_map(|batch| batch.fields[0].to_i64_vec()).collect();
            assert_eq!(ids, rows().iter().map(|row| row as i64).collect::<Vec<_>>());
            assert_eq!(here[0].fields[1].to_f64_vec()[0], 2.0 * ids[0] as f64);
        }
    }

    #[test]
    fn ascending_batches() {
        let planned: Vec<Planned> = ascending(&rows(), 3).collect();
        assert_eq!(planned.iter().map(|planned| planned.rows.len()).collect::<Vec<_>>(), [3, 3, 1]);
        let all: Vec<usize> = planned.into_iter().flat_map(|planned| planned.rows).collect();
        assert!(all.is_sorted() && all.len() == 7);
    }

    #[test]
    fn a_fault_comes_in_its_place_and_ends_the_reading() {
        let broken = far(Some(rows().at(4)));
        let taken = Loader::new(&broken, vec![0]).load(in_order(&rows(), 2), |batches| {
            let mut taken = 0;
            let fault = loop {
                match batches.next_batch() {
                    Ok(Some(_)) => taken += 1,
                    Ok(None) => panic!("the fault was lost"),
                    Err(fault) => break fault,
                }
            };
            assert_eq!(fault.code, "E0601");
            assert!(batches.next_batch().unwrap().is_none());
            taken
        });
        assert_eq!((taken, broken.read.into_inner()), (2, 3));
    }

    #[test]
    fn stopping_early_stops_the_thread() {
        let source = far(None);
        let endless = std::iter::repeat_with(|| Planned { rows: vec![0, 1], epoch: Some(0) });
        Loader::new(&source, vec![0]).load(endless, |batches| {
            assert_eq!(batches.next_batch().unwrap().unwrap().rows, 2);
        });
        // One was taken, as many wait, and one may have been ready to wait.
        assert!(source.read.into_inner() <= AHEAD.end() + 3);
    }
}
