//! Rules of plans: calls fit their kernels, references exist, loops are entered before anything speaks of their steps.

use super::{Checked, fail};
use crate::{BufferRef, Call, DType, LoopId, Module, Plan, SlotId, Space, Step, Stmt};
use shape::Dim;
use std::collections::BTreeSet;

pub fn plan(module: &Module, plan: &Plan) -> Checked {
    let (open, over, live) = (Vec::new(), Vec::new(), BTreeSet::new());
    let (seen, allocated) = (BTreeSet::new(), BTreeSet::new());
    let mut scope = Scope { module, plan, open, over, seen, live, allocated };
    scope.steps(&plan.steps)
}

/// A loop that is running where a step stands.
struct Open {
    id: LoopId,
    /// How many steps it has; none for a `while`, whose steps have no numbers.
    count: Option<Dim>,
}

struct Scope<'a> {
    module: &'a Module,
    plan: &'a Plan,
    open: Vec<Open>,
    /// Loops that have ended in a list of steps that still goes on.
    over: Vec<LoopId>,
    seen: BTreeSet<LoopId>,
    /// What is allocated where a step stands.
    live: BTreeSet<SlotId>,
    /// Slots that some step allocates: each has one.
    allocated: BTreeSet<SlotId>,
}

/// What is known of a place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// None in the workspace, which holds anything.
    dtype: Option<DType>,
    read_only: bool,
}

