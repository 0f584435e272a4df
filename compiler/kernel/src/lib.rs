//! Stage ⑥: the loop IR.
//! Input: element functions of operators (index expressions, [`form`]) and schedules (data, [`schedule`]).
//! Output: [`Kernel`]s (loops over buffers with explicit vectors) called in order by a [`Plan`].
//! Invariants: *what* is computed never mentions tiles or vectors; *how* is plain data. Sizes and indices are `i64`.
//! A kernel's blocks may run in any order on any threads and give the same bits. Nothing here knows LLVM or graphs.

mod build;
mod dtype;
mod expr;
mod form;
pub mod interp;
mod kernel;
mod plan;
pub mod print;
pub mod schedule;
mod stmt;
pub mod transform;
pub mod verify;

pub use dtype::{DType, Ty};
pub use expr::{Binary, Const, Expr, Half, Unary};
pub use form::{Combine, Form, Reader};
pub use kernel::{Buffer, BufferId, Kernel, KernelId, Module, Space, Var, VarId};
pub use plan::{
    Arg, ArgRole, BufferRef, Call, Check, Constant, ConstantId, LoopId, Measured, Plan, SlotId, Step,
};
pub use stmt::{LoopKind, Stmt};
