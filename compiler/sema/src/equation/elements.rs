//! Terms element by element: operands over the same indices, and reductions over some of them.

use super::{
    Equation,
    labelled::union,
    resolve::folded,
    term::{Kind, Labelled, Lowered, Term},
};
use crate::{arith::Places, call::Arg, value::Value};
use base::Span;
use grammar::ast::{BinaryOp, Reduction, UnaryOp};
use graph::{DType, NodeId, ops};
use kernel::Combine;
use shape::Dim;

impl<'p> Equation<'_, 'p> {
    pub(super) fn lower(&mut self, term: &Term<'p>) -> Option<Lowered<'p>> {
        match &term.kind {
            Kind::Value(value) => Some(self.lowered(value.clone())),
            Kind::Count(dim) => Some(Lowered::Count(dim.clone())),
            Kind::Access(access) => self.access(access, term.span).map(Lowered::Tensor),
            Kind::Unary(op, operand) => {
                let operand = self.lower(operand)?;
                self.unary(*op, operand, term.span)
            }
            Kind::Binary(op, sides) => {
                let [left, right] = &**sides;
                let at = Places { whole: term.span, left: left.span, right: right.span };
                let (left, right) = (self.lower(left)?, self.lower(right)?);
                self.binary(*op, left, right, at)
            }
            Kind::Call { target, name, args } => self.call(target, name, args, term.span),
            Kind::Reduce { op, op_span, indices, body } => {
                self.reduce(*op, *op_span, indices, body, term.span)
            }
        }
    }

    /// A value without indices.
    pub(super) fn lowered(&self, value: Value<'p>) -> Lowered<'p> {
        match value {
            Value::Tensor(id) => Lowered::Tensor(Labelled { id, labels: Vec::new() }),
            value => Lowered::Known(value),
        }
    }

    /// The outcome of something over these indices.
    pub(super) fn over(&self, value: Value<'p>, labels: Vec<usize>) -> Option<Lowered<'p>> {
        match value {
            Value::Error => None,
            Value::Tensor(id) => Some(Lowered::Tensor(Labelled { id, labels })),
            value => Some(Lowered::Known(value)),
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: Lowered<'p>, span: Span) -> Option<Lowered<'p>> {
        if let (UnaryOp::Neg, Lowered::Count(dim)) = (op, &operand) {
            return Some(Lowered::Count(-dim.clone()));
        }
        let labels = self.labels(&operand);
        let value = match operand {
            Lowered::Known(value) => value,
            operand => Value::Tensor(self.labelled(operand, None, span)?.id),
        };
        let value = match op {
            UnaryOp::Neg => self.checker.negate(value, span),
            UnaryOp::Not => self.checker.not(value, span),
        };
        self.over(value, labels)
    }

    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        left: Lowered<'p>,
        right: Lowered<'p>,
        at: Places,
    ) -> Option<Lowered<'p>> {
        if let (Some(a), Some(b)) = (count_of(&left), count_of(&right))
            && matches!((&left, &right), (Lowered::Count(_), _) | (_, Lowered::Count(_)))
        {
            if let Some(dim) = folded(op, &a, &b) {
                let indexed = !self.labels_of(&dim).is_empty();
                return Some(if indexed { Lowered::Count(dim) } else { Lowered::Known(Value::dim(dim)) });
            }
            // Whole numbers are compared as such.
            if op.is_comparison() {
                let small = |dim: &Dim| {
                    dim.as_const().is_some_and(|number| number.abs() < 1 << 30)
                        || dim.as_symbol().is_some_and(|symbol| self.index_of(&symbol).is_some())
                };
                let dtype = if small(&a) && small(&b) { DType::I32 } else { DType::I64 };
                let left = self.counted(&a, dtype, at.left)?;
                let right = self.counted(&b, dtype, at.right)?;
                return self.binary(op, Lowered::Tensor(left), Lowered::Tensor(right), at);
            }
        }
        let labels = union(&self.labels(&left), &self.labels(&right));
        let hints = [self.dtype_of(&right), self.dtype_of(&left)];
        let mut sides = Vec::new();
        for ((side, hint), span) in [left, right].into_iter().zip(hints).zip([at.left, at.right]) {
            sides.push(self.operand(side, hint, &labels, span)?);
        }
        let [left, right] = <[Value<'p>; 2]>::try_from(sides).ok()?;
        let value = self.checker.binary(op, left, right, at);
        self.over(value, labels)
    }

    /// A value as an operand among tensors over these indices: what varies with none of them stretches by itself.
    pub(super) fn operand(
        &mut self,
        value: Lowered<'p>,
        hint: Option<DType>,
        labels: &[usize],
        span: Span,
    ) -> Option<Value<'p>> {
        match value {
            Lowered::Known(value) => Some(value),
            value => {
                let tensor = self.labelled(value, hint, span)?;
                if tensor.labels.is_empty() {
                    return Some(Value::Tensor(tensor.id));
                }
                self.aligned(&tensor, labels, span).map(Value::Tensor)
            }
        }
    }

    fn reduce(
        &mut self,
        op: Reduction,
        op_span: Span,
        indices: &[usize],
        body: &Term<'p>,
        span: Span,
    ) -> Option<Lowered<'p>> {
        match op {
            Reduction::Sum => return self.sum(indices, body, span),
            Reduction::Mean => return self.mean(indices, body, span),
            _ => {}
        }
        let lowered = self.lower(body)?;
        let tensor = self.labelled(lowered, None, body.span)?;
        let labels = union(&tensor.labels, indices);
        let id = self.aligned(&tensor, &labels, body.span)?;
        let axes: Vec<usize> = positions(&labels, indices);
        let kept: Vec<usize> = labels.into_iter().filter(|label| !indices.contains(label)).collect();
        let combine = match op {
            Reduction::Prod => Combine::Product,
            Reduction::Max => Combine::Max,
            Reduction::Min => Combine::Min,
            Reduction::Any => Combine::Any,
            Reduction::All => Combine::All,
            Reduction::Argmax => Combine::ArgMax,
            Reduction::Argmin => Combine::ArgMin,
            Reduction::Logsumexp => {
                let axes = axes.iter().map(|axis| Value::Int(*axis as i64)).collect();
                return self.logsumexp(id, Value::list(axes), kept, span);
            }
            Reduction::Sum | Reduction::Mean => return None,
        };
        if matches!(op, Reduction::Argmax | Reduction::Argmin) {
            let [index] = indices else {
                let message =
                    format!("`{}` picks along one index, but {} are named", op.word(), indices.len());
                self.checker.error("E0317", op_span, message, "one index here");
                return None;
            };
            let start = self.start(*index);
            let place =
                self.checker.add_at(ops::Reduce { combine, axes }.into(), &[id], span, &[body.span])?;
            if start.is_const(0) {
                return Some(Lowered::Tensor(Labelled { id: place, labels: kept }));
            }
            let at = Places::all(span);
            let value = self.checker.binary(BinaryOp::Add, Value::Tensor(place), Value::dim(start), at);
            return self.over(value, kept);
        }
        let id = self.checker.add_at(ops::Reduce { combine, axes }.into(), &[id], span, &[body.span])?;
        Some(Lowered::Tensor(Labelled { id, labels: kept }))
    }

    /// The library's, which does not overflow.
    fn logsumexp(
        &mut self,
        id: NodeId,
        axes: Value<'p>,
        labels: Vec<usize>,
        span: Span,
    ) -> Option<Lowered<'p>> {
        let function = self.checker.library_function("logsumexp")?;
        let args = vec![Arg::positional(Value::Tensor(id), span), Arg::positional(axes, span)];
        let value = self.checker.apply(function, args, span, span);
        self.over(value, labels)
    }
}

/// Where the indices stand among the labels.
pub(super) fn positions(labels: &[usize], indices: &[usize]) -> Vec<usize> {
    labels.iter().enumerate().filter(|(_, label)| indices.contains(label)).map(|(axis, _)| axis).collect()
}

fn count_of(value: &Lowered<'_>) -> Option<Dim> {
    match value {
        Lowered::Count(dim) => Some(dim.clone()),
        Lowered::Known(value) => value.as_dim(),
        Lowered::Tensor(_) => None,
    }
}
