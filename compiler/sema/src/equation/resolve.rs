//! From syntax to terms. What no index touches is evaluated here and now.

use super::{
    Equation, mention,
    term::{Access, Kind, Term},
};
use crate::value::Value;
use base::{Diagnostic, Span};
use grammar::ast::{self, BinaryOp, ExprKind, SubscriptKind, UnaryOp};
use shape::Dim;

/// A power of an index is worked out as a product up to here.
const MAX_POWER: i64 = 8;

impl<'p> Equation<'_, 'p> {
    pub(super) fn term(&mut self, expr: &'p ast::Expr) -> Option<Term<'p>> {
        let span = expr.span;
        let kind = if self.concerns(expr) {
            self.bound(expr.peel())?
        } else {
            let value = self.checker.expr(expr);
            self.element(&value, expr)?;
            Kind::Value(value)
        };
        Some(Term { kind, span })
    }

    /// Whether an index, or a reduction that has one, stands in the expression.
    pub(super) fn concerns(&self, expr: &ast::Expr) -> bool {
        mention::any(expr, &mut |kind| match kind {
            ExprKind::Name(name) => self.index_named(name).is_some(),
            ExprKind::Reduce { .. } => true,
            _ => false,
        })
    }

    pub(super) fn index_named(&self, name: &str) -> Option<usize> {
        self.visible.iter().copied().find(|id| self.called(*id) == name)
    }

    /// One element, or something known while compiling: a whole tensor has subscripts.
    pub(super) fn element(&mut self, value: &Value<'p>, expr: &'p ast::Expr) -> Option<()> {
        let id = match value {
            Value::Error => return None,
            Value::Tensor(id) => *id,
            Value::List(_) | Value::Tuple(_) | Value::Dims(_) => {
                let message = format!("{} stands in an index equation without subscripts", value.kind());
                self.checker.error("E0317", expr.span, message, "an equation says what each element is");
                return None;
            }
            _ => return Some(()),
        };
        let ty = self.checker.ty(id).clone();
        if ty.rank() == 0 {
            return Some(());
        }
        let plural = if ty.rank() == 1 { "axis" } else { "axes" };
        let message = format!("{ty} stands in an index equation without subscripts");
        let mut fault =
            Diagnostic::error("E0317", message).label(expr.span, format!("has {} {plural}", ty.rank()));
        fault = match expr.as_name() {
            Some(name) => {
                let places = self.visible.iter().map(|id| self.called(*id)).chain(["…"; 8]);
                let places: Vec<&str> = places.take(ty.rank()).collect();
                fault.help(format!("an equation says what each element is: `{name}[{}]`", places.join(", ")))
            }
            None => fault.help("an equation says what each element is; there is no broadcasting inside"),
        };
        self.checker.report(fault);
        None
    }

    fn bound(&mut self, expr: &'p ast::Expr) -> Option<Kind<'p>> {
        match &expr.kind {
            ExprKind::Name(name) => {
                let id = self.index_named(name)?;
                Some(Kind::Count(Dim::from(&self.indices[id].symbol)))
            }
            ExprKind::Unary { op, operand } => {
                let operand = self.term(operand)?;
                Some(match (op, &operand.kind) {
                    (UnaryOp::Neg, Kind::Count(dim)) => Kind::Count(-dim.clone()),
                    _ => Kind::Unary(*op, Box::new(operand)),
                })
            }
            ExprKind::Binary { op, left, right, .. } => {
                let sides = [self.term(left)?, self.term(right)?];
                self.binary_term(*op, sides, expr.span)
            }
            ExprKind::Pipe { input, stages } => self.pipe_term(input, stages),
            ExprKind::Call { callee, args, .. } => self.call_term(callee, None, args),
            ExprKind::Index { base, subscripts, .. } => self.access_term(base, subscripts, expr.span),
            ExprKind::Reduce { op, op_span, indices, body } => {
                let seen = self.visible.len();
                let mut ids = Vec::new();
                for index in indices {
                    ids.push(self.introduce(index)?);
                }
                let body = self.term(body)?;
                self.visible.truncate(seen);
                Some(Kind::Reduce { op: *op, op_span: *op_span, indices: ids, body: Box::new(body) })
            }
            ExprKind::If { arms, otherwise } => self.if_term(arms, otherwise.as_ref()),
            ExprKind::Error => None,
            _ => self.misplaced(expr.span, "this depends on an index, but is no number"),
        }
    }

    fn binary_term(&mut self, op: BinaryOp, sides: [Term<'p>; 2], span: Span) -> Option<Kind<'p>> {
        if op == BinaryOp::MatMul {
            return self.misplaced(span, "`@` multiplies whole matrices, but this depends on an index");
        }
        if op == BinaryOp::Rem && whole(&sides[1]).is_some_and(|divisor| divisor.is_const(0)) {
            self.checker.error("E0401", sides[1].span, "`% 0` has no value", "this is 0");
            return None;
        }
        if let (Some(a), Some(b)) = (whole(&sides[0]), whole(&sides[1]))
            && let Some(dim) = folded(op, &a, &b)
        {
            if dim.overflowed() {
                self.checker.error("E0403", span, "this number is too large", "does not fit 64 bits");
                return None;
            }
            return Some(self.count(dim));
        }
        Some(Kind::Binary(op, Box::new(sides)))
    }

    /// A whole number that may have lost its indices.
    pub(super) fn count(&self, dim: Dim) -> Kind<'p> {
        if self.labels_of(&dim).is_empty() { Kind::Value(Value::dim(dim)) } else { Kind::Count(dim) }
    }

    fn access_term(
        &mut self,
        base: &'p ast::Expr,
        subscripts: &'p [ast::Subscript],
        span: Span,
    ) -> Option<Kind<'p>> {
        if self.concerns(base) {
            return match base.peel().as_name() {
                Some(name) => {
                    let hidden = self.checker.lookup_value(name).is_some();
                    let mut fault = Diagnostic::error("E0317", format!("the index `{name}` has no elements"))
                        .label(base.span, "an index here");
                    if hidden {
                        fault =
                            fault.help(format!("it hides what is called `{name}` outside: rename the index"));
                    }
                    self.checker.report(fault);
                    None
                }
                None => self.misplaced(base.span, "what is read at indices does not depend on one itself"),
            };
        }
        self.defined_already(base)?;
        let value = self.checker.expr(base);
        let id = self.checker.tensor(&value, None, base.span)?;
        let ty = self.checker.ty(id).clone();
        let mut places = Vec::new();
        for subscript in subscripts {
            let SubscriptKind::At(expr) = &subscript.kind else {
                let fault = Diagnostic::error("E0317", "a slice stands in an index equation")
                    .label(subscript.span, "not one place")
                    .help("slice first, then read elements: `x[:, 0:4][i, j]`");
                self.checker.report(fault);
                return None;
            };
            places.push((expr, subscript.span));
        }
        if places.len() != ty.rank() {
            let plural = if places.len() == 1 { "" } else { "s" };
            let axes = if ty.rank() == 1 { "axis" } else { "axes" };
            let message =
                format!("{} subscript{plural} for {ty}, which has {} {axes}", places.len(), ty.rank());
            let fault = Diagnostic::error("E0303", message)
                .label(span, "an element has a subscript for each axis")
                .label(base.span, format!("this is {ty}"));
            self.checker.report(fault);
            return None;
        }
        let mut subscripts = Vec::new();
        for (axis, (expr, place)) in places.into_iter().enumerate() {
            let subscript = self.subscript(id, base, axis, expr)?;
            subscripts.push((subscript, place));
        }
        Some(Kind::Access(Access { base: id, subscripts }))
    }

    /// What is being defined has no elements yet.
    fn defined_already(&mut self, base: &'p ast::Expr) -> Option<()> {
        let Some(name) = self.defines.filter(|name| base.peel().as_name() == Some(&name.text)) else {
            return Some(());
        };
        if self.checker.lookup_value(&name.text).is_some() {
            return Some(());
        }
        let fault = Diagnostic::error("E0317", format!("`{}` is defined by its own elements", name.text))
            .label(base.span, "has no value yet")
            .label(name.span, "defined here")
            .help("`cumsum` and `cumprod` go along an axis, `scan` carries values from step to step");
        self.checker.report(fault);
        None
    }

    /// `if` on what is known while compiling.
    fn if_term(&mut self, arms: &'p [ast::IfArm], otherwise: Option<&'p ast::Block>) -> Option<Kind<'p>> {
        let mut chosen = otherwise;
        for arm in arms {
            let span = arm.condition.span;
            let help = "`select(c, a, b)` chooses element by element";
            if self.concerns(&arm.condition) {
                let fault = Diagnostic::error("E0317", "`if` chooses for all elements at once")
                    .label(span, "depends on an index");
                self.checker.report(fault.help(help));
                return None;
            }
            match self.checker.expr(&arm.condition) {
                Value::Bool(true) => {
                    chosen = Some(&arm.body);
                    break;
                }
                Value::Bool(false) => {}
                Value::Error => return None,
                other => {
                    let message = "a condition in an index equation is known while compiling";
                    let fault = Diagnostic::error("E0317", message).label(span, other.kind()).help(help);
                    self.checker.report(fault);
                    return None;
                }
            }
        }
        let block = chosen?;
        match block.stmts.as_slice() {
            [ast::Stmt { kind: ast::StmtKind::Expr(expr), .. }] => Some(self.term(expr)?.kind),
            _ => self.misplaced(block.span, "a branch in an index equation is one expression"),
        }
    }

    pub(super) fn misplaced<T>(&mut self, span: Span, message: &str) -> Option<T> {
        self.checker.error("E0317", span, message, "not in an index equation");
        None
    }
}

/// A whole number that takes the dtype of what it meets.
pub(super) fn whole(term: &Term<'_>) -> Option<Dim> {
    match &term.kind {
        Kind::Count(dim) => Some(dim.clone()),
        Kind::Value(value) => value.as_dim(),
        _ => None,
    }
}

/// Arithmetic that stays among whole numbers. `/` does not: of an index it is a fraction.
pub(super) fn folded(op: BinaryOp, a: &Dim, b: &Dim) -> Option<Dim> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Rem => a.modulo(b),
        BinaryOp::Pow => {
            let power = b.as_const().filter(|power| (0..=MAX_POWER).contains(power))?;
            (0..power).fold(Dim::from(1i64), |product, _| product * a)
        }
        _ => return None,
    })
}
