//! Shapes and places: what moves elements without computing.

use super::Args;
use crate::{arith::Places, checker::Checker, value::Value};
use base::{Diagnostic, Span};
use graph::{NodeId, ops};
use shape::{Dim, Proof, Shape};

impl<'p> Checker<'p> {
    pub(super) fn reshape(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let dims = self.need(args, "dims")?;
        let shape = self.dims_arg(&dims)?;
        if self.generic && self.equal(&shape.elements(), &self.shape(id).elements()) == Proof::Unknown {
            return Some(Value::Error);
        }
        Some(Self::tensor_or_error(self.add_at(ops::Reshape { shape }.into(), &[id], args.span, &[span])))
    }

    pub(super) fn transpose(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let rank = self.ty(id).rank();
        let perm: Vec<usize> = match args.take("axes") {
            None => (0..rank).rev().collect(),
            Some(arg) => match &arg.value {
                Value::List(items) => {
                    let mut perm = Vec::new();
                    for item in items.iter() {
                        let Value::Int(axis) = item else {
                            return Some(self.error(
                                "E0401",
                                arg.span,
                                "axes are whole numbers known while compiling",
                                item.kind(),
                            ));
                        };
                        perm.push(self.axis_of(*axis, rank, arg.span)?);
                    }
                    perm
                }
                other => {
                    return Some(self.error(
                        "E0401",
                        arg.span,
                        "axes are a list, as in `[1, 0]`",
                        other.kind(),
                    ));
                }
            },
        };
        Some(Self::tensor_or_error(self.add_at(ops::Transpose { perm }.into(), &[id], args.span, &[span])))
    }

    pub(super) fn broadcast_call(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let dims = self.need(args, "dims")?;
        let shape = self.dims_arg(&dims)?;
        Some(Self::tensor_or_error(self.add_at(ops::Broadcast { shape }.into(), &[id], args.span, &[span])))
    }

    pub(super) fn concat(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let list = self.need(args, "tensors")?;
        let axis = args.take("axis");
        let (Value::List(items) | Value::Tuple(items)) = &list.value else {
            let message = format!("`{name}` takes a list of tensors, but this is {}", list.value.kind());
            return Some(self.error("E0305", list.span, message, list.value.kind()));
        };
        if items.is_empty() {
            return Some(self.error(
                "E0305",
                list.span,
                format!("`{name}` needs at least one tensor"),
                "empty",
            ));
        }
        let hint = items.iter().find_map(|item| match item {
            Value::Tensor(id) => Some(self.ty(*id).dtype),
            _ => None,
        });
        let mut ids = Vec::new();
        for item in items.iter() {
            let id = self.tensor(item, hint, list.span)?;
            // `float` wins over a stated floating dtype, as everywhere.
            if let Some(first) = ids.first().copied() {
                let (a, b) = self.same_dtype(first, id, Places::all(list.span), name)?;
                if a != first {
                    ids[0] = a;
                }
                ids.push(b);
            } else {
                ids.push(id);
            }
        }
        let rank = self.ty(ids[0]).rank() + usize::from(name == "stack");
        let axis = match axis {
            None => 0,
            Some(arg) => {
                let axis = self.int_arg(&arg, "axis")?;
                self.axis_of(axis, rank, arg.span)?
            }
        };
        if name == "stack" {
            for id in &mut ids {
                let mut dims = self.shape(*id).0;
                if axis > dims.len() {
                    return Some(self.error(
                        "E0303",
                        list.span,
                        "`stack` needs tensors of one shape",
                        "ranks differ",
                    ));
                }
                dims.insert(axis, Dim::from(1i64));
                *id = self.add(ops::Reshape { shape: Shape(dims) }, &[*id], list.span)?;
            }
        }
        let places = vec![list.span; ids.len()];
        Some(Self::tensor_or_error(self.add_at(ops::Concat { axis }.into(), &ids, args.span, &places)))
    }

