//! Elements picked and placed by integer tensors.

use super::Args;
use crate::{arith::Places, checker::Checker, value::Value};
use base::{Diagnostic, Span};
use graph::{DType, NodeId, ops};
use kernel::Binary;
use shape::{Proof, Shape};

impl<'p> Checker<'p> {
    pub(super) fn gather(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let (index, index_span) = self.tensor_arg(args, "index")?;
        let axis = if name == "gather" { self.axis_arg(args, self.ty(id).rank(), 0)? } else { 0 };
        let gather = ops::Gather { axis, lanes: 0 };
        let place = self.user_place(args.span);
        Some(Self::tensor_or_error(self.add_at(gather.into(), &[id, index], place, &[span, index_span])))
    }

    /// `take_along(x, index, axis: -1)`: all other axes are those of `x`, each place has indices of its own.
    pub(super) fn take_along(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let (index, index_span) = self.tensor_arg(args, "index")?;
        let axis = self.need(args, "axis")?;
        let number = self.int_arg(&axis, "axis")?;
        let axis = self.axis_of(number, self.ty(id).rank(), axis.span)?;
        let (ty, index_ty) = (self.ty(id).clone(), self.ty(index).clone());
        let agree = |checker: &Self, k: usize| {
            k == axis || checker.equal(&ty.shape[k], &index_ty.shape[k]) == Proof::Proved
        };
        if ty.rank() != index_ty.rank() || !(0..ty.rank()).all(|k| agree(self, k)) {
            if self.generic {
                return Some(Value::Error);
            }
            let message = format!(
                "`take_along` needs an index of the shape {}, but for axis {axis}, and this is {}",
                ty.shape, index_ty.shape
            );
            let fault = Diagnostic::error("E0301", message).label(index_span, format!("this is {index_ty}"));
            return Some(self.report(fault.label(span, format!("this is {ty}"))));
        }
        let last = ty.rank() - 1;
        let x = self.moved(id, axis, last, span)?;
        let places = self.moved(index, axis, last, span)?;
        let gather = ops::Gather { axis: last, lanes: last };
        let place = self.user_place(args.span);
        let picked = self.add_at(gather.into(), &[x, places], place, &[span, index_span])?;
        self.moved(picked, last, axis, span).map(Value::Tensor)
    }

    pub(super) fn scatter_add(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let (index, index_span) = self.tensor_arg(args, "index")?;
        let (update, update_span) = self.tensor_arg(args, "update")?;
        let axis = self.axis_arg(args, self.ty(id).rank(), 0)?;
        let scatter = ops::ScatterAdd { axis, lanes: 0 };
        let place = self.user_place(args.span);
        let places = [span, index_span, update_span];
        Some(Self::tensor_or_error(self.add_at(scatter.into(), &[id, index, update], place, &places)))
    }

    /// `write(x, update, at: t, axis: 1)`: `x` with a part replaced, which begins at a place known when it runs.
    pub(super) fn write(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let (update, update_span) = self.tensor_arg(args, "update")?;
        let at = self.need(args, "at")?;
        let axis = self.axis_arg(args, self.ty(id).rank(), 0)?;
        let (x, update) = self.same_dtype(
            id,
            update,
            Places { whole: args.span, left: span, right: update_span },
            "write",
        )?;
        let start = self.tensor(&at.value, Some(DType::I32), at.span)?;
        let start_ty = self.ty(start).clone();
        if !start_ty.dtype.is_int() || start_ty.rank() != 0 {
            let message = format!("`write` begins at a whole number, but this is {start_ty}");
            return Some(self.error("E0302", at.span, message, format!("this is {start_ty}")));
        }
        let (ty, update_ty) = (self.ty(x).clone(), self.ty(update).clone());
        let agree = |checker: &Self, k: usize| {
            k == axis || checker.equal(&ty.shape[k], &update_ty.shape[k]) == Proof::Proved
        };
        if ty.rank() != update_ty.rank() || !(0..ty.rank()).all(|k| agree(self, k)) {
            if self.generic {
                return Some(Value::Error);
            }
            let message = format!(
                "`write` needs an update of the shape {}, but for axis {axis}, and this is {}",
                ty.shape, update_ty.shape
            );
            let fault =
                Diagnostic::error("E0301", message).label(update_span, format!("this is {update_ty}"));
            return Some(self.report(fault.label(span, format!("this is {ty}"))));
        }
        // What is replaced becomes 0, the update is added there; its places are checked as those of any index.
        let bits = ty.dtype.is_bool();
        let number = |checker: &mut Self, id| {
            if bits { checker.cast(id, DType::Of(kernel::DType::U8), span) } else { Some(id) }
        };
        let (x, update) = (number(self, x)?, number(self, update)?);
        let place = self.user_place(args.span);
        let length = update_ty.shape[axis].clone();
        let places = self.counted(start, &Shape(vec![length.clone()]), 0, span)?;
        let own = self.counted_from_zero(start_ty.dtype, &ty.shape, axis, span)?;
        let first = self.broadcast_to(start, &ty.shape, span)?;
        let offset = self.add(ops::Binary { op: Binary::Sub }, &[own, first], span)?;
        let zero = self.scalar(start_ty.dtype, 0.0);
        let zero = self.broadcast_to(zero, &ty.shape, span)?;
        let length = self.add(ops::Size { dim: length, dtype: start_ty.dtype }, &[], span)?;
        let length = self.broadcast_to(length, &ty.shape, span)?;
        let low = self.add(ops::Binary { op: Binary::Ge }, &[offset, zero], span)?;
        let high = self.add(ops::Binary { op: Binary::Lt }, &[offset, length], span)?;
        let inside = self.add(ops::Binary { op: Binary::And }, &[low, high], span)?;
        let nothing = self.scalar(self.ty(x).dtype, 0.0);
        let nothing = self.broadcast_to(nothing, &ty.shape, span)?;
        let kept = self.add(ops::Select, &[inside, nothing, x], span)?;
        let scatter = ops::ScatterAdd { axis, lanes: 0 };
        let written =
            self.add_at(scatter.into(), &[kept, places, update], place, &[span, at.span, update_span])?;
        let written = if bits { self.cast(written, DType::BOOL, span)? } else { written };
        Some(Value::Tensor(written))
    }

