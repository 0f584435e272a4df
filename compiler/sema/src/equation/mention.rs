//! Which names stand in an expression.

use grammar::ast::{Block, Expr, ExprKind, Stmt, StmtKind, Subscript, SubscriptKind};

/// Whether the name stands anywhere in the expression.
pub(super) fn names(expr: &Expr, name: &str) -> bool {
    any(expr, &mut |kind| matches!(kind, ExprKind::Name(text) if text == name))
}

/// Whether any of the expressions inside, this one included, is of the kind asked for. Words that are no expressions
/// (fields, names of arguments) do not count.
pub(super) fn any(expr: &Expr, wanted: &mut dyn FnMut(&ExprKind) -> bool) -> bool {
    use ExprKind::*;
    if wanted(&expr.kind) {
        return true;
    }
    match &expr.kind {
        Name(_) | Int { .. } | Float { .. } | Bool(_) | Constant(_) | Str(_) | Record(_) | Error => false,
        Paren(inner) => any(inner, wanted),
        Tuple(items) | List(items) => items.iter().any(|item| any(item, wanted)),
        Unary { operand, .. } => any(operand, wanted),
        Binary { left, right, .. } => any(left, wanted) || any(right, wanted),
        Pipe { input, stages } => any(input, wanted) || stages.iter().any(|stage| any(stage, wanted)),
        Call { callee, args, .. } => any(callee, wanted) || args.iter().any(|arg| any(&arg.value, wanted)),
        Index { base, subscripts, .. } => {
            any(base, wanted) || subscripts.iter().any(|subscript| any_in_subscript(subscript, wanted))
        }
        Field { base, .. } => any(base, wanted),
        Range { start, end } => any(start, wanted) || any(end, wanted),
        Reduce { body, .. } => any(body, wanted),
        If { arms, otherwise } => {
            arms.iter().any(|arm| any(&arm.condition, wanted) || any_in_block(&arm.body, wanted))
                || otherwise.as_ref().is_some_and(|block| any_in_block(block, wanted))
        }
        Repeat { count, body, .. } => any(count, wanted) || any_in_block(body, wanted),
        Remat(block) => any_in_block(block, wanted),
    }
}

fn any_in_subscript(subscript: &Subscript, wanted: &mut dyn FnMut(&ExprKind) -> bool) -> bool {
    match &subscript.kind {
        SubscriptKind::At(expr) => any(expr, wanted),
        SubscriptKind::Slice { start, end, step } => {
            [start, end, step].into_iter().flatten().any(|expr| any(expr, wanted))
        }
        SubscriptKind::Rest => false,
    }
}

fn any_in_block(block: &Block, wanted: &mut dyn FnMut(&ExprKind) -> bool) -> bool {
    block.stmts.iter().any(|stmt| any_in_statement(stmt, wanted))
}

fn any_in_statement(stmt: &Stmt, wanted: &mut dyn FnMut(&ExprKind) -> bool) -> bool {
    match &stmt.kind {
        StmtKind::Expr(value) | StmtKind::Bind { value, .. } | StmtKind::Write { value, .. } => {
            any(value, wanted)
        }
        StmtKind::Equation { value, bounds, .. } => {
            any(value, wanted)
                || bounds.iter().any(|bound| any(&bound.start, wanted) || any(&bound.end, wanted))
        }
        StmtKind::Param(decl) | StmtKind::State(decl) => {
            decl.init.as_ref().is_some_and(|init| any(init, wanted))
        }
        StmtKind::Require { condition, .. } => any(condition, wanted),
        StmtKind::Assert { condition, within, .. } => {
            any(condition, wanted) || within.as_ref().is_some_and(|within| any(within, wanted))
        }
        StmtKind::Fn(_) | StmtKind::Error => false,
    }
}