    /// `split(x, 3, axis: -1)`: equal parts, as a tuple.
    pub(super) fn split(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let parts_arg = self.need(args, "parts")?;
        let parts = self.int_arg(&parts_arg, "parts")?;
        let shape = self.shape(id);
        let axis = match args.take("axis") {
            None => 0,
            Some(arg) => {
                let axis = self.int_arg(&arg, "axis")?;
                self.axis_of(axis, shape.rank(), arg.span)?
            }
        };
        if !(1..=4096).contains(&parts) || shape.rank() == 0 {
            return Some(self.error(
                "E0401",
                parts_arg.span,
                format!("`split` makes 1 to 4096 parts, not {parts}"),
                "out of range",
            ));
        }
        let facts = self.frame_ref().function.facts.clone();
        let even = shape[axis].exact_div(&Dim::from(parts), &facts);
        let Some(width) = even.or_else(|| self.generic.then(|| shape[axis].div_floor(&Dim::from(parts))))
        else {
            return Some(
                self.report(
                    Diagnostic::error(
                        "E0306",
                        format!(
                            "axis {axis} has {}, which does not split into {parts} equal parts",
                            shape[axis]
                        ),
                    )
                    .label(span, format!("this is {}", self.ty(id)))
                    .label(parts_arg.span, "that many parts"),
                ),
            );
        };
        let mut items = Vec::new();
        for part in 0..parts {
            let part = self.part(id, axis, &width * part, width.clone(), args.span)?;
            items.push(Value::Tensor(part));
        }
        Some(Value::tuple(items))
    }

    fn part(&mut self, id: NodeId, axis: usize, start: Dim, extent: Dim, span: Span) -> Option<NodeId> {
        let shape = self.shape(id);
        let mut starts = vec![Dim::from(0i64); shape.rank()];
        let mut extents = shape.0;
        starts[axis] = start;
        extents[axis] = extent;
        let stride = vec![1; starts.len()];
        self.add(ops::Slice { start: starts, extent: extents, stride }, &[id], span)
    }

    pub(super) fn squeeze(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let arg = self.need(args, "axis")?;
        let axis = self.int_arg(&arg, "axis")?;
        let mut dims = self.shape(id).0;
        if name == "unsqueeze" {
            let axis = self.axis_of(axis, dims.len() + 1, arg.span)?;
            dims.insert(axis, Dim::from(1i64));
        } else {
            let axis = self.axis_of(axis, dims.len(), arg.span)?;
            if !dims[axis].is_const(1) {
                let message = format!("axis {axis} has {}, and only an axis of 1 can be dropped", dims[axis]);
                return Some(self.report(
                    Diagnostic::error("E0301", message).label(span, format!("this is {}", self.ty(id))),
                ));
            }
            dims.remove(axis);
        }
        Some(Self::tensor_or_error(self.add(ops::Reshape { shape: Shape(dims) }, &[id], args.span)))
    }

    /// All axes but the first become one.
    pub(super) fn flatten(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let shape = self.shape(id);
        if shape.rank() == 0 {
            return Some(self.error(
                "E0303",
                span,
                "`flatten` keeps axis 0, but a scalar has none",
                "a scalar",
            ));
        }
        let rest: Dim = shape[1..].iter().product();
        let shape = Shape(vec![shape[0].clone(), rest]);
        Some(Self::tensor_or_error(self.add(ops::Reshape { shape }, &[id], args.span)))
    }

    /// `size(x, axis)`: a dimension.
    pub(super) fn size(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, _) = self.tensor_arg(args, "x")?;
        let arg = self.need(args, "axis")?;
        let axis = self.int_arg(&arg, "axis")?;
        let axis = self.axis_of(axis, self.ty(id).rank(), arg.span)?;
        Some(Value::dim(self.shape(id)[axis].clone()))
    }

    /// Items of a list known now.
    pub(super) fn length(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let arg = self.need(args, "list")?;
        Some(match &arg.value {
            Value::List(items) | Value::Tuple(items) => Value::Int(items.len() as i64),
            Value::Dims(dims) => Value::Int(dims.len() as i64),
            other => self.error(
                "E0305",
                arg.span,
                format!("a list is needed, but this is {}", other.kind()),
                other.kind(),
            ),
        })
    }

    /// `_each(kernel, 2)`: one number an axis, from one for all or a list of them.
    pub(super) fn each(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let arg = self.need(args, "numbers")?;
        let count = self.need(args, "count")?;
        let count = self.int_arg(&count, "count")?;
        Some(match &arg.value {
            Value::List(items) if items.len() as i64 == count => arg.value,
            number @ (Value::Int(_) | Value::Dim(_)) => Value::list(vec![number.clone(); count as usize]),
            other => {
                let message =
                    format!("a number or a list of {count} is needed, but this is {}", other.kind());
                self.error("E0401", arg.span, message, other.kind())
            }
        })
    }
}
