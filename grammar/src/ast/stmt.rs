//! Blocks and what stands in them.

use super::{Def, Doc, Expr, Name, Text, Type};
use base::Span;

#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    pub stmts: Vec<Stmt>,
    /// From brace to brace.
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Stmt {
    pub kind: StmtKind,
    pub doc: Option<Doc>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum StmtKind {
    /// The value of the block where it stands last; elsewhere only ever an `if`.
    Expr(Expr),
    /// `h = …`, `h: T = …`, `a, _ = …`. At least one target; a type only with exactly one.
    Bind {
        targets: Vec<Name>,
        ty: Option<Type>,
        value: Expr,
    },
    /// `y[i, j] = … where i in 0..h`
    Equation {
        name: Name,
        indices: Vec<Name>,
        value: Expr,
        bounds: Vec<Bound>,
    },
    /// `mean <- …`
    Write {
        state: Name,
        value: Expr,
    },
    Param(Decl),
    State(Decl),
    Require {
        condition: Expr,
        message: Option<Text>,
    },
    Assert {
        condition: Expr,
        within: Option<Expr>,
        message: Option<Text>,
    },
    /// A `fn`; nothing else may be defined inside a body.
    Fn(Def),
    Error,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Decl {
    pub name: Name,
    pub ty: Option<Type>,
    pub init: Option<Expr>,
}

/// `index in start..end`
#[derive(Clone, PartialEq, Debug)]
pub struct Bound {
    pub index: Name,
    pub start: Expr,
    pub end: Expr,
}

impl Block {
    /// The expression that the block ends with. An `if` without `else` is no value, but is returned all the same.
    pub fn last_expr(&self) -> Option<&Expr> {
        match self.stmts.last() {
            Some(Stmt { kind: StmtKind::Expr(expr), .. }) => Some(expr),
            _ => None,
        }
    }
}