    /// `argsort(x, axis: -1, descending: false)`: indices that put the axis in order.
    pub(super) fn argsort(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let axis = self.axis_arg(args, self.ty(id).rank(), -1)?;
        let descending = self.bool_arg(args, "descending", false)?;
        let order = self.add_at(ops::Argsort { axis, descending }.into(), &[id], args.span, &[span])?;
        Some(Value::Tensor(order))
    }

    /// `cumsum(x, axis: -1, reverse: false)`, `cumprod`: the sum or product of all up to each.
    pub(super) fn cumulated(&mut self, name: &str, args: &mut Args<'p>) -> Option<Value<'p>> {
        let (id, span) = self.tensor_arg(args, "x")?;
        let ty = self.ty(id).clone();
        let axis = self.axis_arg(args, ty.rank(), -1)?;
        let reverse = self.bool_arg(args, "reverse", false)?;
        let op = ops::Cumulative { axis, reverse, leading: false };
        let (factors, terms) = if name == "cumsum" {
            let one = self.scalar(ty.dtype, 1.0);
            (self.broadcast_to(one, &ty.shape, span)?, id)
        } else {
            // The first is a term, all others are factors: no division, so zeros are as good as any.
            let first = if reverse { &ty.shape[axis] - 1 } else { 0i64.into() };
            let first = self.add(ops::Size { dim: first, dtype: DType::I32 }, &[], span)?;
            let first = self.broadcast_to(first, &ty.shape, span)?;
            let own = self.counted_from_zero(DType::I32, &ty.shape, axis, span)?;
            let is_first = self.add(ops::Binary { op: Binary::Eq }, &[own, first], span)?;
            let zero = self.scalar(ty.dtype, 0.0);
            let zero = self.broadcast_to(zero, &ty.shape, span)?;
            (id, self.add(ops::Select, &[is_first, id, zero], span)?)
        };
        Some(Self::tensor_or_error(self.add_at(op.into(), &[factors, terms], args.span, &[span, span])))
    }

    /// 0, 1, 2, … along an axis, in an integer dtype.
    fn counted_from_zero(&mut self, dtype: DType, shape: &Shape, axis: usize, span: Span) -> Option<NodeId> {
        let iota = self.add(ops::Iota { shape: shape.clone(), axis }, &[], span)?;
        self.cast(iota, dtype, span)
    }

    /// `start`, `start + 1`, … along an axis.
    fn counted(&mut self, start: NodeId, shape: &Shape, axis: usize, span: Span) -> Option<NodeId> {
        let steps = self.counted_from_zero(self.ty(start).dtype, shape, axis, span)?;
        let start = self.broadcast_to(start, shape, span)?;
        self.add(ops::Binary { op: Binary::Add }, &[start, steps], span)
    }

    /// `axis`, by name or by position.
    pub(super) fn axis_arg(&mut self, args: &mut Args<'p>, rank: usize, default: i64) -> Option<usize> {
        match args.take("axis") {
            None => self.axis_of(default, rank, args.span),
            Some(arg) => {
                let axis = self.int_arg(&arg, "axis")?;
                self.axis_of(axis, rank, arg.span)
            }
        }
    }

    /// An axis at another position, the others in their order.
    pub(super) fn moved(&mut self, id: NodeId, from: usize, to: usize, span: Span) -> Option<NodeId> {
        if from == to {
            return Some(id);
        }
        let mut perm: Vec<usize> = (0..self.ty(id).rank()).collect();
        let axis = perm.remove(from);
        perm.insert(to, axis);
        self.add(ops::Transpose { perm }, &[id], span)
    }

    /// What a run-time error points at: for a function of the library that the user calls, the call. A layer of the
    /// library is built once for all its uses, so there it stays the place in the library.
    fn user_place(&self, span: Span) -> Span {
        let in_library = self.frame_ref().def.is_some_and(|def| self.program.is_std(def));
        if self.program.is_users(span) || in_library {
            return span;
        }
        let call = self.calls.iter().rev().find(|(_, at)| self.program.is_users(*at));
        call.map_or(span, |(_, at)| *at)
    }
}
