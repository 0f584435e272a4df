//! The names that a definition mentions: what a function inside a body may need of what stands around it.

use grammar::ast::{self, Block, Expr, ExprKind, StmtKind, SubscriptKind};
use std::collections::BTreeSet;

/// Every name in a definition, bound inside or not.
pub fn mentions(def: &ast::Def) -> BTreeSet<&str> {
    let mut walk = Walk(BTreeSet::new());
    walk.def(def);
    walk.0
}

struct Walk<'p>(BTreeSet<&'p str>);

impl<'p> Walk<'p> {
    fn def(&mut self, def: &'p ast::Def) {
        for param in def.config.iter().chain([&def.inputs]).flat_map(|list| &list.params) {
            param.ty.iter().for_each(|ty| self.ty(ty));
            param.default.iter().for_each(|expr| self.expr(expr));
        }
        match &def.results {
            Some(ast::Results::One(ty)) => self.ty(ty),
            Some(ast::Results::Tuple(types, _)) => types.iter().for_each(|ty| self.ty(ty)),
            Some(ast::Results::Named(results, _)) => results.iter().for_each(|result| self.ty(&result.ty)),
            None => {}
        }
        match &def.body {
            ast::Body::Expr(expr) => self.expr(expr),
            ast::Body::Block(block) => self.block(block),
        }
    }

    fn ty(&mut self, ty: &'p ast::Type) {
        for dim in &ty.dims {
            match dim {
                ast::Dim::Rest(name) => drop(self.0.insert(&name.text)),
                ast::Dim::Expr(expr) => self.expr(expr),
            }
        }
    }

    fn block(&mut self, block: &'p Block) {
        for stmt in &block.stmts {
            match &stmt.kind {
                StmtKind::Expr(value) => self.expr(value),
                StmtKind::Bind { ty, value, .. } => {
                    ty.iter().for_each(|ty| self.ty(ty));
                    self.expr(value);
                }
                StmtKind::Equation { value, bounds, .. } => {
                    self.expr(value);
                    bounds.iter().flat_map(|bound| [&bound.start, &bound.end]).for_each(|expr| self.expr(expr));
                }
                StmtKind::Write { state, value } => {
                    self.0.insert(&state.text);
                    self.expr(value);
                }
                StmtKind::Param(decl) | StmtKind::State(decl) => {
                    decl.ty.iter().for_each(|ty| self.ty(ty));
                    decl.init.iter().for_each(|expr| self.expr(expr));
                }
                StmtKind::Require { condition, .. } => self.expr(condition),
                StmtKind::Assert { condition, within, .. } => {
                    self.expr(condition);
                    within.iter().for_each(|expr| self.expr(expr));
                }
                StmtKind::Fn(def) => self.def(def),
                StmtKind::Error => {}
            }
        }
    }

    fn expr(&mut self, expr: &'p Expr) {
        match &expr.kind {
            ExprKind::Name(name) => drop(self.0.insert(name)),
            ExprKind::Paren(inner) | ExprKind::Unary { operand: inner, .. } => self.expr(inner),
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|item| self.expr(item)),
            ExprKind::Binary { left: a, right: b, .. } | ExprKind::Range { start: a, end: b } => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Pipe { input, stages } => {
                self.expr(input);
                stages.iter().for_each(|stage| self.expr(stage));
            }
            ExprKind::Call { callee, args, .. } => {
                self.expr(callee);
                args.iter().for_each(|arg| self.expr(&arg.value));
            }
            ExprKind::Index { base, subscripts, .. } => {
                self.expr(base);
                for subscript in subscripts {
                    match &subscript.kind {
                        SubscriptKind::At(expr) => self.expr(expr),
                        SubscriptKind::Slice { start, end, step } => {
                            [start, end, step].into_iter().flatten().for_each(|expr| self.expr(expr));
                        }
                        SubscriptKind::Rest => {}
                    }
                }
            }
            ExprKind::Field { base, .. } => self.expr(base),
            ExprKind::Reduce { body, .. } => self.expr(body),
            ExprKind::If { arms, otherwise } => {
                for arm in arms {
                    self.expr(&arm.condition);
                    self.block(&arm.body);
                }
                otherwise.iter().for_each(|block| self.block(block));
            }
            ExprKind::Repeat { count, body, .. } => {
                self.expr(count);
                self.block(body);
            }
            ExprKind::Remat(block) => self.block(block),
            ExprKind::Record(rows) => rows.iter().for_each(|row| self.setting(&row.value)),
            ExprKind::Int { .. }
            | ExprKind::Float { .. }
            | ExprKind::Bool(_)
            | ExprKind::Constant(_)
            | ExprKind::Str(_)
            | ExprKind::Error => {}
        }
    }

    fn setting(&mut self, value: &'p ast::SettingValue) {
        match value {
            ast::SettingValue::Expr(expr) => self.expr(expr),
            ast::SettingValue::Record(rows, _) => rows.iter().for_each(|row| self.setting(&row.value)),
            ast::SettingValue::Error(_) => {}
        }
    }
}
