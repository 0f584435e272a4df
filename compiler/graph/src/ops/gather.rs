//! Rows picked along an axis by an integer tensor: that axis is replaced by the shape of the index.
//! `y[l…, b…, i…, a…] = x[l…, b…, index[l…, i…], a…]`, where the leading axes `l…` are shared by tensor and index.
//! Operands: the tensor, the index. An index out of bounds ends the run with a status.

use super::ScatterAdd;
use super::batching::stretched;
use super::evaluation::{NOT_FLOAT, each, map_form};
use super::operands::{axis_in_range, disagreement, equal, needs, take};
use super::sampling::{floats, integers, smooth};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts, Shape};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gather {
    pub axis: usize,
    /// How many leading axes tensor and index share; at most `axis`.
    pub lanes: usize,
}

impl Operator for Gather {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x, index] = take("gather", inputs)?;
        self.picking().check("gather", facts, x, index)?;
        Ok(vec![Type::new(x.dtype, self.picking().picked(&x.shape, &index.shape))])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        if !b.dtype(dout).is_float() {
            return vec![Grad::None(NOT_FLOAT); 2];
        }
        let zeros = b.zeros_like(inputs[0]);
        let scatter = ScatterAdd { axis: self.axis, lanes: self.lanes };
        let dx = b.add(scatter.into(), &[zeros, inputs[1], dout]);
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
        if batched[1] && batched[0] {
            return b.try_add(self.with_lane().into(), &[x, index]);
        }
        // What only one operand has goes behind the lanes that both share.
        let at = self.lanes;
        match batched[0] {
            true => {
                let x = b.move_axis(x, 0, at);
                let rows = b.try_add(Gather { axis: self.axis + 1, lanes: at }.into(), &[x, index])?;
                Ok(b.move_axis(rows, at, 0))
            }
            false if batched[1] => {
                let index = b.move_axis(index, 0, at);
                let rows = b.try_add(self.clone().into(), &[x, index])?;
                Ok(b.move_axis(rows, self.axis, 0))
            }
            false => {
                let rows = b.try_add(self.clone().into(), &[x, index])?;
                Ok(stretched(b, rows, false, size))
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
        let mut outside = None;
        let result = each(output, |place| {
            let (at, source) = self.picking().split(place, index.shape().len());
            let row = index.at(&at);
            if row < 0.0 || row >= rows as f64 {
                outside.get_or_insert(row);
                return f64::NAN;
            }
            x.at(&source(row as usize))
        })?;
        outside.map_or(Ok(result), |row| Err(out_of_bounds(row, rows)))
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let source = self.picking().place(cx, index);
        cx.reader.read(0, &source)
    }

    fn samples() -> Vec<Sample> {
        picking_samples()
            .into_iter()
            .map(|(shape, Picking { axis, lanes }, index)| {
                let rows = shape[axis] as u64;
                smooth(Gather { axis, lanes }, vec![floats(&shape, 1), integers(&index, 2, rows)], 0.0)
            })
            .collect()
    }
}

impl Gather {
    /// The operator on operands that both have a further leading axis.
    fn with_lane(&self) -> Gather {
        Gather { axis: self.axis + 1, lanes: self.lanes + 1 }
    }

    pub(super) fn picking(&self) -> Picking {
        Picking { axis: self.axis, lanes: self.lanes }
    }

    pub fn bound(&self, inputs: &[&Type]) -> Bound {
        self.picking().bound(inputs)
    }
}

/// What the values of an index operand must keep to; compiled code checks it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The operand that holds the indices.
    pub operand: usize,
    /// They are at least 0 and below this.
    pub extent: Dim,
}

/// How an index names places along an axis of a tensor; operand 0 is the tensor, operand 1 the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Picking {
    pub axis: usize,
    pub lanes: usize,
}

impl Picking {
    pub fn check(&self, name: &str, facts: &Facts, x: &Type, index: &Type) -> Result<(), Box<Fault>> {
        axis_in_range(name, self.axis, 0, x)?;
        needs(name, "an integer index", 1, index, index.dtype.is_int())?;
        if self.lanes > self.axis || self.lanes > index.rank() {
            let message = format!(
                "`{name}` along axis {} cannot share {} leading axes with an index of rank {}",
                self.axis,
                self.lanes,
                index.rank()
            );
            let fault = Fault::axes(message).label(0, format!("this is {x}"));
            return Err(fault.label(1, format!("this is {index}")).into());
        }
        for (axis, (m, n)) in x.shape.iter().zip(index.shape.iter()).enumerate().take(self.lanes) {
            if !equal(facts, m, n) {
                let why = disagreement(facts, m, n);
                return Err(Fault::shapes(format!("`{name}` needs an index with axis {axis} of {m}: sizes {why}"))
                    .label(0, format!("axis {axis} of {x} is {m}"))
                    .label(1, format!("axis {axis} of {index} is {n}"))
                    .dims([m, n])
                    .into());
            }
        }
        Ok(())
    }

    /// The shape with the axis replaced by the index's own axes.
    pub fn picked(&self, shape: &Shape, index: &Shape) -> Shape {
        let (before, after) = (&shape[..self.axis], &shape[self.axis + 1..]);
        before.iter().chain(&index[self.lanes..]).chain(after).cloned().collect()
    }

    /// From a place among what is picked to its place in the index, and, given the row, to the one in the tensor.
    pub fn split<T: Clone>(&self, place: &[T], index_rank: usize) -> (Vec<T>, impl Fn(T) -> Vec<T> + use<T>) {
        let own = self.axis..self.axis + index_rank - self.lanes;
        let at = place[..self.lanes].iter().chain(&place[own.clone()]).cloned().collect();
        let (before, after) = (place[..self.axis].to_vec(), place[own.end..].to_vec());
        (at, move |row| before.iter().cloned().chain([row]).chain(after.iter().cloned()).collect())
    }

    /// The place in the tensor of what stands at `index` among what is picked.
    pub fn place(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Vec<Expr> {
        let (at, source) = self.split(index, cx.inputs[1].rank());
        source(read_index(cx, &at))
    }

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

/// Shapes of tensors, how they are picked from, and shapes of indices: scalars, rows, lanes, nothing.
pub(super) fn picking_samples() -> Vec<(Vec<usize>, Picking, Vec<usize>)> {
    let sample = |shape: &[usize], axis, lanes, index: &[usize]| {
        (shape.to_vec(), Picking { axis, lanes }, index.to_vec())
    };
    vec![
        sample(&[5], 0, 0, &[]),
        sample(&[5], 0, 0, &[7]),
        sample(&[5, 3], 0, 0, &[4]),
        sample(&[5, 3], 1, 0, &[2, 2]),
        sample(&[2, 7, 3], 1, 0, &[4]),
        sample(&[17, 33], 0, 0, &[2, 3]),
        sample(&[5, 3], 0, 0, &[0]),
        sample(&[7, 5], 1, 1, &[7]),
        sample(&[7, 5], 1, 1, &[7, 1]),
        sample(&[7, 5], 1, 1, &[7, 3]),
        sample(&[2, 3, 5, 4], 2, 2, &[2, 3]),
        sample(&[2, 3, 5, 4], 2, 1, &[2, 6]),
        sample(&[3, 19, 33], 1, 1, &[3, 11]),
        sample(&[0, 5], 1, 1, &[0, 2]),
    ]
}
