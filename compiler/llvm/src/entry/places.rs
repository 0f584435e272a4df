//! Where a buffer is at the moment of a call.

use super::Entry;
use crate::Error;
use crate::ir::Value;
use kernel::{BufferRef, LoopId, Step};
use llvm_sys::LLVMIntPredicate::*;
use shape::Dim;

/// Tables of places that loops choose from.
#[derive(Default)]
pub(super) struct Tables {
    known: Vec<(LoopId, Vec<BufferRef>, Table)>,
    /// How many constants hold positions.
    constants: usize,
}

#[derive(Clone, Copy)]
enum Table {
    /// Positions in the entry's list of buffers, from one step to the next so far apart.
    Progression { first: i64, apart: i64 },
    /// The address of a constant list of positions.
    Positions(Value),
    /// Places in the workspace, equally far apart.
    Rows { first: Value, apart: Value },
    /// The address of a list of addresses.
    Addresses(Value),
}

impl Entry<'_> {
    pub(super) fn address(&self, buffer: &BufferRef) -> Result<Value, Error> {
        let ir = self.ir;
        match buffer {
            BufferRef::Arg(index) => Ok(self.passed(ir.i64(*index as i64))),
            BufferRef::Result(index) => Ok(self.passed(ir.i64((self.plan.args.len() + index) as i64))),
            BufferRef::Workspace { offset } => {
                Ok(ir.element(ir.int(8), self.workspace, self.dims.value(offset)?))
            }
            BufferRef::Allocated(slot) => self.slot(*slot),
            BufferRef::Constant(id) => match self.constants.get(id.index()) {
                Some(constant) => Ok(*constant),
                None => self.bug("uses a constant that is not there"),
            },
            BufferRef::Part { of, loop_id, stride } => {
                let (start, stride) = (self.address(of)?, self.dims.value(stride)?);
                Ok(ir.element(ir.int(8), start, ir.mul(self.number(*loop_id)?, stride)))
            }
            BufferRef::Table { loop_id, of } => self.look_up(*loop_id, of),
            BufferRef::Turn { loop_id, first, even, odd } => {
                let done = self.done(*loop_id)?;
                let is_odd = ir.icmp(LLVMIntNE, ir.and(done, ir.i64(1)), ir.i64(0));
                let turn = ir.select(is_odd, self.address(odd)?, self.address(even)?);
                let Some(first) = first else { return Ok(turn) };
                let is_first = ir.icmp(LLVMIntEQ, done, ir.i64(0));
                Ok(ir.select(is_first, self.address(first)?, turn))
            }
        }
    }

    /// Makes the tables that the steps of a loop about to begin will ask for.
    pub(super) fn prepare_tables(&mut self, id: LoopId, body: &[Step]) -> Result<(), Error> {
        for step in body {
            let buffers: Vec<&BufferRef> = match step {
                Step::Call(call) => call.buffers.iter().collect(),
                Step::Copy { from, to, .. } => vec![from, to],
                Step::While { flag, .. } | Step::If { flag, .. } => vec![flag],
                Step::Loop { .. }
                | Step::Timed { .. }
                | Step::Allocate { .. }
                | Step::Free { .. }
                | Step::Require { .. }
                | Step::RequireEq { .. } => Vec::new(),
            };
            for buffer in buffers {
                self.prepare_table(id, buffer)?;
            }
            for body in step.bodies() {
                self.prepare_tables(id, body)?;
            }
        }
        Ok(())
    }

    fn prepare_table(&mut self, id: LoopId, buffer: &BufferRef) -> Result<(), Error> {
        match buffer {
            BufferRef::Part { of, .. } => self.prepare_table(id, of),
            BufferRef::Turn { first, even, odd, .. } => {
                let places = [Some(even), Some(odd), first.as_ref()];
                places.into_iter().flatten().try_for_each(|place| self.prepare_table(id, place))
            }
            BufferRef::Table { loop_id, of } => {
                // What a table's places are made of belongs to loops outside: it comes first.
                of.iter().try_for_each(|place| self.prepare_table(id, place))?;
                let known =
                    |(known, places, _): &(LoopId, Vec<BufferRef>, Table)| known == loop_id && places == of;
                if *loop_id == id && !self.tables.known.iter().any(known) {
                    let table = self.table(of)?;
                    self.tables.known.push((id, of.clone(), table));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn table(&mut self, places: &[BufferRef]) -> Result<Table, Error> {
        let ir = self.ir;
        let position = |place: &BufferRef| match place {
            BufferRef::Arg(index) => Some(*index as i64),
            BufferRef::Result(index) => Some((self.plan.args.len() + index) as i64),
            _ => None,
        };
        let Some(positions) = places.iter().map(position).collect::<Option<Vec<i64>>>() else {
            if let Some((first, apart)) = rows(places) {
                let first = ir.element(ir.int(8), self.workspace, self.dims.value(first)?);
                return Ok(Table::Rows { first, apart: self.dims.value(&apart)? });
            }
            let list = ir.alloca(ir.array(ir.ptr(), places.len() as u64), 8);
            for (index, place) in places.iter().enumerate() {
                ir.store(self.address(place)?, ir.element(ir.ptr(), list, ir.i64(index as i64)), 8);
            }
            return Ok(Table::Addresses(list));
        };
        let first = positions.first().copied().unwrap_or(0);
        let apart = positions.get(1).map_or(0, |second| second - first);
        if positions.iter().zip(0..).all(|(position, step)| *position == first + apart * step) {
            return Ok(Table::Progression { first, apart });
        }
        let words: Vec<Value> = positions.iter().map(|position| ir.i64(*position)).collect();
        let name = format!("{}.table.{}", self.plan.name, self.tables.constants);
        self.tables.constants += 1;
        Ok(Table::Positions(ir.constant(&name, ir.const_array(ir.int(64), &words), 8, false)))
    }

    fn look_up(&self, id: LoopId, places: &[BufferRef]) -> Result<Value, Error> {
        let ir = self.ir;
        let known = self.tables.known.iter().find(|(known, of, _)| *known == id && of == places);
        let Some((.., table)) = known else { return self.bug("uses a table outside of its loop") };
        let number = self.number(id)?;
        Ok(match table {
            Table::Progression { first, apart } => {
                self.passed(ir.add(ir.mul(number, ir.i64(*apart)), ir.i64(*first)))
            }
            Table::Positions(list) => {
                self.passed(ir.load(ir.int(64), ir.element(ir.int(64), *list, number), 8))
            }
            Table::Rows { first, apart } => ir.element(ir.int(8), *first, ir.mul(number, *apart)),
            Table::Addresses(list) => ir.load(ir.ptr(), ir.element(ir.ptr(), *list, number), 8),
        })
    }

    /// The address of an argument, or of a result further on.
    fn passed(&self, position: Value) -> Value {
        let ir = self.ir;
        ir.load(ir.ptr(), ir.element(ir.ptr(), self.buffers, position), 8)
    }
}

/// Where places in the workspace begin, and how far one is from the next.
fn rows(places: &[BufferRef]) -> Option<(&Dim, Dim)> {
    let offsets = places.iter().map(|place| match place {
        BufferRef::Workspace { offset } => Some(offset),
        _ => None,
    });
    let offsets = offsets.collect::<Option<Vec<&Dim>>>()?;
    let first = *offsets.first()?;
    let apart = offsets.get(1).map_or_else(Dim::default, |second| *second - first);
    let equal = offsets.windows(2).all(|pair| pair[1] - pair[0] == apart);
    equal.then_some((first, apart))
}
