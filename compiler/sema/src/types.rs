//! Types as written, against types as they are: dimension variables are solved, the rest is proved.

use crate::{checker::Checker, value::Value};
use base::{Diagnostic, Span};
use grammar::ast::{self, ExprKind, TypeName};
use graph::{DType, NodeId, Type};
use shape::{Dim, Proof, Shape, Symbol};
use std::rc::Rc;

pub fn dtype(name: TypeName) -> Option<DType> {
    DType::parse(name.word())
}

impl<'p> Checker<'p> {
    /// A dimension expression whose names are all bound.
    pub fn dim(&mut self, expr: &'p ast::Expr) -> Option<Dim> {
        let value = self.expr(expr);
        self.value_to_dim(&value, expr.span)
    }

    pub fn value_to_dim(&mut self, value: &Value<'p>, span: Span) -> Option<Dim> {
        match value {
            Value::Error => None,
            Value::Int(number) if *number < 0 => {
                self.error(
                    "E0401",
                    span,
                    format!("a dimension is at least 0, but this is {number}"),
                    "negative",
                );
                None
            }
            Value::Float(number) => {
                let message = format!("a dimension is a whole number, but this is {number}");
                self.report(
                    Diagnostic::error("E0401", message).label(span, format!("gives {number}")).help(
                        "`/` of dimensions divides exactly; `div(a, b)` rounds down, `ceil_div(a, b)` up",
                    ),
                );
                None
            }
            value => {
                let dim = value.as_dim();
                match dim {
                    None => {
                        let message = format!("a dimension is needed here, but this is {}", value.kind());
                        self.error("E0401", span, message, value.kind());
                        None
                    }
                    Some(dim) if dim.overflowed() => {
                        self.error("E0403", span, "this dimension is too large", "more than 2^63");
                        None
                    }
                    dim => dim,
                }
            }
        }
    }

    /// A type whose names are all bound, with the place of each dimension.
    pub fn resolve_type(&mut self, ty: &'p ast::Type) -> Option<(Type, Vec<Option<Span>>)> {
        let Some(dtype) = self.dtype(ty.name) else {
            if ty.name != TypeName::Error {
                let message = format!("`{}` is the type of a configuration, not of a tensor", ty.name.word());
                self.error("E0302", ty.name_span, message, "a dtype is needed here");
            }
            return None;
        };
        let (mut dims, mut places) = (Vec::new(), Vec::new());
        for dim in &ty.dims {
            match dim {
                ast::Dim::Rest(name) => match self.lookup_value(&name.text) {
                    Some(Value::Dims(rest)) => {
                        places.extend(rest.iter().map(|_| None));
                        dims.extend(rest.iter().cloned());
                    }
                    _ => {
                        let message = format!("`..{}` stands for dimensions that no input binds", name.text);
                        let help =
                            format!("an input binds it by its type, as in `x: float[..{}, n]`", name.text);
                        self.report(
                            Diagnostic::error("E0205", message).label(name.span, "not bound").help(help),
                        );
                        return None;
                    }
                },
                ast::Dim::Expr(expr) => {
                    dims.push(self.dim(expr)?);
                    places.push(Some(expr.span));
                }
            }
        }
        Some((Type::new(dtype, Shape(dims)), places))
    }

