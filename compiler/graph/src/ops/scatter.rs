//! The adjoint of gather: updates are added along an axis at the places of an integer tensor.
//! Operands: base, index, updates (base's shape with the axis replaced by the index's own axes).

use super::batching::stretched;
use super::evaluation::{NOT_FLOAT, each, indices};
use super::gather::{Bound, Gather, Picking, out_of_bounds, picking_samples, read_index};
use super::operands::{equal, needs, same_dtype, take};
use super::sampling::{floats, integers, smooth};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Binary, Expr, Form};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ScatterAdd {
    pub axis: usize,
    /// How many leading axes base and index share; at most `axis`.
    pub lanes: usize,
}

impl Operator for ScatterAdd {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [base, index, updates] = take("scatter_add", inputs)?;
        self.picking().check("scatter_add", facts, base, index)?;
        needs("scatter_add", "numbers", 0, base, base.dtype.is_float() || base.dtype.is_int())?;
        same_dtype("scatter_add", (0, base), (2, updates))?;
        let wanted = Type::new(base.dtype, self.picking().picked(&base.shape, &index.shape));
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
        let gather = Gather { axis: self.axis, lanes: self.lanes };
        let dupdates = b.add(gather.into(), &[dout, inputs[1]]);
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
        if batched[1] {
            let scatter = ScatterAdd { axis: self.axis + 1, lanes: self.lanes + 1 };
            return b.try_add(scatter.into(), &[base, inputs[1], updates]);
        }
        // What the index does not have goes behind the lanes that it shares.
        let (base, updates) = (b.move_axis(base, 0, self.lanes), b.move_axis(updates, 0, self.lanes));
        let scatter = ScatterAdd { axis: self.axis + 1, lanes: self.lanes };
        let sums = b.try_add(scatter.into(), &[base, inputs[1], updates])?;
        Ok(b.move_axis(sums, self.lanes, 0))
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let [base, index, updates] = [inputs[0], inputs[1], inputs[2]];
        let rows = base.shape()[self.axis];
        let mut sums = each(output, |place| base.at(place))?;
        for place in indices(updates.shape()) {
            let (at, target) = self.picking().split(&place, index.shape().len());
            let row = index.at(&at);
            if row < 0.0 || row >= rows as f64 {
                return Err(out_of_bounds(row, rows));
            }
            sums.values[target(row as usize).as_slice()] += updates.at(&place);
        }
        Ok(sums)
    }

    fn form(&self, inputs: &[&Type], _: &Type) -> Option<Form> {
        Some(if self.adds_one(inputs[1]) { Form::Map } else { Form::Scatter })
    }

    /// The update at an index of the updates; [`ScatterAdd::place`] says where it is added. Where each lane has one,
    /// the sum at an index of the result.
    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        if !self.adds_one(cx.inputs[1]) {
            return cx.reader.read(2, index);
        }
        let own = cx.inputs[1].rank() - self.lanes;
        let zeros = vec![Expr::int(0); own];
        let at = [&index[..self.lanes], &zeros].concat();
        let row = read_index(cx, &at);
        let hit = Expr::binary(Binary::Eq, index[self.axis].clone(), row);
        let from = [&index[..self.axis], &zeros, &index[self.axis + 1..]].concat();
        let (base, update) = (cx.reader.read(0, index), cx.reader.read(2, &from));
        let base = cx.reader.bind(base);
        Expr::select(hit, Expr::binary(Binary::Add, base.clone(), update), base)
    }

    fn samples() -> Vec<Sample> {
        picking_samples()
            .into_iter()
            .map(|(shape, picking, index)| {
                let Picking { axis, lanes } = picking;
                let rows = shape[axis] as u64;
                let own = &index[lanes..];
                let updates: Vec<usize> =
                    shape[..axis].iter().chain(own).chain(&shape[axis + 1..]).copied().collect();
                let operands = vec![floats(&shape, 1), integers(&index, 2, rows), floats(&updates, 3)];
                smooth(ScatterAdd { axis, lanes }, operands, 1e-6)
            })
            .collect()
    }
}

impl ScatterAdd {
    pub(super) fn picking(&self) -> Picking {
        Picking { axis: self.axis, lanes: self.lanes }
    }

    pub fn bound(&self, inputs: &[&Type]) -> Bound {
        self.picking().bound(inputs)
    }

    /// The index has one place a lane: then every sum is a base and at most one update, and needs no loop.
    fn adds_one(&self, index: &Type) -> bool {
        index.shape[self.lanes..].iter().all(|extent| extent.is_const(1))
    }

    /// The output index to which the update at `index` is added.
    pub fn place(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Vec<Expr> {
        self.picking().place(cx, index)
    }
}
