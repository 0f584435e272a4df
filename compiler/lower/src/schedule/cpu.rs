//! Tiles for processors with 512, 256 or 128 bit vectors.

use kernel::schedule::{Contract, Operand};
use shape::Dim;

/// What the choice depends on.
pub struct Problem<'a> {
    pub element_bytes: usize,
    pub vector_bits: u16,
    pub rows: &'a Dim,
    pub columns: &'a Dim,
    /// Products of this size that are done side by side.
    pub shared: &'a Dim,
    pub layout: Layout,
}

/// How the columns of the vector operand lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// One after the other; `near` where the next row of the sum begins within a few cache lines.
    Neighbours { near: bool },
    /// At one distance from each other.
    Apart,
    /// In runs of neighbours.
    Runs,
    /// Anyhow.
    Scattered,
}

/// Rows and vectors of tiles that keep their sums in registers, for 32 and for 16 registers.
const WIDE: &[(u16, u16)] =
    &[(6, 4), (9, 3), (5, 4), (4, 4), (8, 3), (7, 3), (12, 2), (13, 2), (8, 2), (14, 1), (8, 1)];
const NARROW: &[(u16, u16)] = &[(4, 3), (6, 2), (3, 3), (4, 2), (12, 1), (6, 1)];
/// For fewer rows than [`FEW_ROWS`], where the columns are neighbours: each row of the sum is read once, so as much of it
/// as there are registers, for long accesses in a row.
const FLAT: [(u16, u16); 3] = [(1, 8), (2, 8), (3, 6)];
const FLAT_NARROW: [(u16, u16); 3] = [(1, 8), (2, 4), (3, 3)];
const FEW_ROWS: i64 = 4;

/// A panel leaves room for the tile's sums beside it.
const PANEL_BYTES: i64 = 64 << 10;
/// Sums of one block between parts of a long range.
const SUMS_BYTES: i64 = 60 << 10;
const BLOCK_ROWS: i64 = 240;
/// Blocks that large work is cut into at least, for threads to share evenly.
const BLOCKS: i64 = 8;
/// Rows of a block that pay for packing its panel.
const PACKED_ROWS: i64 = 64;
/// Tiles of rows above which columns that are not near each other are packed: below, reading them where they lie costs
/// no more than the copy.
const FEW_TILES: i64 = 2;

/// Half cycles that one step of the sum takes in a tile: two multiply-adds, or two loads, in a cycle, and no less than the
/// latency of one sum; with what the panel's lines cost on their way from the second-level cache, and the rows, which
/// meet in few places of the first where their length is a power of two.
fn step_cost(mr: i64, nv: i64) -> f64 {
    let busy = (mr * nv).max(mr + nv).max(8) as f64;
    busy + 0.2 * nv as f64 + 0.15 * mr as f64
}

/// What a whole sum costs for all rows and columns: whole tiles, and smaller ones where either ends.
fn cost(rows: Option<i64>, columns: Option<i64>, lanes: i64, mr: i64, nv: i64) -> f64 {
    let nr = nv * lanes;
    // What is not known is far more than a tile.
    let (rows, columns) = (rows.unwrap_or(64 * mr), columns.unwrap_or(64 * nr));
    let along = |mr: i64| {
        let (whole, rest) = (columns / nr, columns % nr);
        let rest_cost = if rest > 0 { step_cost(mr, (rest + lanes - 1) / lanes) } else { 0.0 };
        whole as f64 * step_cost(mr, nv) + rest_cost
    };
    let (whole, rest) = (rows / mr, rows % mr);
    whole as f64 * along(mr) + if rest > 0 { along(rest) } else { 0.0 }
}

/// The tile, or `None` where the problem is too small for one.
pub fn contract(problem: &Problem<'_>) -> Option<Contract> {
    let full = problem.vector_bits / 8 / problem.element_bytes as u16;
    let (columns, rows) = (problem.columns.as_const(), problem.rows.as_const());
    let neighbours = matches!(problem.layout, Layout::Neighbours { .. });
    let few = rows.filter(|rows| *rows < FEW_ROWS);
    if columns.is_some_and(|n| n < 4) || few.is_some() && !neighbours {
        return None;
    }
    let lanes = match columns {
        Some(n) if n < i64::from(full) => (n as u64).next_power_of_two() as u16,
        _ => full,
    };
    let wide = problem.vector_bits == 512;
    let (mr, nv) = match few {
        Some(rows) => {
            let at = (rows.max(1) - 1) as usize;
            let (mr, most) = if wide { FLAT[at] } else { FLAT_NARROW[at] };
            let needed = columns.map_or(i64::from(most), |n| (n + i64::from(lanes) - 1) / i64::from(lanes));
            (mr, most.min(needed.max(1) as u16))
        }
        None => {
            let tiles = if wide { WIDE } else { NARROW };
            let cost =
                |(mr, nv): (u16, u16)| cost(rows, columns, i64::from(lanes), i64::from(mr), i64::from(nv));
            tiles.iter().copied().reduce(|a, b| if cost(b) < cost(a) { b } else { a })?
        }
    };
    let tiles_of_rows = rows.map_or(i64::MAX, |rows| (rows + i64::from(mr) - 1) / i64::from(mr));
    let operand = match problem.layout {
        Layout::Neighbours { near } if near || tiles_of_rows <= FEW_TILES => Operand::InPlace,
        Layout::Neighbours { .. } | Layout::Apart => Operand::Panel,
        Layout::Runs => Operand::Runs,
        Layout::Scattered => Operand::Gathered,
    };
    let nr = i64::from(nv) * i64::from(lanes);
    let bytes = problem.element_bytes as i64;
    let kc = PANEL_BYTES / (nr * bytes);
    let most = (SUMS_BYTES / (nr * bytes)).min(BLOCK_ROWS);
    let least = if operand == Operand::InPlace { i64::from(mr) } else { PACKED_ROWS };
    let panels = columns.map_or(BLOCKS, |n| (n + nr - 1) / nr);
    let beside = problem.shared.as_const().unwrap_or(BLOCKS).max(1).saturating_mul(panels.max(1));
    let rows_of_block = match rows {
        Some(rows) => {
            let wanted = ((BLOCKS + beside - 1) / beside).min(rows / least).max(1);
            let chunks = wanted.max((rows + most - 1) / most);
            (rows + chunks - 1) / chunks
        }
        None => most,
    };
    let block_rows = (rows_of_block + i64::from(mr) - 1) / i64::from(mr) * i64::from(mr);
    let block_rows = block_rows.min((most / i64::from(mr)).max(1) * i64::from(mr));
    Some(Contract { mr, nv, lanes, kc, block_rows, operand })
}
