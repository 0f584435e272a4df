//! What the language is built on: functions that are not written in it.
//!
//! Names that begin with `_` are for the library alone. Every other function of the library is `.model` source.

mod control;
mod creation;
mod einsum;
mod elementwise;
mod padding;
mod picking;
mod reduction;
mod spatial;
mod structure;
mod training;
mod transforms;

use crate::{
    call::Arg,
    checker::{Average, Checker},
    value::{Clip, Layer, Value},
};
use base::{Diagnostic, Span, did_you_mean};
use grammar::ast;
use graph::{NodeId, Op, ops};
use shape::{Dim, Shape};
use std::rc::Rc;

const NAMES: &[&str] = &[
    // element by element
    "abs",
    "sign",
    "floor",
    "ceil",
    "round",
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "erf",
    "isnan",
    "isinf",
    "isfinite",
    "atan2",
    "pow",
    "select",
    "cast",
    "stop_gradient",
    "div",
    "ceil_div", // along axes
    "sum",
    "prod",
    "mean",
    "max",
    "min",
    "any",
    "all",
    "argmax",
    "argmin", // shapes
    "reshape",
    "transpose",
    "broadcast",
    "concat",
    "stack",
    "split",
    "pad",
    "einsum",
    "squeeze",
    "unsqueeze",
    "flatten",
    "rank",
    "size", // new tensors
    "zeros",
    "ones",
    "full",
    "constant",
    "iota",
    "zeros_like",
    "ones_like",
    "uniform",
    "normal",
    "bernoulli", // picking
    "gather",
    "take",
    "take_along",
    "scatter_add",
    "write",
    "argsort",
    "cumsum",
    "cumprod", // layers and gradients
    "chain",
    "grad",
    "vjp",
    "jvp",
    "vmap",
    "scan",
    "loop",
    "custom_grad",
    "jacobian",
    "hessian",
    "global_norm",
    "by_value", // for the library
    "_conv",
    "_windows",
    "_average",
    "_ranking",
    "_moments",
    "_fan_in",
    "_fan_out",
    "_length",
    "_each",
    "_elements",
    "_known",
    "_plateau",
    "_sigmoid",
    "none",
];

pub fn find(name: &str) -> Option<&'static str> {
    names().find(|known| *known == name)
}

pub use elementwise::is_elementwise;

pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().copied()
}

/// Arguments of a native, taken one by one; what is left over is an error.
pub struct Args<'p> {
    pub what: &'static str,
    pub span: Span,
    positional: std::collections::VecDeque<Arg<'p>>,
    named: Vec<Arg<'p>>,
    known: Vec<&'static str>,
}

impl<'p> Args<'p> {
    fn new(what: &'static str, args: Vec<Arg<'p>>, span: Span) -> Args<'p> {
        let (named, positional): (Vec<_>, Vec<_>) = args.into_iter().partition(|arg| arg.name.is_some());
        Args { what, span, positional: positional.into(), named, known: Vec::new() }
    }

    pub fn n_positional(&self) -> usize {
        self.positional.len()
    }

    /// An argument given by name, or else by position.
    pub fn take(&mut self, name: &'static str) -> Option<Arg<'p>> {
        self.named(name).or_else(|| self.positional.pop_front())
    }

    /// An argument that is always named.
    pub fn named(&mut self, name: &'static str) -> Option<Arg<'p>> {
        self.known.push(name);
        let position = self.named.iter().position(|arg| arg.name.is_some_and(|given| given.text == name))?;
        Some(self.named.remove(position))
    }

    pub fn rest(&mut self) -> Vec<Arg<'p>> {
        self.positional.drain(..).collect()
    }
}

