//! Neighbouring kernels that do something for each row of the same rows, as one: softmax is a maximum, a sum and a
//! quotient of each row, and a row that has just been read is still in the cache when the next of them wants it.
//!
//! Two kernels may be one where the later reads, of what the earlier writes, nothing but the row in hand. What is done with
//! one number a row, as the root of a variance, is done between the two that have rows.

use crate::{
    draft::{DraftCall, DraftStep, Store},
    emit::{Axis, Rows, decode, visit_buffers},
    plan_memory::at_least,
};
use kernel::{
    BufferId, Expr, Kernel, Measured, Space, Stmt, Ty, VarId,
    transform::{Linear, Ranges, map_expr, map_stmt},
};
use shape::{Dim, Facts};
use std::collections::BTreeMap;

/// What a kernel does for one of its rows.
#[derive(Clone)]
pub struct Rowwise {
    pub axes: Vec<Axis>,
    pub inside: Vec<Stmt>,
    pub per_block: i64,
    /// Where it reads and writes.
    pub accesses: Vec<Access>,
}

impl Rowwise {
    /// How many rows there are.
    fn rows(&self) -> Dim {
        self.axes.iter().map(|axis| axis.extent.clone()).product()
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Access {
    pub store: Store,
    pub writes: bool,
    /// Which elements, where that is plain.
    pub place: Option<Place>,
}

/// Elements `row · stride + low ..= row · stride + high`, or some of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Place {
    pub stride: Dim,
    pub low: Dim,
    pub high: Dim,
}

/// More values than these are not passed to one kernel.
const MAX_BUFFERS: usize = 24;

/// The accesses of statements for one element, with rows numbered along these axes; `None` where one cannot be told.
pub fn accesses(
    bodies: &[&[Stmt]],
    axes: &[Axis],
    ranges: &Ranges,
    store_of: &dyn Fn(BufferId) -> Option<Store>,
) -> Option<Vec<Access>> {
    let mut found: Option<Vec<Access>> = Some(Vec::new());
    for body in bodies {
        visit_buffers(body, &mut |buffer, index, writes| {
            let place = index.first().and_then(|index| along_rows(index, axes, ranges));
            match (store_of(buffer), &mut found) {
                (Some(store), Some(list)) => {
                    let access = Access { store, writes, place };
                    if !list.contains(&access) {
                        list.push(access);
                    }
                }
                _ => found = None,
            }
        });
    }
    found
}

/// An index as a stride from row to row and a range within the row.
fn along_rows(index: &Expr, axes: &[Axis], ranges: &Ranges) -> Option<Place> {
    let linear = Linear::of(index, ranges);
    if axes.iter().any(|axis| linear.hides(axis.var)) {
        return None;
    }
    let coefficients: Vec<Dim> = axes.iter().map(|axis| linear.coefficient(axis.var)).collect();
    let row_major = (1..axes.len()).all(|k| coefficients[k - 1] == &coefficients[k] * &axes[k].extent);
    if !row_major {
        return None;
    }
    let is_row = |atom: &Expr| axes.iter().any(|axis| *atom == Expr::Var(axis.var));
    let within = linear.terms.into_iter().filter(|(atom, _)| !is_row(atom)).collect();
    let (low, high) = ranges.range(&Linear { terms: within, constant: linear.constant })?;
    Some(Place { stride: coefficients.last().cloned().unwrap_or_default(), low, high })
}

/// Joins neighbouring calls as far as they allow it.
pub fn join(draft: &mut Vec<DraftStep>, facts: &Facts) {
    let mut steps: Vec<DraftStep> = Vec::with_capacity(draft.len());
    for step in draft.drain(..) {
        match (steps.last_mut(), step) {
            (Some(DraftStep::Call(earlier)), DraftStep::Call(later)) => {
                if let Some(later) = join_calls(earlier, later, facts) {
                    steps.push(DraftStep::Call(later));
                }
            }
            (_, step) => steps.push(step),
        }
    }
    *draft = steps;
}

/// Makes `earlier` do both; gives `later` back where that cannot be.
fn join_calls(earlier: &mut DraftCall, later: DraftCall, facts: &Facts) -> Option<DraftCall> {
    // What follows from each sum is done where the sum is; two that know nothing of rows stay vectors.
    let ways = [
        (earlier.rowwise.as_ref(), later.rowwise.as_ref()),
        (earlier.rowwise.as_ref(), later.elementwise.as_deref()),
        (earlier.elementwise.as_deref(), later.rowwise.as_ref()),
    ];
    let fitting = ways.into_iter().find_map(|way| match way {
        (Some(first), Some(second)) if may_join(first, second, facts) => {
            Some((first.clone(), second.clone()))
        }
        _ => None,
    });
    let Some((mut first, second)) = fitting else { return Some(later) };
    let mut buffers = earlier.buffers.clone();
    buffers.extend(later.buffers.iter().filter(|store| !earlier.buffers.contains(store)));
    let all = |call: &DraftCall| call.kernel.buffers.values().iter().all(|buffer| buffer.space.is_argument());
    if buffers.len() > MAX_BUFFERS || !all(earlier) || !all(&later) {
        return Some(later);
    }
    let kernel = &mut earlier.kernel;
    let extent = first.rows();
    let row = kernel.var("row", Ty::INDEX);
    let inside = Renumbered::new(kernel, &mut earlier.buffers, &later, row).body(&second);
    let mut body = decode(Expr::Var(row), &first.axes);
    body.append(&mut first.inside);
    body.extend(inside);
    let per_block = (first.per_block.saturating_mul(second.per_block)
        / first.per_block.saturating_add(second.per_block).max(1))
    .max(1);
    first.accesses.extend(second.accesses);
    let axes = vec![Axis { var: row, extent }];
    let rows = Rows { per_block };
    rows.set(kernel, &axes, body.clone());
    earlier.work = &earlier.work + &later.work;
    earlier.measured = match (earlier.measured.take(), later.measured) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (a, b) => a.or(b),
    };
    earlier.rowwise = Some(Rowwise { axes, inside: body, per_block, accesses: first.accesses });
    earlier.elementwise = None;
    None
}

