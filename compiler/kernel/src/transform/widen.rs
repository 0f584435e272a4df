//! From one element to a vector of them: a scalar body over an index variable becomes a body over `lanes` values of it.

use super::{Linear, Ranges, visit_expr};
use crate::{Const, DType, Expr, Kernel, Stmt, Ty, VarId};
use std::collections::{BTreeMap, BTreeSet};

/// What to widen: `var` stands for `var, var + 1, …` from now on.
pub struct Widen<'a> {
    pub var: VarId,
    pub lanes: u16,
    /// Lanes beyond this value of `var` (exclusive) do nothing.
    pub limit: Option<Expr>,
    pub ranges: &'a Ranges,
}

/// The body cannot be widened, for this reason; it is still right as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotWidened(pub &'static str);

/// Widens the statements. Variables of vectors are new ones, but for those in `known`: the map tells which became which.
pub fn widen(
    kernel: &mut Kernel,
    body: &[Stmt],
    what: &Widen<'_>,
    known: &BTreeMap<VarId, VarId>,
) -> Result<(Vec<Stmt>, BTreeMap<VarId, VarId>), NotWidened> {
    let mut varying = BTreeSet::from([what.var]);
    varying.extend(known.keys());
    loop {
        let before = varying.len();
        collect_varying(body, &mut varying);
        if varying.len() == before {
            break;
        }
    }
    let mut widened = known.clone();
    for var in varying.iter().filter(|var| **var != what.var && !known.contains_key(var)) {
        let old = kernel.vars[*var].clone();
        if old.ty.lanes != 1 {
            return Err(NotWidened("it has vectors already"));
        }
        widened.insert(*var, kernel.var(old.name, Ty::vector(old.ty.dtype, what.lanes)));
    }
    let limit = what.limit.clone().map(|limit| {
        let ramp = Expr::ramp(Expr::Var(what.var), 1, what.lanes);
        ramp.lt(Expr::splat(limit, what.lanes))
    });
    let widener = Widener { what, varying, widened: &widened, limit };
    let stmts = widener.stmts(body)?;
    Ok((stmts, widened))
}

fn depends(expr: &Expr, varying: &BTreeSet<VarId>) -> bool {
    let mut found = false;
    visit_expr(expr, &mut |e| {
        if let Expr::Var(var) = e {
            found |= varying.contains(var);
        }
    });
    found
}

fn collect_varying(body: &[Stmt], varying: &mut BTreeSet<VarId>) {
    for stmt in body {
        match stmt {
            Stmt::Let { var, value } | Stmt::Register { var, init: value } | Stmt::Assign { var, value }
                if depends(value, varying) =>
            {
                varying.insert(*var);
            }
            Stmt::For { body, .. } => collect_varying(body, varying),
            Stmt::If { then, otherwise, .. } => {
                collect_varying(then, varying);
                collect_varying(otherwise, varying);
            }
            _ => {}
        }
    }
}

struct Widener<'a> {
    what: &'a Widen<'a>,
    varying: BTreeSet<VarId>,
    widened: &'a BTreeMap<VarId, VarId>,
    limit: Option<Expr>,
}

