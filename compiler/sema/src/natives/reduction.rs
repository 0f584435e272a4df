//! Reductions over axes.

use super::Args;
use crate::{call::Arg, checker::Checker, value::Value};
use base::{Diagnostic, Span};
use graph::{NodeId, ops};
use kernel::Combine;
use shape::{Dim, Shape};

impl<'p> Checker<'p> {
    pub(super) fn sum_all(&mut self, id: NodeId, span: Span) -> Option<NodeId> {
        let axes = (0..self.ty(id).rank()).collect();
        self.add(ops::Reduce { combine: Combine::Sum, axes }, &[id], span)
    }

    /// `sum(x, axis: -1, keep: true)`; without `axis`, over all of them.
    pub(super) fn reduction(&mut self, name: &'static str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let arg = self.need(args, "x")?;
        let id = self.tensor(&arg.value, None, arg.span)?;
        let ty = self.ty(id).clone();
        let keep = self.bool_arg(args, "keep", false)?;
        let axes = match args.named("axis") {
            None | Some(Arg { value: Value::Nothing, .. }) => (0..ty.rank()).collect(),
            Some(axis) => self.axes(&axis.value, ty.rank(), axis.span)?,
        };
        let is_arg = matches!(name, "argmax" | "argmin");
        if is_arg && axes.len() != 1 {
            let message = format!("`{name}` picks along one axis, but {} are meant", axes.len());
            return Some(
                self.report(
                    Diagnostic::error("E0303", message)
                        .label(args.span, "which axis?")
                        .help("name it, as in `axis: -1`"),
                ),
            );
        }
        let combine = match name {
            "sum" | "mean" => Combine::Sum,
            "prod" => Combine::Product,
            "max" => Combine::Max,
            "min" => Combine::Min,
            "any" => Combine::Any,
            "all" => Combine::All,
            "argmax" => Combine::ArgMax,
            _ => Combine::ArgMin,
        };
        let count: Dim = axes.iter().map(|axis| &ty.shape[*axis]).product();
        let kept: Vec<Dim> = ty
            .shape
            .iter()
            .enumerate()
            .map(|(axis, dim)| if axes.contains(&axis) { Dim::from(1i64) } else { dim.clone() })
            .collect();
        let mut result = self.add_at(ops::Reduce { combine, axes }.into(), &[id], args.span, &[arg.span])?;
        if name == "mean" {
            let dtype = self.ty(result).dtype;
            if !dtype.is_float() {
                return Some(self.error(
                    "E0302",
                    arg.span,
                    format!("`mean` needs a floating tensor, but this is {dtype}"),
                    dtype.name(),
                ));
            }
            let count = self.tensor(&Value::dim(count), Some(dtype), args.span)?;
            let shape = self.shape(result);
            let count = self.broadcast_to(count, &shape, args.span)?;
            result = self.add(ops::Binary { op: kernel::Binary::Div }, &[result, count], args.span)?;
        }
        if keep {
            result = self.add(ops::Reshape { shape: Shape(kept) }, &[result], args.span)?;
        }
        Some(Value::Tensor(result))
    }

    /// One axis or a list of them, ascending.
    pub(super) fn axes(&mut self, value: &Value<'p>, rank: usize, span: Span) -> Option<Vec<usize>> {
        let mut axes = Vec::new();
        match value {
            Value::Int(axis) => axes.push(self.axis_of(*axis, rank, span)?),
            Value::List(items) => {
                for item in items.iter() {
                    let Value::Int(axis) = item else {
                        self.error(
                            "E0401",
                            span,
                            "axes are whole numbers known while compiling",
                            item.kind(),
                        );
                        return None;
                    };
                    axes.push(self.axis_of(*axis, rank, span)?);
                }
            }
            other => {
                let have = match other {
                    Value::Float(number) => number.to_string(),
                    other => other.kind().into(),
                };
                self.error("E0401", span, "an axis is a whole number known while compiling", have);
                return None;
            }
        }
        axes.sort_unstable();
        if axes.windows(2).any(|pair| pair[0] == pair[1]) {
            self.error("E0303", span, "an axis is named twice", "twice the same");
            return None;
        }
        Some(axes)
    }
}
