//! Tiles of attention: queries in vectors for the scores, columns of the values in vectors for the sums.

use shape::Dim;

/// What the choice depends on.
pub struct Problem<'a> {
    pub element_bytes: usize,
    pub vector_bits: u16,
    pub queries: &'a Dim,
    pub keys: &'a Dim,
    pub columns: &'a Dim,
    pub depth: &'a Dim,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Schedule {
    /// Queries of a block: vectors of so many lanes.
    pub lanes: u16,
    pub vectors: u16,
    /// Keys whose scores are in registers at a time.
    pub keys: u16,
    /// Keys whose scores a block keeps, a multiple of `keys`.
    pub part: i64,
    /// All keys are one part.
    pub whole: bool,
    /// Columns whose sums are in registers at a time, for so many queries.
    pub column_lanes: u16,
    pub column_vectors: u16,
    pub rows: u16,
    /// Columns, rounded up to whole tiles.
    pub padded_columns: i64,
    /// There is one query: then keys lie across lanes, and where their scores are made the depth does.
    pub single: Option<Single>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Single {
    pub lanes: u16,
    pub depth_lanes: u16,
    /// The depth, rounded up to whole vectors.
    pub padded_depth: i64,
}

impl Schedule {
    /// Queries of a block.
    pub fn queries(&self) -> i64 {
        i64::from(self.lanes) * i64::from(self.vectors)
    }
}

/// Keys of one part where there are many: the scores of a block's queries stay in the first cache.
const PART: i64 = 128;
/// So many keys are one part still.
const WHOLE: i64 = 256;

pub fn choose(problem: &Problem<'_>) -> Schedule {
    let full = problem.vector_bits / 8 / problem.element_bytes as u16;
    let fitting = |extent: Option<i64>| match extent {
        Some(extent) if extent < i64::from(full) => (extent.max(1) as u64).next_power_of_two() as u16,
        _ => full,
    };
    let many_registers = problem.vector_bits == 512;
    let queries = problem.queries.as_const();
    let lanes = fitting(queries);
    // One vector alone loads as much as it computes.
    let vectors = if queries.is_none_or(|queries| queries > i64::from(lanes)) { 2 } else { 1 };
    let keys = if many_registers || vectors == 1 { 8 } else { 4 };
    let (part, whole) = match problem.keys.as_const() {
        Some(length) if length <= WHOLE => ((length.max(1) + keys - 1) / keys * keys, true),
        _ => (PART, false),
    };
    let columns = problem.columns.as_const().unwrap_or(1).max(1);
    let column_lanes = fitting(Some(columns));
    let across = (columns + i64::from(column_lanes) - 1) / i64::from(column_lanes);
    let column_vectors: u16 = match across {
        1 => 1,
        3 if many_registers => 3,
        5 if many_registers => 5,
        n if n % 2 == 1 && n < 6 => 1,
        _ => 2,
    };
    let rows = match column_vectors {
        1 => 8,
        2 | 3 if many_registers => 8,
        _ => 4,
    };
    let single = queries.is_some_and(|queries| queries == 1).then(|| {
        let depth = problem.depth.as_const().unwrap_or(1).max(1);
        let depth_lanes = fitting(Some(depth));
        let vectors = (depth + i64::from(depth_lanes) - 1) / i64::from(depth_lanes);
        Single { lanes: full, depth_lanes, padded_depth: vectors * i64::from(depth_lanes) }
    });
    // One row alone has as many sums at a time as it can: each waits for the one before.
    let column_vectors = if single.is_some() && across % 4 == 0 { 4 } else { column_vectors };
    let part = match single {
        Some(single) => {
            (part + i64::from(single.lanes) - 1) / i64::from(single.lanes) * i64::from(single.lanes)
        }
        None => part,
    };
    let tile = i64::from(column_lanes) * i64::from(column_vectors);
    Schedule {
        lanes,
        vectors,
        keys: keys as u16,
        part,
        whole,
        column_lanes,
        column_vectors,
        rows: rows.min(lanes * vectors),
        padded_columns: (columns + tile - 1) / tile * tile,
        single,
    }
}

impl Schedule {
    /// For the last tile, where a narrower one holds what is left: it has no queries of its own for half of the lanes.
    pub fn last(&self, problem: &Problem<'_>) -> Option<Schedule> {
        let wide = self.queries();
        let left = match problem.queries.as_const() {
            Some(queries) => queries % wide,
            None => i64::from(self.lanes),
        };
        let narrow = self.vectors == 2 && left > 0 && left <= i64::from(self.lanes);
        let lanes = (left.max(1) as u64).next_power_of_two() as u16;
        narrow.then(|| Schedule { lanes, vectors: 1, rows: self.rows.min(lanes), ..*self })
    }
}
