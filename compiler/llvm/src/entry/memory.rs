//! Memory that a plan allocates on its way: real calls of the host's allocator, and none left behind whatever the call
//! comes to.

use super::Entry;
use crate::Error;
use crate::ir::{Block, Ir, Value};
use kernel::{Plan, SlotId};
use llvm_sys::LLVMIntPredicate::*;
use shape::Dim;

/// What every buffer is aligned to.
const LINE: i64 = 64;

/// The addresses of what is allocated, and the way out that frees it.
pub(super) struct Slots {
    addresses: Value,
    count: i64,
    /// What the call ends with.
    status: Value,
    exit: Block,
}

impl Slots {
    /// `None` for a plan that allocates nothing. All slots are empty at `start`.
    pub fn new(ir: &Ir, plan: &Plan, start: Block) -> Option<Slots> {
        let count = plan.slots().keys().next_back()?.0 as i64 + 1;
        let addresses = ir.alloca(ir.array(ir.ptr(), count as u64), 8);
        let status = ir.alloca(ir.int(32), 4);
        let exit = ir.block();
        ir.at(start);
        let arguments = [addresses, ir.zero(ir.int(8)), ir.i64(8 * count), ir.bool(false)];
        ir.intrinsic("llvm.memset", &[ir.ptr(), ir.int(64)], &arguments);
        Some(Slots { addresses, count, status, exit })
    }

    fn address_of(&self, ir: &Ir, slot: Value) -> Value {
        ir.element(ir.ptr(), self.addresses, slot)
    }
}

impl Entry<'_> {
    pub(super) fn allocate(&self, slot: SlotId, bytes: &Dim, check: u32) -> Result<(), Error> {
        let bytes = self.dims.value(bytes)?;
        let (ir, place) = (self.ir, self.place_of(slot)?);
        // The next multiple of a line above: no value is without memory.
        let bytes = ir.and(ir.add(bytes, ir.i64(LINE)), ir.i64(-LINE));
        let ty = ir.function_type(ir.ptr(), &[ir.int(64); 2]);
        let address = ir.call(ty, ir.declare("aligned_alloc", ty), &[ir.i64(LINE), bytes]);
        ir.store(address, place, 8);
        self.require(ir.icmp(LLVMIntNE, address, ir.zero(ir.ptr())), check);
        Ok(())
    }

    pub(super) fn free(&self, slot: SlotId) -> Result<(), Error> {
        let (ir, place) = (self.ir, self.place_of(slot)?);
        free(ir, ir.load(ir.ptr(), place, 8));
        ir.store(ir.zero(ir.ptr()), place, 8);
        Ok(())
    }

    /// The address of what a slot holds.
    pub(super) fn slot(&self, slot: SlotId) -> Result<Value, Error> {
        Ok(self.ir.load(self.ir.ptr(), self.place_of(slot)?, 8))
    }

    /// Ends the call with a status that is not 0.
    pub(super) fn fail(&self, status: Value) {
        let ir = self.ir;
        match &self.slots {
            None => ir.ret(Some(status)),
            Some(slots) => {
                ir.store(status, slots.status, 4);
                ir.jump(slots.exit);
            }
        }
    }

    /// The way out of a call that fails.
    pub(super) fn emit_exit(&self) {
        let Some(slots) = &self.slots else { return };
        let ir = self.ir;
        let next = ir.alloca(ir.int(64), 8);
        let (each, after) = (ir.block(), ir.block());
        ir.at(slots.exit);
        ir.store(ir.i64(0), next, 8);
        ir.jump(each);
        ir.at(each);
        let slot = ir.load(ir.int(64), next, 8);
        free(ir, ir.load(ir.ptr(), slots.address_of(ir, slot), 8));
        let slot = ir.add(slot, ir.i64(1));
        ir.store(slot, next, 8);
        ir.branch(ir.icmp(LLVMIntSLT, slot, ir.i64(slots.count)), each, after);
        ir.at(after);
        ir.ret(Some(ir.load(ir.int(32), slots.status, 4)));
    }

    fn place_of(&self, slot: SlotId) -> Result<Value, Error> {
        match &self.slots {
            Some(slots) => Ok(slots.address_of(self.ir, self.ir.i64(i64::from(slot.0)))),
            None => self.bug("speaks of memory that it does not allocate"),
        }
    }
}

/// Nothing happens to the null address.
fn free(ir: &Ir, address: Value) {
    let ty = ir.function_type(ir.void(), &[ir.ptr()]);
    ir.call(ty, ir.declare("free", ty), &[address]);
}
