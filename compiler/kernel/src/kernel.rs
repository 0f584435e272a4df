//! A kernel: buffers, variables and statements that run once a block.

use crate::{DType, Plan, Stmt, Ty};
use base::{Id, IdVec};
use shape::Dim;

pub type BufferId = Id<Buffer>;
pub type VarId = Id<Var>;
pub type KernelId = Id<Kernel>;

/// Where a buffer lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Space {
    /// Read only, passed by the caller.
    Input,
    /// Written, passed by the caller; its content before the call is unknown.
    Output,
    /// Read and written, passed by the caller.
    InOut,
    /// Scratch of one block: constant size, uninitialised, at most [`Space::LOCAL_BYTES`] a kernel.
    Local,
    /// Scratch that the threads of a block share. Not for CPUs.
    Shared,
}

impl Space {
    /// Limit of all local buffers of a kernel: they live on a thread's stack.
    pub const LOCAL_BYTES: usize = 128 << 10;

    pub fn is_argument(self) -> bool {
        matches!(self, Space::Input | Space::Output | Space::InOut)
    }
}

/// Row-major, contiguous, aligned to 64 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Buffer {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<Dim>,
    pub space: Space,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Var {
    pub name: String,
    pub ty: Ty,
}

/// One function of compiled code.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Kernel {
    pub name: String,
    /// Arguments first, in the order in which a call passes them, then local buffers.
    pub buffers: IdVec<Buffer>,
    pub vars: IdVec<Var>,
    /// The index of the block, an i64 variable.
    pub block: VarId,
    /// Number of blocks; follows from shapes and the schedule, never from threads.
    pub grid: Dim,
    pub body: Vec<Stmt>,
}

impl Kernel {
    pub fn new(name: impl Into<String>) -> Kernel {
        let mut vars = IdVec::new();
        let block = vars.push(Var { name: "block".into(), ty: Ty::INDEX });
        Kernel {
            name: name.into(),
            buffers: IdVec::new(),
            vars,
            block,
            grid: Dim::from(1i64),
            body: Vec::new(),
        }
    }

    pub fn buffer(
        &mut self,
        name: impl Into<String>,
        dtype: DType,
        shape: Vec<Dim>,
        space: Space,
    ) -> BufferId {
        self.buffers.push(Buffer { name: name.into(), dtype, shape, space })
    }

    pub fn var(&mut self, name: impl Into<String>, ty: Ty) -> VarId {
        self.vars.push(Var { name: name.into(), ty })
    }

    pub fn arguments(&self) -> impl Iterator<Item = (BufferId, &Buffer)> {
        self.buffers.iter().filter(|(_, buffer)| buffer.space.is_argument())
    }

    pub fn ty(&self, expr: &crate::Expr) -> Ty {
        expr.ty(&|var| self.vars[var].ty, &|buffer| self.buffers[buffer].dtype)
    }
}

/// What is compiled together: kernels, each once however often plans call it, and one plan an entry point.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Module {
    pub kernels: IdVec<Kernel>,
    pub plans: Vec<Plan>,
}
