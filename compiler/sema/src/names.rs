//! Names of inline instances. They follow the source text and count branches that are not taken, so that nothing a
//! condition decides can rename a weight.

use crate::{checker::Checker, program::Item};
use base::Span;
use grammar::ast::{self, DefKind, ExprKind, StmtKind, SubscriptKind};
use std::collections::{BTreeMap, BTreeSet};

struct Walk<'c, 'p> {
    /// What a name means at the top of the files.
    find: &'c dyn Fn(&str) -> Option<&'p ast::Def>,
    bound: BTreeSet<&'p str>,
    /// Parameters that may be layers: what they are given is called after them.
    open: BTreeSet<&'p str>,
    functions: BTreeSet<&'p str>,
    names: BTreeMap<Span, String>,
    taken: BTreeSet<String>,
}

impl<'p> Checker<'p> {
    /// The place of each expression that makes an inline instance in the body of `def`, with the instance's name.
    pub fn inline_names(&self, def: &'p ast::Def) -> BTreeMap<Span, String> {
        let file = def.span.file;
        let find = |name: &str| match self.program.find(file, name) {
            Some(Item::Def(def)) => Some(def),
            _ => None,
        };
        let lists: Vec<&'p ast::Param> =
            def.config.iter().chain([&def.inputs]).flat_map(|list| &list.params).collect();
        let untyped = lists.iter().filter(|param| param.ty.is_none());
        let mut walk = Walk {
            find: &find,
            bound: BTreeSet::new(),
            open: untyped.map(|param| param.name.text.as_str()).collect(),
            functions: BTreeSet::new(),
            names: BTreeMap::new(),
            taken: BTreeSet::new(),
        };
        if let ast::Body::Block(block) = &def.body {
            walk.bindings(block);
        }
        walk.open.retain(|name| !walk.bound.contains(name));
        walk.taken = walk.bound.iter().map(|name| name.to_string()).collect();
        walk.bound.extend(lists.iter().map(|param| param.name.text.as_str()));
        match &def.body {
            ast::Body::Expr(expr) => walk.expr(expr),
            ast::Body::Block(block) => walk.block(block),
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
                StmtKind::Fn(def) => drop(self.functions.insert(&def.name.text)),
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
        match &expr.kind {
            ExprKind::Name(name) => self.instance(name, &[expr.span]),
            ExprKind::Call { callee, args, .. } => match &callee.peel().kind {
                ExprKind::Name(name) => {
                    self.args(name, args);
                    // The call configures the layer, or gives it further inputs.
                    self.instance(name, &[expr.span, callee.span]);
                }
                _ => {
                    args.iter().for_each(|arg| self.expr(&arg.value));
                    self.applied(callee);
                }
            },
            ExprKind::If { arms, otherwise } => {
                for arm in arms {
                    self.expr(&arm.condition);
                    arm.body.last_expr().into_iter().for_each(|last| self.applied(last));
                }
                otherwise.iter().filter_map(|block| block.last_expr()).for_each(|last| self.applied(last));
            }
            _ => self.expr(expr),
        }
    }

    /// What is given to a function is an instance of the caller where it is a layer with its configuration.
    fn args(&mut self, callee: &str, args: &'p [ast::Arg]) {
        let is_function = self.functions.contains(callee)
            || (!self.bound.contains(callee) && self.kind(callee) == Some(DefKind::Fn));
        for arg in args {
            match &arg.value.peel().kind {
                ExprKind::Call { .. } if is_function && self.makes_layer(&arg.value) => {
                    self.applied(&arg.value);
                }
                ExprKind::Name(name) if is_function && self.open.contains(name.as_str()) => {
                    self.instance(name, &[arg.value.span]);
                }
                _ => self.expr(&arg.value),
            }
        }
    }

    fn makes_layer(&self, expr: &ast::Expr) -> bool {
        let ExprKind::Call { callee, .. } = &expr.peel().kind else { return false };
        let name = callee.as_name().unwrap_or("");
        !self.bound.contains(name) && self.is_layer(name)
    }

    fn is_layer(&self, name: &str) -> bool {
        match self.kind(name) {
            Some(kind) => matches!(kind, DefKind::Layer | DefKind::Model),
            // Unless the files say otherwise.
            None => name == "chain",
        }
    }

    fn kind(&self, name: &str) -> Option<DefKind> {
        (self.find)(name).map(|def| def.kind)
    }

    /// A layer of the files that has inputs only, and is no name of the body.
    fn is_plain(&self, name: &str) -> bool {
        !self.bound.contains(name) && (self.find)(name).is_some_and(|def| def.config.is_none())
    }

    /// Gives the next name to the instance that is made at these places, if one is.
    fn instance(&mut self, name: &str, places: &[Span]) {
        if !self.open.contains(name) && (self.bound.contains(name) || !self.is_layer(name)) {
            return;
        }
        let mut full = name.to_string();
        let mut number = 0;
        while !self.taken.insert(full.clone()) {
            number += 1;
            full = format!("{name}_{number}");
        }
        for place in places {
            self.names.insert(*place, full.clone());
        }
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
                    ExprKind::Name(name) => {
                        self.args(name, args);
                        let without_configuration = self.open.contains(name.as_str()) || self.is_plain(name);
                        if without_configuration {
                            self.instance(name, &[callee.span]);
                        }
                        return;
                    }
                    ExprKind::Call { .. } => self.applied(callee),
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
