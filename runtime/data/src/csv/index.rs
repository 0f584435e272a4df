//! Where rows lie in a file: a place for every few kilobytes, so that the index is a small share of the file whatever
//! the length of its lines.

use base::Diagnostic;
use std::ops::Range;

/// Bytes between two places, but at least a row.
const SPACING: u64 = 2048;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RowIndex {
    /// Where blocks begin, and at last where the file ends.
    starts: Vec<u64>,
    /// The first row of each block.
    rows: Vec<u32>,
    count: u32,
}

impl RowIndex {
    /// The next row begins at this byte.
    pub fn push(&mut self, at: u64, file: &str) -> Result<(), Diagnostic> {
        if self.starts.last().is_none_or(|last| at.saturating_sub(*last) >= SPACING) {
            self.starts.push(at);
            self.rows.push(self.count);
        }
        self.count = self.count.checked_add(1).ok_or_else(|| {
            Diagnostic::error("E0602", format!("`{file}` has more rows than the limit of {}", u32::MAX))
        })?;
        Ok(())
    }

    pub fn end(&mut self, at: u64) {
        self.starts.push(at);
    }

    pub fn rows(&self) -> usize {
        self.count as usize
    }

    /// The block that holds a row.
    pub fn block_of(&self, row: usize) -> usize {
        self.rows.partition_point(|first| *first as usize <= row).saturating_sub(1)
    }

    pub fn rows_of(&self, block: usize) -> Range<usize> {
        let end = self.rows.get(block + 1).copied().unwrap_or(self.count);
        self.rows[block] as usize..end as usize
    }

    pub fn bytes_of(&self, block: usize) -> Range<u64> {
        self.starts[block]..self.starts[block + 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_all_rows_and_bytes() {
        let mut index = RowIndex::default();
        let lengths: Vec<u64> =
            (0..500).map(|row| if row % 50 == 7 { 5000 } else { 10 + row % 13 }).collect();
        let mut at = 12;
        let mut starts = Vec::new();
        for length in &lengths {
            index.push(at, "test").unwrap();
            starts.push(at);
            at += length;
        }
        index.end(at);
        let mut block = 0;
        for (row, start) in starts.iter().enumerate() {
            let found = index.block_of(row);
            assert!(found == block || found == block + 1);
            block = found;
            assert!(index.rows_of(block).contains(&row));
            assert!(index.bytes_of(block).contains(start));
        }
        assert_eq!((index.rows_of(block).end, index.bytes_of(block).end), (500, at));
        assert!(block < 30, "{block} blocks of {at} bytes");
    }
}
