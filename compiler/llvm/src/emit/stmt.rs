//! Statements.

use super::{Emitter, STATUS_BASE, Slot, Val};
use crate::Error;
use crate::ir::Value;
use kernel::{DType, Expr, LoopKind, Stmt, Ty, VarId};
use llvm_sys::LLVMIntPredicate::LLVMIntSLT;

/// Repetitions of one unrolled loop that are written out; more is a mistake of the schedule.
const MAX_UNROLLED: i64 = 4096;

impl Emitter<'_> {
    pub(super) fn statements(&mut self, statements: &[Stmt]) -> Result<(), Error> {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt) -> Result<(), Error> {
        match statement {
            Stmt::For { step, .. } if *step <= 0 => self.bug("a loop whose step is not positive"),
            Stmt::For { var, from, to, step, kind: LoopKind::Serial, body } => {
                self.serial(*var, from, to, *step, body)
            }
            Stmt::For { var, from, to, step, kind: LoopKind::Unrolled, body } => {
                self.unrolled(*var, from, to, *step, body)
            }
            Stmt::If { condition, then, otherwise } => self.branch(condition, then, otherwise),
            Stmt::Let { var, value } => {
                let value = self.typed(*var, value)?;
                self.vars[var.index()] = Slot::Value(value);
                Ok(())
            }
            Stmt::Register { var, init } => {
                let value = self.typed(*var, init)?;
                let ty = self.register_type(self.ty(*var));
                let place = match self.registers[var.index()] {
                    Some(place) => place,
                    None => {
                        let place = self.ir.alloca(ty, 64);
                        self.registers[var.index()] = Some(place);
                        place
                    }
                };
                self.vars[var.index()] = Slot::Register(place);
                self.ir.store(value, place, 64);
                Ok(())
            }
            Stmt::Assign { var, value } => {
                let value = self.typed(*var, value)?;
                let Slot::Register(place) = self.vars[var.index()] else {
                    return self.bug(&format!("`{}` is not a register", self.kernel.vars[*var].name));
                };
                self.ir.store(value, place, 64);
                Ok(())
            }
            Stmt::Store { buffer, index, value, mask } => self.store(*buffer, index, value, mask.as_ref()),
            Stmt::Prefetch { buffer, index } => self.prefetch(*buffer, index),
            Stmt::Check { condition, check } => self.check(condition, *check),
            Stmt::For { kind: LoopKind::Thread(_), .. }
            | Stmt::Barrier
            | Stmt::AsyncCopy { .. }
            | Stmt::AsyncWait { .. }
            | Stmt::AtomicAdd { .. } => Err(Error::Unsupported(format!(
                "kernel `{}` uses what only a GPU has, on a CPU",
                self.kernel.name
            ))),
        }
    }

    fn serial(&mut self, var: VarId, from: &Expr, to: &Expr, step: i64, body: &[Stmt]) -> Result<(), Error> {
        let ir = self.ir;
        let (from, to) = (self.scalar(from, DType::I64)?, self.scalar(to, DType::I64)?);
        let (before, header, inside, after) = (ir.here(), ir.block(), ir.block(), ir.block());
        ir.jump(header);
        ir.at(header);
        let index = ir.phi(ir.int(64), &[(from, before)]);
        ir.branch(ir.icmp(LLVMIntSLT, index, to), inside, after);
        ir.at(inside);
        self.vars[var.index()] = Slot::Value(index);
        self.statements(body)?;
        // Sizes are far from the end of i64, so one step past the bound cannot wrap.
        let next = ir.add_nsw(index, ir.i64(step));
        ir.add_incoming(index, &[(next, ir.here())]);
        ir.jump(header);
        ir.at(after);
        self.vars[var.index()] = Slot::Unbound;
        Ok(())
    }

    fn unrolled(
        &mut self,
        var: VarId,
        from: &Expr,
        to: &Expr,
        step: i64,
        body: &[Stmt],
    ) -> Result<(), Error> {
        let (Some(from), Some(to)) = (constant(from), constant(to)) else {
            return self.bug("an unrolled loop whose bounds are not constant");
        };
        let count = to.saturating_sub(from).max(0) as u64 / step as u64;
        if count > MAX_UNROLLED as u64 {
            return self.bug(&format!("an unrolled loop of {count} repetitions"));
        }
        let mut index = from;
        while index < to {
            self.vars[var.index()] = Slot::Value(self.ir.i64(index));
            self.statements(body)?;
            index += step;
        }
        self.vars[var.index()] = Slot::Unbound;
        Ok(())
    }

    fn branch(&mut self, condition: &Expr, then: &[Stmt], otherwise: &[Stmt]) -> Result<(), Error> {
        let ir = self.ir;
        let condition = self.scalar(condition, DType::Bool)?;
        let (yes, no, after) = (ir.block(), ir.block(), ir.block());
        ir.branch(condition, yes, no);
        for (block, statements) in [(yes, then), (no, otherwise)] {
            ir.at(block);
            self.statements(statements)?;
            ir.jump(after);
        }
        ir.at(after);
        Ok(())
    }

    /// A failing block of the grid ends; the others still run, so that the status does not depend on threads.
    fn check(&mut self, condition: &Expr, check: u32) -> Result<(), Error> {
        let ir = self.ir;
        let mut condition = self.expr(condition)?;
        if condition.ty.dtype != DType::Bool {
            return self.bug(&format!("a check of type {}", condition.ty));
        }
        if condition.ty.lanes > 1 {
            let ty = self.register_type(condition.ty);
            condition.v = ir.intrinsic("llvm.vector.reduce.and", &[ty], &[condition.v]);
        }
        let (failed, after) = (ir.block(), ir.block());
        ir.branch(condition.v, after, failed);
        ir.at(failed);
        ir.atomic_max(self.status, ir.const_int(ir.int(32), STATUS_BASE - i64::from(check) - 1));
        ir.jump(self.block_end);
        ir.at(after);
        Ok(())
    }

    /// A value for a variable, of the variable's type.
    fn typed(&mut self, var: VarId, value: &Expr) -> Result<Value, Error> {
        let value = self.expr(value)?;
        if value.ty != self.ty(var) {
            let name = &self.kernel.vars[var].name;
            return self.bug(&format!("`{name}` is {}, its value {}", self.ty(var), value.ty));
        }
        Ok(value.v)
    }

    fn scalar(&mut self, expr: &Expr, dtype: DType) -> Result<Value, Error> {
        let Val { v, ty } = self.expr(expr)?;
        if ty == Ty::scalar(dtype) { Ok(v) } else { self.bug(&format!("{ty} in the place of {dtype}")) }
    }
}

fn constant(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Dim(dim) => dim.as_const(),
        expr => expr.as_int(),
    }
}
