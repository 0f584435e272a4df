//! The right side of an equation as data.

use crate::value::Value;
use base::Span;
use grammar::ast::{self, BinaryOp, Reduction, UnaryOp};
use graph::NodeId;
use shape::{Dim, Symbol};

/// An index of the equation.
pub(super) struct Index<'p> {
    pub name: &'p ast::Name,
    /// Stands for its value in [`Kind::Count`].
    pub symbol: Symbol,
    /// Of the result, where it is one of its indices.
    pub axis: Option<usize>,
    pub range: Option<Range>,
}

/// `start`, …, `start + extent - 1`.
#[derive(Clone)]
pub(super) struct Range {
    pub start: Dim,
    pub extent: Dim,
    pub origin: Origin,
}

/// Why an index has its range.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    /// It is a whole subscript here.
    Bare(Span),
    /// The result is declared so.
    Declared(Span),
    /// The largest in bounds here.
    Affine(Span),
    /// `where` says so.
    Stated(Span),
}

pub(super) struct Term<'p> {
    pub kind: Kind<'p>,
    pub span: Span,
}

pub(super) enum Kind<'p> {
    /// Free of indices.
    Value(Value<'p>),
    /// A whole number made of indices, by their symbols.
    Count(Dim),
    Access(Access<'p>),
    Unary(UnaryOp, Box<Term<'p>>),
    Binary(BinaryOp, Box<[Term<'p>; 2]>),
    Call {
        target: Value<'p>,
        name: &'p ast::Expr,
        args: Vec<CallArg<'p>>,
    },
    Reduce {
        op: Reduction,
        op_span: Span,
        indices: Vec<usize>,
        body: Box<Term<'p>>,
    },
}

pub(super) struct CallArg<'p> {
    pub name: Option<&'p ast::Name>,
    pub term: Term<'p>,
}

/// `x[…]` with a subscript for each axis.
pub(super) struct Access<'p> {
    pub base: NodeId,
    pub subscripts: Vec<(Subscript<'p>, Span)>,
}

pub(super) enum Subscript<'p> {
    Affine(Affine),
    /// Made of indices, but not affine; proved to be in bounds like one that is.
    Count(Dim),
    /// An integer of the data; whether it is in bounds is found when the model runs.
    Data(Term<'p>),
}

/// `offset + Σ coefficient · index`.
#[derive(Clone, PartialEq)]
pub(super) struct Affine {
    /// Coefficient (not 0) and index, ascending in the index.
    pub terms: Vec<(i64, usize)>,
    pub offset: Dim,
}

/// A subscript made of indices, and what it is a subscript of.
#[derive(Clone)]
pub(super) struct Use<'p> {
    pub at: Dim,
    pub affine: Option<Affine>,
    pub base: NodeId,
    pub base_name: Option<&'p str>,
    pub axis: usize,
    pub size: Dim,
    pub span: Span,
}

/// A term as nodes.
#[derive(Clone)]
pub(super) enum Lowered<'p> {
    /// A number that takes the dtype of what it meets, or anything else known while compiling.
    Known(Value<'p>),
    /// The same for whole numbers made of indices.
    Count(Dim),
    Tensor(Labelled),
}

/// A tensor with an axis for each of these indices, which ascend.
#[derive(Clone)]
pub(super) struct Labelled {
    pub id: NodeId,
    pub labels: Vec<usize>,
}

impl<'p> Index<'p> {
    pub fn new(name: &'p ast::Name, id: usize) -> Index<'p> {
        // No name of a file has a quote in it.
        let symbol = Symbol::new(&format!("{}'{id}", name.text));
        Index { name, symbol, axis: None, range: None }
    }

    /// Where the size of its range comes from.
    pub fn origin(&self) -> Option<Span> {
        self.range.as_ref().map(|range| range.origin.span())
    }
}

impl Origin {
    pub fn span(self) -> Span {
        match self {
            Origin::Bare(span) | Origin::Declared(span) | Origin::Affine(span) | Origin::Stated(span) => span,
        }
    }
}

impl Affine {
    pub fn bare(index: usize) -> Affine {
        Affine { terms: vec![(1, index)], offset: Dim::default() }
    }

    /// The index, where that is all.
    pub fn as_bare(&self) -> Option<usize> {
        match self.terms.as_slice() {
            [(1, index)] if self.offset.is_const(0) => Some(*index),
            _ => None,
        }
    }

    pub fn uses(&self, index: usize) -> bool {
        self.terms.iter().any(|(_, other)| *other == index)
    }
}

impl Term<'_> {
    /// The indices that its value depends on, ascending. `of_count` gives those of a number made of indices.
    pub fn labels(&self, of_count: &dyn Fn(&Dim) -> Vec<usize>) -> Vec<usize> {
        let mut labels = Vec::new();
        self.collect(of_count, &mut labels);
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    fn collect(&self, of_count: &dyn Fn(&Dim) -> Vec<usize>, labels: &mut Vec<usize>) {
        match &self.kind {
            Kind::Value(_) => {}
            Kind::Count(dim) => labels.extend(of_count(dim)),
            Kind::Access(access) => {
                for (subscript, _) in &access.subscripts {
                    match subscript {
                        Subscript::Affine(affine) => {
                            labels.extend(affine.terms.iter().map(|(_, index)| *index))
                        }
                        Subscript::Count(dim) => labels.extend(of_count(dim)),
                        Subscript::Data(term) => term.collect(of_count, labels),
                    }
                }
            }
            Kind::Unary(_, operand) => operand.collect(of_count, labels),
            Kind::Binary(_, sides) => sides.iter().for_each(|side| side.collect(of_count, labels)),
            Kind::Call { args, .. } => args.iter().for_each(|arg| arg.term.collect(of_count, labels)),
            Kind::Reduce { indices, body, .. } => {
                let mut inner = Vec::new();
                body.collect(of_count, &mut inner);
                labels.extend(inner.into_iter().filter(|index| !indices.contains(index)));
            }
        }
    }
}
