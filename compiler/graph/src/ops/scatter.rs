//! The adjoint of gather: updates are added along an axis at the places of an integer tensor.
//! Operands: base, index, updates (base's shape with the axis replaced by the shape of the index).

use super::batching::stretched;
use super::evaluation::{NOT_FLOAT, each, indices};
use super::gather::{
    Bound, Gather, axis_to_rows, gathered, lanes_and_rows, out_of_bounds, read_index, row_of_lane,
};
use super::operands::{axis_in_range, equal, needs, same_dtype, take};
use super::sampling::{floats, integers, smooth};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ScatterAdd {
    pub axis: usize,
}

impl Operator for ScatterAdd {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [base, index, updates] = take("scatter_add", inputs)?;
        axis_in_range("scatter_add", self.axis, 0, base)?;
        needs("scatter_add", "numbers", 0, base, base.dtype.is_float() || base.dtype.is_int())?;
        needs("scatter_add", "an integer index", 1, index, index.dtype.is_int())?;
        same_dtype("scatter_add", (0, base), (2, updates))?;
        let wanted = Type::new(base.dtype, gathered(&base.shape, self.axis, &index.shape));
        let fits = wanted.rank() == updates.rank()
            && wanted.shape.iter().zip(updates.shape.iter()).all(|(a, b)| equal(facts, a, b));
        if !fits {
            let message =
                format!("`scatter_add` needs updates of shape {}, but got {}", wanted.shape, updates.shape);
            return Err(Fault::shapes(message)
                .label(0, format!("this is {base}"))
                .label(1, format!("this is {index}"))
                .label(2, format!("this is {updates}"))
                .into());
        }
        Ok(vec![base.clone()])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        if !b.dtype(dout).is_float() {
            return vec![Grad::None(NOT_FLOAT); 3];
        }
        let dupdates = b.add(Gather { axis: self.axis }.into(), &[dout, inputs[1]]);
        vec![Grad::Value(dout), Grad::None("an index has no derivative"), Grad::Value(dupdates)]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        _: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        if tangents[0].is_none() && tangents[2].is_none() {
            return Ok(None);
        }
        let base = tangents[0].unwrap_or_else(|| b.zeros_like(inputs[0]));
        let updates = tangents[2].unwrap_or_else(|| b.zeros_like(inputs[2]));
        Ok(Some(b.add(self.clone().into(), &[base, inputs[1], updates])))
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        let base = stretched(b, inputs[0], batched[0], size);
        let updates = stretched(b, inputs[2], batched[2], size);
        if !batched[1] {
            return b.try_add(ScatterAdd { axis: self.axis + 1 }.into(), &[base, inputs[1], updates]);
        }
        // Lanes and rows become one axis.
        let shape = b.ty(base).shape.clone();
        let (flat, rows) = lanes_and_rows(b, base, self.axis, size);
        let index_rank = b.ty(inputs[1]).rank() - 1;
        let index = row_of_lane(b, inputs[1], size, &rows);
        let front = axis_to_rows(b, updates, index_rank, self.axis);
        let sums = b.try_add(ScatterAdd { axis: 0 }.into(), &[flat, index, front])?;
        let mut split: Vec<Dim> = vec![size.clone(), rows];
        split.extend(b.ty(sums).shape[1..].iter().cloned());
        let sums = b.reshape(sums, &Shape(split));
        let sums = b.move_axis(sums, 1, self.axis + 1);
        Ok(b.reshape(sums, &shape))
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let [base, index, updates] = [inputs[0], inputs[1], inputs[2]];
        let rows = base.shape()[self.axis];
        let rank = index.shape().len();
        let mut sums = each(output, |place| base.at(place))?;
        for place in indices(updates.shape()) {
            let row = index.at(&place[self.axis..self.axis + rank]);
            if row < 0.0 || row >= rows as f64 {
                return Err(out_of_bounds(row, rows));
            }
            let mut target = place[..self.axis].to_vec();
            target.push(row as usize);
            target.extend(&place[self.axis + rank..]);
            sums.values[target.as_slice()] += updates.at(&place);
        }
        Ok(sums)
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        Some(Form::Scatter)
    }

    /// The update at an index of the updates; [`ScatterAdd::place`] says where it is added.
    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        cx.reader.read(2, index)
    }

    fn samples() -> Vec<Sample> {
        let scatter = |shape: &[usize], axis: usize, index: &[usize]| {
            let rows = shape[axis] as u64;
            let updates: Vec<usize> =
                shape[..axis].iter().chain(index).chain(&shape[axis + 1..]).copied().collect();
            let operands = vec![floats(shape, 1), integers(index, 2, rows), floats(&updates, 3)];
            smooth(ScatterAdd { axis }, operands, 1e-6)
        };
        vec![
            scatter(&[5], 0, &[]),
            scatter(&[5], 0, &[7]),
            scatter(&[5, 3], 0, &[4]),
            scatter(&[5, 3], 1, &[2, 2]),
            scatter(&[2, 7, 3], 1, &[4]),
            scatter(&[17, 33], 0, &[2, 3]),
            scatter(&[5, 3], 0, &[0]),
        ]
    }
}

impl ScatterAdd {
    pub fn bound(&self, inputs: &[&Type]) -> Bound {
        Bound { operand: 1, extent: inputs[0].shape[self.axis].clone() }
    }

    /// The output index to which the update at `index` is added.
    pub fn place(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Vec<Expr> {
        let rank = cx.inputs[1].rank();
        let row = read_index(cx, &index[self.axis..self.axis + rank]);
        let mut place = index[..self.axis].to_vec();
        place.push(row);
        place.extend_from_slice(&index[self.axis + rank..]);
        place
    }
}