    /// The names in a dimension expression that nothing binds yet.
    fn unbound<'e>(&mut self, expr: &'e ast::Expr, names: &mut Vec<&'e str>) {
        match &expr.kind {
            ExprKind::Name(name) if !names.contains(&name.as_str()) && self.lookup_value(name).is_none() => {
                names.push(name);
            }
            ExprKind::Paren(inner) => self.unbound(inner, names),
            ExprKind::Unary { operand, .. } => self.unbound(operand, names),
            ExprKind::Binary { left, right, .. } => {
                self.unbound(left, names);
                self.unbound(right, names);
            }
            ExprKind::Call { args, .. } => args.iter().for_each(|arg| self.unbound(&arg.value, names)),
            _ => {}
        }
    }

    /// Whether all names of a dimension expression are bound.
    pub fn is_bound(&mut self, expr: &ast::Expr) -> bool {
        let mut names = Vec::new();
        self.unbound(expr, &mut names);
        names.is_empty()
    }

    /// Names that appear first in the type of a model's input are dynamic dimensions, unless the build fixes them.
    pub fn bind_dimensions(&mut self, ty: &'p ast::Type) {
        for dim in &ty.dims {
            let ast::Dim::Expr(expr) = dim else { continue };
            let mut names = Vec::new();
            self.unbound(expr, &mut names);
            for name in names {
                let value = match self.options.bind.get(name) {
                    Some(size) => Value::Int(*size),
                    None => {
                        self.note_look_alike(name, expr.span);
                        Value::Dim(Dim::symbol(name))
                    }
                };
                self.frame().bind(name, value, expr.span);
            }
        }
    }

    /// The type of a model's input.
    pub fn declare_type(&mut self, ty: &'p ast::Type) -> Option<(Type, Vec<Option<Span>>)> {
        self.bind_dimensions(ty);
        if let Some(ast::Dim::Rest(name)) = ty.dims.first() {
            self.error(
                "E0307",
                name.span,
                format!(
                    "an entry point needs a fixed number of dimensions, but `..{}` is any number",
                    name.text
                ),
                "write the dimensions out",
            );
            return None;
        }
        self.resolve_type(ty)
    }

    /// Fits `id` to a parameter's type: binds its dimension variables, proves the rest, converts `float`.
    /// `what` is the parameter in messages, as in "`x` of `dense`".
    pub fn fit(&mut self, id: NodeId, ty: &'p ast::Type, span: Span, what: &str) -> Option<NodeId> {
        let wanted = self.dtype(ty.name)?;
        let actual = self.ty(id).clone();
        let id = self.fit_dtype(id, wanted, span, Some(ty.name_span), what)?;
        let rest = matches!(ty.dims.first(), Some(ast::Dim::Rest(_)));
        let n_fixed = ty.dims.len() - usize::from(rest);
        if actual.rank() < n_fixed || (!rest && actual.rank() != n_fixed) {
            let least = if rest { "at least " } else { "" };
            let plural = if n_fixed == 1 { "" } else { "s" };
            let message = format!("{what} has {least}{n_fixed} dimension{plural}, but this is {actual}");
            let help = crate::story::rank_help(&actual, n_fixed, rest);
            self.report(
                Diagnostic::error("E0303", message)
                    .label(span, format!("{actual} has {}", actual.rank()))
                    .label(ty.span, "declared here")
                    .maybe_help(help),
            );
            return None;
        }
        let lead = actual.rank() - n_fixed;
        if let Some(ast::Dim::Rest(name)) = ty.dims.first() {
            let dims: Vec<Dim> = actual.shape[..lead].to_vec();
            match self.lookup_value(&name.text) {
                Some(Value::Dims(known)) => {
                    let same = known.len() == dims.len()
                        && known.iter().zip(&dims).all(|(a, b)| self.equal(a, b) == Proof::Proved);
                    if !same {
                        self.rest_mismatch(name, &known, Shape(dims), (&actual, id, span), what);
                        return None;
                    }
                }
                _ => self.frame().bind(&name.text, Value::Dims(Rc::new(dims)), name.span),
            }
        }
        for (axis, dim) in (lead..).zip(ty.dims[usize::from(rest)..].iter()) {
            let ast::Dim::Expr(expr) = dim else { continue };
            if !self.fit_dim(expr, &actual, axis, id, span, what) {
                return None;
            }
        }
        Some(id)
    }

    fn fit_dim(
        &mut self,
        expr: &'p ast::Expr,
        actual: &Type,
        axis: usize,
        id: NodeId,
        span: Span,
        what: &str,
    ) -> bool {
        let size = actual.shape[axis].clone();
        let mut names = Vec::new();
        self.unbound(expr, &mut names);
        match names[..] {
            [] => {}
            [name] if expr.peel().as_name() == Some(name) => {
                self.frame().bind(name, Value::dim(size), expr.span);
                return true;
            }
            [name] => {
                let unknown = Symbol::new(name);
                self.frame().bind(name, Value::Dim(Dim::symbol(name)), expr.span);
                let Some(pattern) = self.dim(expr) else { return false };
                let facts = self.frame_ref().function.facts.clone();
                if let Some(solution) = shape::solve(&pattern, &unknown, &size, &facts) {
                    self.frame().bind(name, Value::dim(solution), expr.span);
                    return true;
                }
                let message = format!("no `{name}` makes `{pattern}` equal to {size}");
                let mut diagnostic = Diagnostic::error("E0301", message)
                    .label(span, format!("{actual} has {size} on axis {axis}"))
                    .label(expr.span, format!("{what} is declared with `{pattern}`"));
                if let Some(origin) = self.origin(id, axis).filter(|origin| *origin != span) {
                    diagnostic = diagnostic.label(origin, format!("{size} comes from here"));
                }
                self.report(diagnostic);
                return false;
            }
            _ => {
                let message =
                    format!("`{}` and `{}` cannot both be found from one dimension", names[0], names[1]);
                self.error("E0308", expr.span, message, "two unknown names");
                return false;
            }
        }
        let Some(wanted) = self.dim(expr) else { return false };
        let proof = self.equal(&wanted, &size);
        if proof == Proof::Proved || (self.generic && proof == Proof::Unknown) {
            return true;
        }
        self.dim_mismatch(expr, &wanted, (actual, axis, id, span), proof, what);
        false
    }

    /// Converts between `float` and a stated floating dtype; anything else that differs is an error.
    pub fn fit_dtype(
        &mut self,
        id: NodeId,
        wanted: DType,
        span: Span,
        declared: Option<Span>,
        what: &str,
    ) -> Option<NodeId> {
        let have = self.ty(id).dtype;
        if have == wanted {
            return Some(id);
        }
        let open = have == DType::Float || wanted == DType::Float || self.frame_ref().wide;
        if have.is_float() && wanted.is_float() && open {
            return self.cast(id, wanted, span);
        }
        let mut diagnostic = Diagnostic::error("E0302", format!("{what} is {wanted}, but this is {have}"))
            .label(span, format!("this is {have}"))
            .help(format!("there is no silent conversion; write `cast(…, {wanted})`"));
        if let Some(declared) = declared {
            diagnostic = diagnostic.label(declared, format!("{wanted} is declared here"));
        }
        diagnostic = self.dtype_from_here(diagnostic, id);
        self.report(diagnostic);
        None
    }

    pub fn equal(&self, a: &Dim, b: &Dim) -> Proof {
        self.frame_ref().function.facts.prove_eq(a, b)
    }

    /// Holds a value against a stated type: every dimension is proved, `float` converts.
    pub fn ascribe(&mut self, id: NodeId, ty: &'p ast::Type, span: Span, what: &str) -> Option<NodeId> {
        self.fit(id, ty, span, what)
    }
}
