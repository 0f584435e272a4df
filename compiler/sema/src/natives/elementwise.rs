//! Element by element.

use super::Args;
use crate::{arith::Places, checker::Checker, value::Value};
use base::Diagnostic;
use grammar::ast::BinaryOp;
use graph::ops;
use kernel::Unary;

fn unary_op(name: &str) -> Option<Unary> {
    Some(match name {
        "abs" => Unary::Abs,
        "sign" => Unary::Sign,
        "floor" => Unary::Floor,
        "ceil" => Unary::Ceil,
        "round" => Unary::Round,
        "exp" => Unary::Exp,
        "expm1" => Unary::Expm1,
        "log" => Unary::Log,
        "log1p" => Unary::Log1p,
        "sqrt" => Unary::Sqrt,
        "sin" => Unary::Sin,
        "cos" => Unary::Cos,
        "tan" => Unary::Tan,
        "asin" => Unary::Asin,
        "acos" => Unary::Acos,
        "atan" => Unary::Atan,
        "sinh" => Unary::Sinh,
        "cosh" => Unary::Cosh,
        "tanh" => Unary::Tanh,
        "erf" => Unary::Erf,
        "_sigmoid" => Unary::Sigmoid,
        "isnan" => Unary::IsNan,
        "isinf" => Unary::IsInf,
        "isfinite" => Unary::IsFinite,
        _ => return None,
    })
}

/// Whether the native is a function of elements, one by one.
pub fn is_elementwise(name: &str) -> bool {
    unary_op(name).is_some() || matches!(name, "pow" | "atan2" | "select" | "cast" | "stop_gradient")
}

/// The value of a function of a number that is known now.
fn fold(op: Unary, x: f64) -> Option<f64> {
    Some(match op {
        Unary::Abs => x.abs(),
        Unary::Sign => f64::from(u8::from(x > 0.0)) - f64::from(u8::from(x < 0.0)),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Exp => x.exp(),
        Unary::Expm1 => x.exp_m1(),
        Unary::Log => x.ln(),
        Unary::Log1p => x.ln_1p(),
        Unary::Sqrt => x.sqrt(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tan => x.tan(),
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        _ => return None,
    })
}

impl<'p> Checker<'p> {
    pub(super) fn elementwise_unary(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let arg = self.need(args, "x")?;
        let op = unary_op(name)?;
        if let Some(number) = arg.value.as_f64().and_then(|number| fold(op, number)) {
            let whole = matches!(op, Unary::Floor | Unary::Ceil | Unary::Round) && number.abs() < 9e15;
            return Some(if whole { Value::Int(number as i64) } else { Value::Float(number) });
        }
        let id = self.tensor(&arg.value, None, arg.span)?;
        Self::tensor_or_error(self.add_at(ops::Unary { op }.into(), &[id], args.span, &[arg.span])).into()
    }

    pub(super) fn two_sided(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let a = self.need(args, "a")?;
        let b = self.need(args, "b")?;
        let at = Places { whole: args.span, left: a.span, right: b.span };
        if name == "pow" {
            return Some(self.binary(BinaryOp::Pow, a.value, b.value, at));
        }
        let (x, y) = self.operands(&a.value, &b.value, at, name)?;
        Some(Self::tensor_or_error(self.add_at(
            ops::Binary { op: kernel::Binary::Atan2 }.into(),
            &[x, y],
            at.whole,
            &[at.left, at.right],
        )))
    }

    /// `max(a, b)` and `min(a, b)`.
    pub(super) fn extremum(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let a = self.need(args, "a")?;
        let b = self.need(args, "b")?;
        let is_max = name == "max";
        match (&a.value, &b.value) {
            (Value::Int(x), Value::Int(y)) => {
                return Some(Value::Int(if is_max { *x.max(y) } else { *x.min(y) }));
            }
            (x, y) => {
                if let (Some(x), Some(y)) = (x.as_f64(), y.as_f64()) {
                    return Some(Value::Float(if is_max { x.max(y) } else { x.min(y) }));
                }
                if let (Some(x), Some(y)) = (x.as_dim(), y.as_dim()) {
                    return Some(Value::dim(if is_max {
                        shape::Dim::max(&x, &y)
                    } else {
                        shape::Dim::min(&x, &y)
                    }));
                }
            }
        }
        let at = Places { whole: args.span, left: a.span, right: b.span };
        let (x, y) = self.operands(&a.value, &b.value, at, name)?;
        let op = if is_max { kernel::Binary::Max } else { kernel::Binary::Min };
        Some(Self::tensor_or_error(self.add_at(
            ops::Binary { op }.into(),
            &[x, y],
            at.whole,
            &[at.left, at.right],
        )))
    }

    pub(super) fn division(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let a = self.need(args, "a")?;
        let b = self.need(args, "b")?;
        let (Some(x), Some(y)) = (a.value.as_dim(), b.value.as_dim()) else {
            let message = format!("`{name}` divides dimensions");
            let span = if a.value.as_dim().is_none() { a.span } else { b.span };
            return Some(
                self.report(
                    Diagnostic::error("E0401", message)
                        .label(span, "not a dimension")
                        .help("`floor(a / b)` divides tensors"),
                ),
            );
        };
        if y.is_const(0) {
            return Some(self.error("E0401", b.span, format!("`{name}` by 0 has no value"), "this is 0"));
        }
        Some(Value::dim(if name == "div" { x.div_floor(&y) } else { x.ceil_div(&y) }))
    }

    pub(super) fn select(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let condition = self.need(args, "condition")?;
        let yes = self.need(args, "yes")?;
        let no = self.need(args, "no")?;
        if let Value::Bool(flag) = condition.value {
            return Some(if flag { yes.value } else { no.value });
        }
        let (c, span) = (self.tensor(&condition.value, None, condition.span)?, args.span);
        if !self.ty(c).dtype.is_bool() {
            let dtype = self.ty(c).dtype;
            return Some(
                self.report(
                    Diagnostic::error(
                        "E0302",
                        format!("the condition of `select` is bool, but this is {dtype}"),
                    )
                    .label(condition.span, dtype.name())
                    .help("compare first, as in `x > 0`"),
                ),
            );
        }
        let at = Places { whole: span, left: yes.span, right: no.span };
        let (a, b) = self.operands(&yes.value, &no.value, at, "select")?;
        let at = Places { whole: span, left: condition.span, right: yes.span };
        let (c, a) = self.same_shape(c, a, at, "select")?;
        let shape = self.shape(c);
        let b = self.broadcast_to(b, &shape, no.span)?;
        Some(Self::tensor_or_error(self.add_at(
            ops::Select.into(),
            &[c, a, b],
            span,
            &[condition.span, yes.span, no.span],
        )))
    }

    pub(super) fn cast_call(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let arg = self.need(args, "x")?;
        let to = self.need(args, "dtype")?;
        let Value::DType(dtype) = to.value else {
            let message = format!("`cast` needs a dtype such as `f32`, but this is {}", to.value.kind());
            return Some(self.error("E0302", to.span, message, to.value.kind()));
        };
        let id = self.tensor(&arg.value, Some(dtype), arg.span)?;
        Some(Self::tensor_or_error(self.cast(id, dtype, args.span)))
    }
}
