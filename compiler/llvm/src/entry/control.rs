//! Loops and branches of a plan.

use super::Entry;
use crate::Error;
use crate::ir::Value;
use kernel::{BufferRef, LoopId, Step};
use llvm_sys::LLVMIntPredicate::*;
use shape::Dim;

/// A loop that has begun, perhaps ended.
#[derive(Clone, Copy)]
pub(super) struct Running {
    /// Where the number of steps done stands.
    done: Value,
    /// How many steps there are; none in a `while`.
    count: Option<Value>,
    reverse: bool,
}

impl Entry<'_> {
    pub(super) fn counted(
        &mut self,
        id: LoopId,
        count: &Dim,
        reverse: bool,
        body: &[Step],
    ) -> Result<(), Error> {
        let count = self.dims.value(count)?;
        let ir = self.ir;
        let running = self.begin(id, Some(count), reverse);
        self.prepare_tables(id, body)?;
        let (header, inside, after) = (ir.block(), ir.block(), ir.block());
        ir.jump(header);
        ir.at(header);
        let done = ir.load(ir.int(64), running.done, 8);
        ir.branch(ir.icmp(LLVMIntSLT, done, count), inside, after);
        ir.at(inside);
        self.steps(body)?;
        self.advance(running);
        ir.jump(header);
        ir.at(after);
        Ok(())
    }

    pub(super) fn repeat_while(
        &mut self,
        id: LoopId,
        condition: &[Step],
        flag: &BufferRef,
        limit: Option<&Dim>,
        body: &[Step],
    ) -> Result<(), Error> {
        let limit = limit.map(|limit| self.dims.value(limit)).transpose()?;
        let ir = self.ir;
        let running = self.begin(id, None, false);
        let (header, test, inside, after) = (ir.block(), ir.block(), ir.block(), ir.block());
        ir.jump(header);
        ir.at(header);
        match limit {
            Some(limit) => {
                let done = ir.load(ir.int(64), running.done, 8);
                ir.branch(ir.icmp(LLVMIntSLT, done, limit), test, after);
            }
            None => ir.jump(test),
        }
        ir.at(test);
        self.steps(condition)?;
        let goes_on = self.flag(flag)?;
        ir.branch(goes_on, inside, after);
        ir.at(inside);
        self.steps(body)?;
        self.advance(running);
        ir.jump(header);
        ir.at(after);
        Ok(())
    }

    pub(super) fn choose(
        &mut self,
        flag: &BufferRef,
        then: &[Step],
        otherwise: &[Step],
    ) -> Result<(), Error> {
        let ir = self.ir;
        let condition = self.flag(flag)?;
        let (yes, no, after) = (ir.block(), ir.block(), ir.block());
        ir.branch(condition, yes, no);
        for (block, steps) in [(yes, then), (no, otherwise)] {
            ir.at(block);
            self.steps(steps)?;
            ir.jump(after);
        }
        ir.at(after);
        Ok(())
    }

    pub(super) fn copy(&mut self, from: &BufferRef, to: &BufferRef, bytes: &Dim) -> Result<(), Error> {
        let ir = self.ir;
        let (from, to, bytes) = (self.address(from)?, self.address(to)?, self.dims.value(bytes)?);
        let overloads = [ir.ptr(), ir.ptr(), ir.int(64)];
        ir.intrinsic("llvm.memcpy", &overloads, &[to, from, bytes, ir.bool(false)]);
        Ok(())
    }

    /// How many steps of the loop are done.
    pub(super) fn done(&self, id: LoopId) -> Result<Value, Error> {
        match self.loops.get(&id) {
            Some(running) => Ok(self.ir.load(self.ir.int(64), running.done, 8)),
            None => self.bug("speaks of a loop that has not begun"),
        }
    }

    /// The number of the loop's present step.
    pub(super) fn number(&self, id: LoopId) -> Result<Value, Error> {
        let done = self.done(id)?;
        let ir = self.ir;
        match self.loops.get(&id) {
            Some(Running { count: Some(count), reverse: true, .. }) => {
                Ok(ir.sub(ir.sub(*count, ir.i64(1)), done))
            }
            Some(Running { count: Some(_), .. }) => Ok(done),
            _ => self.bug("asks for the number of a step that has none"),
        }
    }

    fn begin(&mut self, id: LoopId, count: Option<Value>, reverse: bool) -> Running {
        let ir = self.ir;
        let running = Running { done: ir.alloca(ir.int(64), 8), count, reverse };
        ir.store(ir.i64(0), running.done, 8);
        self.loops.insert(id, running);
        running
    }

    fn advance(&self, running: Running) {
        let ir = self.ir;
        let done = ir.load(ir.int(64), running.done, 8);
        ir.store(ir.add(done, ir.i64(1)), running.done, 8);
    }

    fn flag(&mut self, flag: &BufferRef) -> Result<Value, Error> {
        let address = self.address(flag)?;
        let ir = self.ir;
        let byte = ir.load(ir.int(8), address, 1);
        Ok(ir.icmp(LLVMIntNE, byte, ir.zero(ir.int(8))))
    }
}
