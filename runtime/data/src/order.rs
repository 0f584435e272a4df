//! Random orders of rows, by the seed alone, in memory that does not grow with the data.

use std::{ops::Range, sync::Arc};
use tensor::philox::{Stream, permutation};

/// Up to so many rows an order is a table, shuffled fairly; longer ones are computed place by place.
const LONGEST_TABLE: usize = 1 << 20;

/// Each round mixes one half of the bits into the other.
const ROUNDS: u32 = 10;

/// A permutation of `0..len`, keyed by (seed, purpose, number).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    len: usize,
    form: Form,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    Table(Vec<u32>),
    /// A Feistel network over just enough bits; what falls beyond the length goes through it again.
    Network {
        stream: Stream,
        low_bits: u32,
        high_bits: u32,
    },
}

/// Some rows of a data set in a stated order: a part of a permutation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rows {
    order: Arc<Order>,
    places: Range<usize>,
}

/// The rows of a part in the order of one epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpochRows {
    rows: Rows,
    order: Order,
}

impl Order {
    pub fn new(seed: u64, purpose: &str, number: u64, len: usize) -> Order {
        let form = if len <= LONGEST_TABLE {
            // Rows of a table are fewer than 2^32.
            Form::Table(permutation(seed, purpose, number, len).into_iter().map(|row| row as u32).collect())
        } else {
            Order::network(Stream::new(seed, purpose, number), len)
        };
        Order { len, form }
    }

    fn network(stream: Stream, len: usize) -> Form {
        let bits = (usize::BITS - len.saturating_sub(1).leading_zeros()).max(2);
        Form::Network { stream, low_bits: bits / 2, high_bits: bits - bits / 2 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What stands at a place.
    ///
    /// # Panics
    /// Where the place is not below the length.
    pub fn at(&self, place: usize) -> usize {
        assert!(place < self.len, "a place outside of the order");
        match &self.form {
            Form::Table(table) => table[place] as usize,
            Form::Network { stream, low_bits, high_bits } => {
                // The network permutes fewer than twice as many numbers as there are places. The cycle through `place`
                // comes back to a place at the latest at `place` itself.
                let mut number = place as u64;
                loop {
                    number = scrambled(stream, number, *low_bits, *high_bits);
                    if number < self.len as u64 {
                        return number as usize;
                    }
                }
            }
        }
    }
}

impl Rows {
    /// A part of the one permutation that splits the data.
    pub fn of(order: Arc<Order>, places: Range<usize>) -> Rows {
        let end = places.end.min(order.len());
        Rows { places: places.start.min(end)..end, order }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// # Panics
    /// Where the place is not below the length.
    pub fn at(&self, place: usize) -> usize {
        assert!(place < self.len(), "a place outside of the rows");
        self.order.at(self.places.start + place)
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).map(|place| self.at(place))
    }

    pub fn to_vec(&self) -> Vec<usize> {
        self.iter().collect()
    }

    /// The first rows, as many as there are up to `count`.
    #[must_use]
    pub fn first(&self, count: usize) -> Rows {
        let end = self.places.start + count.min(self.len());
        Rows { order: Arc::clone(&self.order), places: self.places.start..end }
    }

    /// The same rows in the order of the data, for what does not depend on their order: a file is read from its beginning to
    /// its end.
    pub fn ascending(&self) -> impl Iterator<Item = usize> + Send + use<> {
        // A bit for each row of the data: less than any other table of them.
        let mut marks = vec![0u64; self.order.len().div_ceil(64)];
        self.iter().for_each(|row| marks[row / 64] |= 1 << (row % 64));
        let words = marks.into_iter().enumerate();
        words.flat_map(|(word, bits)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit)
        })
    }

    /// In batches, the last of which may be short.
    pub fn chunks(&self, size: usize) -> impl Iterator<Item = Vec<usize>> + Send + '_ {
        let starts = (0..self.len()).step_by(size.max(1));
        starts.map(move |start| {
            (start..self.len().min(start.saturating_add(size.max(1)))).map(|place| self.at(place)).collect()
        })
    }

    /// In the order of an epoch, keyed by (seed, "epoch", number); the first is 0.
    pub fn of_epoch(&self, seed: u64, epoch: u64) -> EpochRows {
        EpochRows { rows: self.clone(), order: Order::new(seed, "epoch", epoch, self.len()) }
    }
}

