//! Memory that knows what was written where: reading what nobody wrote, or wrote as another dtype, is a fault.

use super::{Failure, Place, number::Number};
use crate::DType;

/// Who wrote: the call, and the block within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Writer {
    pub call: u32,
    pub block: i64,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    dtype: DType,
    value: Number,
    writer: Writer,
}

/// Bytes of which each holds the start of an element, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    cells: Vec<Option<Cell>>,
}

const WIDEST: usize = 8;

impl Memory {
    pub fn poisoned(bytes: usize) -> Memory {
        Memory { cells: vec![None; bytes] }
    }

    pub fn bytes(&self) -> usize {
        self.cells.len()
    }

    pub fn poison(&mut self, from: usize, bytes: usize) {
        let end = (from + bytes).min(self.cells.len());
        for cell in &mut self.cells[from.min(end)..end] {
            *cell = None;
        }
    }

    pub fn read(&self, at: usize, dtype: DType, reader: Writer) -> Result<Number, Failure> {
        match self.cells.get(at) {
            Some(Some(cell)) if cell.dtype != dtype => {
                Err(Failure::invalid(format!("reads {dtype} where {} was written", cell.dtype)))
            }
            Some(Some(cell)) if cell.writer.call == reader.call && cell.writer.block != reader.block => {
                let (a, b) = (reader.block, cell.writer.block);
                Err(Failure::invalid(format!("block {a} reads what block {b} of the same call writes")))
            }
            Some(Some(cell)) => Ok(cell.value),
            _ => Err(Failure::invalid("reads memory that nothing was written to")),
        }
    }

    pub fn write(&mut self, at: usize, dtype: DType, value: Number, writer: Writer) -> Result<(), Failure> {
        if at + dtype.size() > self.cells.len() {
            return Err(Failure::invalid("writes past the end of a buffer"));
        }
        for start in at.saturating_sub(WIDEST - 1)..at + dtype.size() {
            let Some(cell) = self.cells[start] else { continue };
            if start + cell.dtype.size() > at {
                if cell.writer.call == writer.call && cell.writer.block != writer.block {
                    let (a, b) = (writer.block, cell.writer.block);
                    return Err(Failure::invalid(format!(
                        "blocks {a} and {b} of a call write the same place"
                    )));
                }
                self.cells[start] = None;
            }
        }
        self.cells[at] = Some(Cell { dtype, value, writer });
        Ok(())
    }
}

/// Moves what stands in `bytes` bytes, written or not, as one call of one block.
pub fn copy(memories: &mut [Memory], from: Place, to: Place, bytes: usize, call: u32) -> Result<(), Failure> {
    let fits = |place: Place| place.offset + bytes <= memories[place.memory].bytes();
    if !fits(from) || !fits(to) {
        return Err(Failure::invalid(format!("copies {bytes} bytes that are not all there")));
    }
    if from.memory == to.memory && from.offset < to.offset + bytes && to.offset < from.offset + bytes {
        return Err(Failure::invalid("copies between places that overlap"));
    }
    let moved = memories[from.memory].cells[from.offset..from.offset + bytes].to_vec();
    memories[to.memory].poison(to.offset, bytes);
    let writer = Writer { call, block: 0 };
    for (i, cell) in moved.into_iter().enumerate() {
        if let Some(cell) = cell {
            memories[to.memory].write(to.offset + i, cell.dtype, cell.value, writer)?;
        }
    }
    Ok(())
}
