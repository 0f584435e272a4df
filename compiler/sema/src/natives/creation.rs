//! New tensors: filled, counted, drawn. As initial values they take the shape of the weight.

use super::Args;
use crate::{arith::Places, call::Arg, checker::Checker, value::Value};
use base::{Diagnostic, Span};
use grammar::ast::BinaryOp;
use graph::{DType, NodeId, ops};
use shape::{Dim, Shape};

impl<'p> Checker<'p> {
    /// The shape of the weight whose initial value is being made.
    fn init_shape(&self) -> Option<Shape> {
        match self.frame_ref().extra.iter().find(|(name, _)| *name == "_init_shape") {
            Some((_, Value::Dims(dims))) => Some(Shape(dims.to_vec())),
            _ => None,
        }
    }

    /// Dimensions given as the first argument, or those of the weight.
    fn creation_shape(&mut self, args: &mut Args<'p>) -> Option<Shape> {
        let listed =
            args.positional.front().is_some_and(|arg| matches!(arg.value, Value::List(_) | Value::Dims(_)));
        if listed || args.named.iter().any(|arg| arg.name.is_some_and(|name| name.text == "dims")) {
            let arg = args.take("dims")?;
            return self.dims_arg(&arg);
        }
        let shape = self.init_shape();
        // By itself, an initialiser of one's own has no weight yet.
        if shape.is_none() && !self.generic {
            let message = format!("`{}` needs the dimensions of the tensor", args.what);
            self.report(Diagnostic::error("E0208", message).label(args.span, "no dimensions").help(format!(
                "as in `{}([batch, 8])`; only an initial value takes those of its weight",
                args.what
            )));
        }
        shape
    }

    fn dtype_arg(&mut self, args: &mut Args<'p>) -> Option<DType> {
        match args.take("dtype") {
            None => Some(self.float()),
            Some(Arg { value: Value::DType(dtype), .. }) => Some(dtype),
            Some(arg) => {
                let message = format!("a dtype such as `f32` is needed, but this is {}", arg.value.kind());
                self.error("E0302", arg.span, message, arg.value.kind());
                None
            }
        }
    }

    pub(super) fn filled(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let shape = self.creation_shape(args)?;
        let value = match name {
            "zeros" => Value::Int(0),
            "ones" => Value::Int(1),
            _ => self.need(args, "value")?.value,
        };
        let dtype = self.dtype_arg(args)?;
        let id = self.tensor(&value, Some(dtype), args.span)?;
        let id = self.fit_dtype(id, dtype, args.span, None, "`value`")?;
        Some(Self::tensor_or_error(self.broadcast_to(id, &shape, args.span)))
    }

    pub(super) fn filled_like(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let ty = self.ty(id).clone();
        let value = self.scalar(ty.dtype, if name == "ones_like" { 1.0 } else { 0.0 });
        Some(Self::tensor_or_error(self.broadcast_to(value, &ty.shape, span)))
    }

    pub(super) fn iota(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let arg = self.need(args, "n")?;
        let n = self.value_to_dim(&arg.value, arg.span)?;
        Some(Self::tensor_or_error(self.add(ops::Iota { shape: Shape(vec![n]), axis: 0 }, &[], args.span)))
    }

    /// `uniform([n], low, high)`, `normal([n], mean, std)`, `bernoulli([n], p)` (a bool).
    pub(super) fn draw(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let shape = self.creation_shape(args)?;
        let span = args.span;
        let (first, second) = match name {
            "uniform" => (args.take("low"), args.take("high")),
            "normal" => {
                let std = args.named("std");
                let mean = args.named("mean").or_else(|| {
                    if args.n_positional() > 1 || std.is_some() { args.take("mean") } else { None }
                });
                let std = std.or_else(|| args.take("std"));
                (mean, std)
            }
            _ => (Some(self.need(args, "p")?), None),
        };
        let distribution =
            if name == "normal" { ops::Distribution::Normal } else { ops::Distribution::Uniform };
        let id = self.random(distribution, shape, span)?;
        let drawn = Value::Tensor(id);
        let at = Places::all(span);
        let value = |arg: Option<Arg<'p>>, default: i64| arg.map_or(Value::Int(default), |arg| arg.value);
        Some(match name {
            "bernoulli" => self.binary(BinaryOp::Lt, drawn, value(first, 0), at),
            "uniform" => {
                let (low, high) = (value(first, 0), value(second, 1));
                if matches!((&low, &high), (Value::Int(0), Value::Int(1))) {
                    return Some(drawn);
                }
                let width = self.binary(BinaryOp::Sub, high, low.clone(), at);
                let scaled = self.binary(BinaryOp::Mul, drawn, width, at);
                self.binary(BinaryOp::Add, scaled, low, at)
            }
            _ => {
                let (mean, std) = (value(first, 0), value(second, 1));
                let scaled = if matches!(std, Value::Int(1)) {
                    drawn
                } else {
                    self.binary(BinaryOp::Mul, drawn, std, at)
                };
                if matches!(mean, Value::Int(0)) {
                    scaled
                } else {
                    self.binary(BinaryOp::Add, scaled, mean, at)
                }
            }
        })
    }

    fn random(&mut self, distribution: ops::Distribution, shape: Shape, span: Span) -> Option<NodeId> {
        let params = self.random_params(span);
        let draw = self.frame_ref().draws;
        self.frame().draws += 1;
        let op = ops::Random { distribution, dtype: self.float(), shape, draw };
        self.add(op, &[params.seed, params.path, params.step], span)
    }

    /// Inputs or outputs that one output or input of the weight meets: products of its axes (He et al., 2015).
    pub(super) fn fan(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let arg = self.need(args, "output")?;
        let output = self.int_arg(&arg, "output")?;
        let Some(shape) = self.init_shape() else {
            return Some(self.error(
                "E0414",
                args.span,
                "this initialiser is used outside an initial value",
                "no weight is meant",
            ));
        };
        if shape.rank() < 2 {
            let all: Dim = shape.iter().product();
            return Some(Value::dim(all));
        }
        let output = self.axis_of(output, shape.rank(), arg.span)?;
        // Of the axes that are not the output's, one is the input's; the others are the kernel's.
        let input = if output == 0 { 1 } else { shape.rank() - 2 };
        let kernel: Dim = shape
            .iter()
            .enumerate()
            .filter(|(axis, _)| *axis != output && *axis != input)
            .map(|(_, dim)| dim)
            .product();
        let side = if name == "_fan_in" { input } else { output };
        Some(Value::dim(&shape[side] * &kernel))
    }
}
