//! A plan as a C function that calls its kernels in order, and a second one that tells sizes.

mod call;
mod control;
mod memory;
mod places;
mod shapes;
mod timing;

use crate::Error;
use crate::emit::CONTEXT_HEADER;
use crate::emit::dims::Dims;
use crate::ir::{Ir, Type, Value};
use control::Running;
use kernel::{LoopId, Module, Plan, Step};
use llvm_sys::LLVMIntPredicate::*;
use memory::Slots;
use places::Tables;
use shape::{Dim, Symbol};
use std::collections::BTreeMap;
use timing::Counters;
pub(crate) use timing::WORDS;

/// What a module's plans are emitted with.
pub(crate) struct Context<'a> {
    pub module: &'a Module,
    /// The names of the kernels' functions, by index.
    pub kernel_names: &'a [String],
    /// The order in which kernels expect the dynamic dimensions.
    pub symbols: &'a [Symbol],
    pub target: &'a crate::Target,
}

struct Entry<'a> {
    ir: &'a Ir,
    context: &'a Context<'a>,
    plan: &'a Plan,
    dims: &'a Dims<'a>,
    buffers: Value,
    workspace: Value,
    parallel_for: Value,
    pool: Value,
    status: Value,
    /// The dimensions in the kernels' order.
    kernel_dims: Value,
    /// The words handed to kernels; one call at a time uses them.
    words: Value,
    constants: Vec<Value>,
    /// Loops that have begun.
    loops: BTreeMap<LoopId, Running>,
    tables: Tables,
    slots: Option<Slots>,
    counters: Option<Counters>,
}

/// `i32 NAME(ptr buffers, ptr dims, ptr workspace, ptr parallel_for, ptr pool)`.
pub(crate) fn emit(ir: &Ir, context: &Context<'_>, plan: &Plan) -> Result<(), Error> {
    let function = ir.declare(&plan.name, entry_type(ir));
    context.target.mark(ir, function);
    let start = ir.open(function);
    let dims_array = ir.parameter(1);
    let dims = Dims::new(ir, dims_array, &plan.symbols);
    let status = ir.alloca(ir.int(32), 4);
    let kernel_dims = ir.alloca(ir.array(ir.int(64), context.symbols.len().max(1) as u64), 8);
    for (index, symbol) in context.symbols.iter().enumerate() {
        let value = if plan.symbols.contains(symbol) { dims.value(&Dim::from(symbol))? } else { ir.i64(0) };
        ir.store(value, ir.element(ir.int(64), kernel_dims, ir.i64(index as i64)), 8);
    }
    let most = plan.calls().into_iter().map(|call| call.buffers.len()).max();
    let words = CONTEXT_HEADER + most.unwrap_or(0);
    let words = ir.alloca(ir.array(ir.ptr(), words as u64), 8);
    ir.at(start);
    ir.store(ir.const_int(ir.int(32), 0), status, 4);
    let mut entry = Entry {
        ir,
        context,
        plan,
        dims: &dims,
        buffers: ir.parameter(0),
        workspace: ir.parameter(2),
        parallel_for: ir.parameter(3),
        pool: ir.parameter(4),
        status,
        kernel_dims,
        words,
        constants: Vec::new(),
        loops: BTreeMap::new(),
        tables: Tables::default(),
        slots: Slots::new(ir, plan, start),
        counters: Counters::new(ir, plan, context.target),
    };
    for (id, constant) in plan.constants.iter() {
        let name = format!("{}.constant.{}", plan.name, id.index());
        entry.constants.push(ir.constant(&name, ir.const_bytes(&constant.bytes), 64, false));
    }
    entry.steps(&plan.steps)?;
    ir.ret(Some(ir.const_int(ir.int(32), 0)));
    entry.emit_exit();
    ir.close_entry(start);
    shapes::emit(ir, context, plan)
}

pub(crate) fn entry_type(ir: &Ir) -> Type {
    ir.function_type(ir.int(32), &[ir.ptr(); 5])
}

impl Entry<'_> {
    fn steps(&mut self, steps: &[Step]) -> Result<(), Error> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Call(call) => self.call(call),
            Step::Copy { from, to, bytes } => self.copy(from, to, bytes),
            Step::Allocate { slot, bytes, check } => self.allocate(*slot, bytes, *check),
            Step::Free { slot } => self.free(*slot),
            Step::Loop { id, count, reverse, body } => self.counted(*id, count, *reverse, body),
            Step::While { id, condition, flag, limit, body } => {
                self.repeat_while(*id, condition, flag, limit.as_ref(), body)
            }
            Step::Timed { of, body } => self.timed(of, body),
            Step::If { flag, then, otherwise } => self.choose(flag, then, otherwise),
            Step::Require { value, at_least, check } => {
                let (value, least) = (self.dims.value(value)?, self.dims.value(at_least)?);
                self.require(self.ir.icmp(LLVMIntSGE, value, least), *check);
                Ok(())
            }
            Step::RequireEq { a, b, check } => {
                let (a, b) = (self.dims.value(a)?, self.dims.value(b)?);
                self.require(self.ir.icmp(LLVMIntEQ, a, b), *check);
                Ok(())
            }
        }
    }

    fn bug<T>(&self, text: &str) -> Result<T, Error> {
        Err(Error::Bug(format!("plan `{}` {text}", self.plan.name)))
    }

    fn require(&self, condition: Value, check: u32) {
        let ir = self.ir;
        let (failed, after) = (ir.block(), ir.block());
        ir.branch(condition, after, failed);
        ir.at(failed);
        self.fail(ir.const_int(ir.int(32), i64::from(check) + 1));
        ir.at(after);
    }
}