impl<'p> Checker<'p> {
    pub fn native(&mut self, name: &'static str, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        if args.iter().any(|arg| arg.value.is_error()) {
            return Value::Error;
        }
        if name.starts_with('_') && self.calls.last().is_none_or(|(def, _)| !self.program.is_std(def)) {
            return self.error("E0201", span, format!("`{name}` is not known"), "not found");
        }
        let mut args = Args::new(name, args, span);
        let value = self.dispatch(name, &mut args);
        if value.is_error() {
            return value;
        }
        if let Some(extra) = args.positional.front() {
            let message = format!("`{name}` takes fewer arguments");
            return self.error("E0209", extra.span, message, "one too many");
        }
        if let Some(extra) = args.named.first()
            && let Some(given) = extra.name
        {
            let near = did_you_mean(&given.text, args.known.iter().copied());
            return self.report(
                Diagnostic::error("E0209", format!("`{name}` has no argument `{}`", given.text))
                    .label(given.span, "not known")
                    .did_you_mean(given.span, near),
            );
        }
        value
    }

    fn dispatch(&mut self, name: &'static str, args: &mut Args<'p>) -> Value<'p> {
        let outcome = match name {
            "sum" | "prod" | "mean" | "any" | "all" | "argmax" | "argmin" => self.reduction(name, args),
            "max" | "min" if args.n_positional() >= 2 => self.extremum(name, args),
            "max" | "min" => self.reduction(name, args),
            "select" => self.select(args),
            "cast" => self.cast_call(args),
            "stop_gradient" => self
                .tensor_arg(args, "x")
                .and_then(|(id, span)| self.add(ops::StopGradient, &[id], span).map(Value::Tensor)),
            "div" | "ceil_div" => self.division(name, args),
            "atan2" | "pow" => self.two_sided(name, args),
            "reshape" => self.reshape(args),
            "transpose" => self.transpose(args),
            "broadcast" => self.broadcast_call(args),
            "concat" | "stack" => self.concat(name, args),
            "split" => self.split(args),
            "pad" => self.pad(args),
            "einsum" => self.einsum(args),
            "squeeze" | "unsqueeze" => self.squeeze(name, args),
            "flatten" => self.flatten(args),
            "rank" => self.tensor_arg(args, "x").map(|(id, _)| Value::Int(self.ty(id).rank() as i64)),
            "size" => self.size(args),
            "_length" => self.length(args),
            "_each" => self.each(args),
            "_known" => self.need(args, "dim").map(|arg| Value::Bool(matches!(arg.value, Value::Int(_)))),
            "_elements" => self.tensor_arg(args, "x").map(|(id, _)| Value::dim(self.shape(id).elements())),
            "zeros" | "ones" | "full" | "constant" => self.filled(name, args),
            "zeros_like" | "ones_like" => self.filled_like(name, args),
            "iota" => self.iota(args),
            "uniform" | "normal" | "bernoulli" => self.draw(name, args),
            "gather" | "take" => self.gather(name, args),
            "take_along" => self.take_along(args),
            "scatter_add" => self.scatter_add(args),
            "write" => self.write(args),
            "argsort" => self.argsort(args),
            "cumsum" | "cumprod" => self.cumulated(name, args),
            "chain" => Some(self.chain(args)),
            "vjp" | "jvp" | "vmap" | "jacobian" | "hessian" => self.function_transform(name, args),
            "scan" => self.scan(args),
            "loop" => self.repeat_while(args),
            "custom_grad" => self.custom_grad(args),
            "global_norm" | "by_value" => self.clip(name, args),
            "_plateau" => self.plateau_scale(args),
            "_conv" => self.convolution(args),
            "_windows" => self.windows(args),
            "_average" => self.average(args),
            "_ranking" => self.ranking(args),
            "_moments" => self.moments(args),
            "_fan_in" | "_fan_out" => self.fan(name, args),
            _ => self.elementwise_unary(name, args),
        };
        outcome.unwrap_or(Value::Error)
    }

    /// An argument that must be there.
    pub fn need(&mut self, args: &mut Args<'p>, name: &'static str) -> Option<Arg<'p>> {
        let arg = args.take(name);
        if arg.is_none() {
            let message = format!("`{}` needs `{name}`", args.what);
            self.error("E0208", args.span, message, format!("`{name}` is not given"));
        }
        arg
    }

    pub fn tensor_arg(&mut self, args: &mut Args<'p>, name: &'static str) -> Option<(NodeId, Span)> {
        let arg = self.need(args, name)?;
        Some((self.tensor(&arg.value, None, arg.span)?, arg.span))
    }

    pub fn int_arg(&mut self, arg: &Arg<'p>, name: &str) -> Option<i64> {
        match &arg.value {
            Value::Int(number) => Some(*number),
            other => {
                let message =
                    format!("`{name}` is a whole number known while compiling, but this is {}", other.kind());
                self.error("E0401", arg.span, message, other.kind());
                None
            }
        }
    }

    pub fn bool_arg(&mut self, args: &mut Args<'p>, name: &'static str, default: bool) -> Option<bool> {
        match args.named(name) {
            None => Some(default),
            Some(Arg { value: Value::Bool(flag), .. }) => Some(flag),
            Some(arg) => {
                let message = format!("`{name}` is true or false, but this is {}", arg.value.kind());
                self.error("E0302", arg.span, message, arg.value.kind());
                None
            }
        }
    }

    /// A list of dimensions: `[batch, 8, 8]`.
    pub fn dims_arg(&mut self, arg: &Arg<'p>) -> Option<Shape> {
        match &arg.value {
            Value::List(items) => {
                let mut dims = Vec::new();
                for item in items.iter() {
                    match item {
                        Value::Dims(more) => dims.extend(more.iter().cloned()),
                        item => dims.push(self.value_to_dim(item, arg.span)?),
                    }
                }
                Some(Shape(dims))
            }
            Value::Dims(dims) => Some(Shape(dims.to_vec())),
            value @ (Value::Int(_) | Value::Dim(_)) => Some(Shape(vec![self.value_to_dim(value, arg.span)?])),
            other => {
                let message = format!(
                    "a list of dimensions is needed, as in `[batch, 8]`, but this is {}",
                    other.kind()
                );
                self.error("E0305", arg.span, message, other.kind());
                None
            }
        }
    }

    /// An axis of a tensor of this rank; negative ones count from the end.
    pub fn axis_of(&mut self, axis: i64, rank: usize, span: Span) -> Option<usize> {
        let position = if axis < 0 { axis + rank as i64 } else { axis };
        match usize::try_from(position) {
            Ok(position) if position < rank => Some(position),
            _ => {
                let last = rank as i64 - 1;
                let message = format!("there is no axis {axis}: the tensor has {rank}");
                let label = if rank == 0 {
                    "a scalar has no axes".into()
                } else {
                    format!("axes are 0 to {last}, or −{rank} to −1")
                };
                self.error("E0303", span, message, label);
                None
            }
        }
    }

    fn chain(&mut self, args: &mut Args<'p>) -> Value<'p> {
        let mut stages = Vec::new();
        for arg in args.rest() {
            match arg.value {
                Value::Layer(_)
                | Value::Instance(_)
                | Value::Fn(_)
                | Value::Native(_)
                | Value::Mapped(_)
                | Value::Custom(_) => stages.push(arg.value),
                other => {
                    let message =
                        format!("`chain` composes layers and functions, but this is {}", other.kind());
                    return self.error("E0312", arg.span, message, other.kind());
                }
            }
        }
        if stages.is_empty() {
            return self.error("E0208", args.span, "`chain` needs at least one layer", "nothing to compose");
        }
        self.bounded(Value::Layer(Rc::new(Layer::Chain(stages))), args.span)
    }

    fn clip(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let arg = self.need(args, "max")?;
        let Some(limit) = arg.value.as_f64().filter(|limit| *limit > 0.0) else {
            return Some(self.error("E0401", arg.span, "the limit is a number above 0", "not that"));
        };
        Some(Value::Clip(if name == "global_norm" { Clip::GlobalNorm(limit) } else { Clip::ByValue(limit) }))
    }

    /// `grad(cost, wrt: x)`: `x` is named, so that the derivative is by that binding and not by its value.
    pub fn grad_call(&mut self, args: &'p [ast::Arg], span: Span) -> Value<'p> {
        let (mut cost, mut wrt) = (None, None);
        for arg in args {
            match arg.name.as_ref().map(|name| name.text.as_str()) {
                None if cost.is_none() => cost = Some(&arg.value),
                Some("wrt") => wrt = Some(&arg.value),
                _ => {
                    return self.error(
                        "E0209",
                        arg.span,
                        "`grad` is written `grad(cost, wrt: x)`",
                        "not an argument of it",
                    );
                }
            }
        }
        let (Some(cost), Some(wrt)) = (cost, wrt) else {
            return self.error(
                "E0208",
                span,
                "`grad` is written `grad(cost, wrt: x)`",
                "an argument is missing",
            );
        };
        let wrt_value = self.expr(wrt);
        let cost_value = self.expr(cost);
        if wrt_value.is_error() || cost_value.is_error() {
            return Value::Error;
        }
        let Value::Tensor(wrt_id) = wrt_value else {
            let message = format!("`wrt` names a tensor, but this is {}", wrt_value.kind());
            return self.error("E0314", wrt.span, message, wrt_value.kind());
        };
        let Value::Tensor(cost_id) = cost_value else {
            return self.error(
                "E0314",
                cost.span,
                "the cost does not depend on any tensor",
                cost_value.kind(),
            );
        };
        let ty = self.ty(cost_id).clone();
        if ty.rank() != 0 || !ty.dtype.is_float() {
            let help = if ty.rank() > 0 {
                "reduce it first, as in `grad(sum(cost), wrt: x)`"
            } else {
                "only what is computed in floating numbers has a derivative"
            };
            return self.report(
                Diagnostic::error("E0314", format!("`grad` takes a floating scalar, but the cost is {ty}"))
                    .label(cost.span, format!("this is {ty}"))
                    .help(help),
            );
        }
        match self.derive(cost_id, &[wrt_id], span) {
            Some(grads) => Value::Tensor(grads[0]),
            None => Value::Error,
        }
    }

    /// Derivatives of a scalar in this frame, or the error that there are none.
    pub fn derive(&mut self, cost: NodeId, wrt: &[NodeId], span: Span) -> Option<Vec<NodeId>> {
        let frame = self.frames.last_mut()?;
        match autodiff::grad(&mut self.module, &mut frame.function, cost, wrt) {
            Ok(grads) => {
                let n_nodes = frame.function.nodes.len();
                frame.origins.resize(n_nodes, Vec::new());
                Some(grads)
            }
            Err(fault) => {
                self.no_derivative(&fault, span);
                None
            }
        }
    }

    fn no_derivative(&mut self, fault: &autodiff::NoDerivative, span: Span) {
        let function = &self.frame_ref().function;
        let parameter = fault.by.and_then(|by| match &function.nodes[by].op {
            Op::Parameter(parameter) => Some(function.params[parameter.index].name.clone()),
            _ => None,
        });
        let message = match (fault.by, parameter) {
            (None, _) => fault.reason.clone(),
            (_, None) => "the cost depends on this value only through what has no derivative".to_string(),
            (_, Some(name)) => format!("the cost depends on `{name}` only through what has no derivative"),
        };
        // The place itself if it is in the file, else the call that leads into the library.
        let places = [fault.span].into_iter().chain(fault.calls.iter().copied()).flatten();
        let place = places.into_iter().find(|place| self.program.is_users(*place)).or(fault.span);
        let mut diagnostic = Diagnostic::error("E0315", message);
        let reason =
            if fault.by.is_none() { "no derivative goes through this".into() } else { fault.reason.clone() };
        diagnostic = match place.filter(|place| *place != span) {
            None => diagnostic.label(span, reason),
            Some(place) if self.program.is_users(place) => {
                diagnostic.label(place, reason).label(span, "the derivative is asked for here")
            }
            Some(place) => diagnostic.label(span, "the derivative is asked for here").label(place, reason),
        };
        let owner = self.module.functions.values().iter().find(|known| known.name == fault.function);
        let node = owner.unwrap_or(&self.frame_ref().function).nodes.get(fault.node);
        let help = match node.map(|node| &node.op) {
            Some(Op::While(repeat)) if repeat.limit.is_none() => {
                "say how often it may run at most, as in `loop(cond, body, init, max: 100)`"
            }
            _ => "`stop_gradient(…)` says that a value is meant to be constant",
        };
        self.report(diagnostic.help(help));
    }

    /// `total / count`, noted for accumulating over a split.
    fn average(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (total, span) = self.tensor_arg(args, "total")?;
        let count = self.need(args, "count")?;
        let dtype = self.ty(total).dtype;
        let count = self.tensor(&count.value, Some(dtype), count.span)?;
        // None kept: 0, not 0 / 0.
        let one = self.scalar(dtype, 1.0);
        let divisor = self.add(ops::Binary { op: kernel::Binary::Max }, &[count, one], span)?;
        let value = self.add(ops::Binary { op: kernel::Binary::Div }, &[total, divisor], span)?;
        if let Some(averages) = &mut self.averages {
            averages.push(Average::Mean { value, total, count });
        }
        Some(Value::Tensor(value))
    }

    /// Area under the ROC curve of one batch: the share of pairs that the scores put in order, ties counting half.
    fn ranking(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (scores, span) = self.tensor_arg(args, "scores")?;
        let (labels, _) = self.tensor_arg(args, "labels")?;
        let n = self.shape(scores).elements();
        let dtype = self.ty(scores).dtype;
        let flat = Shape(vec![n.clone()]);
        let scores_flat = self.add(ops::Reshape { shape: flat.clone() }, &[scores], span)?;
        let labels_flat = self.add(ops::Reshape { shape: flat }, &[labels], span)?;
        let labels_flat = self.cast(labels_flat, dtype, span)?;
        let square = Shape(vec![n.clone(), n.clone()]);
        let column = Shape(vec![n.clone(), Dim::from(1i64)]);
        let grid = |checker: &mut Self, id: NodeId, as_column: bool| {
            let id = if as_column {
                checker.add(ops::Reshape { shape: column.clone() }, &[id], span)?
            } else {
                id
            };
            checker.broadcast_to(id, &square, span)
        };
        let (mine, theirs) = (grid(self, scores_flat, true)?, grid(self, scores_flat, false)?);
        let (my_label, their_label) = (grid(self, labels_flat, true)?, grid(self, labels_flat, false)?);
        let at = crate::arith::Places::all(span);
        let tensor = Value::Tensor;
        use ast::BinaryOp::*;
        let above = self.binary(Gt, tensor(mine), tensor(theirs), at);
        let equal = self.binary(Eq, tensor(mine), tensor(theirs), at);
        let above = self.tensor(&above, None, span)?;
        let equal = self.tensor(&equal, None, span)?;
        let (above, equal) = (self.cast(above, dtype, span)?, self.cast(equal, dtype, span)?);
        let half = self.binary(Mul, tensor(equal), Value::Float(0.5), at);
        let won = self.binary(Add, tensor(above), half, at);
        let negative = self.binary(Sub, Value::Int(1), tensor(their_label), at);
        let pairs = self.binary(Mul, tensor(my_label), negative, at);
        let won = self.binary(Mul, won, pairs.clone(), at);
        let total = self.tensor(&won, None, span).and_then(|id| self.sum_all(id, span))?;
        let count = self.tensor(&pairs, None, span).and_then(|id| self.sum_all(id, span))?;
        let value = self.add(ops::Binary { op: kernel::Binary::Div }, &[total, count], span)?;
        if let Some(averages) = &mut self.averages {
            averages.push(Average::Ranking { value, scores: scores_flat, labels: labels_flat });
        }
        Some(Value::Tensor(value))
    }

    /// Marks what `standardize` is fitted to: sums over all axes but the last of values centred on the present mean.
    fn moments(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (x, span) = self.tensor_arg(args, "x")?;
        let (mean, _) = self.tensor_arg(args, "mean")?;
        if !self.frame_ref().mode.fit {
            return Some(Value::Nothing);
        }
        let ty = self.ty(x).clone();
        let mean = self.broadcast_to(mean, &ty.shape, span)?;
        let centred = self.add(ops::Binary { op: kernel::Binary::Sub }, &[x, mean], span)?;
        let squared = self.add(ops::Binary { op: kernel::Binary::Mul }, &[centred, centred], span)?;
        let axes: Vec<usize> = (0..ty.rank().saturating_sub(1)).collect();
        let rows: Dim = ty.shape[..ty.rank().saturating_sub(1)].iter().product();
        let reduce = |combine| ops::Reduce { combine, axes: axes.clone() };
        let total = self.add(reduce(kernel::Combine::Sum), &[centred], span)?;
        let squares = self.add(reduce(kernel::Combine::Sum), &[squared], span)?;
        let count = self.tensor(&Value::dim(rows), Some(ty.dtype), span)?;
        for (name, id) in [("count.sum", count), ("total.sum", total), ("squares.sum", squares)] {
            self.frame().side.push((name.to_string(), id));
        }
        Some(Value::Nothing)
    }
}
