//! Rows picked along an axis by an integer tensor: that axis is replaced by the shape of the index.
//! Operands: the tensor, the index. An index out of bounds ends the run with a status.

use super::batching::{stretched, with_leading};
use super::evaluation::{NOT_FLOAT, each, map_form};
use super::operands::{axis_in_range, needs, take};
use super::sampling::{floats, integers, smooth};
use super::{ScatterAdd, Size};
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Binary, Expr, Form};
use shape::{Dim, Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gather {
    pub axis: usize,
}

impl Operator for Gather {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x, index] = take("gather", inputs)?;
        axis_in_range("gather", self.axis, 0, x)?;
        needs("gather", "an integer index", 1, index, index.dtype.is_int())?;
        Ok(vec![Type::new(x.dtype, gathered(&x.shape, self.axis, &index.shape))])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        if !b.dtype(dout).is_float() {
            return vec![Grad::None(NOT_FLOAT); 2];
        }
        let zeros = b.zeros_like(inputs[0]);
        let dx = b.add(ScatterAdd { axis: self.axis }.into(), &[zeros, inputs[1], dout]);
        vec![Grad::Value(dx), Grad::None("an index has no derivative")]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        _: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        Ok(tangents[0].map(|tangent| b.add(self.clone().into(), &[tangent, inputs[1]])))
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        let (x, index) = (inputs[0], inputs[1]);
        match (batched[0], batched[1]) {
            (true, false) => b.try_add(Gather { axis: self.axis + 1 }.into(), &[x, index]),
            (false, false) => {
                let rows = b.try_add(self.clone().into(), &[x, index])?;
                Ok(stretched(b, rows, false, size))
            }
            (false, true) => {
                let rows = b.try_add(self.clone().into(), &[x, index])?;
                Ok(b.move_axis(rows, self.axis, 0))
            }
            // Lanes and rows become one axis.
            (true, true) => {
                let (flat, rows) = lanes_and_rows(b, x, self.axis, size);
                let index = row_of_lane(b, index, size, &rows);
                let picked = b.try_add(Gather { axis: 0 }.into(), &[flat, index])?;
                Ok(rows_to_axis(b, picked, b.ty(index).rank() - 1, self.axis))
            }
        }
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let [x, index] = [inputs[0], inputs[1]];
        let rows = x.shape()[self.axis];
        let rank = index.shape().len();
        let mut outside = None;
        let result = each(output, |place| {
            let row = index.at(&place[self.axis..self.axis + rank]);
            if row < 0.0 || row >= rows as f64 {
                outside.get_or_insert(row);
                return f64::NAN;
            }
            let mut source = place[..self.axis].to_vec();
            source.push(row as usize);
            source.extend(&place[self.axis + rank..]);
            x.at(&source)
        })?;
        outside.map_or(Ok(result), |row| Err(out_of_bounds(row, rows)))
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let rank = cx.inputs[1].rank();
        let row = read_index(cx, &index[self.axis..self.axis + rank]);
        let mut source = index[..self.axis].to_vec();
        source.push(row);
        source.extend_from_slice(&index[self.axis + rank..]);
        cx.reader.read(0, &source)
    }

    fn samples() -> Vec<Sample> {
        let gather = |shape: &[usize], axis: usize, index: &[usize]| {
            let rows = shape[axis] as u64;
            smooth(Gather { axis }, vec![floats(shape, 1), integers(index, 2, rows)], 0.0)
        };
        vec![
            gather(&[5], 0, &[]),
            gather(&[5], 0, &[7]),
            gather(&[5, 3], 0, &[4]),
            gather(&[5, 3], 1, &[2, 2]),
            gather(&[2, 7, 3], 1, &[4]),
            gather(&[17, 33], 0, &[2, 3]),
            gather(&[5, 3], 0, &[0]),
        ]
    }
}

/// The shape with an axis replaced by the shape of the index.
pub(super) fn gathered(shape: &Shape, axis: usize, index: &Shape) -> Shape {
    shape[..axis].iter().chain(index.iter()).chain(&shape[axis + 1..]).cloned().collect()
}

/// What the values of an index operand must keep to; compiled code checks it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The operand that holds the indices.
    pub operand: usize,
    /// They are at least 0 and below this.
    pub extent: Dim,
}

impl Gather {
    pub fn bound(&self, inputs: &[&Type]) -> Bound {
        Bound { operand: 1, extent: inputs[0].shape[self.axis].clone() }
    }
}

/// An element of the index operand as i64.
pub(super) fn read_index(cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
    let row = cx.reader.read(1, index);
    if cx.reader.dtype(1) == kernel::DType::I64 { row } else { Expr::cast(kernel::DType::I64, row) }
}

pub(super) fn out_of_bounds(row: f64, rows: usize) -> EvalError {
    EvalError(format!("index {row} is out of bounds: there are {rows} rows"))
}

/// A batched tensor with lanes and the axis as one axis in front, and the extent of that axis.
pub(super) fn lanes_and_rows(b: &mut Builder<'_>, x: NodeId, axis: usize, size: &Dim) -> (NodeId, Dim) {
    let moved = b.move_axis(x, axis + 1, 1);
    let shape = b.ty(moved).shape.clone();
    let flat = with_leading(&(size * &shape[1]), &shape[2..]);
    (b.reshape(moved, &flat), shape[1].clone())
}

/// The index in the merged axis. One that is out of bounds in its lane is so there too.
pub(super) fn row_of_lane(b: &mut Builder<'_>, index: NodeId, size: &Dim, rows: &Dim) -> NodeId {
    let index = b.cast(index, DType::I64);
    let shape = b.ty(index).shape.clone();
    let rows = b.add(Size { dim: rows.clone(), dtype: DType::I64 }.into(), &[]);
    let rows = b.broadcast(rows, &shape);
    let lane = b.iota(DType::I64, &Shape(vec![size.clone()]), 0);
    let others: Vec<usize> = (1..shape.rank()).collect();
    let lane = b.spread(lane, &others, &shape);
    let start = b.binary(Binary::Mul, lane, rows);
    let row = b.binary(Binary::Add, start, index);
    let zero = b.zeros_like(index);
    let low = b.binary(Binary::Ge, index, zero);
    let high = b.binary(Binary::Lt, index, rows);
    let inside = b.binary(Binary::And, low, high);
    let nowhere = b.full_like(index, -1.0);
    b.select(inside, row, nowhere)
}

/// From `[lane, index…, before…, after…]` to `[lane, before…, index…, after…]`.
pub(super) fn rows_to_axis(b: &mut Builder<'_>, x: NodeId, index_rank: usize, axis: usize) -> NodeId {
    let rank = b.ty(x).rank();
    let index = 1..1 + index_rank;
    let before = index.end..index.end + axis;
    let perm: Vec<usize> =
        std::iter::once(0).chain(before.clone()).chain(index).chain(before.end..rank).collect();
    b.transpose(x, &perm)
}

/// From `[lane, before…, index…, after…]` to `[lane, index…, before…, after…]`.
pub(super) fn axis_to_rows(b: &mut Builder<'_>, x: NodeId, index_rank: usize, axis: usize) -> NodeId {
    let rank = b.ty(x).rank();
    let before = 1..1 + axis;
    let index = before.end..before.end + index_rank;
    let perm: Vec<usize> =
        std::iter::once(0).chain(index.clone()).chain(before).chain(index.end..rank).collect();
    b.transpose(x, &perm)
}