/// What one hands to the other counts, though it mostly stays in the cache.
fn both(a: Measured, b: Measured) -> Measured {
    let what = if a.what == b.what { a.what } else { format!("{}; {}", a.what, b.what) };
    let place = if a.place.is_empty() { b.place } else { a.place };
    Measured { what, place, flops: a.flops + b.flops, bytes: a.bytes + b.bytes }
}

fn may_join(first: &Rowwise, second: &Rowwise, facts: &Facts) -> bool {
    let rows = first.rows();
    if rows != second.rows() {
        return false;
    }
    let alone = rows.is_const(1);
    let mut passed_on = false;
    for a in &first.accesses {
        for b in second.accesses.iter().filter(|b| b.store == a.store && (a.writes || b.writes)) {
            passed_on |= a.writes;
            if !alone && !same_row(a, b, facts) {
                return false;
            }
        }
    }
    passed_on
}

/// Whether two accesses of different rows never meet.
fn same_row(a: &Access, b: &Access, facts: &Facts) -> bool {
    let within = |place: &Place| {
        at_least(facts, &place.low, &Dim::from(0i64)) && at_least(facts, &(&place.stride - 1), &place.high)
    };
    let (Some(a), Some(b)) = (&a.place, &b.place) else { return false };
    a.stride == b.stride && within(a) && within(b)
}

/// The variables and buffers of one kernel as those of another.
struct Renumbered {
    vars: BTreeMap<VarId, VarId>,
    buffers: BTreeMap<BufferId, BufferId>,
    row: VarId,
}

impl Renumbered {
    fn new(kernel: &mut Kernel, stores: &mut Vec<Store>, later: &DraftCall, row: VarId) -> Renumbered {
        let mut vars = BTreeMap::new();
        for (id, var) in later.kernel.vars.iter() {
            vars.insert(id, kernel.vars.push(var.clone()));
        }
        let mut buffers = BTreeMap::new();
        for ((id, buffer), store) in later.kernel.buffers.iter().zip(&later.buffers) {
            let here = match stores.iter().position(|known| known == store) {
                None => {
                    stores.push(*store);
                    kernel.buffers.push(buffer.clone())
                }
                Some(position) => {
                    let here = BufferId::new(position);
                    let known = &mut kernel.buffers[here];
                    if known.space != buffer.space {
                        known.space = Space::InOut;
                    }
                    here
                }
            };
            buffers.insert(id, here);
        }
        Renumbered { vars, buffers, row }
    }

    fn body(&self, rowwise: &Rowwise) -> Vec<Stmt> {
        let axes: Vec<Axis> = rowwise
            .axes
            .iter()
            .map(|axis| Axis { var: self.var(axis.var), extent: axis.extent.clone() })
            .collect();
        let mut body = decode(Expr::Var(self.row), &axes);
        body.extend(rowwise.inside.iter().map(|stmt| self.stmt(stmt)));
        body
    }

    fn var(&self, var: VarId) -> VarId {
        self.vars.get(&var).copied().unwrap_or(var)
    }

    fn expr(&self, expr: &Expr) -> Expr {
        map_expr(expr, &mut |e| match e {
            Expr::Var(var) => Expr::Var(self.var(var)),
            Expr::Load { buffer, index, lanes, mask } => {
                let buffer = self.buffers.get(&buffer).copied().unwrap_or(buffer);
                Expr::Load { buffer, index, lanes, mask }
            }
            other => other,
        })
    }

    fn stmt(&self, stmt: &Stmt) -> Stmt {
        let stmt = map_stmt(stmt, &mut |expr| self.expr(expr));
        self.targets(stmt)
    }

    /// What statements name outside of expressions.
    fn targets(&self, stmt: Stmt) -> Stmt {
        let all = |body: Vec<Stmt>| body.into_iter().map(|stmt| self.targets(stmt)).collect();
        match stmt {
            Stmt::For { var, from, to, step, kind, body } => {
                Stmt::For { var: self.var(var), from, to, step, kind, body: all(body) }
            }
            Stmt::If { condition, then, otherwise } => {
                Stmt::If { condition, then: all(then), otherwise: all(otherwise) }
            }
            Stmt::Let { var, value } => Stmt::Let { var: self.var(var), value },
            Stmt::Register { var, init } => Stmt::Register { var: self.var(var), init },
            Stmt::Assign { var, value } => Stmt::Assign { var: self.var(var), value },
            Stmt::Store { buffer, index, value, mask } => {
                let buffer = self.buffers.get(&buffer).copied().unwrap_or(buffer);
                Stmt::Store { buffer, index, value, mask }
            }
            other => other,
        }
    }
}
