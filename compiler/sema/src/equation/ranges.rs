//! The range of every index, and the proof that every access is in bounds.

mod faults;

use super::{
    Equation,
    term::{Affine, Origin, Range, Use},
};
use crate::value::Value;
use base::{Diagnostic, Span};
use grammar::ast;
use graph::DType;
use shape::{Dim, Proof};

/// What the equation's name is declared to be, where it is a result of what is being defined.
#[derive(Default)]
pub(super) struct Declared {
    /// An axis whose size is not known yet is `None`.
    pub dims: Vec<Option<(Dim, Span)>>,
    pub dtype: Option<DType>,
}

impl<'p> Equation<'_, 'p> {
    pub(super) fn declared(&mut self, name: &ast::Name, n_indices: usize) -> Declared {
        let Some(def) = self.checker.current_def() else { return Declared::default() };
        let Some(ast::Results::Named(results, _)) = &def.results else { return Declared::default() };
        let Some(result) = results.iter().find(|result| result.name.text == name.text) else {
            return Declared::default();
        };
        let mut dims = Vec::new();
        for dim in &result.ty.dims {
            match dim {
                ast::Dim::Rest(rest) => match self.checker.lookup_value(&rest.text) {
                    Some(Value::Dims(known)) => {
                        dims.extend(known.iter().map(|dim| Some((dim.clone(), rest.span))));
                    }
                    _ => return Declared::default(),
                },
                ast::Dim::Expr(expr) => {
                    let known = self.checker.is_bound(expr).then(|| self.checker.dim(expr)).flatten();
                    dims.push(known.map(|dim| (dim, expr.span)));
                }
            }
        }
        // Another number of axes is told where the result is held against its type.
        if dims.len() != n_indices {
            dims.clear();
        }
        Declared { dims, dtype: self.checker.dtype(result.ty.name) }
    }

    /// Gives every index its range and proves every access.
    pub(super) fn ranges(&mut self, declared: &[Option<(Dim, Span)>]) -> Option<()> {
        self.stated()?;
        self.bare()?;
        for (id, dim) in declared.iter().enumerate() {
            if let (Some((extent, span)), None) = (dim, &self.indices[id].range) {
                self.indices[id].range = Some(from_zero(extent, Origin::Declared(*span)));
            }
        }
        self.solved()?;
        self.all_known()?;
        for used in self.uses.clone() {
            self.in_bounds(&used)?;
        }
        Some(())
    }

    /// `where i in a..b`
    fn stated(&mut self) -> Option<()> {
        for (position, bound) in self.bounds.iter().enumerate() {
            let span = bound.index.span;
            let name = &bound.index.text;
            if let Some(first) = self.bounds[..position].iter().find(|known| known.index.text == *name) {
                let fault = Diagnostic::error("E0202", format!("the range of `{name}` is stated twice"))
                    .label(span, "stated again")
                    .label(first.index.span, "stated here first");
                self.checker.report(fault);
                return None;
            }
            let ids: Vec<usize> = (0..self.indices.len()).filter(|id| self.called(*id) == *name).collect();
            if ids.is_empty() {
                let message = format!("`{name}` is no index of this equation");
                self.checker.error("E0201", span, message, "not found");
                return None;
            }
            let start = self.bound_of_range(&bound.start)?;
            let end = self.bound_of_range(&bound.end)?;
            let whole = bound.start.span.to(bound.end.span);
            let extent = &end - &start;
            if let Some(id) = ids.iter().find(|id| self.indices[**id].axis.is_some() && !start.is_const(0)) {
                self.starts_late(*id, &start, whole);
                return None;
            }
            if !self.proved_range(name, &start, &end, whole)? {
                return None;
            }
            for id in ids {
                let range =
                    Range { start: start.clone(), extent: extent.clone(), origin: Origin::Stated(whole) };
                self.indices[id].range = Some(range);
            }
        }
        Some(())
    }

    /// One end of a stated range. Names in it are those around the equation.
    fn bound_of_range(&mut self, expr: &'p ast::Expr) -> Option<Dim> {
        let another = (0..self.indices.len()).find(|id| {
            let name = self.called(*id);
            super::mention::names(expr, name) && self.checker.lookup_value(name).is_none()
        });
        if let Some(index) = another {
            let message = format!("a range cannot depend on the index `{}`", self.called(index));
            let fault = Diagnostic::error("E0317", message)
                .label(expr.span, "not the same for all elements")
                .help("range over all, and choose: `sum[j] select(j <= i, x[j], 0)`");
            self.checker.report(fault);
            return None;
        }
        let value = self.checker.expr(expr);
        match value.as_dim() {
            Some(dim) if dim.overflowed() => {
                self.checker.error("E0403", expr.span, "this number is too large", "does not fit 64 bits");
                None
            }
            Some(dim) => Some(dim),
            None => {
                if !value.is_error() {
                    let have = match &value {
                        Value::Float(number) => number.to_string(),
                        value => value.kind().to_string(),
                    };
                    let message = format!("a range goes between whole numbers, but this is {have}");
                    self.checker.error("E0401", expr.span, message, have);
                }
                None
            }
        }
    }

    /// Bare subscripts fix a range, and must agree.
    fn bare(&mut self) -> Option<()> {
        for id in 0..self.indices.len() {
            if self.indices[id].range.is_some() {
                continue;
            }
            let is_bare = |used: &&Use<'p>| used.affine.as_ref().and_then(Affine::as_bare) == Some(id);
            let bare: Vec<Use<'p>> = self.uses.iter().filter(is_bare).cloned().collect();
            let Some((first, others)) = bare.split_first() else { continue };
            for other in others {
                let proof = self.checker.equal(&first.size, &other.size);
                if proof != Proof::Proved {
                    if !(self.checker.generic && proof == Proof::Unknown) {
                        self.disagree(id, first, other, proof);
                    }
                    return None;
                }
            }
            self.indices[id].range = Some(from_zero(&first.size, Origin::Bare(first.span)));
        }
        Some(())
    }

    /// The largest range in bounds, for indices that are the only unknown ones of their subscripts.
    fn solved(&mut self) -> Option<()> {
        loop {
            let mut found = Vec::new();
            for id in 0..self.indices.len() {
                if self.indices[id].range.is_some() {
                    continue;
                }
                let solvable = |used: &&Use<'p>| {
                    used.affine.as_ref().is_some_and(|affine| {
                        affine.uses(id)
                            && affine
                                .terms
                                .iter()
                                .all(|(_, other)| *other == id || self.indices[*other].range.is_some())
                    })
                };
                let uses: Vec<Use<'p>> = self.uses.iter().filter(solvable).cloned().collect();
                if let Some(range) = self.largest(id, &uses)? {
                    found.push((id, range));
                }
            }
            if found.is_empty() {
                return Some(());
            }
            for (id, range) in found {
                self.indices[id].range = Some(range);
            }
        }
    }

    /// From 0 to where the first of the uses would leave its axis.
    fn largest(&mut self, id: usize, uses: &[Use<'p>]) -> Option<Option<Range>> {
        let mut least: Option<(Dim, &Use<'p>)> = None;
        for used in uses {
            let Some(extent) = self.fitting(id, used) else { continue };
            least = Some(match least {
                None => (extent, used),
                Some((known, first)) => {
                    let facts = &self.checker.frame_ref().function.facts;
                    if facts.prove_ge(&extent, &known) == Proof::Proved {
                        (known, first)
                    } else if facts.prove_ge(&known, &extent) == Proof::Proved {
                        (extent, used)
                    } else {
                        (Dim::min(&known, &extent), first)
                    }
                }
            });
        }
        let Some((extent, used)) = least else { return Some(None) };
        if !self.is_at_least(&extent, 0) {
            self.no_room(id, used, &extent);
            return None;
        }
        Some(Some(from_zero(&extent, Origin::Affine(used.span))))
    }

    /// How many values from 0 the index can take before this access leaves its axis.
    pub(super) fn fitting(&self, id: usize, used: &Use<'p>) -> Option<Dim> {
        let affine = used.affine.as_ref()?;
        let (coefficient, _) = *affine.terms.iter().find(|(_, index)| *index == id)?;
        let rest = &used.at - Dim::from(&self.indices[id].symbol) * coefficient;
        let (low, high) = self.interval(&rest)?;
        let room = if coefficient > 0 { &used.size - 1 - high } else { low };
        Some(room.div_floor(&Dim::from(coefficient.abs())) + 1)
    }

    fn in_bounds(&mut self, used: &Use<'p>) -> Option<()> {
        let nothing_read = self.labels_of(&used.at).into_iter().any(|id| self.extent(id).is_const(0));
        if nothing_read {
            return Some(());
        }
        let bounds = self.interval(&used.at);
        let facts = &self.checker.frame_ref().function.facts;
        let proofs = match &bounds {
            Some((low, high)) => [facts.prove_ge(low, &Dim::default()), facts.prove_gt(&used.size, high)],
            None => [Proof::Unknown; 2],
        };
        if proofs == [Proof::Proved; 2] {
            return Some(());
        }
        if !self.checker.generic || proofs.contains(&Proof::Disproved) {
            self.out_of_bounds(used, bounds, proofs);
        }
        None
    }
}

fn from_zero(extent: &Dim, origin: Origin) -> Range {
    Range { start: Dim::default(), extent: extent.clone(), origin }
}
