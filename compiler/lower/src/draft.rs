//! A plan under construction: kernel calls on values that have no place in memory yet.

use crate::rowwise::Rowwise;
use graph::NodeId;
use kernel::{BufferId, DType, Kernel, Measured, Space, Step};
use shape::Dim;

/// A value that kernels pass to each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Store {
    /// A node's value.
    Node(NodeId),
    /// Scratch between two kernels: an index into [`Draft::temps`].
    Temp(usize),
    /// A result that is a copy.
    Result(usize),
}

pub struct DraftCall {
    pub kernel: Kernel,
    pub buffers: Vec<Store>,
    pub work: Dim,
    /// What is told of it where its time is taken.
    pub measured: Option<Measured>,
    /// The kernel row by row, where it is made that way.
    pub rowwise: Option<Rowwise>,
    /// The same kernel element by element, for neighbours that have a row where it has an element.
    pub elementwise: Option<Box<Rowwise>>,
}

/// A loop, a branch or a copy. It speaks of stores by their number, as of arguments, and of its workspace as if it began at
/// 0.
pub struct DraftControl {
    pub step: Step,
    pub stores: Vec<Store>,
    pub workspace: Option<Store>,
}

pub enum DraftStep {
    Call(DraftCall),
    Control(DraftControl),
}

impl DraftStep {
    /// All values that it touches.
    pub fn stores(&self) -> impl Iterator<Item = Store> {
        let (stores, workspace) = match self {
            DraftStep::Call(call) => (&call.buffers, None),
            DraftStep::Control(control) => (&control.stores, control.workspace),
        };
        stores.iter().copied().chain(workspace)
    }
}

#[derive(Default)]
pub struct Draft {
    pub steps: Vec<DraftStep>,
    /// Dtype and number of elements.
    pub temps: Vec<(DType, Dim)>,
}

impl Draft {
    pub fn call(&mut self, call: DraftCall) {
        self.steps.push(DraftStep::Call(call));
    }

    pub fn temp(&mut self, dtype: DType, elements: Dim) -> Store {
        self.temps.push((dtype, elements));
        Store::Temp(self.temps.len() - 1)
    }
}

/// A kernel under construction, with the values that its arguments are.
pub struct Body {
    pub kernel: Kernel,
    /// What each argument is, in order of the kernel's buffers.
    pub arguments: Vec<Store>,
    pub rowwise: Option<Rowwise>,
    pub elementwise: Option<Box<Rowwise>>,
    bound: Vec<(Store, Space, BufferId)>,
}

impl Body {
    pub fn new(name: String) -> Body {
        let (rowwise, elementwise) = (None, None);
        Body { kernel: Kernel::new(name), arguments: Vec::new(), rowwise, elementwise, bound: Vec::new() }
    }

    /// The buffer of a value, seen as one row of all its elements.
    pub fn buffer(
        &mut self,
        store: Store,
        name: &str,
        dtype: DType,
        elements: Dim,
        space: Space,
    ) -> BufferId {
        if let Some((_, _, id)) = self.bound.iter().find(|(s, sp, _)| *s == store && *sp == space) {
            return *id;
        }
        let id = self.kernel.buffer(name, dtype, vec![elements], space);
        self.arguments.push(store);
        self.bound.push((store, space, id));
        id
    }

    pub fn finish(self, work: Dim) -> DraftCall {
        let Body { kernel, arguments, rowwise, elementwise, .. } = self;
        DraftCall { kernel, buffers: arguments, work, measured: None, rowwise, elementwise }
    }
}
