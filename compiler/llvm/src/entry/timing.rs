//! The time of steps: the clock is read around them, and sums are kept beside the code, in `NAME_profile`: how many steps
//! there are, then for each how often it ran, nanoseconds, floating-point operations, bytes.

use super::Entry;
use crate::ir::{Ir, Value};
use crate::{Error, Target};
use kernel::{Measured, Plan, Step};
use std::cell::Cell;

/// Words of one step.
pub(crate) const WORDS: usize = 4;

/// The clock that only goes forward, as the system's C library numbers it.
const MONOTONIC: i64 = 1;
const MONOTONIC_OF_DARWIN: i64 = 6;

pub(super) struct Counters {
    table: Value,
    /// Where the clock's answer goes.
    now: Value,
    clock: i64,
    /// Steps so far.
    next: Cell<usize>,
}

impl Counters {
    /// `None` for a plan without timed steps.
    pub fn new(ir: &Ir, plan: &Plan, target: &Target) -> Option<Counters> {
        let count = plan.measured().len();
        if count == 0 {
            return None;
        }
        let mut words = vec![ir.i64(count as i64)];
        words.resize(1 + WORDS * count, ir.i64(0));
        let table = ir.variable(&format!("{}_profile", plan.name), ir.const_array(ir.int(64), &words), 64);
        let now = ir.alloca(ir.array(ir.int(64), 2), 8);
        let clock = if target.triple.contains("darwin") { MONOTONIC_OF_DARWIN } else { MONOTONIC };
        Some(Counters { table, now, clock, next: Cell::new(0) })
    }

    fn nanoseconds(&self, ir: &Ir) -> Value {
        let ty = ir.function_type(ir.int(32), &[ir.int(32), ir.ptr()]);
        ir.call(ty, ir.declare("clock_gettime", ty), &[ir.const_int(ir.int(32), self.clock), self.now]);
        let seconds = ir.load(ir.int(64), self.now, 8);
        let rest = ir.load(ir.int(64), ir.element(ir.int(64), self.now, ir.i64(1)), 8);
        ir.add(ir.mul(seconds, ir.i64(1_000_000_000)), rest)
    }
}

impl Entry<'_> {
    pub(super) fn timed(&mut self, of: &Measured, body: &[Step]) -> Result<(), Error> {
        let ir = self.ir;
        let (flops, bytes) = (self.dims.value(&of.flops)?, self.dims.value(&of.bytes)?);
        let Some(counters) = &self.counters else { return self.bug("times steps without a place for it") };
        let number = counters.next.replace(counters.next.get() + 1);
        let before = counters.nanoseconds(ir);
        self.steps(body)?;
        let Some(counters) = &self.counters else { return self.bug("times steps without a place for it") };
        let took = ir.sub(counters.nanoseconds(ir), before);
        for (word, value) in [ir.i64(1), took, flops, bytes].into_iter().enumerate() {
            let place = ir.i64((1 + number * WORDS + word) as i64);
            ir.atomic_add(ir.element(ir.int(64), counters.table, place), value);
        }
        Ok(())
    }
}
