//! How something is computed, as plain data: chosen by lowering from shapes and the target, never from threads.

/// How the vector side of a contraction reaches the inner loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operand {
    /// Read where it lies: its lanes are neighbours and its rows are near each other.
    InPlace,
    /// Copied into panels `[k][columns]` of a block's own memory, lanes at one stride.
    Panel,
    /// Copied into panels by runs of neighbours, as the innermost axis of a convolution's window gives them.
    Runs,
    /// Copied into panels lane by lane.
    Gathered,
}

/// A register tile of `mr` rows by `nv` vectors, run over panels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Contract {
    pub mr: u16,
    pub nv: u16,
    pub lanes: u16,
    /// Longest part of the summed range that one panel holds.
    pub kc: i64,
    /// Rows that one block computes, a multiple of `mr`.
    pub block_rows: i64,
    pub operand: Operand,
}

impl Contract {
    /// Columns of a tile.
    pub fn nr(&self) -> i64 {
        i64::from(self.nv) * i64::from(self.lanes)
    }
}
