//! Convolutions and sliding windows over the last axes.

use super::Args;
use crate::{call::Arg, checker::Checker, value::Value};
use base::{Diagnostic, Span};
use graph::{NodeId, ops};
use shape::{Dim, Proof, Shape};

/// Widths before and after, for each spatial axis.
type Widths = Vec<(i64, i64)>;

impl<'p> Checker<'p> {
    /// One number for all axes, or one an axis; each at least `least`.
    fn spatial(
        &mut self,
        arg: Option<Arg<'p>>,
        n_axes: usize,
        default: i64,
        least: i64,
        what: &str,
    ) -> Option<Vec<i64>> {
        let Some(arg) = arg else { return Some(vec![default; n_axes]) };
        let numbers = match &arg.value {
            Value::Int(number) => vec![*number; n_axes],
            Value::List(items) if items.len() == n_axes => {
                let mut numbers = Vec::new();
                for item in items.iter() {
                    let Value::Int(number) = item else {
                        self.error(
                            "E0401",
                            arg.span,
                            format!("`{what}` is a whole number an axis"),
                            item.kind(),
                        );
                        return None;
                    };
                    numbers.push(*number);
                }
                numbers
            }
            Value::List(items) => {
                let message = format!("`{what}` has {} numbers for {n_axes} axes", items.len());
                self.error("E0401", arg.span, message, "one number an axis");
                return None;
            }
            other => {
                let message =
                    format!("`{what}` is a number or a list of {n_axes}, but this is {}", other.kind());
                self.error("E0401", arg.span, message, other.kind());
                return None;
            }
        };
        if let Some(wrong) = numbers.iter().find(|number| !(least..=1 << 20).contains(*number)) {
            let message =
                format!("`{what}` is {wrong}, but must be at least {least} and at most {}", 1 << 20);
            self.error("E0401", arg.span, message, "out of range");
            return None;
        }
        Some(numbers)
    }

    fn padding(&mut self, arg: Option<Arg<'p>>, size: &[i64], dilation: &[i64]) -> Option<Widths> {
        match &arg {
            Some(Arg { value: Value::Text(text), span, .. }) => match &**text {
                "same" => Some(
                    size.iter()
                        .zip(dilation)
                        .map(|(size, dilation)| {
                            let all = dilation * (size - 1);
                            (all / 2, all / 2)
                        })
                        .collect(),
                ),
                "valid" => Some(vec![(0, 0); size.len()]),
                other => {
                    let near = base::did_you_mean(other, ["same", "valid"]);
                    let message = format!("there is no padding \"{other}\"");
                    self.report(
                        Diagnostic::error("E0401", message)
                            .label(*span, "\"same\", \"valid\", a number or a list")
                            .did_you_mean_text(*span, near),
                    );
                    None
                }
            },
            Some(Arg { value: Value::List(items), name, span })
                if items.len() == size.len() && items.iter().any(|item| matches!(item, Value::List(_))) =>
            {
                let mut widths = Vec::new();
                for item in items.iter() {
                    let one = Arg { name: *name, value: item.clone(), span: *span };
                    let sides = if let Value::List(pair) = item { pair.len().max(1) } else { 1 };
                    if sides > 2 {
                        let message = "the padding of an axis is a number or a pair, `[before, after]`";
                        self.error("E0401", *span, message, format!("{sides} numbers for one axis"));
                        return None;
                    }
                    let pair = self.spatial(Some(one), sides, 0, 0, "padding")?;
                    widths.push((pair[0], pair[sides - 1]));
                }
                Some(widths)
            }
            _ => Some(self.spatial(arg, size.len(), 0, 0, "padding")?.into_iter().map(|p| (p, p)).collect()),
        }
    }

    fn pad_spatial(
        &mut self,
        id: NodeId,
        widths: &Widths,
        value: Option<Arg<'p>>,
        span: Span,
    ) -> Option<NodeId> {
        if widths.iter().all(|width| *width == (0, 0)) {
            return Some(id);
        }
        let lead = self.ty(id).rank() - widths.len();
        let zero = Dim::from(0i64);
        let low = vec![zero.clone(); lead]
            .into_iter()
            .chain(widths.iter().map(|(low, _)| Dim::from(*low)))
            .collect();
        let high =
            vec![zero; lead].into_iter().chain(widths.iter().map(|(_, high)| Dim::from(*high))).collect();
        self.pad_with(id, low, high, value, span)
    }

