//! The story of a shape that does not fit: both sides by the user's names, and where each dimension comes from.

use crate::{checker::Checker, value::Value};
use base::{Diagnostic, Span};
use grammar::ast::{self, ExprKind};
use graph::{NodeId, Type};
use shape::{BroadcastError, Dim, Proof, Shape};
use std::fmt::Write;

/// Help where a parameter takes another number of axes.
pub fn rank_help(actual: &Type, n_fixed: usize, rest: bool) -> Option<String> {
    if !rest && actual.rank() == n_fixed + 1 && actual.shape.last().is_some_and(|dim| dim.is_const(1)) {
        return Some("the last axis has size 1: drop it with `squeeze(…, -1)`".into());
    }
    if !rest && actual.rank() + 1 == n_fixed {
        return Some("a missing axis is added by `unsqueeze(…, axis)`".into());
    }
    None
}

/// An axis of a broadcast, which counts from the right.
pub fn axis_from_right(axis: usize) -> String {
    match axis {
        0 => "its last axis".into(),
        1 => "its last axis but one".into(),
        axis => format!("axis −{}", axis + 1),
    }
}

/// A tensor of a message, where it stands, and one of its axes.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub id: NodeId,
    pub ty: &'a Type,
    pub axis: usize,
    pub span: Span,
}

impl<'p> Checker<'p> {
    /// "`x` of `dense`": a parameter of the definition being called.
    pub fn parameter(&self, param: &ast::Param) -> String {
        match self.calls.last() {
            Some((def, _)) => format!("`{}` of `{}`", param.name.text, def.name.text),
            None => format!("`{}`", param.name.text),
        }
    }

    /// What the user calls a tensor.
    fn name_of(&self, id: NodeId) -> Option<String> {
        let mut bindings = self.frame_ref().scopes.iter().flatten();
        let found = bindings.find(|binding| matches!(binding.value, Value::Tensor(known) if known == id));
        found.map(|binding| format!("`{}`", binding.name))
    }

    /// Where a dimension was first named, unless a label stands there already.
    fn axis_from_here(&self, diagnostic: Diagnostic, side: Side<'_>) -> Diagnostic {
        match self.origin(side.id, side.axis) {
            Some(origin) if diagnostic.labels.iter().all(|label| label.span != origin) => {
                diagnostic.label(origin, format!("{} comes from here", side.ty.shape[side.axis]))
            }
            _ => diagnostic,
        }
    }

    /// The same for the axis that has a given size.
    pub fn dim_from_here(&self, diagnostic: Diagnostic, id: NodeId, dim: &Dim) -> Diagnostic {
        let ty = self.ty(id);
        match ty.shape.iter().position(|other| other == dim) {
            Some(axis) => self.axis_from_here(diagnostic, Side { id, ty, axis, span: Span::default() }),
            None => diagnostic,
        }
    }

    /// Where the dtype of a tensor was stated, as far as operations kept it.
    pub fn dtype_origin(&self, id: NodeId) -> Option<Span> {
        let frame = self.frame_ref();
        let dtype = self.ty(id).dtype;
        let mut at = id;
        loop {
            if let Some(stated) = frame.dtypes.get(&at) {
                return Some(*stated);
            }
            let node = frame.function.nodes.get(at)?;
            let mut inputs = node.inputs.iter().copied();
            at = inputs
                .find(|input| frame.function.nodes[*input].types.first().map(|ty| ty.dtype) == Some(dtype))?;
        }
    }

    pub fn dtype_from_here(&self, diagnostic: Diagnostic, id: NodeId) -> Diagnostic {
        match self.dtype_origin(id) {
            Some(stated) if diagnostic.labels.iter().all(|label| label.span != stated) => {
                diagnostic.label(stated, format!("{} comes from here", self.ty(id).dtype))
            }
            _ => diagnostic,
        }
    }

