//! Axes of loops: merging neighbours, sharing rows among blocks.

use kernel::{
    Binary, BufferId, Expr, Kernel, LoopKind, Stmt, Ty, Unary, VarId,
    transform::{Linear, Ranges, map_expr, map_stmt, visit_expr, visit_stmts},
};
use shape::Dim;
use std::collections::BTreeSet;

#[derive(Clone, PartialEq, Debug)]
pub struct Axis {
    pub var: VarId,
    pub extent: Dim,
}

/// A loop that runs its steps one after the other.
pub fn serial(var: VarId, from: Expr, to: Expr, step: i64, body: Vec<Stmt>) -> Stmt {
    Stmt::For { var, from, to, step, kind: LoopKind::Serial, body }
}

/// Merges neighbouring axes that all accesses of all these statements walk as one.
pub fn merge_axes(axes: &mut Vec<Axis>, parts: &mut [&mut Vec<Stmt>], ranges: &mut Ranges) {
    let mut k = axes.len().saturating_sub(1);
    while k > 0 {
        let (outer, inner) = (axes[k - 1].clone(), axes[k].clone());
        if walks_as_one(&outer, &inner, parts, ranges) {
            let extent = &outer.extent * &inner.extent;
            ranges.bound(inner.var, &extent);
            axes[k].extent = extent;
            axes.remove(k - 1);
            let zero = |e: Expr| if e == Expr::Var(outer.var) { Expr::int(0) } else { e };
            for part in parts.iter_mut() {
                for stmt in part.iter_mut() {
                    *stmt = map_stmt(stmt, &mut |expr| map_expr(expr, &mut |e| zero(e)));
                }
            }
        }
        k -= 1;
    }
}

fn walks_as_one(outer: &Axis, inner: &Axis, parts: &[&mut Vec<Stmt>], ranges: &Ranges) -> bool {
    let mut fits = true;
    let mut access = |index: &Expr| {
        let linear = Linear::of(index, ranges);
        let (a, b) = (linear.coefficient(outer.var), linear.coefficient(inner.var));
        fits &= a == &b * &inner.extent && !linear.hides(outer.var) && !linear.hides(inner.var);
    };
    let mut elsewhere = BTreeSet::new();
    for part in parts {
        visit_accesses(part, &mut access, &mut |var| {
            elsewhere.insert(var);
        });
    }
    fits && !elsewhere.contains(&outer.var) && !elsewhere.contains(&inner.var)
}

/// Tells the indices of loads and stores, and the variables that stand anywhere else.
pub fn visit_accesses(body: &[Stmt], access: &mut dyn FnMut(&Expr), elsewhere: &mut dyn FnMut(VarId)) {
    for stmt in body {
        match stmt {
            Stmt::Store { index, value, mask, .. } => {
                index.iter().for_each(&mut *access);
                visit_reads(value, access, elsewhere);
                mask.iter().for_each(|mask| visit_reads(mask, access, elsewhere));
            }
            Stmt::For { from, to, body, .. } => {
                visit_reads(from, access, elsewhere);
                visit_reads(to, access, elsewhere);
                visit_accesses(body, access, elsewhere);
            }
            other => visit_stmts(std::slice::from_ref(other), &mut |e| visit_reads(e, access, elsewhere)),
        }
    }
}

/// Tells each load and store: the buffer, the index, and whether it writes.
pub fn visit_buffers(body: &[Stmt], tell: &mut dyn FnMut(BufferId, &[Expr], bool)) {
    visit_stmts(body, &mut |expr| {
        visit_expr(expr, &mut |e| {
            if let Expr::Load { buffer, index, .. } = e {
                tell(*buffer, index, false);
            }
        });
    });
    visit_stores(body, tell);
}

fn visit_stores(body: &[Stmt], tell: &mut dyn FnMut(BufferId, &[Expr], bool)) {
    for stmt in body {
        match stmt {
            Stmt::Store { buffer, index, .. } => tell(*buffer, index, true),
            Stmt::For { body, .. } => visit_stores(body, tell),
            Stmt::If { then, otherwise, .. } => {
                visit_stores(then, tell);
                visit_stores(otherwise, tell);
            }
            _ => {}
        }
    }
}

