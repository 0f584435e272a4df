//! Short ways to add the common operators. What would change nothing adds no node.

use super::Builder;
use crate::{DType, NodeId, Op, Type, ops};
use kernel::{Binary, Combine, Unary};
use shape::{Dim, Shape};

impl Builder<'_> {
    pub fn unary(&mut self, op: Unary, x: NodeId) -> NodeId {
        self.add(Op::from(ops::Unary { op }), &[x])
    }

    pub fn binary(&mut self, op: Binary, a: NodeId, b: NodeId) -> NodeId {
        self.add(Op::from(ops::Binary { op }), &[a, b])
    }

    /// `x op value` for a constant.
    pub fn binary_with(&mut self, op: Binary, x: NodeId, value: f64) -> NodeId {
        let value = self.full_like(x, value);
        self.binary(op, x, value)
    }

    pub fn select(&mut self, condition: NodeId, yes: NodeId, no: NodeId) -> NodeId {
        self.add(Op::from(ops::Select), &[condition, yes, no])
    }

    pub fn cast(&mut self, x: NodeId, to: DType) -> NodeId {
        if self.dtype(x) == to { x } else { self.add(Op::from(ops::Cast { to }), &[x]) }
    }

    /// A scalar constant.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> NodeId {
        self.add(Op::from(ops::Constant { dtype, shape: Vec::new(), bits: vec![value.to_bits()] }), &[])
    }

    /// A tensor of one value.
    pub fn full(&mut self, dtype: DType, shape: &Shape, value: f64) -> NodeId {
        let scalar = self.scalar(dtype, value);
        self.broadcast(scalar, shape)
    }

    pub fn full_like(&mut self, x: NodeId, value: f64) -> NodeId {
        let Type { dtype, shape } = self.ty(x).clone();
        self.full(dtype, &shape, value)
    }

    pub fn zeros_like(&mut self, x: NodeId) -> NodeId {
        self.full_like(x, 0.0)
    }

    pub fn broadcast(&mut self, x: NodeId, shape: &Shape) -> NodeId {
        if self.ty(x).shape == *shape {
            x
        } else {
            self.add(Op::from(ops::Broadcast { shape: shape.clone() }), &[x])
        }
    }

    pub fn reshape(&mut self, x: NodeId, shape: &Shape) -> NodeId {
        if self.ty(x).shape == *shape {
            x
        } else {
            self.add(Op::from(ops::Reshape { shape: shape.clone() }), &[x])
        }
    }

    pub fn transpose(&mut self, x: NodeId, perm: &[usize]) -> NodeId {
        if perm.is_sorted() { x } else { self.add(Op::from(ops::Transpose { perm: perm.to_vec() }), &[x]) }
    }

    /// Moves an axis, the others keep their order.
    pub fn move_axis(&mut self, x: NodeId, from: usize, to: usize) -> NodeId {
        let mut perm: Vec<usize> = (0..self.ty(x).rank()).collect();
        let axis = perm.remove(from);
        perm.insert(to, axis);
        self.transpose(x, &perm)
    }

    /// Axes ascend.
    pub fn reduce(&mut self, combine: Combine, axes: &[usize], x: NodeId) -> NodeId {
        if axes.is_empty() {
            x
        } else {
            self.add(Op::from(ops::Reduce { combine, axes: axes.to_vec() }), &[x])
        }
    }

    /// Undoes the loss of axes by a reduction: they come back with the extents of `shape`, along which the values
    /// repeat.
    pub fn spread(&mut self, x: NodeId, axes: &[usize], shape: &Shape) -> NodeId {
        let kept: Shape = (0..shape.rank())
            .map(|axis| if axes.contains(&axis) { Dim::from(1i64) } else { shape[axis].clone() })
            .collect();
        let x = self.reshape(x, &kept);
        self.broadcast(x, shape)
    }

    /// The whole of all axes but one.
    pub fn slice_axis(&mut self, x: NodeId, axis: usize, start: &Dim, extent: &Dim, stride: i64) -> NodeId {
        let mut slice = ops::Slice::whole(&self.ty(x).shape);
        slice.start[axis] = start.clone();
        slice.extent[axis] = extent.clone();
        slice.stride[axis] = stride;
        self.add(Op::from(slice), &[x])
    }

    /// The elements along an axis in the opposite order.
    pub fn reverse(&mut self, x: NodeId, axis: usize) -> NodeId {
        let extent = self.ty(x).shape[axis].clone();
        self.slice_axis(x, axis, &(&extent - 1), &extent, -1)
    }

    /// 0, 1, 2, … along an axis of the shape.
    pub fn iota(&mut self, dtype: DType, shape: &Shape, axis: usize) -> NodeId {
        let iota = self.add(Op::from(ops::Iota { shape: shape.clone(), axis }), &[]);
        self.cast(iota, dtype)
    }
}
