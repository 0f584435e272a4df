//! The names that a definition needs of what stands around it: those that it mentions and does not bind first.

use grammar::ast::{self, Block, Expr, ExprKind, StmtKind};
use std::collections::BTreeSet;

/// Free names of a definition, or a few more: what only one branch of an `if` binds counts as free.
pub fn mentions(def: &ast::Def) -> BTreeSet<&str> {
    let mut walk = Walk { free: BTreeSet::new(), bound: Vec::new() };
    walk.def(def);
    walk.free
}

struct Walk<'p> {
    free: BTreeSet<&'p str>,
    bound: Vec<&'p str>,
}

impl<'p> Walk<'p> {
    fn name(&mut self, name: &'p str) {
        if !self.bound.contains(&name) {
            self.free.insert(name);
        }
    }

    fn def(&mut self, def: &'p ast::Def) {
        let outside = self.bound.len();
        for param in def.config.iter().chain([&def.inputs]).flat_map(|list| &list.params) {
            param.ty.iter().for_each(|ty| self.ty(ty));
            param.default.iter().for_each(|expr| self.expr(expr));
            self.bound.push(&param.name.text);
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
        self.bound.truncate(outside);
    }

    fn ty(&mut self, ty: &'p ast::Type) {
        for dim in &ty.dims {
            match dim {
                ast::Dim::Rest(name) => self.name(&name.text),
                ast::Dim::Expr(expr) => self.expr(expr),
            }
        }
    }

    fn block(&mut self, block: &'p Block) {
        let outside = self.bound.len();
        for stmt in &block.stmts {
            match &stmt.kind {
                StmtKind::Expr(value) => self.expr(value),
                StmtKind::Bind { targets, ty, value } => {
                    ty.iter().for_each(|ty| self.ty(ty));
                    self.expr(value);
                    self.bound.extend(targets.iter().map(|target| target.text.as_str()));
                }
                StmtKind::Equation { name, indices, value, bounds } => {
                    let around = self.bound.len();
                    self.bound.extend(indices.iter().map(|index| index.text.as_str()));
                    self.expr(value);
                    for bound in bounds {
                        self.expr(&bound.start);
                        self.expr(&bound.end);
                    }
                    self.bound.truncate(around);
                    self.bound.push(&name.text);
                }
                StmtKind::Write { state, value } => {
                    self.name(&state.text);
                    self.expr(value);
                }
                StmtKind::Param(decl) | StmtKind::State(decl) => {
                    decl.ty.iter().for_each(|ty| self.ty(ty));
                    decl.init.iter().for_each(|expr| self.expr(expr));
                    self.bound.push(&decl.name.text);
                }
                StmtKind::Require { condition, .. } => self.expr(condition),
                StmtKind::Assert { condition, within, .. } => {
                    self.expr(condition);
                    within.iter().for_each(|expr| self.expr(expr));
                }
                StmtKind::Fn(def) => {
                    self.def(def);
                    self.bound.push(&def.name.text);
                }
                StmtKind::Error => {}
            }
        }
        self.bound.truncate(outside);
    }

    fn expr(&mut self, expr: &'p Expr) {
        match &expr.kind {
            ExprKind::Name(name) => self.name(name),
            ExprKind::Reduce { indices, body, .. } => {
                let around = self.bound.len();
                self.bound.extend(indices.iter().map(|index| index.text.as_str()));
                self.expr(body);
                self.bound.truncate(around);
            }
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
            _ => expr.parts().into_iter().for_each(|part| self.expr(part)),
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
