//! A call of a kernel: its context, threads or none, and the status that its checks leave.

use super::Entry;
use crate::Error;
use crate::emit::{CONTEXT_HEADER, STATUS_BASE, kernel_type};
use kernel::{Call, Kernel, Stmt};
use llvm_sys::LLVMIntPredicate::*;

/// Multiply-adds of a call below which handing out blocks to threads costs more than it gains.
const PARALLEL_WORK: i64 = 1 << 15;

impl Entry<'_> {
    pub(super) fn call(&self, call: &Call) -> Result<(), Error> {
        let ir = self.ir;
        let Some(kernel) = self.context.module.kernels.get(call.kernel) else {
            return self.bug("calls a kernel that is not there");
        };
        if kernel.arguments().count() != call.buffers.len() {
            return self.bug("passes too few or many buffers");
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
            self.fail(ir.sub(ir.const_int(ir.int(32), STATUS_BASE), status));
            ir.at(passed);
        }
        Ok(())
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