fn visit_reads(expr: &Expr, access: &mut dyn FnMut(&Expr), elsewhere: &mut dyn FnMut(VarId)) {
    match expr {
        Expr::Load { index, mask, .. } => {
            index.iter().for_each(&mut *access);
            mask.iter().for_each(|mask| visit_reads(mask, access, elsewhere));
        }
        Expr::Var(var) => elsewhere(*var),
        Expr::Const(_) | Expr::Dim(_) => {}
        Expr::Unary(_, x)
        | Expr::Cast(_, x)
        | Expr::Splat(x, _)
        | Expr::Ramp { base: x, .. }
        | Expr::Lane(x, _)
        | Expr::Horizontal(_, x) => visit_reads(x, access, elsewhere),
        Expr::Binary(_, a, b) | Expr::Interleave(a, b, _) => {
            visit_reads(a, access, elsewhere);
            visit_reads(b, access, elsewhere);
        }
        Expr::Fma(a, b, c) | Expr::Select(a, b, c) => {
            visit_reads(a, access, elsewhere);
            visit_reads(b, access, elsewhere);
            visit_reads(c, access, elsewhere);
        }
    }
}

/// Rough work of one run of the statements, in simple operations; loops inside count once.
pub fn operations(body: &[Stmt]) -> i64 {
    let mut count = 0;
    visit_stmts(body, &mut |expr| {
        visit_expr(expr, &mut |e| {
            count += match e {
                Expr::Unary(Unary::Neg | Unary::Abs | Unary::Not | Unary::Sign | Unary::Sqrt, _) => 1,
                Expr::Unary(..) => 12,
                Expr::Binary(Binary::Pow | Binary::Atan2, ..) => 30,
                Expr::Binary(..) | Expr::Fma(..) | Expr::Select(..) | Expr::Load { .. } => 1,
                _ => 0,
            }
        });
    });
    count.max(1)
}

/// Rows handed to blocks: the outer axes as one sequence, some of it a block.
pub struct Rows {
    /// Rows of one block.
    pub per_block: i64,
}

/// Simple operations that a block should have at least, so that handing it out costs nothing beside it.
const BLOCK_WORK: i64 = 1 << 15;

impl Rows {
    /// Rows a block, when one row has this much work.
    pub fn for_work(row_work: i64) -> Rows {
        Rows { per_block: (BLOCK_WORK / row_work.max(1)).max(1) }
    }

    /// Puts the loop over rows around a body, decodes the axes, and sets the kernel's grid.
    pub fn set(&self, kernel: &mut Kernel, axes: &[Axis], inside: Vec<Stmt>) {
        // An inner axis that a block walks whole is a loop of its own, so that no row of it has to be decoded.
        if let [outer @ .., inner] = axes
            && let Some(extent) =
                inner.extent.as_const().filter(|extent| (1..=self.per_block).contains(extent))
            && !outer.is_empty()
        {
            let (from, to) = (Expr::int(0), Expr::int(extent));
            let walk = Stmt::For { var: inner.var, from, to, step: 1, kind: LoopKind::Serial, body: inside };
            return Rows { per_block: self.per_block / extent }.set(kernel, outer, vec![walk]);
        }
        let total: Dim = axes.iter().map(|axis| axis.extent.clone()).product();
        if axes.is_empty() {
            kernel.body = inside;
            return;
        }
        let per_block = self.per_block;
        let whole = total.as_const().is_some_and(|rows| rows <= per_block);
        kernel.grid = if whole { Dim::from(1i64) } else { total.ceil_div(&Dim::from(per_block)) };
        if whole || per_block > 1 {
            let row = kernel.var("row", Ty::INDEX);
            let mut loop_body = decode(Expr::Var(row), axes);
            loop_body.extend(inside);
            let (from, to) = if whole {
                (Expr::int(0), Expr::dim(&total))
            } else {
                let from = Expr::Var(kernel.block).mul(Expr::int(per_block));
                let end = from.clone().add(Expr::int(per_block));
                let exact = total.as_const().is_some_and(|rows| rows % per_block == 0);
                (from, if exact { end } else { Expr::binary(Binary::Min, end, Expr::dim(&total)) })
            };
            kernel.body = vec![serial(row, from, to, 1, loop_body)];
        } else {
            kernel.body = decode(Expr::Var(kernel.block), axes);
            kernel.body.extend(inside);
        }
    }
}

/// Binds the axes' variables to the digits of a row's number.
pub fn decode(row: Expr, axes: &[Axis]) -> Vec<Stmt> {
    let mut inner = Dim::from(1i64);
    let mut lets = Vec::new();
    for (position, axis) in axes.iter().enumerate().rev() {
        let quotient = row.clone().div(Expr::dim(&inner));
        let value = if position == 0 { quotient } else { quotient.rem(Expr::dim(&axis.extent)) };
        lets.push(Stmt::Let { var: axis.var, value });
        inner = &inner * &axis.extent;
    }
    lets
}