    /// A dimension that is not the one that `expr` declares.
    pub fn dim_mismatch(
        &mut self,
        expr: &'p ast::Expr,
        wanted: &Dim,
        (actual, axis, id, span): (&Type, usize, NodeId, Span),
        proof: Proof,
        what: &str,
    ) {
        let size = &actual.shape[axis];
        let mut written = String::new();
        dim_text(expr, &mut written);
        let differs = if proof == Proof::Disproved { "" } else { ", which may differ" };
        let (declared, here) = if written == wanted.to_string() {
            (format!("{wanted} on axis {axis}"), format!("{wanted} is declared here"))
        } else {
            (
                format!("`{written}` on axis {axis}, which is {wanted}"),
                format!("`{written}` is {wanted} here"),
            )
        };
        let message = format!("{what} is declared with {declared}, but has {size}{differs}");
        let mut diagnostic = Diagnostic::error("E0301", message)
            .label(span, format!("this is {actual}"))
            .label(expr.span, here);
        let mut names = Vec::new();
        dim_names(expr, &mut names);
        for name in names {
            let Some(binding) = self.frame_ref().lookup(name) else { continue };
            let (place, value) = (binding.span, binding.value.as_dim());
            let Some(value) = value.filter(|value| value.to_string() != name) else { continue };
            if diagnostic.labels.iter().all(|label| label.span != place) {
                diagnostic = diagnostic.label(place, format!("`{name}` is {value}"));
            }
            // The other argument, which says so.
            let params = self.calls.last().into_iter().flat_map(|(def, _)| &def.inputs.params);
            let mut inside =
                params.filter(|param| param.ty.as_ref().is_some_and(|ty| covers(ty.span, place)));
            if let Some(param) = inside.next()
                && let Some(argument) = self.arguments.get(&param.name.span).copied()
                && argument != span
                && let Some(Value::Tensor(other)) =
                    self.frame_ref().lookup(&param.name.text).map(|b| &b.value)
            {
                let text = format!("`{}` is {}", param.name.text, self.ty(*other));
                diagnostic = diagnostic.label(argument, text);
            }
        }
        let diagnostic = self.axis_from_here(diagnostic, Side { id, ty: actual, axis, span });
        self.report(diagnostic);
    }

    /// Leading dimensions of two arguments that the definition calls by one name, `..s`.
    pub fn rest_mismatch(
        &mut self,
        name: &'p ast::Name,
        known: &[Dim],
        found: Shape,
        (actual, second_id, span): (&Type, NodeId, Span),
        what: &str,
    ) {
        let known = Shape(known.to_vec());
        let bound = self.frame_ref().lookup(&name.text).map(|binding| binding.span);
        let def = self.calls.last().map(|(def, _)| *def);
        let param_of = |place: Span| {
            let params = def.iter().flat_map(|def| &def.inputs.params);
            params
                .filter_map(|param| Some((param, param.ty.as_ref()?)))
                .find(|(_, ty)| covers(ty.span, place))
        };
        let first = bound.and_then(param_of);
        let (Some(def), Some((first, first_ty)), Some((second, second_ty))) =
            (def, first, param_of(name.span))
        else {
            let message = format!("{what} needs {known} for `..{}`, but has {found}", name.text);
            self.error("E0301", span, message, format!("this is {actual}"));
            return;
        };
        let (f, a, b) = (&def.name.text, &first.name.text, &second.name.text);
        let first_actual = match self.frame_ref().lookup(a).map(|binding| &binding.value) {
            Some(Value::Tensor(id)) => self.ty(*id).to_string(),
            _ => known.to_string(),
        };
        let message = if first_ty.dims.len() == 1 && second_ty.dims.len() == 1 {
            format!("`{f}` needs `{a}` and `{b}` of one shape, but they are {first_actual} and {actual}")
        } else {
            format!(
                "`{f}` needs `{a}` and `{b}` to agree in `..{}`, but that is {known} and {found}",
                name.text
            )
        };
        let mut diagnostic = Diagnostic::error("E0301", message).label(span, format!("`{b}` is {actual}"));
        let first_place = self.arguments.get(&first.name.span).copied();
        if let Some(place) = first_place.filter(|place| *place != span) {
            diagnostic = diagnostic.label(place, format!("`{a}` is {first_actual}"));
        }
        diagnostic = diagnostic.label(second.span, format!("`..{}` is the same in both", name.text));
        // The first axis that differs, by where both of its sizes come from.
        if let Some(axis) = known.iter().zip(found.iter()).position(|(a, b)| a != b)
            && known.rank() == found.rank()
        {
            let first_id = match self.frame_ref().lookup(a).map(|binding| &binding.value) {
                Some(Value::Tensor(id)) => Some(*id),
                _ => None,
            };
            for id in first_id.into_iter().chain([second_id]) {
                let ty = self.ty(id).clone();
                if axis < ty.rank() {
                    diagnostic = self.axis_from_here(diagnostic, Side { id, ty: &ty, axis, span });
                }
            }
        }
        let (long, short, place) = if known.rank() > found.rank() {
            (&known, &found, first_place)
        } else {
            (&found, &known, Some(span))
        };
        if long.rank() == short.rank() + 1 && long.last().is_some_and(|dim| dim.is_const(1)) {
            let longer = if known.rank() > found.rank() { a } else { b };
            diagnostic = diagnostic.help(format!(
                "nothing is broadcast here: drop the last axis of `{longer}` with `squeeze(…, -1)`"
            ));
            if let Some(place) = place {
                diagnostic = diagnostic.wrap(place, "squeeze(", ", -1)");
            }
        }
        self.report(diagnostic);
    }

