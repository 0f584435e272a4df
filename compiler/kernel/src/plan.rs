//! A plan: the kernel calls of one entry point in order, with every temporary's place: in the workspace, or allocated when
//! it is made and freed when it has been read for the last time.
//!
//! Compiled code of a plan has the signature
//! `i32 NAME(void *const *buffers, const i64 *dims, void *workspace, parallel_for, void *pool)`:
//! `buffers` are the arguments in order, then the results; `dims` the values of [`Plan::symbols`]; the status is 0, or
//! one plus the index of the [`Check`] that failed. A kernel is `void NAME(void *cx, i64 from, i64 to)`, run for the
//! blocks `from..to`; `cx` points at 8-byte words: the status' address, the dims' address, then one address a buffer.

use crate::{DType, KernelId};
use base::Id;
use shape::{Dim, Symbol};
use std::collections::BTreeMap;

pub type ConstantId = Id<Constant>;

/// What an argument or result is to the host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ArgRole {
    /// A model's input, or a field of the data.
    Input,
    Weight,
    /// Declared `state`, a batch norm's running mean for one.
    State,
    /// What the optimiser remembers of a weight.
    Optimizer,
    /// The seed, the step: i64 scalars that the runtime fills.
    Control,
    Output,
    Loss,
    Metric,
    Gradient,
}

/// An argument or a result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg {
    /// As users write it: `image`, `conv_block.conv2d.w`.
    pub name: String,
    pub role: ArgRole,
    pub dtype: DType,
    pub shape: Vec<Dim>,
}

/// Literal data, row-major.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Constant {
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// Little endian.
    pub bytes: Vec<u8>,
}

/// A loop of a plan, numbered within it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LoopId(pub u32);

/// Memory that a plan allocates, numbered within it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SlotId(pub u32);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BufferRef {
    Arg(usize),
    Result(usize),
    /// Bytes from the workspace's start, a multiple of 64.
    Workspace {
        offset: Dim,
    },
    /// Between its [`Step::Allocate`] and its [`Step::Free`].
    Allocated(SlotId),
    Constant(ConstantId),
    /// One of equal parts: `stride` bytes further for each step's number. Any alignment that its elements have.
    Part {
        of: Box<BufferRef>,
        loop_id: LoopId,
        stride: Dim,
    },
    /// One of several, by the step's number.
    Table {
        loop_id: LoopId,
        of: Vec<BufferRef>,
    },
    /// Places that take turns, so that a step reads one and writes another: `even` after an even number of steps done,
    /// `odd` after an odd one, but `first` before any, where it is given. After the loop it says where the last is.
    Turn {
        loop_id: LoopId,
        first: Option<Box<BufferRef>>,
        even: Box<BufferRef>,
        odd: Box<BufferRef>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    pub kernel: KernelId,
    pub buffers: Vec<BufferRef>,
    /// Rough work of the whole call in multiply-adds, for deciding whether threads pay.
    pub work: Dim,
}

/// A condition on dimensions or data that compiled code tests; its text is what the user reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    pub message: String,
    /// `file:line:column`, where known.
    pub place: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Call(Call),
    /// Ends with the check's status unless `at_least <= value` for the dims of this call.
    Require {
        value: Dim,
        at_least: Dim,
        check: u32,
    },
    /// Ends with the check's status unless `a == b`.
    RequireEq {
        a: Dim,
        b: Dim,
        check: u32,
    },
    /// Memory for one value, aligned to 64 bytes. Ends with the check's status where there is none.
    Allocate {
        slot: SlotId,
        bytes: Dim,
        check: u32,
    },
    Free {
        slot: SlotId,
    },
    /// Moves bytes between places that do not overlap.
    Copy {
        from: BufferRef,
        to: BufferRef,
        bytes: Dim,
    },
    /// `count` steps, numbered 0 … count-1; the last number first where `reverse`.
    Loop {
        id: LoopId,
        count: Dim,
        reverse: bool,
        body: Vec<Step>,
    },
    /// Steps as long as `condition` leaves true in `flag`, at most `limit`.
    While {
        id: LoopId,
        condition: Vec<Step>,
        /// One bool.
        flag: BufferRef,
        limit: Option<Dim>,
        body: Vec<Step>,
    },
    If {
        /// One bool.
        flag: BufferRef,
        then: Vec<Step>,
        otherwise: Vec<Step>,
    },
    /// Steps whose time is taken, for whoever looks for where time goes.
    Timed {
        of: Box<Measured>,
        body: Vec<Step>,
    },
}

/// What is told of a step whose time is taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measured {
    /// The operators that it computes.
    pub what: String,
    /// `file:line` of the source.
    pub place: String,
    /// Floating-point operations, and bytes read and written, of one run.
    pub flops: Dim,
    pub bytes: Dim,
}

impl Step {
    /// The steps inside, one list after the other.
    pub fn bodies(&self) -> Vec<&[Step]> {
        match self {
            Step::Loop { body, .. } => vec![body],
            Step::While { condition, body, .. } => vec![condition, body],
            Step::If { then, otherwise, .. } => vec![then, otherwise],
            Step::Timed { body, .. } => vec![body],
            _ => Vec::new(),
        }
    }

    pub fn bodies_mut(&mut self) -> Vec<&mut Vec<Step>> {
        match self {
            Step::Loop { body, .. } => vec![body],
            Step::While { condition, body, .. } => vec![condition, body],
            Step::If { then, otherwise, .. } => vec![then, otherwise],
            Step::Timed { body, .. } => vec![body],
            _ => Vec::new(),
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    pub name: String,
    /// The dynamic dimensions, in the order of `dims`.
    pub symbols: Vec<Symbol>,
    pub args: Vec<Arg>,
    pub results: Vec<Arg>,
    pub constants: base::IdVec<Constant>,
    pub steps: Vec<Step>,
    pub checks: Vec<Check>,
    /// Bytes of workspace; a formula of the dims.
    pub workspace: Dim,
}

impl Plan {
    /// The calls as they stand in the text, each once however often a loop runs it.
    pub fn calls(&self) -> Vec<&Call> {
        fn collect<'p>(steps: &'p [Step], calls: &mut Vec<&'p Call>) {
            for step in steps {
                if let Step::Call(call) = step {
                    calls.push(call);
                }
                step.bodies().into_iter().for_each(|body| collect(body, calls));
            }
        }
        let mut calls = Vec::new();
        collect(&self.steps, &mut calls);
        calls
    }

    /// What is told of the steps whose time is taken, in the order of the text.
    pub fn measured(&self) -> Vec<&Measured> {
        fn collect<'p>(steps: &'p [Step], found: &mut Vec<&'p Measured>) {
            for step in steps {
                if let Step::Timed { of, .. } = step {
                    found.push(of);
                }
                step.bodies().into_iter().for_each(|body| collect(body, found));
            }
        }
        let mut found = Vec::new();
        collect(&self.steps, &mut found);
        found
    }

    /// The sizes of what the steps allocate, by slot.
    pub fn slots(&self) -> BTreeMap<SlotId, &Dim> {
        fn collect<'p>(steps: &'p [Step], slots: &mut BTreeMap<SlotId, &'p Dim>) {
            for step in steps {
                if let Step::Allocate { slot, bytes, .. } = step {
                    slots.insert(*slot, bytes);
                }
                step.bodies().into_iter().for_each(|body| collect(body, slots));
            }
        }
        let mut slots = BTreeMap::new();
        collect(&self.steps, &mut slots);
        slots
    }
}
