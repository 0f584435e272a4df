//! Conditions that fail only near the ends of an axis, as the edges of a padded picture: away from the ends they are
//! known to hold, and what they guard needs no mask.

use kernel::{
    Binary, Const, Expr, Stmt, VarId,
    transform::{Ranges, map_expr, map_stmt},
};
use shape::Dim;
use std::collections::BTreeMap;

/// The body for `var = start + inner`, with `inner` in `0..extent`; `None` where no condition is known there.
pub fn interior(
    body: &[Stmt],
    var: VarId,
    (start, inner, extent): (i64, VarId, i64),
    ranges: &mut Ranges,
) -> Option<Vec<Stmt>> {
    ranges.bound(inner, &Dim::from(extent));
    let moved = Expr::Var(inner).add(Expr::int(start));
    let move_var = |e: Expr| if e == Expr::Var(var) { moved.clone() } else { e };
    let body: Vec<Stmt> =
        body.iter().map(|stmt| map_stmt(stmt, &mut |expr| map_expr(expr, &mut |e| move_var(e)))).collect();
    let mut decided = Decided { ranges, known: BTreeMap::new(), any: false };
    let body = decided.stmts(body);
    decided.any.then_some(body)
}

struct Decided<'r> {
    ranges: &'r Ranges,
    known: BTreeMap<VarId, bool>,
    any: bool,
}

impl Decided<'_> {
    fn stmts(&mut self, body: Vec<Stmt>) -> Vec<Stmt> {
        body.into_iter().filter_map(|stmt| self.stmt(stmt)).collect()
    }

    fn stmt(&mut self, stmt: Stmt) -> Option<Stmt> {
        Some(match stmt {
            Stmt::Let { var, value } => match self.expr(&value) {
                Expr::Const(Const::Bool(holds)) => {
                    self.known.insert(var, holds);
                    return None;
                }
                value => Stmt::Let { var, value },
            },
            Stmt::For { var, from, to, step, kind, body } => {
                Stmt::For { var, from, to, step, kind, body: self.stmts(body) }
            }
            Stmt::If { condition, then, otherwise } => Stmt::If {
                condition: self.expr(&condition),
                then: self.stmts(then),
                otherwise: self.stmts(otherwise),
            },
            Stmt::Store { buffer, index, value, mask } => {
                let mask = mask.map(|mask| self.expr(&mask));
                let mask = mask.filter(|mask| *mask != Expr::bool(true));
                Stmt::Store { buffer, index, value: self.expr(&value), mask }
            }
            other => map_stmt(&other, &mut |expr| self.expr(expr)),
        })
    }

    fn expr(&mut self, expr: &Expr) -> Expr {
        map_expr(expr, &mut |e| match e {
            Expr::Var(var) => self.known.get(&var).map_or(Expr::Var(var), |holds| Expr::bool(*holds)),
            Expr::Binary(Binary::And, a, b) => a.and(*b),
            Expr::Binary(op, ..) if op.is_comparison() => {
                let decided = self.ranges.decide(&e);
                self.any |= matches!(decided, Expr::Const(_));
                decided
            }
            Expr::Select(condition, yes, no) => Expr::select(*condition, *yes, *no),
            Expr::Load { buffer, index, lanes, mask } => {
                Expr::Load { buffer, index, lanes, mask: mask.filter(|mask| **mask != Expr::bool(true)) }
            }
            other => other,
        })
    }
}