impl EpochRows {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows at these places of the epoch.
    ///
    /// # Panics
    /// Where the places go beyond the length.
    pub fn range(&self, places: Range<usize>) -> Vec<usize> {
        places.map(|place| self.rows.at(self.order.at(place))).collect()
    }
}

/// One pass through the network: a permutation of the numbers of `low_bits + high_bits` bits, whatever the rounds mix in.
fn scrambled(stream: &Stream, number: u64, low_bits: u32, high_bits: u32) -> u64 {
    let (low_mask, high_mask) = ((1u64 << low_bits) - 1, (1u64 << high_bits) - 1);
    let (mut low, mut high) = (number & low_mask, number >> low_bits);
    for round in 0..ROUNDS {
        let mix = |half: u64| {
            let words = Stream { step: round, ..*stream }.words(half);
            u64::from(words[0]) | u64::from(words[1]) << 32
        };
        if round % 2 == 0 {
            low ^= mix(high) & low_mask;
        } else {
            high ^= mix(low) & high_mask;
        }
    }
    high << low_bits | low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(seed: u64, len: usize) -> Order {
        Order { len, form: Order::network(Stream::new(seed, "test", 0), len) }
    }

    #[test]
    fn every_row_stands_at_one_place() {
        for len in [1, 2, 3, 5, 64, 1000, 1 << 12, (1 << 12) + 1] {
            for order in [network(3, len), Order::new(3, "test", 0, len)] {
                let mut rows: Vec<usize> = (0..len).map(|place| order.at(place)).collect();
                assert!(len < 64 || rows != (0..len).collect::<Vec<_>>());
                rows.sort_unstable();
                assert_eq!(rows, (0..len).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn long_orders_take_no_memory_and_know_their_seed() {
        let long = Order::new(1, "epoch", 0, LONGEST_TABLE + 1);
        assert!(matches!(long.form, Form::Network { .. }));
        assert_eq!(long, Order::new(1, "epoch", 0, LONGEST_TABLE + 1));
        let first = |order: &Order| (0..100).map(|place| order.at(place)).collect::<Vec<_>>();
        assert_ne!(first(&long), first(&Order::new(2, "epoch", 0, LONGEST_TABLE + 1)));
        assert_ne!(first(&long), first(&Order::new(1, "epoch", 1, LONGEST_TABLE + 1)));
        assert!(Order::new(1, "epoch", 0, usize::MAX >> 1).at(17) < usize::MAX >> 1);
    }

    /// Places and rows are as independent as draws: counts of (place, row) pairs by eighths, and the mean distance of
    /// neighbours.
    #[test]
    fn long_orders_look_random() {
        let len = 1 << 14;
        let order = network(9, len);
        let mut counts = [[0i32; 8]; 8];
        let mut distance = 0.0;
        for place in 0..len {
            counts[place * 8 / len][order.at(place) * 8 / len] += 1;
            distance += order.at(place).abs_diff(order.at((place + 1) % len)) as f64;
        }
        // Of 256 expected with a deviation of about 15.
        assert!(counts.iter().flatten().all(|count| (190..=325).contains(count)), "{counts:?}");
        let mean = distance / (len * len) as f64;
        assert!((mean - 1.0 / 3.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn parts_and_epochs() {
        let order = Arc::new(Order::new(1, "split", 0, 10));
        let rows = Rows::of(Arc::clone(&order), 2..9);
        assert_eq!(rows.to_vec(), (2..9).map(|place| order.at(place)).collect::<Vec<_>>());
        assert_eq!(rows.chunks(3).map(|chunk| chunk.len()).collect::<Vec<_>>(), [3, 3, 1]);
        assert_eq!(rows.chunks(usize::MAX).count(), 1);
        assert_eq!(rows.chunks(4).flatten().collect::<Vec<_>>(), rows.to_vec());
        let mut ascending = rows.to_vec();
        ascending.sort_unstable();
        assert_eq!(rows.ascending().collect::<Vec<_>>(), ascending);
        assert_eq!(rows.first(2).to_vec(), rows.to_vec()[..2]);
        assert_eq!(rows.first(99), rows);
        let epoch = rows.of_epoch(1, 0);
        let mut shuffled = epoch.range(0..7);
        assert_ne!(shuffled, rows.of_epoch(1, 1).range(0..7));
        assert_ne!(shuffled, rows.of_epoch(2, 0).range(0..7));
        shuffled.sort_unstable();
        let mut sorted = rows.to_vec();
        sorted.sort_unstable();
        assert_eq!(shuffled, sorted);
    }
}
