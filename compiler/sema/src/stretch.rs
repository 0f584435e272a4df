//! Warnings of broadcasts that are allowed, but as a rule not meant.

use crate::checker::Checker;
use base::{Diagnostic, Span};
use graph::{NodeId, Op, Role};
use shape::{Dim, Shape, Symbol};
use std::collections::BTreeMap;

impl<'p> Checker<'p> {
    /// Two operands of an elementwise operation whose result is of this shape.
    pub fn warn_of_stretch(
        &mut self,
        what: &str,
        shape: &Shape,
        left: (NodeId, Span),
        right: (NodeId, Span),
    ) {
        let of_library = self.calls.last().is_some_and(|(def, _)| self.program.is_std(def));
        if self.generic || of_library || shape.rank() < 2 {
            return;
        }
        let sides = [(left, right), (right, left)];
        if let Some(symbol) = self.crossed(shape, left.0, right.0) {
            let (x, y) = (self.ty(left.0), self.ty(right.0));
            let message = format!(
                "`{what}` combines every row of {x} with every row of {y}: the result has `{symbol}` twice"
            );
            let mut diagnostic = Diagnostic::warning("W0301", message)
                .label(left.1, format!("this is {x}"))
                .label(right.1, format!("this is {y}"));
            let shorter = if x.rank() < y.rank() { left } else { right };
            if x.rank() != y.rank() {
                diagnostic = diagnostic.wrap(shorter.1, "unsqueeze(", ", -1)");
            }
            self.report(diagnostic.help(
                "to keep rows together, bring both to one shape with `unsqueeze(…, -1)` or `squeeze(…, -1)`; where all pairs are meant, give both sides their axis of 1 with `unsqueeze`",
            ));
            return;
        }
        let batch = &shape[0];
        if batch.symbols().is_empty() {
            return;
        }
        for ((id, span), (other, place)) in sides {
            let (ty, other) = (self.ty(id), self.ty(other));
            let missing = ty.rank() < shape.rank();
            let explicit = matches!(self.frame_ref().function.nodes[id].op, Op::Reshape(_));
            let stretched = missing || (ty.shape[0].is_const(1) && !explicit);
            if ty.rank() < 2 || other.rank() < 2 || !stretched || !self.depends_on_data(id) {
                continue;
            }
            let message = format!("`{what}` stretches {ty} along the batch axis `{batch}` of {other}");
            let diagnostic = Diagnostic::warning("W0301", message)
                .label(
                    span,
                    if missing { format!("{ty} lacks the axis") } else { format!("{ty} has 1 there") },
                )
                .label(place, format!("this is {other}"))
                .help(format!("where every row is to meet the same values, say so: `broadcast(…, {shape})`"));
            self.report(diagnostic);
            return;
        }
    }

    /// The dimension that the result has on more axes than either side, unless both sides state their axes of 1.
    fn crossed(&self, shape: &Shape, left: NodeId, right: NodeId) -> Option<Symbol> {
        let count = |shape: &Shape| {
            let mut found: BTreeMap<Symbol, usize> = BTreeMap::new();
            for symbol in shape.iter().filter_map(Dim::as_symbol) {
                *found.entry(symbol).or_default() += 1;
            }
            found
        };
        let [x, y] = [left, right].map(|id| count(&self.ty(id).shape));
        let crossed = count(shape).into_iter().find(|(symbol, n)| {
            let of = |found: &BTreeMap<Symbol, usize>| found.get(symbol).copied().unwrap_or_default();
            *n > of(&x).max(of(&y)) && of(&x) > 0 && of(&y) > 0
        });
        let stated = [left, right].iter().all(|id| {
            let full = self.ty(*id).rank() == shape.rank();
            full && matches!(self.frame_ref().function.nodes[*id].op, Op::Reshape(_))
        });
        crossed.map(|(symbol, _)| symbol).filter(|_| !stated)
    }

    /// Whether a value follows from numbers that are given, not from weights and positions alone.
    fn depends_on_data(&self, id: NodeId) -> bool {
        let function = &self.frame_ref().function;
        let given = |id: NodeId| match &function.nodes[id].op {
            Op::Parameter(parameter) => {
                let ty = function.ty(id);
                function.params[parameter.index].role == Role::Input && ty.rank() > 0 && ty.dtype.is_float()
            }
            _ => false,
        };
        let mut seen = vec![false; id.index() + 1];
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut seen[id.index()], true) {
                continue;
            }
            if given(id) {
                return true;
            }
            open.extend(function.nodes[id].inputs.iter().copied());
        }
        false
    }
}
