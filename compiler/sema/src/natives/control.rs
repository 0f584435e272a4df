//! Functions applied from step to step: `scan` and `loop`. And functions with a derivative of one's own.

mod custom;
mod repeat_while;
mod scan;

use crate::{
    checker::Checker,
    outline::{Alias, Body, Given, StateChange, before_loop},
    value::Value,
};
use base::{Diagnostic, Span};
use grammar::ast::{self, ExprKind};
use graph::{DType, NodeId, Type, ops};
use shape::Proof;

/// A value that a step takes from the one before.
struct Carried {
    /// Stands for it in the body.
    stand_in: NodeId,
    /// Its value before the first step.
    first: NodeId,
    span: Span,
}

impl<'p> Checker<'p> {
    /// What stands for a value of this type in a body, with the places that its axes come from.
    fn stand_in(&mut self, ty: &Type, like: NodeId, skipped: usize, span: Span) -> Option<NodeId> {
        let id = self.lane(ty, span)?;
        let origins = (0..ty.rank()).map(|axis| self.origin(like, axis + skipped)).collect();
        self.set_origins(id, origins);
        Some(id)
    }

    fn carried(&mut self, value: &Value<'p>, span: Span) -> Option<Carried> {
        let first = self.tensor(value, None, span)?;
        let ty = self.ty(first).clone();
        let stand_in = self.stand_in(&ty, first, 0, span)?;
        Some(Carried { stand_in, first, span })
    }

    /// A carried value as a step gives it, in the type that it has.
    fn comes_back(
        &mut self,
        carried: &Carried,
        value: &Value<'p>,
        (what, number): (&str, usize),
        span: Span,
    ) -> Option<NodeId> {
        let want = self.ty(carried.stand_in).clone();
        let id = self.tensor(value, Some(want.dtype), span)?;
        let have = self.ty(id).clone();
        let open = have.dtype.is_float()
            && want.dtype.is_float()
            && (have.dtype == DType::Float || want.dtype == DType::Float || self.frame_ref().wide);
        if have.dtype == want.dtype || open {
            let id = self.cast(id, want.dtype, span)?;
            let proofs: Option<Vec<Proof>> = (have.rank() == want.rank())
                .then(|| have.shape.iter().zip(want.shape.iter()).map(|(a, b)| self.equal(a, b)).collect());
            match proofs {
                Some(proofs) if proofs.iter().all(|proof| *proof == Proof::Proved) => {
                    return if have.shape == want.shape {
                        Some(id)
                    } else {
                        self.add(ops::Reshape { shape: want.shape }, &[id], span)
                    };
                }
                Some(proofs) if self.generic && !proofs.contains(&Proof::Disproved) => {
                    return self.lane(&want, span);
                }
                _ => {}
            }
        }
        let code = if have.dtype == want.dtype || open { "E0301" } else { "E0302" };
        let message = format!("the value carried by `{what}` is {want} at first, but {have} after a step");
        let mut diagnostic = Diagnostic::error(code, message)
            .label(carried.span, format!("carried value {number} begins as {want}"))
            .label(span, format!("a step gives {have}"));
        diagnostic = if code == "E0302" {
            diagnostic
                .help(format!("begin with {}, or write `cast(…, {})` in the step", have.dtype, want.dtype))
        } else {
            diagnostic
                .help(format!("what is carried has one type; `zeros({})` has that of the step", have.shape))
        };
        self.report(diagnostic);
        None
    }

    /// A body that gives more or fewer values than what is carried asks for.
    fn wrong_number<T>(
        &mut self,
        message: String,
        what: &str,
        place: Span,
        carried: &[Carried],
    ) -> Option<T> {
        let mut diagnostic = Diagnostic::error("E0310", message).label(place, what);
        for carried in carried {
            diagnostic = diagnostic.label(carried.span, "carried");
        }
        self.report(diagnostic);
        None
    }

    /// The parameters of a loop's body and their operands: carried values, then states that the body writes.
    fn state_stand_ins(&self, states: &[StateChange], aliases: &[Alias]) -> (Vec<Given>, Vec<NodeId>) {
        let given = states.iter().enumerate();
        let given = given.map(|(index, state)| Given::new(format!("state{index}"), state.before)).collect();
        (given, states.iter().map(|state| before_loop(aliases, state.before)).collect())
    }

    /// That no moments for `standardize` are collected where their sums would be lost.
    fn no_moments(&mut self, body: &Body, what: &str, span: Span) -> Option<()> {
        if body.side.is_empty() {
            return Some(());
        }
        self.unsupported(span, &format!("`standardize` inside {what}"));
        None
    }
}

/// How many results a value is, in words.
fn results_told(value: &Value<'_>) -> String {
    match value {
        Value::Tuple(parts) => format!("{} results", parts.len()),
        _ => "one result".into(),
    }
}

/// The expression that a function's result number `index` of `count` is, for labels; else `otherwise`.
fn result_place(function: &Value<'_>, index: usize, count: usize, otherwise: Span) -> Span {
    let Value::Fn(closure) = function else { return otherwise };
    let last = match &closure.def.body {
        ast::Body::Expr(expr) => Some(expr),
        ast::Body::Block(block) => block.last_expr(),
    };
    match last.map(|expr| (&expr.peel().kind, expr.span)) {
        Some((ExprKind::Tuple(items), _)) if items.len() == count && count > 1 => items[index].span,
        Some((_, span)) => span,
        None => otherwise,
    }
}
