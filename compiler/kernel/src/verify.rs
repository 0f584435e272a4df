//! Rules that every kernel and plan keeps. A violation is a bug of the stage that made it.

mod plan;

pub use plan::plan;

use crate::{Binary, DType, Expr, Kernel, LoopKind, Module, Space, Stmt, Ty, Unary, VarId};

/// What is wrong, and in which kernel or plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation(pub String);

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

type Checked<T = ()> = Result<T, Violation>;

fn fail<T>(message: impl Into<String>) -> Checked<T> {
    Err(Violation(message.into()))
}

pub fn module(module: &Module) -> Checked {
    for kernel in module.kernels.values() {
        self::kernel(kernel)?;
    }
    for plan in &module.plans {
        self::plan(module, plan)
            .map_err(|Violation(message)| Violation(format!("plan {}: {message}", plan.name)))?;
    }
    Ok(())
}

/// Types, scopes, lanes, spaces and the limit of local memory.
pub fn kernel(kernel: &Kernel) -> Checked {
    let mut local = 0usize;
    let mut arguments_over = false;
    for buffer in kernel.buffers.values() {
        if buffer.space.is_argument() {
            if arguments_over {
                return fail(format!("kernel {}: an argument after a local buffer", kernel.name));
            }
            continue;
        }
        arguments_over = true;
        let extents: Option<Vec<i64>> = buffer.shape.iter().map(|dim| dim.as_const()).collect();
        let Some(extents) = extents else {
            return fail(format!("kernel {}: local {} has no constant size", kernel.name, buffer.name));
        };
        let elements =
            extents.iter().try_fold(1usize, |n, extent| n.checked_mul(usize::try_from(*extent).ok()?));
        let bytes = elements.and_then(|elements| elements.checked_mul(buffer.dtype.size()));
        local = bytes.and_then(|bytes| local.checked_add(bytes)).unwrap_or(usize::MAX);
    }
    if local > Space::LOCAL_BYTES {
        return fail(format!("kernel {}: {local} bytes of local buffers", kernel.name));
    }
    let mut scope = Scope { kernel, bound: vec![State::Unbound; kernel.vars.len()] };
    scope.bound[kernel.block.index()] = State::Fixed;
    scope
        .stmts(&kernel.body)
        .map_err(|Violation(message)| Violation(format!("kernel {}: {message}", kernel.name)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unbound,
    Fixed,
    Register,
}

struct Scope<'k> {
    kernel: &'k Kernel,
    bound: Vec<State>,
}

impl Scope<'_> {
    /// Names bound inside end with the statements.
    fn inside(&mut self, body: &[Stmt]) -> Checked {
        let outer = self.bound.clone();
        let result = self.stmts(body);
        self.bound = outer;
        result
    }

    fn stmts(&mut self, body: &[Stmt]) -> Checked {
        body.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn name(&self, var: VarId) -> &str {
        &self.kernel.vars[var].name
    }

    fn stmt(&mut self, stmt: &Stmt) -> Checked {
        match stmt {
            Stmt::For { var, from, to, step, kind, body } => {
                self.wants(from, Ty::INDEX)?;
                self.wants(to, Ty::INDEX)?;
                if *step <= 0 || self.kernel.vars[*var].ty != Ty::INDEX {
                    return fail(format!("the loop over {} has no proper step or variable", self.name(*var)));
                }
                if *kind == LoopKind::Unrolled && (from.as_int().is_none() || to.as_int().is_none()) {
                    return fail(format!(
                        "the unrolled loop over {} has no constant bounds",
                        self.name(*var)
                    ));
                }
                let outer = self.bound[var.index()];
                self.bound[var.index()] = State::Fixed;
                let result = self.inside(body);
                self.bound[var.index()] = outer;
                result
            }
            Stmt::If { condition, then, otherwise } => {
                self.wants(condition, Ty::scalar(DType::Bool))?;
                self.inside(then)?;
                self.inside(otherwise)
            }
            Stmt::Let { var, value } => self.bind(*var, value, State::Fixed),
            Stmt::Register { var, init } => self.bind(*var, init, State::Register),
            Stmt::Assign { var, value } => {
                if self.bound[var.index()] != State::Register {
                    return fail(format!("assigns {}, which is no register here", self.name(*var)));
                }
                self.wants(value, self.kernel.vars[*var].ty)
            }
            Stmt::Store { buffer, index, value, mask } => {
                let target = &self.kernel.buffers[*buffer];
                if target.space == Space::Input {
                    return fail(format!("stores into the input {}", target.name));
                }
                let ty = self.ty(value)?;
                if ty.dtype != target.dtype {
                    return fail(format!("stores {ty} into {}", target.name));
                }
                self.access(index, target.shape.len(), ty.lanes, mask.as_ref())
            }
            Stmt::Prefetch { buffer, index } => {
                self.access(index, self.kernel.buffers[*buffer].shape.len(), 1, None)
            }
            Stmt::Check { condition, .. } => self.wants(condition, Ty::scalar(DType::Bool)),
            Stmt::Barrier | Stmt::AsyncCopy { .. } | Stmt::AsyncWait { .. } | Stmt::AtomicAdd { .. } => {
                fail("a statement that is not for the processor")
            }
        }
    }

    fn bind(&mut self, var: VarId, value: &Expr, state: State) -> Checked {
        self.wants(value, self.kernel.vars[var].ty)?;
        self.bound[var.index()] = state;
        Ok(())
    }

    fn wants(&self, expr: &Expr, wanted: Ty) -> Checked {
        let ty = self.ty(expr)?;
        if ty == wanted { Ok(()) } else { fail(format!("{ty} stands where {wanted} must")) }
    }

    fn access(&self, index: &[Expr], rank: usize, lanes: u16, mask: Option<&Expr>) -> Checked {
        if index.len() != rank {
            return fail(format!("{} indices for a buffer of rank {rank}", index.len()));
        }
        for i in index {
            let ty = self.ty(i)?;
            if ty.dtype != DType::I64 || ty.lanes != 1 && ty.lanes != lanes {
                return fail(format!("an index of type {ty} in an access of {lanes} lanes"));
            }
        }
        match mask {
            Some(mask) => self.wants(mask, Ty::vector(DType::Bool, lanes)),
            None => Ok(()),
        }
    }

    fn same(&self, a: &Expr, b: &Expr) -> Checked<Ty> {
        let (a, b) = (self.ty(a)?, self.ty(b)?);
        if a == b { Ok(a) } else { fail(format!("operands of types {a} and {b}")) }
    }

    fn ty(&self, expr: &Expr) -> Checked<Ty> {
        match expr {
            Expr::Const(value) => Ok(Ty::scalar(value.dtype())),
            Expr::Var(var) => match self.bound[var.index()] {
                State::Unbound => fail(format!("{} is not bound here", self.name(*var))),
                _ => Ok(self.kernel.vars[*var].ty),
            },
            Expr::Dim(_) => Ok(Ty::INDEX),
            Expr::Load { buffer, index, lanes, mask } => {
                let source = &self.kernel.buffers[*buffer];
                self.access(index, source.shape.len(), *lanes, mask.as_deref())?;
                Ok(Ty::vector(source.dtype, *lanes))
            }
            Expr::Unary(op, x) => {
                let ty = self.ty(x)?;
                let fits = match op {
                    Unary::Neg | Unary::Abs | Unary::Sign => ty.dtype != DType::Bool,
                    Unary::Not => !ty.dtype.is_float(),
                    _ => ty.dtype.is_float(),
                };
                if !fits {
                    return fail(format!("{op:?} of {ty}"));
                }
                let tests = matches!(op, Unary::IsNan | Unary::IsInf | Unary::IsFinite);
                Ok(if tests { Ty::vector(DType::Bool, ty.lanes) } else { ty })
            }
            Expr::Binary(op, a, b) => {
                let ty = self.same(a, b)?;
                let bits = matches!(op, Binary::And | Binary::Or | Binary::Xor);
                let integers = matches!(op, Binary::Shl | Binary::Shr | Binary::MulHi32);
                let floats = matches!(op, Binary::Atan2);
                let fits = match ty.dtype {
                    DType::Bool => bits || op.is_comparison(),
                    dtype if dtype.is_float() => !bits && !integers,
                    _ => !floats,
                };
                if !fits {
                    return fail(format!("{op:?} of {ty}"));
                }
                Ok(if op.is_comparison() { Ty::vector(DType::Bool, ty.lanes) } else { ty })
            }
            Expr::Fma(a, b, c) => {
                self.same(a, b)?;
                self.same(a, c)
            }
            Expr::Select(condition, yes, no) => {
                let (condition, ty) = (self.ty(condition)?, self.same(yes, no)?);
                let fits =
                    condition.dtype == DType::Bool && (condition.lanes == 1 || condition.lanes == ty.lanes);
                if fits { Ok(ty) } else { fail(format!("a select of {ty} by {condition}")) }
            }
            Expr::Cast(dtype, x) => Ok(Ty::vector(*dtype, self.ty(x)?.lanes)),
            Expr::Splat(x, lanes) => match self.ty(x)? {
                ty if ty.lanes == 1 && *lanes > 1 => Ok(Ty::vector(ty.dtype, *lanes)),
                ty => fail(format!("a splat of {ty} to {lanes} lanes")),
            },
            Expr::Ramp { base, lanes, .. } => {
                self.wants(base, Ty::INDEX)?;
                if *lanes > 1 { Ok(Ty::vector(DType::I64, *lanes)) } else { fail("a ramp of one lane") }
            }
            Expr::Lane(x, lane) => match self.ty(x)? {
                ty if *lane < ty.lanes => Ok(Ty::scalar(ty.dtype)),
                ty => fail(format!("lane {lane} of {ty}")),
            },
            Expr::Interleave(a, b, _) => match self.same(a, b)? {
                ty if ty.lanes % 2 == 0 => Ok(ty),
                ty => fail(format!("two halves of {ty}")),
            },
            Expr::Horizontal(op, x) => {
                let ty = self.ty(x)?;
                let known = matches!(
                    op,
                    Binary::Add | Binary::Mul | Binary::Min | Binary::Max | Binary::And | Binary::Or
                );
                if !known || !ty.lanes.is_power_of_two() {
                    return fail(format!("the lanes of {ty} combined by {op:?}"));
                }
                Ok(Ty::scalar(ty.dtype))
            }
        }
    }
}