    /// `_conv(x, w, stride:, padding:, dilation:, groups:)`: `x[n, c, …]`, `w[o, c / groups, …]`.
    pub(super) fn convolution(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (x, span) = self.tensor_arg(args, "x")?;
        let (w, w_span) = self.tensor_arg(args, "w")?;
        let n_axes = self.ty(w).rank().saturating_sub(2);
        let stride = args.named("stride");
        let stride = self.spatial(stride, n_axes, 1, 1, "stride")?;
        let dilation = args.named("dilation");
        let dilation = self.spatial(dilation, n_axes, 1, 1, "dilation")?;
        let Some(size) =
            self.shape(w)[2.min(self.ty(w).rank())..].iter().map(Dim::as_const).collect::<Option<Vec<i64>>>()
        else {
            return Some(self.error(
                "E0401",
                w_span,
                "the size of a kernel is known while compiling",
                "a dynamic size",
            ));
        };
        let padding = args.named("padding");
        let padding = self.padding(padding, &size, &dilation)?;
        let groups = match args.named("groups") {
            None => 1,
            Some(arg) => self.int_arg(&arg, "groups")?,
        };
        let x = self.pad_spatial(x, &padding, None, span)?;
        let (x_shape, w_shape) = (self.shape(x), self.shape(w));
        if x_shape.rank() != n_axes + 2 {
            let message = format!(
                "a convolution with {n_axes} axes takes {} dimensions, but this is {}",
                n_axes + 2,
                self.ty(x)
            );
            return Some(self.error("E0303", span, message, "batch, channels, then one a kernel axis"));
        }
        for (axis, (k, d)) in size.iter().zip(&dilation).enumerate() {
            let reach = Dim::from(d * (k - 1) + 1);
            let have = &x_shape[axis + 2];
            let facts = self.frame_ref().function.facts.clone();
            let proof = facts.prove_ge(have, &reach);
            if proof != Proof::Proved && !(self.generic && proof == Proof::Unknown) {
                return Some(self.report(
                    Diagnostic::error("E0301", format!("the kernel reaches {reach} elements, but axis {} has {have} with its padding", axis + 2))
                        .label(span, format!("this is {} with padding", self.ty(x)))
                        .label(w_span, format!("the kernel is {}", self.ty(w))),
                ));
            }
        }
        let facts = self.frame_ref().function.facts.clone();
        let (Some(x_group), Some(w_group)) = (
            x_shape[1].exact_div(&Dim::from(groups.max(1)), &facts),
            w_shape[0].exact_div(&Dim::from(groups.max(1)), &facts),
        ) else {
            let message = format!(
                "{groups} groups do not divide {} input and {} output channels",
                x_shape[1], w_shape[0]
            );
            return Some(self.error("E0306", args.span, message, "channels are split evenly among groups"));
        };
        if self.equal(&x_group, &w_shape[1]) != Proof::Proved && !self.generic {
            return Some(
                self.report(
                    Diagnostic::error(
                        "E0301",
                        format!(
                            "the kernel takes {} channels, but the input has {x_group} a group",
                            w_shape[1]
                        ),
                    )
                    .label(span, format!("this is {}", self.ty(x)))
                    .label(w_span, format!("the kernel is {}", self.ty(w))),
                ),
            );
        }
        if groups <= 1 {
            return self.contract_conv(x, w, &stride, &dilation, None, args.span).map(Value::Tensor);
        }
        // A group is one more index: split it off, contract, join it again.
        let split = |shape: &Shape, axis: usize, width: &Dim| {
            let mut dims = shape.0.clone();
            dims[axis] = width.clone();
            dims.insert(axis, Dim::from(groups));
            Shape(dims)
        };
        let x = self.add(ops::Reshape { shape: split(&x_shape, 1, &x_group) }, &[x], args.span)?;
        let w = self.add(ops::Reshape { shape: split(&w_shape, 0, &w_group) }, &[w], args.span)?;
        let y = self.contract_conv(x, w, &stride, &dilation, Some(groups), args.span)?;
        let mut dims = self.shape(y).0;
        dims.remove(1);
        dims[1] = w_shape[0].clone();
        self.add(ops::Reshape { shape: Shape(dims) }, &[y], args.span).map(Value::Tensor)
    }