    /// Two sides of an elementwise operation.
    pub fn broadcast_mismatch(
        &mut self,
        what: &str,
        fault: &BroadcastError,
        left: (NodeId, Span),
        right: (NodeId, Span),
    ) {
        let relation = if fault.disproved { "≠" } else { "may differ from" };
        let (x, y) = (self.ty(left.0).clone(), self.ty(right.0).clone());
        let axis = axis_from_right(fault.axis_from_right);
        let message =
            format!("`{what}` cannot fit {x} and {y} together: {} {relation} {}", fault.left, fault.right);
        let mut diagnostic = Diagnostic::error("E0301", message)
            .label(left.1, format!("{x} has {} on {axis}", fault.left))
            .label(right.1, format!("{y} has {} on {axis}", fault.right));
        for ((id, span), ty) in [(left, &x), (right, &y)] {
            if let Some(axis) = ty.rank().checked_sub(1 + fault.axis_from_right) {
                diagnostic = self.axis_from_here(diagnostic, Side { id, ty, axis, span });
            }
        }
        let (long, short, at) =
            if x.rank() >= y.rank() { (&x.shape, &y.shape, right) } else { (&y.shape, &x.shape, left) };
        let missing = long.rank() - short.rank();
        if missing > 0 && short.rank() > 0 && long[..short.rank()] == short[..] {
            let name = self.name_of(at.0).unwrap_or_else(|| "the shorter".into());
            let axes = if missing == 1 { "an axis" } else { "axes" };
            let plenty = if missing == 1 { "" } else { ", once an axis" };
            diagnostic = diagnostic.help(format!(
                "shapes are lined up from the right: give {name} {axes} at its end with `unsqueeze(…, -1)`{plenty}"
            ));
            if missing == 1 && left.1 != right.1 {
                diagnostic = diagnostic.wrap(at.1, "unsqueeze(", ", -1)");
            }
        } else if x.rank() == 2 && y.rank() == 2 && x.shape[0] == y.shape[1] && x.shape[1] == y.shape[0] {
            diagnostic = diagnostic.help("`transpose(…, [1, 0])` exchanges the axes of a matrix");
        } else if !fault.disproved {
            diagnostic = diagnostic.help(format!(
                "a dynamic dimension never stretches; `require {} == {}` states that the two are equal",
                fault.left, fault.right
            ));
        }
        self.report(diagnostic);
    }