impl Widener<'_> {
    fn stmts(&self, body: &[Stmt]) -> Result<Vec<Stmt>, NotWidened> {
        body.iter().map(|stmt| self.stmt(stmt)).collect()
    }

    fn stmt(&self, stmt: &Stmt) -> Result<Stmt, NotWidened> {
        let target = |var: &VarId| self.widened.get(var).copied();
        Ok(match stmt {
            Stmt::For { var, from, to, step, kind, body } => {
                if depends(from, &self.varying) || depends(to, &self.varying) {
                    return Err(NotWidened("a loop's bounds differ between lanes"));
                }
                let body = self.stmts(body)?;
                Stmt::For { var: *var, from: from.clone(), to: to.clone(), step: *step, kind: *kind, body }
            }
            Stmt::If { condition, then, otherwise } => {
                if depends(condition, &self.varying) {
                    return Err(NotWidened("a condition differs between lanes"));
                }
                let (then, otherwise) = (self.stmts(then)?, self.stmts(otherwise)?);
                Stmt::If { condition: condition.clone(), then, otherwise }
            }
            Stmt::Let { var, value } => match target(var) {
                Some(wide) => Stmt::Let { var: wide, value: self.vector(value) },
                None => stmt.clone(),
            },
            Stmt::Register { var, init } => match target(var) {
                Some(wide) => Stmt::Register { var: wide, init: self.vector(init) },
                None => stmt.clone(),
            },
            Stmt::Assign { var, value } => match target(var) {
                Some(wide) => Stmt::Assign { var: wide, value: self.vector(value) },
                None => stmt.clone(),
            },
            Stmt::Store { buffer, index, value, mask } => {
                if !index.iter().any(|i| depends(i, &self.varying)) {
                    return Err(NotWidened("all lanes store to one place"));
                }
                Stmt::Store {
                    buffer: *buffer,
                    index: self.places(index),
                    value: self.vector(value),
                    mask: self.masked(mask.as_ref()),
                }
            }
            Stmt::Check { condition, check } => {
                if depends(condition, &self.varying) {
                    return Err(NotWidened("a check differs between lanes"));
                }
                Stmt::Check { condition: condition.clone(), check: *check }
            }
            Stmt::Prefetch { .. } => return Err(NotWidened("a hint for one line")),
            Stmt::Barrier | Stmt::AsyncCopy { .. } | Stmt::AsyncWait { .. } | Stmt::AtomicAdd { .. } => {
                return Err(NotWidened("a statement that is not for the processor"));
            }
        })
    }

    /// A mask for all lanes: what the body asked, and the limit.
    fn masked(&self, mask: Option<&Expr>) -> Option<Expr> {
        match (mask, &self.limit) {
            (None, limit) => limit.clone(),
            (Some(mask), None) => Some(self.vector(mask)),
            (Some(mask), Some(limit)) => Some(self.vector(mask).and(limit.clone())),
        }
    }

    /// Indices of a vector access: scalars where lanes are neighbours along the last axis, else a vector among them.
    fn places(&self, index: &[Expr]) -> Vec<Expr> {
        let last = index.len().wrapping_sub(1);
        let neighbours = index.iter().enumerate().all(|(axis, i)| {
            if !depends(i, &self.varying) {
                return true;
            }
            let linear = Linear::of(i, self.what.ranges);
            let others = linear
                .terms
                .iter()
                .any(|(atom, _)| *atom != Expr::Var(self.what.var) && depends(atom, &self.varying));
            axis == last && !others && linear.coefficient(self.what.var).is_const(1)
        });
        if neighbours && depends(&index[last], &self.varying) {
            return index.to_vec();
        }
        index.iter().map(|i| if depends(i, &self.varying) { self.index(i) } else { i.clone() }).collect()
    }

    /// A vector of indices; a ramp where it is one.
    fn index(&self, expr: &Expr) -> Expr {
        let linear = Linear::of(expr, self.what.ranges);
        let stride = linear.coefficient(self.what.var).as_const();
        let plain = linear
            .terms
            .iter()
            .all(|(atom, _)| *atom == Expr::Var(self.what.var) || !depends(atom, &self.varying));
        match stride {
            Some(stride) if plain => Expr::ramp(linear.to_expr(), stride, self.what.lanes),
            _ => self.vector(expr),
        }
    }

    /// The expression with one value a lane.
    fn vector(&self, expr: &Expr) -> Expr {
        let lanes = self.what.lanes;
        if !depends(expr, &self.varying) {
            return Expr::splat(expr.clone(), lanes);
        }
        let boxed = |x: &Expr| Box::new(self.vector(x));
        match expr {
            Expr::Const(Const::Int(DType::I64, _)) | Expr::Const(_) | Expr::Dim(_) => {
                Expr::splat(expr.clone(), lanes)
            }
            Expr::Var(var) if *var == self.what.var => Expr::ramp(expr.clone(), 1, lanes),
            Expr::Var(var) => Expr::Var(self.widened.get(var).copied().unwrap_or(*var)),
            Expr::Load { buffer, index, mask, .. } => {
                let mask = mask.as_deref();
                if index.iter().any(|i| depends(i, &self.varying)) {
                    let mask = self.masked(mask).map(Box::new);
                    return Expr::Load { buffer: *buffer, index: self.places(index), lanes, mask };
                }
                // One place, with a mask that differs between lanes: read where any lane wants it, keep where each does.
                let wanted = match self.masked(mask) {
                    Some(wanted) => wanted,
                    None => return Expr::splat(expr.clone(), lanes),
                };
                let index = index
                    .iter()
                    .enumerate()
                    .map(|(axis, i)| if axis == 0 { Expr::splat(i.clone(), lanes) } else { i.clone() })
                    .collect();
                Expr::Load { buffer: *buffer, index, lanes, mask: Some(Box::new(wanted)) }
            }
            Expr::Unary(op, x) => Expr::Unary(*op, boxed(x)),
            Expr::Binary(op, a, b) => Expr::Binary(*op, boxed(a), boxed(b)),
            Expr::Fma(a, b, c) => Expr::Fma(boxed(a), boxed(b), boxed(c)),
            Expr::Select(condition, yes, no) => {
                // A condition that all lanes share stays one, in memory order of its operands.
                Expr::Select(boxed(condition), boxed(yes), boxed(no))
            }
            Expr::Cast(dtype, x) => Expr::Cast(*dtype, boxed(x)),
            Expr::Splat(..)
            | Expr::Ramp { .. }
            | Expr::Lane(..)
            | Expr::Interleave(..)
            | Expr::Horizontal(..) => expr.clone(),
        }
    }
}
