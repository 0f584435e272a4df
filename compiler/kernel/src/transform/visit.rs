//! Walking expressions and statements.

use crate::{Expr, Stmt, VarId};

/// Calls `f` on the expression and everything in it, outermost first.
pub fn visit_expr(expr: &Expr, f: &mut dyn FnMut(&Expr)) {
    f(expr);
    match expr {
        Expr::Const(_) | Expr::Var(_) | Expr::Dim(_) => {}
        Expr::Load { index, mask, .. } => {
            index.iter().for_each(|i| visit_expr(i, f));
            if let Some(mask) = mask {
                visit_expr(mask, f);
            }
        }
        Expr::Unary(_, x)
        | Expr::Cast(_, x)
        | Expr::Splat(x, _)
        | Expr::Ramp { base: x, .. }
        | Expr::Lane(x, _)
        | Expr::Horizontal(_, x) => visit_expr(x, f),
        Expr::Binary(_, a, b) | Expr::Interleave(a, b, _) => {
            visit_expr(a, f);
            visit_expr(b, f);
        }
        Expr::Fma(a, b, c) | Expr::Select(a, b, c) => {
            visit_expr(a, f);
            visit_expr(b, f);
            visit_expr(c, f);
        }
    }
}

/// Calls `f` on every expression that stands in the statements, outermost only.
pub fn visit_stmts(body: &[Stmt], f: &mut dyn FnMut(&Expr)) {
    for stmt in body {
        match stmt {
            Stmt::For { from, to, body, .. } => {
                f(from);
                f(to);
                visit_stmts(body, f);
            }
            Stmt::If { condition, then, otherwise } => {
                f(condition);
                visit_stmts(then, f);
                visit_stmts(otherwise, f);
            }
            Stmt::Let { value, .. } | Stmt::Register { init: value, .. } | Stmt::Assign { value, .. } => {
                f(value)
            }
            Stmt::Store { index, value, mask, .. } => {
                index.iter().for_each(&mut *f);
                f(value);
                mask.iter().for_each(&mut *f);
            }
            Stmt::Prefetch { index, .. } => index.iter().for_each(&mut *f),
            Stmt::Check { condition, .. } => f(condition),
            Stmt::AsyncCopy { to_index, from_index, .. } => {
                to_index.iter().chain(from_index).for_each(&mut *f)
            }
            Stmt::AtomicAdd { index, value, .. } => {
                index.iter().for_each(&mut *f);
                f(value);
            }
            Stmt::Barrier | Stmt::AsyncWait { .. } => {}
        }
    }
}

/// Whether a variable stands in the expression.
pub fn uses(expr: &Expr, var: VarId) -> bool {
    let mut found = false;
    visit_expr(expr, &mut |e| found |= *e == Expr::Var(var));
    found
}

/// The expression with every part replaced by what `f` makes of it, innermost first.
pub fn map_expr(expr: &Expr, f: &mut dyn FnMut(Expr) -> Expr) -> Expr {
    let mut boxed = |x: &Expr| Box::new(map_expr(x, f));
    let rebuilt = match expr {
        Expr::Const(_) | Expr::Var(_) | Expr::Dim(_) => expr.clone(),
        Expr::Load { buffer, index, lanes, mask } => Expr::Load {
            buffer: *buffer,
            index: index.iter().map(|i| *boxed(i)).collect(),
            lanes: *lanes,
            mask: mask.as_ref().map(|mask| boxed(mask)),
        },
        Expr::Unary(op, x) => Expr::Unary(*op, boxed(x)),
        Expr::Binary(op, a, b) => {
            let (a, b) = (*boxed(a), *boxed(b));
            Expr::binary(*op, a, b)
        }
        Expr::Fma(a, b, c) => Expr::Fma(boxed(a), boxed(b), boxed(c)),
        Expr::Select(a, b, c) => Expr::Select(boxed(a), boxed(b), boxed(c)),
        Expr::Cast(dtype, x) => Expr::Cast(*dtype, boxed(x)),
        Expr::Splat(x, lanes) => Expr::Splat(boxed(x), *lanes),
        Expr::Ramp { base, stride, lanes } => {
            Expr::Ramp { base: boxed(base), stride: *stride, lanes: *lanes }
        }
        Expr::Lane(x, lane) => Expr::Lane(boxed(x), *lane),
        Expr::Interleave(a, b, half) => Expr::Interleave(boxed(a), boxed(b), *half),
        Expr::Horizontal(op, x) => Expr::Horizontal(*op, boxed(x)),
    };
    f(rebuilt)
}

/// The statement with every outermost expression replaced.
pub fn map_stmt(stmt: &Stmt, f: &mut dyn FnMut(&Expr) -> Expr) -> Stmt {
    match stmt {
        Stmt::For { var, from, to, step, kind, body } => Stmt::For {
            var: *var,
            from: f(from),
            to: f(to),
            step: *step,
            kind: *kind,
            body: body.iter().map(|stmt| map_stmt(stmt, f)).collect(),
        },
        Stmt::If { condition, then, otherwise } => Stmt::If {
            condition: f(condition),
            then: then.iter().map(|stmt| map_stmt(stmt, f)).collect(),
            otherwise: otherwise.iter().map(|stmt| map_stmt(stmt, f)).collect(),
        },
        Stmt::Let { var, value } => Stmt::Let { var: *var, value: f(value) },
        Stmt::Register { var, init } => Stmt::Register { var: *var, init: f(init) },
        Stmt::Assign { var, value } => Stmt::Assign { var: *var, value: f(value) },
        Stmt::Store { buffer, index, value, mask } => Stmt::Store {
            buffer: *buffer,
            index: index.iter().map(&mut *f).collect(),
            value: f(value),
            mask: mask.as_ref().map(&mut *f),
        },
        Stmt::Prefetch { buffer, index } => {
            Stmt::Prefetch { buffer: *buffer, index: index.iter().map(&mut *f).collect() }
        }
        Stmt::Check { condition, check } => Stmt::Check { condition: f(condition), check: *check },
        Stmt::AsyncCopy { to, to_index, from, from_index, elements } => Stmt::AsyncCopy {
            to: *to,
            to_index: to_index.iter().map(&mut *f).collect(),
            from: *from,
            from_index: from_index.iter().map(&mut *f).collect(),
            elements: *elements,
        },
        Stmt::AtomicAdd { buffer, index, value } => {
            Stmt::AtomicAdd { buffer: *buffer, index: index.iter().map(&mut *f).collect(), value: f(value) }
        }
        Stmt::Barrier | Stmt::AsyncWait { .. } => stmt.clone(),
    }
}
