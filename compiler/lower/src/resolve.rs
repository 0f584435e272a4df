//! Steps of a function, told in the places of its caller.

use kernel::{BufferRef, Call, Step};
use shape::Dim;

/// What arguments, results and the workspace of a list of steps are to the caller.
pub struct Places<'p> {
    pub args: &'p [BufferRef],
    pub results: &'p [BufferRef],
    /// Where the steps' workspace begins in the caller's.
    pub room: &'p Dim,
}

impl Places<'_> {
    pub fn steps(&self, steps: &[Step]) -> Vec<Step> {
        steps.iter().map(|step| self.step(step)).collect()
    }

    pub fn step(&self, step: &Step) -> Step {
        match step {
            Step::Require { .. } | Step::RequireEq { .. } | Step::Allocate { .. } | Step::Free { .. } => {
                step.clone()
            }
            Step::Call(Call { kernel, buffers, work }) => {
                let buffers = buffers.iter().map(|buffer| self.place(buffer)).collect();
                Step::Call(Call { kernel: *kernel, buffers, work: work.clone() })
            }
            Step::Copy { from, to, bytes } => {
                Step::Copy { from: self.place(from), to: self.place(to), bytes: bytes.clone() }
            }
            Step::Loop { id, count, reverse, body } => {
                Step::Loop { id: *id, count: count.clone(), reverse: *reverse, body: self.steps(body) }
            }
            Step::While { id, condition, flag, limit, body } => Step::While {
                id: *id,
                condition: self.steps(condition),
                flag: self.place(flag),
                limit: limit.clone(),
                body: self.steps(body),
            },
            Step::Timed { of, body } => Step::Timed { of: of.clone(), body: self.steps(body) },
            Step::If { flag, then, otherwise } => {
                Step::If { flag: self.place(flag), then: self.steps(then), otherwise: self.steps(otherwise) }
            }
        }
    }

    fn place(&self, buffer: &BufferRef) -> BufferRef {
        let boxed = |buffer: &BufferRef| Box::new(self.place(buffer));
        match buffer {
            BufferRef::Arg(index) => self.args[*index].clone(),
            BufferRef::Result(index) => self.results[*index].clone(),
            BufferRef::Allocated(slot) => BufferRef::Allocated(*slot),
            BufferRef::Constant(id) => BufferRef::Constant(*id),
            BufferRef::Workspace { offset } => BufferRef::Workspace { offset: offset + self.room },
            BufferRef::Part { of, loop_id, stride } => {
                BufferRef::Part { of: boxed(of), loop_id: *loop_id, stride: stride.clone() }
            }
            BufferRef::Table { loop_id, of } => {
                BufferRef::Table { loop_id: *loop_id, of: of.iter().map(|place| self.place(place)).collect() }
            }
            BufferRef::Turn { loop_id, first, even, odd } => BufferRef::Turn {
                loop_id: *loop_id,
                first: first.as_deref().map(boxed),
                even: boxed(even),
                odd: boxed(odd),
            },
        }
    }
}
