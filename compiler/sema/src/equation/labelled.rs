//! Tensors whose axes are indices.

use super::{
    Equation,
    term::{Labelled, Lowered},
};
use crate::value::Value;
use base::Span;
use graph::{DType, NodeId, ops};
use shape::{Dim, Shape};

impl<'p> Equation<'_, 'p> {
    /// A value as a tensor. Numbers take `hint`, or `float`.
    pub(super) fn labelled(
        &mut self,
        value: Lowered<'p>,
        hint: Option<DType>,
        span: Span,
    ) -> Option<Labelled> {
        match value {
            Lowered::Tensor(tensor) => Some(tensor),
            Lowered::Known(value) => {
                let id = self.checker.tensor(&value, hint, span)?;
                Some(Labelled { id, labels: Vec::new() })
            }
            Lowered::Count(dim) => {
                let dtype = hint.filter(|dtype| !dtype.is_bool()).unwrap_or(self.checker.float());
                self.counted(&dim, dtype, span)
            }
        }
    }

    pub(super) fn labels(&self, value: &Lowered<'p>) -> Vec<usize> {
        match value {
            Lowered::Known(_) => Vec::new(),
            Lowered::Count(dim) => self.labels_of(dim),
            Lowered::Tensor(tensor) => tensor.labels.clone(),
        }
    }

    pub(super) fn dtype_of(&self, value: &Lowered<'p>) -> Option<DType> {
        match value {
            Lowered::Tensor(tensor) => Some(self.checker.ty(tensor.id).dtype),
            Lowered::Known(Value::Bool(_)) => Some(DType::BOOL),
            _ => None,
        }
    }

    pub(super) fn space(&self, labels: &[usize]) -> Shape {
        labels.iter().map(|label| self.extent(*label)).collect()
    }

    /// The tensor over all these indices, its own among them, in this order, which ascends.
    pub(super) fn aligned(&mut self, tensor: &Labelled, labels: &[usize], span: Span) -> Option<NodeId> {
        let shape = self.space(labels);
        let first = labels.iter().position(|label| tensor.labels.contains(label)).unwrap_or(labels.len());
        let mut kept = Vec::new();
        for label in &labels[first..] {
            kept.push(if tensor.labels.contains(label) { self.extent(*label) } else { Dim::from(1i64) });
        }
        let id = self.reshaped(tensor.id, &Shape(kept), span)?;
        self.checker.broadcast_to(id, &shape, span)
    }

    pub(super) fn reshaped(&mut self, id: NodeId, shape: &Shape, span: Span) -> Option<NodeId> {
        if self.checker.ty(id).shape == *shape {
            return Some(id);
        }
        self.checker.add(ops::Reshape { shape: shape.clone() }, &[id], span)
    }

    /// The axes in the order of their labels.
    pub(super) fn sorted(&mut self, id: NodeId, labels: &[usize], span: Span) -> Option<Labelled> {
        let mut perm: Vec<usize> = (0..labels.len()).collect();
        perm.sort_by_key(|axis| labels[*axis]);
        let sorted = perm.iter().map(|axis| labels[*axis]).collect();
        let id = self.transposed(id, perm, span)?;
        Some(Labelled { id, labels: sorted })
    }

    pub(super) fn transposed(&mut self, id: NodeId, perm: Vec<usize>, span: Span) -> Option<NodeId> {
        if perm.is_sorted() { Some(id) } else { self.checker.add(ops::Transpose { perm }, &[id], span) }
    }
}

/// All labels of both, ascending.
pub(super) fn union(a: &[usize], b: &[usize]) -> Vec<usize> {
    let mut all: Vec<usize> = a.iter().chain(b).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}
