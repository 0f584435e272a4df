//! What the lines of the user's files bind, for traces.

use crate::Session;
use base::Span;
use grammar::ast::{Block, Body, Def, Expr, ExprKind, File, ItemKind, StmtKind};

/// A right side and the names that its value gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    pub names: Vec<String>,
    pub span: Span,
}

impl Session {
    /// The bindings of all bodies in the file and in what it uses.
    pub fn bindings(&self) -> Vec<Binding> {
        let mut found = Vec::new();
        for file in self.files_of_user() {
            of_file(file, &mut found);
        }
        found
    }
}

fn of_file(file: &File, found: &mut Vec<Binding>) {
    for item in &file.items {
        if let ItemKind::Def(def) = &item.kind {
            of_def(def, found);
        }
    }
}

fn of_def(def: &Def, found: &mut Vec<Binding>) {
    match &def.body {
        Body::Block(block) => of_block(block, found),
        Body::Expr(value) => of_expr(value, found),
    }
}

fn of_block(block: &Block, found: &mut Vec<Binding>) {
    for stmt in &block.stmts {
        let (names, value) = match &stmt.kind {
            StmtKind::Expr(value) => (Vec::new(), value),
            StmtKind::Bind { targets, value, .. } => {
                (targets.iter().map(|target| target.text.clone()).collect(), value)
            }
            StmtKind::Equation { name, value, .. } => (vec![name.text.clone()], value),
            StmtKind::Write { state, value } => (vec![state.text.clone()], value),
            StmtKind::Fn(def) => {
                of_def(def, found);
                continue;
            }
            _ => continue,
        };
        if !names.is_empty() {
            found.push(Binding { names, span: value.span });
        }
        of_expr(value, found);
    }
}

/// Blocks that are a value themselves.
fn of_expr(value: &Expr, found: &mut Vec<Binding>) {
    match &value.kind {
        ExprKind::If { arms, otherwise } => {
            arms.iter().for_each(|arm| of_block(&arm.body, found));
            otherwise.iter().for_each(|block| of_block(block, found));
        }
        ExprKind::Repeat { body, .. } | ExprKind::Remat(body) => of_block(body, found),
        _ => {}
    }
}
