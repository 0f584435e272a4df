//! Room around a tensor, filled with a value or with the tensor's own elements.

use super::Args;
use crate::{arith::Places, call::Arg, checker::Checker, value::Value};
use base::{Diagnostic, Span, did_you_mean};
use grammar::ast::BinaryOp;
use graph::{NodeId, ops};
use kernel::Binary;
use shape::{Dim, Proof};

const MODES: [&str; 3] = ["constant", "reflect", "edge"];

impl<'p> Checker<'p> {
    /// `pad(x, [[before, after], …], value: 0, mode: "constant")`.
    pub(super) fn pad(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let widths = self.need(args, "widths")?;
        let value = args.take("value");
        let mode = match args.take("mode") {
            None => "constant",
            Some(arg) => self.pad_mode(&arg)?,
        };
        let Value::List(rows) = &widths.value else {
            return Some(self.error(
                "E0305",
                widths.span,
                "widths are a list, as in `[[0, 0], [1, 1]]`",
                widths.value.kind(),
            ));
        };
        let rank = self.ty(id).rank();
        if rows.len() != rank {
            let message = format!("{} pairs of widths for a tensor with {rank} axes", rows.len());
            return Some(self.error("E0303", widths.span, message, "one pair an axis"));
        }
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for row in rows.iter() {
            let pair = match row {
                Value::List(pair) if pair.len() == 2 => (pair[0].as_dim(), pair[1].as_dim()),
                Value::Int(both) => (Some(Dim::from(*both)), Some(Dim::from(*both))),
                _ => (None, None),
            };
            let (Some(before), Some(after)) = pair else {
                return Some(self.error(
                    "E0305",
                    widths.span,
                    "each axis takes `[before, after]`",
                    "not a pair of numbers",
                ));
            };
            low.push(before);
            high.push(after);
        }
        if mode == "constant" {
            return self.pad_with(id, low, high, value, span).map(Value::Tensor);
        }
        if let Some(value) = value {
            let message = format!("`value` is for the mode \"constant\", but the mode is \"{mode}\"");
            return Some(self.error("E0209", value.span, message, "nothing is filled with it"));
        }
        let mut padded = id;
        for (axis, (before, after)) in low.into_iter().zip(high).enumerate() {
            if before.is_const(0) && after.is_const(0) {
                continue;
            }
            padded = self.pad_own(padded, axis, before, after, mode == "reflect", [span, widths.span])?;
        }
        Some(Value::Tensor(padded))
    }

    fn pad_mode(&mut self, arg: &Arg<'p>) -> Option<&'static str> {
        let Value::Text(text) = &arg.value else {
            let message = format!("`mode` is a string, but this is {}", arg.value.kind());
            self.error("E0401", arg.span, message, arg.value.kind());
            return None;
        };
        let known = MODES.into_iter().find(|mode| *mode == &**text);
        if known.is_none() {
            let near = did_you_mean(text, MODES);
            self.report(
                Diagnostic::error("E0401", format!("there is no mode \"{text}\" of `pad`"))
                    .label(arg.span, "\"constant\", \"reflect\" or \"edge\"")
                    .did_you_mean_text(arg.span, near),
            );
        }
        known
    }

    /// One axis, with its own elements outside: those at the same distance inside of the end, or the end itself.
    fn pad_own(
        &mut self,
        id: NodeId,
        axis: usize,
        before: Dim,
        after: Dim,
        reflect: bool,
        [span, widths]: [Span; 2],
    ) -> Option<NodeId> {
        let size = self.shape(id)[axis].clone();
        let last = &size - 1;
        let facts = self.frame_ref().function.facts.clone();
        let least = [Dim::default(), before.clone(), after.clone()];
        let unproved = |least: &Dim| {
            let proof = facts.prove_ge(&last, least);
            proof != Proof::Proved && !(self.generic && proof == Proof::Unknown)
        };
        if unproved(&least[0]) || (reflect && least[1..].iter().any(unproved)) {
            let mode = if reflect { "reflect" } else { "edge" };
            let message = format!("\"{mode}\" pads axis {axis} by {before} and {after}, but it has {size}");
            let reason = if reflect {
                format!("each must be below {size}")
            } else {
                "an empty axis has no edge".into()
            };
            self.report(
                Diagnostic::error("E0301", message)
                    .label(span, format!("this is {}", self.ty(id)))
                    .label(widths, reason),
            );
            return None;
        }
        let at = Places::all(span);
        let count = &size + &before + &after;
        let iota = self.add(ops::Iota { shape: shape::Shape(vec![count]), axis: 0 }, &[], span)?;
        let from = |checker: &mut Self, a: Value<'p>, b: Value<'p>| checker.binary(BinaryOp::Sub, a, b, at);
        let last = Value::dim(last);
        let place = from(self, Value::Tensor(iota), Value::dim(before));
        let place = if reflect {
            let inner = self.absolute(place, span)?;
            let beyond = from(self, last.clone(), inner);
            let beyond = self.absolute(beyond, span)?;
            from(self, last, beyond)
        } else {
            let above = self.clamp(Binary::Max, place, Value::Int(0), at)?;
            self.clamp(Binary::Min, above, last, at)?
        };
        let arguments = [Value::Tensor(id), place, Value::Int(axis as i64)];
        let arguments = arguments.map(|value| Arg::positional(value, span));
        match self.native("gather", arguments.into(), span) {
            Value::Tensor(id) => Some(id),
            _ => None,
        }
    }

    fn absolute(&mut self, value: Value<'p>, span: Span) -> Option<Value<'p>> {
        let id = self.tensor(&value, None, span)?;
        self.add(ops::Unary { op: kernel::Unary::Abs }, &[id], span).map(Value::Tensor)
    }

    fn clamp(&mut self, op: Binary, value: Value<'p>, bound: Value<'p>, at: Places) -> Option<Value<'p>> {
        let (a, b) = self.operands(&value, &bound, at, "pad")?;
        self.add(ops::Binary { op }, &[a, b], at.whole).map(Value::Tensor)
    }

    pub(super) fn pad_with(
        &mut self,
        id: NodeId,
        low: Vec<Dim>,
        high: Vec<Dim>,
        value: Option<Arg<'p>>,
        span: Span,
    ) -> Option<NodeId> {
        let dtype = self.ty(id).dtype;
        let value = match value {
            None => self.scalar(dtype, 0.0),
            Some(arg) => {
                let fill = self.tensor(&arg.value, Some(dtype), arg.span)?;
                self.fit_dtype(fill, dtype, arg.span, None, "`value`")?
            }
        };
        let interior = vec![0; low.len()];
        self.add_at(ops::Pad { low, high, interior }.into(), &[id, value], span, &[span, span])
    }
}
