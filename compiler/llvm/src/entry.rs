//! A plan as a C function that calls its kernels in order, and a second one that tells sizes.

use crate::Error;
use crate::emit::dims::Dims;
use crate::emit::{CONTEXT_HEADER, STATUS_BASE, kernel_type};
use crate::ir::{Ir, Type, Value};
use kernel::{BufferRef, Call, Kernel, Module, Plan, Step, Stmt};
use llvm_sys::LLVMIntPredicate::*;
use shape::{Dim, Symbol};

/// Multiply-adds of a call below which handing out blocks to threads costs more than it gains.
const PARALLEL_WORK: i64 = 1 << 15;

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
    let most = plan.steps.iter().filter_map(|step| match step {
        Step::Call(call) => Some(call.buffers.len()),
        _ => None,
    });
    let words = CONTEXT_HEADER + most.max().unwrap_or(0);
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
    };
    for (id, constant) in plan.constants.iter() {
        let name = format!("{}.constant.{}", plan.name, id.index());
        entry.constants.push(ir.constant(&name, ir.const_bytes(&constant.bytes), 64, false));
    }
    for step in &plan.steps {
        entry.step(step)?;
    }
    ir.ret(Some(ir.const_int(ir.int(32), 0)));
    ir.close_entry(start);
    emit_shapes(ir, context, plan)
}

pub(crate) fn entry_type(ir: &Ir) -> Type {
    ir.function_type(ir.int(32), &[ir.ptr(); 5])
}

/// `void NAME_shapes(ptr dims, ptr out)`: bytes of workspace, then the size of every axis of every argument and of
/// every result. All are -1 where one does not fit 64 bits.
fn emit_shapes(ir: &Ir, context: &Context<'_>, plan: &Plan) -> Result<(), Error> {
    let ty = ir.function_type(ir.void(), &[ir.ptr(), ir.ptr()]);
    let function = ir.declare(&format!("{}_shapes", plan.name), ty);
    context.target.mark(ir, function);
    let start = ir.open(function);
    let (array, out) = (ir.parameter(0), ir.parameter(1));
    let dims = Dims::checked(ir, array, &plan.symbols);
    let axes = plan.args.iter().chain(&plan.results).flat_map(|arg| &arg.shape);
    let sizes: Vec<Value> =
        std::iter::once(&plan.workspace).chain(axes).map(|dim| dims.value(dim)).collect::<Result<_, _>>()?;
    ir.at(start);
    for (index, size) in sizes.into_iter().enumerate() {
        let size = ir.select(dims.failed(), ir.i64(-1), size);
        ir.store(size, ir.element(ir.int(64), out, ir.i64(index as i64)), 8);
    }
    ir.ret(None);
    ir.close_entry(start);
    Ok(())
}

impl Entry<'_> {
    fn step(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Call(call) => self.call(call),
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

    fn require(&self, condition: Value, check: u32) {
        let ir = self.ir;
        let (failed, after) = (ir.block(), ir.block());
        ir.branch(condition, after, failed);
        ir.at(failed);
        ir.ret(Some(ir.const_int(ir.int(32), i64::from(check) + 1)));
        ir.at(after);
    }

    fn call(&self, call: &Call) -> Result<(), Error> {
        let ir = self.ir;
        let Some(kernel) = self.context.module.kernels.get(call.kernel) else {
            return Err(Error::Bug(format!("plan `{}` calls a kernel that is not there", self.plan.name)));
        };
        if kernel.arguments().count() != call.buffers.len() {
            return Err(Error::Bug(format!("plan `{}` passes too few or many buffers", self.plan.name)));
        }
        let word = |index: usize| ir.element(ir.ptr(), self.words, ir.i64(index as i64));
        ir.store(self.status, word(0), 8);
        ir.store(self.kernel_dims, word(1), 8);
        for (index, buffer) in call.buffers.iter().enumerate() {
            ir.store(self.address(buffer)?, word(CONTEXT_HEADER + index), 8);
        }
        let ty = kernel_type(ir);
        let function = ir.declare(&self.context.kernel_names[call.kernel.index()], ty);
        ir.set_hidden(function);
        let blocks = self.dims.value(&kernel.grid)?;
        let work = self.dims.value(&call.work)?;

        let (serial, parallel, after) = (ir.block(), ir.block(), ir.block());
        let wanted =
            ir.and(ir.icmp(LLVMIntSGE, work, ir.i64(PARALLEL_WORK)), ir.icmp(LLVMIntSGT, blocks, ir.i64(1)));
        let able = ir.icmp(LLVMIntNE, self.parallel_for, ir.zero(ir.ptr()));
        ir.branch(ir.and(wanted, able), parallel, serial);
        ir.at(serial);
        ir.call(ty, function, &[self.words, ir.i64(0), blocks]);
        ir.jump(after);
        ir.at(parallel);
        let hand_out = ir.function_type(ir.void(), &[ir.ptr(), ir.ptr(), ir.ptr(), ir.int(64)]);
        ir.call(hand_out, self.parallel_for, &[self.pool, function, self.words, blocks]);
        ir.jump(after);
        ir.at(after);
        if has_checks(kernel) {
            let status = ir.load(ir.int(32), self.status, 4);
            let (failed, passed) = (ir.block(), ir.block());
            ir.branch(ir.icmp(LLVMIntEQ, status, ir.const_int(ir.int(32), 0)), passed, failed);
            ir.at(failed);
            ir.ret(Some(ir.sub(ir.const_int(ir.int(32), STATUS_BASE), status)));
            ir.at(passed);
        }
        Ok(())
    }

    fn address(&self, buffer: &BufferRef) -> Result<Value, Error> {
        let ir = self.ir;
        let passed = |index: usize| {
            let word = ir.load(ir.ptr(), ir.element(ir.ptr(), self.buffers, ir.i64(index as i64)), 8);
            Ok(word)
        };
        match buffer {
            BufferRef::Arg(index) => passed(*index),
            BufferRef::Result(index) => passed(self.plan.args.len() + index),
            BufferRef::Workspace { offset } => {
                Ok(ir.element(ir.int(8), self.workspace, self.dims.value(offset)?))
            }
            BufferRef::Constant(id) => self.constants.get(id.index()).copied().ok_or_else(|| {
                Error::Bug(format!("plan `{}` uses a constant that is not there", self.plan.name))
            }),
        }
    }
}

fn has_checks(kernel: &Kernel) -> bool {
    fn any(statements: &[Stmt]) -> bool {
        statements.iter().any(|statement| match statement {
            Stmt::Check { .. } => true,
            Stmt::For { body, .. } => any(body),
            Stmt::If { then, otherwise, .. } => any(then) || any(otherwise),
            _ => false,
        })
    }
    any(&kernel.body)
}
