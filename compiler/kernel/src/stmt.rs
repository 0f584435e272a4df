//! Statements: loops, registers, stores; and what only a GPU uses.

use crate::{BufferId, Expr, VarId};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LoopKind {
    Serial,
    /// The body is repeated by the emitter; both bounds are constants.
    Unrolled,
    /// One iteration a thread of the block, along axis 0, 1 or 2. Not for CPUs.
    Thread(u8),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Stmt {
    /// `for var in (from..to).step_by(step)`; `step > 0`.
    For {
        var: VarId,
        from: Expr,
        to: Expr,
        step: i64,
        kind: LoopKind,
        body: Vec<Stmt>,
    },
    If {
        condition: Expr,
        then: Vec<Stmt>,
        otherwise: Vec<Stmt>,
    },
    /// Binds a name once.
    Let {
        var: VarId,
        value: Expr,
    },
    /// Declares a register that [`Stmt::Assign`] may change.
    Register {
        var: VarId,
        init: Expr,
    },
    Assign {
        var: VarId,
        value: Expr,
    },
    /// Vectors go to consecutive elements along the last axis, or are scattered where an index is a vector.
    /// Lanes whose `mask` is false are not written.
    Store {
        buffer: BufferId,
        index: Vec<Expr>,
        value: Expr,
        mask: Option<Expr>,
    },
    /// The line of this element will be read soon. A hint that does nothing else: the element may lie outside.
    Prefetch {
        buffer: BufferId,
        index: Vec<Expr>,
    },
    /// Ends the call with this status (an index into [`crate::Plan::checks`], plus one) if the condition is false.
    Check {
        condition: Expr,
        check: u32,
    },
    /// All threads of the block arrive before any goes on. Not for CPUs.
    Barrier,
    /// Starts a copy into shared memory that a later [`Stmt::AsyncWait`] waits for. Not for CPUs.
    AsyncCopy {
        to: BufferId,
        to_index: Vec<Expr>,
        from: BufferId,
        from_index: Vec<Expr>,
        elements: u16,
    },
    /// Waits until at most `pending` groups of copies are under way. Not for CPUs.
    AsyncWait {
        pending: u8,
    },
    /// Integer addition that no other thread can split. Not for CPUs.
    AtomicAdd {
        buffer: BufferId,
        index: Vec<Expr>,
        value: Expr,
    },
}