impl Scope<'_> {
    fn steps(&mut self, steps: &[Step]) -> Checked {
        let (over, live) = (self.over.len(), self.live.clone());
        steps.iter().try_for_each(|step| self.step(step))?;
        self.over.truncate(over);
        if self.live != live {
            return fail("a list of steps frees what it has not allocated, or does not free what it has");
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Call(call) => self.call(call),
            Step::Require { check, .. } | Step::RequireEq { check, .. } => self.check(*check),
            Step::Allocate { slot, check, .. } => {
                self.check(*check)?;
                self.live.insert(*slot);
                match self.allocated.insert(*slot) {
                    true => Ok(()),
                    false => fail(format!("two steps allocate slot {}", slot.0)),
                }
            }
            Step::Free { slot } => match self.live.remove(slot) {
                true => Ok(()),
                false => fail(format!("frees slot {}, which is not allocated", slot.0)),
            },
            Step::Copy { from, to, .. } => {
                let (from, to) = (self.kind(from)?, self.kind(to)?);
                if to.read_only {
                    return fail("copies to what is read only");
                }
                match (from.dtype, to.dtype) {
                    (Some(a), Some(b)) if a != b => fail(format!("copies {a} to {b}")),
                    _ => Ok(()),
                }
            }
            Step::Loop { id, count, body, .. } => {
                self.enter(*id, Some(count.clone()))?;
                self.steps(body)?;
                self.leave();
                Ok(())
            }
            Step::While { id, condition, flag, body, .. } => {
                self.enter(*id, None)?;
                self.steps(condition)?;
                self.flag(flag)?;
                self.steps(body)?;
                self.leave();
                Ok(())
            }
            Step::Timed { body, .. } => self.steps(body),
            Step::If { flag, then, otherwise } => {
                self.flag(flag)?;
                self.steps(then)?;
                self.steps(otherwise)
            }
        }
    }

    fn enter(&mut self, id: LoopId, count: Option<Dim>) -> Checked {
        if !self.seen.insert(id) {
            return fail(format!("two loops have the number {}", id.0));
        }
        self.open.push(Open { id, count });
        Ok(())
    }

    fn leave(&mut self) {
        self.over.extend(self.open.pop().map(|open| open.id));
    }

    fn check(&self, check: u32) -> Checked {
        match self.plan.checks.get(check as usize) {
            Some(_) => Ok(()),
            None => fail(format!("check {check} does not exist")),
        }
    }

    fn flag(&self, flag: &BufferRef) -> Checked {
        match self.kind(flag)?.dtype {
            None | Some(DType::Bool) => Ok(()),
            Some(dtype) => fail(format!("{dtype} decides where a bool must")),
        }
    }

    fn kind(&self, place: &BufferRef) -> Checked<Kind> {
        let exists = |dtype: Option<DType>, read_only| match dtype {
            Some(_) => Ok(Kind { dtype, read_only }),
            None => fail("names an argument, result or constant that does not exist"),
        };
        let plan = self.plan;
        match place {
            BufferRef::Arg(index) => exists(plan.args.get(*index).map(|arg| arg.dtype), true),
            BufferRef::Result(index) => exists(plan.results.get(*index).map(|arg| arg.dtype), false),
            BufferRef::Constant(id) => exists(plan.constants.get(*id).map(|constant| constant.dtype), true),
            BufferRef::Workspace { .. } => Ok(Kind { dtype: None, read_only: false }),
            BufferRef::Allocated(slot) if self.live.contains(slot) => {
                Ok(Kind { dtype: None, read_only: false })
            }
            BufferRef::Allocated(slot) => fail(format!("uses slot {}, which is not allocated here", slot.0)),
            BufferRef::Part { of, loop_id, .. } => {
                self.count(*loop_id)?;
                self.kind(of)
            }
            BufferRef::Table { loop_id, of } => {
                if self.count(*loop_id)?.as_const() != Some(of.len() as i64) {
                    return fail(format!(
                        "a table of {} places for the steps of loop {}",
                        of.len(),
                        loop_id.0
                    ));
                }
                self.one_kind(of.iter())
            }
            BufferRef::Turn { loop_id, first, even, odd } => {
                let open = self.open.iter().any(|open| open.id == *loop_id);
                if !open && !self.over.contains(loop_id) {
                    return fail(format!("takes turns by loop {}, which does not run here", loop_id.0));
                }
                self.one_kind(
                    [Some(even), Some(odd), first.as_ref()].into_iter().flatten().map(|place| &**place),
                )
            }
        }
    }

    /// What may be any of several places: of one dtype, writable where all are.
    fn one_kind<'p>(&self, places: impl Iterator<Item = &'p BufferRef>) -> Checked<Kind> {
        let mut all = Kind { dtype: None, read_only: false };
        for place in places {
            let kind = self.kind(place)?;
            if let (Some(a), Some(b)) = (all.dtype, kind.dtype)
                && a != b
            {
                return fail(format!("places of {a} and of {b} take turns"));
            }
            all.dtype = all.dtype.or(kind.dtype);
            all.read_only |= kind.read_only;
        }
        Ok(all)
    }

    fn count(&self, id: LoopId) -> Checked<&Dim> {
        let count = self.open.iter().find(|open| open.id == id).and_then(|open| open.count.as_ref());
        count.map_or_else(|| fail(format!("loop {} has no numbered steps here", id.0)), Ok)
    }

    fn call(&self, call: &Call) -> Checked {
        let Some(kernel) = self.module.kernels.get(call.kernel) else {
            return fail("calls a kernel that does not exist");
        };
        let buffers: Vec<_> = kernel.arguments().collect();
        if buffers.len() != call.buffers.len() {
            return fail(format!(
                "{} takes {} buffers, not {}",
                kernel.name,
                buffers.len(),
                call.buffers.len()
            ));
        }
        for ((_, buffer), place) in buffers.iter().zip(&call.buffers) {
            let kind = self.kind(place)?;
            if kind.dtype.is_some_and(|dtype| dtype != buffer.dtype) {
                return fail(format!(
                    "{} of {} is {}, not {:?}",
                    buffer.name, kernel.name, buffer.dtype, kind.dtype
                ));
            }
            if kind.read_only && buffer.space != Space::Input {
                return fail(format!("{} writes {} which is read only", kernel.name, buffer.name));
            }
        }
        let mut failure = Ok(());
        visit_checks(&kernel.body, &mut |check| {
            if failure.is_ok() {
                failure = self.check(check);
            }
        });
        failure
    }
}

fn visit_checks(body: &[Stmt], f: &mut dyn FnMut(u32)) {
    for stmt in body {
        match stmt {
            Stmt::Check { check, .. } => f(*check),
            Stmt::For { body, .. } => visit_checks(body, f),
            Stmt::If { then, otherwise, .. } => {
                visit_checks(then, f);
                visit_checks(otherwise, f);
            }
            _ => {}
        }
    }
}
