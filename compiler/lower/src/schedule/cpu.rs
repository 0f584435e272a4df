//! Tiles for processors with 512, 256 or 128 bit vectors.

use kernel::schedule::{Contract, Operand};
use shape::Dim;

/// What the choice depends on.
pub struct Problem<'a> {
    pub element_bytes: usize,
    pub vector_bits: u16,
    /// Rows, columns and the length of the sum.
    pub rows: &'a Dim,
    pub columns: &'a Dim,
    pub operand: Operand,
}

/// Rows and vectors of tiles that keep their sums in registers, with a factor for what they lose at best.
const WIDE: &[(u16, u16, f64)] = &[
    (6, 4, 1.0),
    (9, 3, 1.0),
    (5, 4, 1.01),
    (4, 4, 1.03),
    (8, 3, 1.01),
    (12, 2, 1.05),
    (8, 2, 1.08),
    (14, 1, 1.3),
    (8, 1, 1.5),
];
const NARROW: &[(u16, u16, f64)] =
    &[(4, 3, 1.0), (6, 2, 1.02), (3, 3, 1.05), (4, 2, 1.1), (12, 1, 1.3), (6, 1, 1.5)];

/// A panel leaves room for the tile's sums beside it.
const PANEL_BYTES: i64 = 64 << 10;
/// Sums of one block between parts of a long range.
const SUMS_BYTES: i64 = 60 << 10;
/// Fewer rows than these do not pay for packing.
const MIN_ROWS: i64 = 4;
const BLOCK_ROWS: i64 = 240;

/// The tile, or `None` where the problem is too small for one.
pub fn contract(problem: &Problem<'_>) -> Option<Contract> {
    let full = problem.vector_bits / 8 / problem.element_bytes as u16;
    let columns = problem.columns.as_const();
    let rows = problem.rows.as_const();
    if columns.is_some_and(|n| n < 4) || rows.is_some_and(|m| m < MIN_ROWS) {
        return None;
    }
    let lanes = match columns {
        Some(n) if n < i64::from(full) => (n as u64).next_power_of_two() as u16,
        _ => full,
    };
    let tiles = if problem.vector_bits == 512 { WIDE } else { NARROW };
    let cost = |mr: u16, nv: u16, loss: f64| {
        let nr = i64::from(nv) * i64::from(lanes);
        let padded =
            |n: Option<i64>, step: i64| n.map_or(1.0, |n| ((n + step - 1) / step * step) as f64 / n as f64);
        loss * padded(columns, nr) * padded(rows, i64::from(mr))
    };
    let best =
        tiles.iter().copied().reduce(|a, b| if cost(b.0, b.1, b.2) < cost(a.0, a.1, a.2) { b } else { a });
    let (mr, nv, _) = best?;
    let nr = i64::from(nv) * i64::from(lanes);
    let bytes = problem.element_bytes as i64;
    let kc = PANEL_BYTES / (nr * bytes);
    let most = (SUMS_BYTES / (nr * bytes)).min(BLOCK_ROWS);
    let block_rows = (most / i64::from(mr)).max(1) * i64::from(mr);
    Some(Contract { mr, nv, lanes, kc, block_rows, operand: problem.operand })
}
