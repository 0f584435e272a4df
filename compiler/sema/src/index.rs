//! Slices and indexing: `x[:, 0, 2:8]`, `x[.., -1]`, `table[ids]`.

use crate::{checker::Checker, value::Value};
use base::{Diagnostic, Span};
use grammar::ast::{self, SubscriptKind};
use graph::{NodeId, ops};
use shape::{Dim, Proof, Shape};

enum Axis {
    /// Kept: start, extent, stride.
    Part(Dim, Dim, i64),
    /// Dropped: the position.
    At(Dim),
    /// Replaced by the shape of an integer tensor.
    Gather(NodeId, Span),
}

impl<'p> Checker<'p> {
    pub fn index(
        &mut self,
        expr: &'p ast::Expr,
        base: &'p ast::Expr,
        subscripts: &'p [ast::Subscript],
    ) -> Value<'p> {
        let value = self.expr(base);
        match &value {
            Value::Error => return Value::Error,
            Value::List(items) | Value::Tuple(items) => return self.index_list(items, subscripts, expr.span),
            Value::Dims(dims) => {
                let items: Vec<Value<'p>> = dims.iter().cloned().map(Value::dim).collect();
                return self.index_list(&items, subscripts, expr.span);
            }
            _ => {}
        }
        let Some(id) = self.tensor(&value, None, base.span) else { return Value::Error };
        Self::tensor_or_error(self.index_tensor(id, base.span, subscripts, expr.span))
    }

    fn index_list(&mut self, items: &[Value<'p>], subscripts: &'p [ast::Subscript], span: Span) -> Value<'p> {
        let [ast::Subscript { kind: SubscriptKind::At(at), .. }] = subscripts else {
            return self.error(
                "E0303",
                span,
                "a list takes one whole number as its index",
                "not a single index",
            );
        };
        let index = self.expr(at);
        if index.is_error() {
            return Value::Error;
        }
        let Value::Int(index) = index else {
            return self.error("E0401", at.span, "a list takes a whole number as its index", index.kind());
        };
        let position = if index < 0 { index + items.len() as i64 } else { index };
        match usize::try_from(position).ok().and_then(|position| items.get(position)) {
            Some(item) => item.clone(),
            None => {
                let message = format!("index {index} is out of range: the list has {} items", items.len());
                self.error("E0313", at.span, message, "out of range")
            }
        }
    }

    fn index_tensor(
        &mut self,
        id: NodeId,
        place: Span,
        subscripts: &'p [ast::Subscript],
        span: Span,
    ) -> Option<NodeId> {
        let ty = self.ty(id).clone();
        let n_named = subscripts.iter().filter(|s| !matches!(s.kind, SubscriptKind::Rest)).count();
        let n_rest = subscripts.len() - n_named;
        if n_named > ty.rank() || n_rest > 1 {
            let message = format!("{n_named} subscripts for {ty}, which has {} axes", ty.rank());
            self.report(
                Diagnostic::error("E0303", message)
                    .label(span, "too many")
                    .label(place, format!("this is {ty}")),
            );
            return None;
        }
        let mut axes: Vec<Axis> = Vec::new();
        for subscript in subscripts {
            if let SubscriptKind::Rest = subscript.kind {
                for _ in 0..ty.rank() - n_named {
                    axes.push(Axis::Part(Dim::from(0i64), ty.shape[axes.len()].clone(), 1));
                }
                continue;
            }
            let axis = self.subscript(&ty.shape[axes.len()].clone(), axes.len(), subscript)?;
            axes.push(axis);
        }
        while axes.len() < ty.rank() {
            axes.push(Axis::Part(Dim::from(0i64), ty.shape[axes.len()].clone(), 1));
        }
        self.apply_axes(id, &ty.shape, &axes, span)
    }

    fn apply_axes(&mut self, id: NodeId, shape: &Shape, axes: &[Axis], span: Span) -> Option<NodeId> {
        let (mut start, mut extent, mut stride) = (Vec::new(), Vec::new(), Vec::new());
        for (axis, dim) in axes.iter().zip(shape.iter()) {
            let (s, e, t) = match axis {
                Axis::Part(s, e, t) => (s.clone(), e.clone(), *t),
                Axis::At(s) => (s.clone(), Dim::from(1i64), 1),
                Axis::Gather(..) => (Dim::from(0i64), dim.clone(), 1),
            };
            start.push(s);
            extent.push(e);
            stride.push(t);
        }
        let whole =
            start.iter().all(|s| s.is_const(0)) && stride.iter().all(|s| *s == 1) && extent == shape.0;
        let mut id = if whole { id } else { self.add(ops::Slice { start, extent, stride }, &[id], span)? };
        let kept: Vec<Dim> = axes
            .iter()
            .enumerate()
            .filter(|(_, axis)| !matches!(axis, Axis::At(_)))
            .map(|(axis, _)| self.ty(id).shape[axis].clone())
            .collect();
        if kept.len() < axes.len() {
            id = self.add(ops::Reshape { shape: Shape(kept) }, &[id], span)?;
        }
        let mut position = 0;
        for axis in axes {
            match axis {
                Axis::At(_) => {}
                Axis::Part(..) => position += 1,
                Axis::Gather(index, place) => {
                    let rank = self.ty(*index).rank();
                    id = self.add_at(
                        ops::Gather { axis: position, lanes: 0 }.into(),
                        &[id, *index],
                        span,
                        &[span, *place],
                    )?;
                    position += rank;
                }
            }
        }
        Some(id)
    }

    fn subscript(&mut self, size: &Dim, axis: usize, subscript: &'p ast::Subscript) -> Option<Axis> {
        match &subscript.kind {
            SubscriptKind::At(expr) => match self.expr(expr) {
                Value::Error => None,
                Value::Tensor(index) => {
                    if !self.ty(index).dtype.is_int() {
                        let dtype = self.ty(index).dtype;
                        self.error(
                            "E0302",
                            expr.span,
                            format!("an index is an integer tensor, but this is {dtype}"),
                            dtype.name(),
                        );
                        return None;
                    }
                    Some(Axis::Gather(index, expr.span))
                }
                value => {
                    let at = self.position(&value, size, expr.span)?;
                    let inside = self.frame_ref().function.facts.clone();
                    let ge = inside.prove_ge(&at, &Dim::from(0i64));
                    let lt = inside.prove_gt(size, &at);
                    self.proved_inside(ge, lt, &value, size, axis, expr.span)?;
                    Some(Axis::At(at))
                }
            },
            SubscriptKind::Slice { start, end, step } => {
                let step = match step {
                    None => 1,
                    Some(expr) => match self.expr(expr) {
                        Value::Int(step) if step > 0 => step,
                        Value::Error => return None,
                        _ => {
                            self.error(
                                "E0401",
                                expr.span,
                                "the step of a slice is a whole number above 0",
                                "not that",
                            );
                            return None;
                        }
                    },
                };
                let from = match start {
                    None => Dim::from(0i64),
                    Some(expr) => {
                        let value = self.expr(expr);
                        self.position(&value, size, expr.span)?
                    }
                };
                let to = match end {
                    None => size.clone(),
                    Some(expr) => {
                        let value = self.expr(expr);
                        self.position(&value, size, expr.span)?
                    }
                };
                let facts = self.frame_ref().function.facts.clone();
                let fits = [
                    facts.prove_ge(&from, &Dim::from(0i64)),
                    facts.prove_ge(&to, &from),
                    facts.prove_ge(size, &to),
                ];
                let proved = fits.iter().all(|proof| *proof == Proof::Proved);
                let refuted = fits.contains(&Proof::Disproved);
                if !proved && (refuted || !self.generic) {
                    self.report(
                        Diagnostic::error(
                            "E0313",
                            format!("the slice {from}:{to} is not inside axis {axis}, which has {size}"),
                        )
                        .label(
                            subscript.span,
                            if refuted { "out of range" } else { "not proved to be inside" },
                        )
                        .help(inside_help(
                            axis,
                            size,
                            Some(&to).filter(|_| !refuted),
                        )),
                    );
                    return None;
                }
                Some(Axis::Part(from.clone(), (to - from).ceil_div(&Dim::from(step)), step))
            }
            SubscriptKind::Rest => None,
        }
    }

    /// A position along an axis; negative ones count from the end.
    fn position(&mut self, value: &Value<'p>, size: &Dim, span: Span) -> Option<Dim> {
        match value {
            Value::Int(number) if *number < 0 => Some(size + *number),
            value => match value.as_dim() {
                Some(dim) => Some(dim),
                None => {
                    if !value.is_error() {
                        self.error(
                            "E0401",
                            span,
                            format!("a subscript is a whole number, but this is {}", value.kind()),
                            value.kind(),
                        );
                    }
                    None
                }
            },
        }
    }

    fn proved_inside(
        &mut self,
        ge: Proof,
        lt: Proof,
        value: &Value<'p>,
        size: &Dim,
        axis: usize,
        span: Span,
    ) -> Option<()> {
        let proofs = [ge, lt];
        if proofs.iter().all(|proof| *proof == Proof::Proved)
            || (self.generic && !proofs.contains(&Proof::Disproved))
        {
            return Some(());
        }
        let written = value.as_dim().map_or(String::new(), |dim| dim.to_string());
        let refuted = proofs.contains(&Proof::Disproved);
        let least =
            value.as_dim().filter(|_| !refuted && ge == Proof::Proved).map(|dim| dim + Dim::from(1i64));
        self.report(
            Diagnostic::error(
                "E0313",
                format!("index {written} is not inside axis {axis}, which has {size}"),
            )
            .label(span, if refuted { "out of range" } else { "not proved to be inside" })
            .help(inside_help(axis, size, least.as_ref())),
        );
        None
    }
}

/// What would help where an index or the end of a slice, `least`, is not known to be inside.
fn inside_help(axis: usize, size: &Dim, least: Option<&Dim>) -> String {
    match (least, size.as_const()) {
        (Some(least), None) => format!("`require {size} >= {least}` states what the types cannot"),
        (_, Some(0)) => format!("axis {axis} has no elements"),
        (_, Some(size)) => {
            format!("axis {axis} has the indices 0 to {}, and −1 to −{size} from its end", size - 1)
        }
        _ => "`require` states what the types cannot".into(),
    }
}