    /// Columns of the left side that are not the rows of the right.
    pub fn matmul_mismatch(&mut self, left: Side<'_>, right: Side<'_>, proof: Proof) -> Value<'p> {
        let ((x, m), (y, k)) =
            ((left.ty, &left.ty.shape[left.axis]), (right.ty, &right.ty.shape[right.axis]));
        let relation = if proof == Proof::Disproved { "≠" } else { "may differ from" };
        let columns = if x.rank() == 1 { "elements" } else { "columns" };
        let rows = if y.rank() == 1 { "elements" } else { "rows" };
        let mut diagnostic =
            Diagnostic::error("E0301", format!("`@` needs equal inner dimensions, but {m} {relation} {k}"))
                .label(left.span, format!("{x} has {m} {columns}"))
                .label(right.span, format!("{y} has {k} {rows}"));
        diagnostic = self.axis_from_here(diagnostic, left);
        diagnostic = self.axis_from_here(diagnostic, right);
        let fitting = self.name_of(left.id).unwrap_or_else(|| "the left side".into());
        let other = self.name_of(right.id).unwrap_or_else(|| "the right".into());
        if y.rank() >= 2 && y.shape.last() == Some(m) {
            // The last two axes exchanged.
            let mut axes: Vec<usize> = (0..y.rank()).collect();
            axes.swap(y.rank() - 1, y.rank() - 2);
            diagnostic =
                diagnostic.help(format!("{other} transposed fits {fitting}: `transpose(…, {axes:?})`"));
            if left.span != right.span {
                diagnostic = diagnostic.wrap(right.span, "transpose(", &format!(", {axes:?})"));
            }
        } else if proof != Proof::Disproved {
            diagnostic = diagnostic.help(format!("`require {m} == {k}` states that the two are equal"));
        } else if y.rank() == 2 {
            let wanted = Type::new(y.dtype, Shape(vec![m.clone(), y.shape[1].clone()]));
            diagnostic = diagnostic.help(format!("to fit {fitting}, {other} would be {wanted}"));
        }
        self.report(diagnostic)
    }
}

fn covers(outer: Span, inner: Span) -> bool {
    outer.file == inner.file && outer.lo <= inner.lo && inner.hi <= outer.hi
}

/// A dimension as it is written.
fn dim_text(expr: &ast::Expr, out: &mut String) {
    match &expr.kind {
        ExprKind::Name(name) => out.push_str(name),
        ExprKind::Int { value, .. } => {
            let _ = write!(out, "{value}");
        }
        ExprKind::Paren(inner) => {
            out.push('(');
            dim_text(inner, out);
            out.push(')');
        }
        ExprKind::Unary { operand, .. } => {
            out.push('-');
            dim_text(operand, out);
        }
        ExprKind::Binary { op, left, right, .. } => {
            dim_text(left, out);
            let _ = write!(out, " {} ", op.symbol());
            dim_text(right, out);
        }
        ExprKind::Call { callee, args, .. } => {
            dim_text(callee, out);
            out.push('(');
            for (index, arg) in args.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                dim_text(&arg.value, out);
            }
            out.push(')');
        }
        _ => out.push('…'),
    }
}

fn dim_names<'e>(expr: &'e ast::Expr, names: &mut Vec<&'e str>) {
    match &expr.kind {
        ExprKind::Name(name) if !names.contains(&name.as_str()) => names.push(name),
        ExprKind::Paren(inner) | ExprKind::Unary { operand: inner, .. } => dim_names(inner, names),
        ExprKind::Binary { left, right, .. } => {
            dim_names(left, names);
            dim_names(right, names);
        }
        ExprKind::Call { args, .. } => args.iter().for_each(|arg| dim_names(&arg.value, names)),
        _ => {}
    }
}
