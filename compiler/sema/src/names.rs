//! Names of inline instances. They follow the source text and count branches that are not taken, so that nothing a
//! condition decides can rename a weight.

use crate::{checker::Checker, program::Item};
use base::Span;
use grammar::ast::{self, DefKind, ExprKind, StmtKind, SubscriptKind};
use std::collections::{BTreeMap, BTreeSet};

struct Walk<'c, 'p> {
    is_layer: &'c dyn Fn(&str) -> bool,
    bound: BTreeSet<&'p str>,
    names: BTreeMap<Span, String>,
    taken: BTreeSet<String>,
}

impl<'p> Checker<'p> {
    /// The place of each expression that makes an inline instance in the body of `def`, with the instance's name.
    pub fn inline_names(&self, def: &'p ast::Def) -> BTreeMap<Span, String> {
        let file = def.span.file;
        let is_layer = |name: &str| match self.program.find(file, name) {
            Some(Item::Def(def)) => matches!(def.kind, DefKind::Layer | DefKind::Model),
            Some(_) => false,
            None => name == "chain",
        };
        let mut walk = Walk {
            is_layer: &is_layer,
            bound: BTreeSet::new(),
            names: BTreeMap::new(),
            taken: BTreeSet::new(),
        };
        let lists = def.config.iter().chain([&def.inputs]);
        walk.bound.extend(lists.flat_map(|list| list.params.iter().map(|param| param.name.text.as_str())));
        match &def.body {
            ast::Body::Expr(expr) => walk.expr(expr),
            ast::Body::Block(block) => {
                walk.bindings(block);
                walk.taken = walk.bound.iter().map(|name| name.to_string()).collect();
                walk.block(block);
            }
        }
        walk.names
    }
}

impl<'p> Walk<'_, 'p> {
    fn bindings(&mut self, block: &'p ast::Block) {
        for stmt in &block.stmts {
            match &stmt.kind {
                StmtKind::Bind { targets, .. } => {
                    self.bound.extend(targets.iter().map(|name| name.text.as_str()))
                }
                StmtKind::Expr(ast::Expr { kind: ExprKind::If { arms, otherwise }, .. }) => {
                    arms.iter().for_each(|arm| self.bindings(&arm.body));
                    otherwise.iter().for_each(|block| self.bindings(block));
                }
                _ => {}
            }
        }
    }

    fn block(&mut self, block: &'p ast::Block) {
        for stmt in &block.stmts {
            match &stmt.kind {
                StmtKind::Expr(value)
                | StmtKind::Bind { value, .. }
                | StmtKind::Equation { value, .. }
                | StmtKind::Write { value, .. }
                | StmtKind::Require { condition: value, .. }
                | StmtKind::Assert { condition: value, .. } => self.expr(value),
                StmtKind::Param(_) | StmtKind::State(_) | StmtKind::Fn(_) | StmtKind::Error => {}
            }
        }
    }

    /// `dense(64)` or `dense` where it is applied.
    fn applied(&mut self, expr: &'p ast::Expr) {
        let expr = expr.peel();
        let name = match &expr.kind {
            ExprKind::Name(name) => Some(name),
            ExprKind::Call { callee, args, .. } => {
                args.iter().for_each(|arg| self.expr(&arg.value));
                match &callee.peel().kind {
                    ExprKind::Name(name) => Some(name),
                    _ => {
                        self.applied(callee);
                        None
                    }
                }
            }
            ExprKind::If { arms, otherwise } => {
                for arm in arms {
                    self.expr(&arm.condition);
                    arm.body.last_expr().into_iter().for_each(|last| self.applied(last));
                }
                otherwise.iter().filter_map(|block| block.last_expr()).for_each(|last| self.applied(last));
                None
            }
            _ => {
                self.expr(expr);
                None
            }
        };
        let Some(name) = name else { return };
        if self.bound.contains(name.as_str()) || !(self.is_layer)(name) {
            return;
        }
        let mut full = name.clone();
        let mut number = 0;
        while !self.taken.insert(full.clone()) {
            number += 1;
            full = format!("{name}_{number}");
        }
        self.names.insert(expr.span, full);
    }

    fn expr(&mut self, expr: &'p ast::Expr) {
        match &expr.kind {
            ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|item| self.expr(item)),
            ExprKind::Unary { operand, .. } => self.expr(operand),
            ExprKind::Binary { left, right, .. } => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Range { start, end } => {
                self.expr(start);
                self.expr(end);
            }
            ExprKind::Pipe { input, stages } => {
                self.expr(input);
                stages.iter().for_each(|stage| self.applied(stage));
            }
            ExprKind::Call { callee, args, .. } => {
                match &callee.peel().kind {
                    ExprKind::Call { .. } => self.applied(callee),
                    // A layer without configuration, applied directly.
                    ExprKind::Name(_) => {}
                    _ => self.expr(callee),
                }
                args.iter().for_each(|arg| self.expr(&arg.value));
            }
            ExprKind::Index { base, subscripts, .. } => {
                self.expr(base);
                for subscript in subscripts {
                    if let SubscriptKind::At(expr) = &subscript.kind {
                        self.expr(expr);
                    }
                }
            }
            ExprKind::Reduce { body, .. } => self.expr(body),
            ExprKind::If { arms, otherwise } => {
                for arm in arms {
                    self.expr(&arm.condition);
                    self.block(&arm.body);
                }
                otherwise.iter().for_each(|block| self.block(block));
            }
            ExprKind::Remat(block) => self.block(block),
            // Instances inside a repetition are named by the repetition.
            ExprKind::Repeat { count, .. } => self.expr(count),
            ExprKind::Field { .. }
            | ExprKind::Name(_)
            | ExprKind::Int { .. }
            | ExprKind::Float { .. }
            | ExprKind::Bool(_)
            | ExprKind::Constant(_)
            | ExprKind::Str(_)
            | ExprKind::Record(_)
            | ExprKind::Error => {}
        }
    }
}