    /// `y[n, (g,) o, i…] = Σ x[n, (g,) c, stride·i + dilation·u…] · w[(g,) o, c, u…]` of a padded `x`.
    fn contract_conv(
        &mut self,
        x: NodeId,
        w: NodeId,
        stride: &[i64],
        dilation: &[i64],
        groups: Option<i64>,
        span: Span,
    ) -> Option<NodeId> {
        use ops::Subscript;
        let g = usize::from(groups.is_some());
        let (x_shape, w_shape) = (self.shape(x), self.shape(w));
        let n_axes = stride.len();
        let (mut extents, mut out) = (vec![x_shape[0].clone()], vec![0]);
        let (mut lhs, mut rhs) = (vec![Subscript::index(0)], Vec::new());
        if g == 1 {
            extents.push(x_shape[1].clone());
            out.push(1);
            lhs.push(Subscript::index(1));
            rhs.push(Subscript::index(1));
        }
        let o = extents.len();
        extents.push(w_shape[g].clone());
        out.push(o);
        rhs.push(Subscript::index(o));
        let first = extents.len();
        for axis in 0..n_axes {
            let size = &w_shape[g + 2 + axis];
            let reach = (size - 1) * dilation[axis];
            let count = (&x_shape[g + 2 + axis] - reach - 1).div_floor(&Dim::from(stride[axis])) + 1;
            out.push(extents.len());
            extents.push(count);
        }
        let c = extents.len();
        extents.push(x_shape[g + 1].clone());
        lhs.push(Subscript::index(c));
        rhs.push(Subscript::index(c));
        for axis in 0..n_axes {
            let u = extents.len();
            extents.push(w_shape[g + 2 + axis].clone());
            lhs.push(Subscript {
                terms: vec![(stride[axis], first + axis), (dilation[axis], u)],
                offset: Dim::from(0i64),
            });
            rhs.push(Subscript::index(u));
        }
        self.add(ops::Contract { extents, out, lhs, rhs }, &[x, w], span)
    }

    /// `_windows(x, size, stride:, padding:, value:, inside:)`: windows over the last axes, one further axis each. With
    /// `inside` every window must hold an element that is not padding.
    pub(super) fn windows(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (x, span) = self.tensor_arg(args, "x")?;
        let size_arg = self.need(args, "size")?;
        let Value::List(items) = &size_arg.value else {
            return Some(self.error(
                "E0305",
                size_arg.span,
                "`size` is a list, one number an axis",
                size_arg.value.kind(),
            ));
        };
        let n_axes = items.len();
        let size_span = size_arg.span;
        let size = self.spatial(Some(size_arg.clone()), n_axes, 1, 1, "size")?;
        let stride = match args.named("stride") {
            None => size.clone(),
            Some(arg) => self.spatial(Some(arg), n_axes, 1, 1, "stride")?,
        };
        let dilation = args.named("dilation");
        let dilation = self.spatial(dilation, n_axes, 1, 1, "dilation")?;
        let padding = args.named("padding");
        let padding = self.padding(padding, &size, &dilation)?;
        let value = args.named("value");
        if self.bool_arg(args, "inside", false)? {
            let reach = size.iter().zip(&dilation).map(|(size, dilation)| dilation * (size - 1) + 1);
            if let Some((reach, (low, high))) =
                reach.zip(&padding).find(|(reach, (low, high))| low.max(high) >= reach)
            {
                let message =
                    format!("a window of {reach} could lie in the padding alone, which is {}", low.max(high));
                return Some(self.error(
                    "E0401",
                    size_span,
                    message,
                    "windows are larger than their padding",
                ));
            }
        }
        let rank = self.ty(x).rank();
        if rank < n_axes {
            return Some(self.error(
                "E0303",
                span,
                format!("{n_axes} axes are pooled, but this is {}", self.ty(x)),
                "too few axes",
            ));
        }
        let x = self.pad_spatial(x, &padding, value, span)?;
        let axes: Vec<usize> = (rank - n_axes..rank).collect();
        for (axis, (k, d)) in axes.iter().zip(size.iter().zip(&dilation)) {
            let reach = Dim::from(d * (k - 1) + 1);
            let have = self.shape(x)[*axis].clone();
            let facts = self.frame_ref().function.facts.clone();
            let proof = facts.prove_ge(&have, &reach);
            if proof != Proof::Proved && !(self.generic && proof == Proof::Unknown) {
                return Some(
                    self.report(
                        Diagnostic::error(
                            "E0301",
                            format!("a window of {reach} does not fit axis {axis}, which has {have}"),
                        )
                        .label(span, format!("this is {}", self.ty(x)))
                        .label(size_span, "the size of the window"),
                    ),
                );
            }
        }
        Some(Self::tensor_or_error(self.add_at(
            ops::Window { axes, size, stride, dilation }.into(),
            &[x],
            args.span,
            &[span],
        )))
    }
}
