//! Subscripts, and whole numbers made of indices.

use super::{
    Equation,
    term::{Affine, Kind, Subscript, Use},
};
use crate::value::Value;
use base::Span;
use grammar::ast;
use graph::NodeId;
use shape::{Atom, Dim, Proof, Symbol};
use std::collections::BTreeMap;

/// Coefficients of indices stay far from overflow.
const MAX_COEFFICIENT: u64 = 1 << 31;

impl<'p> Equation<'_, 'p> {
    pub(super) fn subscript(
        &mut self,
        base: NodeId,
        base_expr: &'p ast::Expr,
        axis: usize,
        expr: &'p ast::Expr,
    ) -> Option<Subscript<'p>> {
        let size = self.checker.ty(base).shape[axis].clone();
        let at = if self.concerns(expr) {
            let term = self.term(expr)?;
            match term.kind {
                Kind::Count(dim) => dim,
                Kind::Value(Value::Int(_) | Value::Dim(_)) => super::resolve::whole(&term)?,
                _ => return Some(Subscript::Data(term)),
            }
        } else {
            match self.checker.expr(expr) {
                Value::Int(number) if number < 0 => &size + number,
                value @ Value::Tensor(_) => {
                    self.element(&value, expr)?;
                    let kind = Kind::Value(value);
                    return Some(Subscript::Data(super::term::Term { kind, span: expr.span }));
                }
                value => match value.as_dim() {
                    Some(dim) => dim,
                    None => return self.no_subscript(&value, expr.span),
                },
            }
        };
        if at.overflowed() {
            self.checker.error("E0403", expr.span, "this number is too large", "does not fit 64 bits");
            return None;
        }
        let affine = self.affine(&at);
        self.uses.push(Use {
            at: at.clone(),
            affine: affine.clone(),
            base,
            base_name: base_expr.peel().as_name(),
            axis,
            size,
            span: expr.span,
        });
        Some(affine.map_or(Subscript::Count(at), Subscript::Affine))
    }

    fn no_subscript<T>(&mut self, value: &Value<'p>, span: Span) -> Option<T> {
        if !value.is_error() {
            let message = format!("a subscript is a whole number, but this is {}", value.kind());
            self.checker.error("E0401", span, message, value.kind());
        }
        None
    }

    /// The sum of multiples of indices and an offset, if the number is one.
    pub(super) fn affine(&self, dim: &Dim) -> Option<Affine> {
        let mut terms = Vec::new();
        for term in dim.terms() {
            let inside = |atom: &Atom| match atom {
                Atom::Symbol(symbol) => self.index_of(symbol).is_some(),
                compound => compound
                    .operands()
                    .is_some_and(|(a, b)| !self.labels_of(a).is_empty() || !self.labels_of(b).is_empty()),
            };
            match term.factors.as_slice() {
                [(Atom::Symbol(symbol), 1)] if let Some(index) = self.index_of(symbol) => {
                    if term.coefficient.unsigned_abs() >= MAX_COEFFICIENT {
                        return None;
                    }
                    terms.push((term.coefficient, index));
                }
                factors if factors.iter().any(|(atom, _)| inside(atom)) => return None,
                _ => {}
            }
        }
        terms.sort_by_key(|(_, index)| *index);
        Some(Affine { terms, offset: self.with_indices(dim, |_| Dim::default()) })
    }

    /// The same number in the graph's form, indices counted from the start of their ranges.
    pub(super) fn placed(&self, affine: &Affine) -> Affine {
        let starts = affine.terms.iter().map(|(c, index)| self.start(*index) * *c);
        Affine {
            terms: affine.terms.clone(),
            offset: starts.fold(affine.offset.clone(), |sum, start| sum + start),
        }
    }

    pub(super) fn index_of(&self, symbol: &Symbol) -> Option<usize> {
        self.indices.iter().position(|index| index.symbol == *symbol)
    }

    /// The indices in a number, ascending.
    pub(super) fn labels_of(&self, dim: &Dim) -> Vec<usize> {
        let mut labels: Vec<usize> =
            dim.symbols().iter().filter_map(|symbol| self.index_of(symbol)).collect();
        labels.sort_unstable();
        labels
    }

    /// The number with something in the place of each index.
    pub(super) fn with_indices(&self, dim: &Dim, of: impl Fn(usize) -> Dim) -> Dim {
        let map: BTreeMap<Symbol, Dim> =
            self.indices.iter().enumerate().map(|(id, index)| (index.symbol.clone(), of(id))).collect();
        dim.substitute(&map)
    }

    /// The number as the file says it.
    pub(super) fn shown(&self, dim: &Dim) -> String {
        self.with_indices(dim, |id| Dim::symbol(self.called(id))).to_string()
    }

    pub(super) fn extent(&self, index: usize) -> Dim {
        self.indices[index].range.as_ref().map_or(Dim::default(), |range| range.extent.clone())
    }

    pub(super) fn start(&self, index: usize) -> Dim {
        self.indices[index].range.as_ref().map_or(Dim::default(), |range| range.start.clone())
    }

    /// The smallest and the largest value over the ranges of all indices, none of which is empty; `None` where that is
    /// not known.
    pub(super) fn interval(&self, dim: &Dim) -> Option<(Dim, Dim)> {
        let mut sum = (Dim::default(), Dim::default());
        for term in dim.terms() {
            let mut product = (Dim::from(1i64), Dim::from(1i64));
            let single = matches!(term.factors.as_slice(), [(_, 1)] | []);
            for (atom, power) in &term.factors {
                let (low, high) = self.atom_interval(atom)?;
                // A product is monotone only among numbers that are not negative.
                if !single && !self.is_at_least(&low, 0) {
                    return None;
                }
                for _ in 0..*power {
                    product = (&product.0 * &low, &product.1 * &high);
                }
            }
            let (a, b) = (product.0 * term.coefficient, product.1 * term.coefficient);
            let (low, high) = if term.coefficient < 0 { (b, a) } else { (a, b) };
            sum = (sum.0 + low, sum.1 + high);
        }
        Some(sum)
    }

    fn atom_interval(&self, atom: &Atom) -> Option<(Dim, Dim)> {
        let two = |a: &Dim, b: &Dim| Some((self.interval(a)?, self.interval(b)?));
        match atom {
            Atom::Symbol(symbol) => Some(match self.index_of(symbol) {
                None => (Dim::from(symbol), Dim::from(symbol)),
                Some(index) => {
                    let start = self.start(index);
                    let last = &start + &self.extent(index) - 1;
                    (start, last)
                }
            }),
            Atom::DivFloor(a, b) => {
                let (a, b) = (self.interval(a)?, self.divisor(b)?);
                Some((a.0.div_floor(&b), a.1.div_floor(&b)))
            }
            Atom::CeilDiv(a, b) => {
                let (a, b) = (self.interval(a)?, self.divisor(b)?);
                Some((a.0.ceil_div(&b), a.1.ceil_div(&b)))
            }
            Atom::Mod(_, b) => Some((Dim::default(), self.divisor(b)? - 1)),
            Atom::Min(a, b) => two(a, b).map(|(a, b)| (Dim::min(&a.0, &b.0), Dim::min(&a.1, &b.1))),
            Atom::Max(a, b) => two(a, b).map(|(a, b)| (Dim::max(&a.0, &b.0), Dim::max(&a.1, &b.1))),
        }
    }

    /// A divisor without indices, above 0.
    fn divisor(&self, dim: &Dim) -> Option<Dim> {
        (self.labels_of(dim).is_empty() && self.is_at_least(dim, 1)).then(|| dim.clone())
    }

    pub(super) fn is_at_least(&self, dim: &Dim, least: i64) -> bool {
        self.checker.frame_ref().function.facts.prove_ge(dim, &Dim::from(least)) == Proof::Proved
    }
}
