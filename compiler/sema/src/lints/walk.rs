//! The walk over definitions that finds what is declared and what is read.

use super::{Kind, Names};
use grammar::ast::{self, DefKind, ExprKind, StmtKind};

impl<'p> Names<'_, 'p> {
    pub(super) fn definition(&mut self, def: &'p ast::Def) {
        let optimizer = def.kind == DefKind::Optimizer;
        for param in def.config.iter().flat_map(|list| &list.params) {
            self.param(param, Kind::Config);
        }
        for param in &def.inputs.params {
            // A weight and its gradient are given to every optimiser.
            self.param(param, if optimizer { Kind::Solved } else { Kind::Input });
        }
        self.body(def);
        if def.kind == DefKind::Model {
            self.read_by_training(def);
        }
    }

    fn param(&mut self, param: &'p ast::Param, kind: Kind) {
        param.default.iter().for_each(|default| self.expr(default));
        param.ty.iter().for_each(|ty| self.ty(ty));
        self.groups += 1;
        self.declare(&param.name, kind);
    }

    fn body(&mut self, def: &'p ast::Def) {
        match &def.body {
            ast::Body::Expr(expr) => self.expr(expr),
            ast::Body::Block(block) => self.block(block),
        }
        match &def.results {
            None => {}
            Some(ast::Results::One(ty)) => self.ty(ty),
            Some(ast::Results::Tuple(types, _)) => types.iter().for_each(|ty| self.ty(ty)),
            Some(ast::Results::Named(results, _)) => {
                for result in results {
                    self.ty(&result.ty);
                    self.read(&result.name.text);
                }
            }
        }
    }

    /// Names in the dimensions of a type: those not known yet are solved by it.
    pub(super) fn ty(&mut self, ty: &'p ast::Type) {
        for dim in &ty.dims {
            match dim {
                ast::Dim::Rest(name) if self.scope.contains_key(name.text.as_str()) => self.read(&name.text),
                ast::Dim::Rest(name) => {
                    self.groups += 1;
                    self.declare(name, Kind::Solved);
                }
                ast::Dim::Expr(expr) => self.expr(expr),
            }
        }
    }

    pub(super) fn block(&mut self, block: &'p ast::Block) {
        for stmt in &block.stmts {
            self.stmt(&stmt.kind);
        }
    }

    fn stmt(&mut self, stmt: &'p StmtKind) {
        match stmt {
            StmtKind::Expr(ast::Expr { kind: ExprKind::If { arms, otherwise }, .. }) => {
                self.branches(arms, otherwise.as_ref(), true);
            }
            StmtKind::Expr(expr) => self.expr(expr),
            StmtKind::Bind { targets, ty, value } => {
                let before = std::mem::take(&mut self.recent);
                self.expr(value);
                ty.iter().for_each(|ty| self.ty(ty));
                let kind = self.kind_of(value, targets.len());
                self.groups += 1;
                for target in targets {
                    self.hides(target);
                    self.declare(target, kind);
                }
                self.recent.extend(before);
            }
            StmtKind::Equation { name, indices, value, bounds } => {
                let before = std::mem::take(&mut self.recent);
                let saved = self.scope.clone();
                for index in indices {
                    self.groups += 1;
                    self.declare(index, Kind::Solved);
                }
                self.expr(value);
                for bound in bounds {
                    self.expr(&bound.start);
                    self.expr(&bound.end);
                }
                self.scope = saved;
                self.groups += 1;
                self.hides(name);
                self.declare(name, Kind::Value { applies: false });
                self.recent.extend(before);
            }
            StmtKind::Write { state, value } => {
                self.expr(value);
                self.read(&state.text);
            }
            StmtKind::Param(decl) => self.decl(decl, Kind::Weight),
            StmtKind::State(decl) => self.decl(decl, Kind::State),
            StmtKind::Require { condition, .. } => self.expr(condition),
            StmtKind::Assert { condition, within, .. } => {
                self.expr(condition);
                within.iter().for_each(|within| self.expr(within));
            }
            StmtKind::Fn(def) => {
                let saved = self.scope.clone();
                for param in &def.inputs.params {
                    // What it takes is settled by who calls it.
                    self.param(param, Kind::Solved);
                }
                self.body(def);
                self.scope = saved;
                self.groups += 1;
                self.declare(&def.name, Kind::Function);
            }
            StmtKind::Error => {}
        }
    }

    fn decl(&mut self, decl: &'p ast::Decl, kind: Kind) {
        let before = std::mem::take(&mut self.recent);
        decl.ty.iter().for_each(|ty| self.ty(ty));
        decl.init.iter().for_each(|init| self.expr(init));
        self.groups += 1;
        self.hides(&decl.name);
        self.declare(&decl.name, kind);
        self.recent.extend(before);
    }

    /// Each branch begins with the names around it; with `stay`, what any of them binds is seen after it.
    fn branches(&mut self, arms: &'p [ast::IfArm], otherwise: Option<&'p ast::Block>, stay: bool) {
        for arm in arms {
            self.expr(&arm.condition);
        }
        let around = self.scope.clone();
        let mut after = around.clone();
        self.depth += 1;
        for block in arms.iter().map(|arm| &arm.body).chain(otherwise) {
            self.scope.clone_from(&around);
            self.block(block);
            for (name, ids) in &self.scope {
                let known = after.entry(name).or_default();
                known.extend(ids.iter().filter(|id| !around.get(name).is_some_and(|old| old.contains(id))));
            }
        }
        self.depth -= 1;
        self.scope = if stay { after } else { around };
    }

    pub(super) fn expr(&mut self, expr: &'p ast::Expr) {
        match &expr.kind {
            ExprKind::Name(name) => {
                // A name first met in a type is a dimension, and does no harm as a free name elsewhere.
                self.read(name);
            }
            ExprKind::Reduce { indices, body, .. } => {
                let saved = self.scope.clone();
                for index in indices {
                    self.groups += 1;
                    self.declare(index, Kind::Solved);
                }
                self.expr(body);
                self.scope = saved;
            }
            ExprKind::If { arms, otherwise } => self.branches(arms, otherwise.as_ref(), false),
            ExprKind::Repeat { count, body, .. } => {
                self.expr(count);
                self.inner(body);
            }
            ExprKind::Remat(block) => self.inner(block),
            ExprKind::Record(settings) => settings.iter().for_each(|setting| self.setting(setting)),
            _ => expr.parts().into_iter().for_each(|part| self.expr(part)),
        }
    }

    /// A block whose names end with it.
    fn inner(&mut self, block: &'p ast::Block) {
        let saved = self.scope.clone();
        self.block(block);
        self.scope = saved;
    }

    fn kind_of(&self, value: &ast::Expr, targets: usize) -> Kind {
        let value = value.peel();
        let named = |expr: &ast::Expr| expr.peel().as_name().map(String::from);
        let instance = match &value.kind {
            ExprKind::Repeat { .. } => true,
            ExprKind::Name(name) => !self.scope.contains_key(name.as_str()) && self.is_layer(name),
            ExprKind::Call { callee, .. } => named(callee).is_some_and(|name| {
                let known = self.scope.contains_key(name.as_str());
                !known && (name == "chain" || self.configures(&name))
            }),
            _ => false,
        };
        if instance && targets == 1 { Kind::Instance } else { Kind::Value { applies: self.applies(value) } }
    }

    /// Whether a call of `name` makes an instance: the layer has a list of configuration.
    fn configures(&self, name: &str) -> bool {
        let item = self.program.find(self.program.main.span.file, name);
        matches!(item, Some(crate::program::Item::Def(def)) if def.kind == DefKind::Layer && def.config.is_some())
    }

    /// Whether a layer stands among the steps of the outermost pipe or call.
    fn applies(&self, value: &ast::Expr) -> bool {
        let layer = |expr: &ast::Expr| {
            let mut root = expr.peel();
            while let ExprKind::Call { callee, .. } = &root.kind {
                root = callee.peel();
            }
            matches!(root.kind, ExprKind::Repeat { .. })
                || root.as_name().is_some_and(|name| self.is_layer(name))
        };
        match &value.kind {
            ExprKind::Pipe { stages, .. } => stages.iter().any(layer),
            ExprKind::Call { .. } => layer(value),
            _ => false,
        }
    }
}
