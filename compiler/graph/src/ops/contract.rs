//! `y[out] = Σ lhs[subscripts] · rhs[subscripts]` over all indices that the output does not have.
//! Subscripts are affine in the indices and in bounds by proof, so matrix products, batched ones, convolutions of any
//! rank, stride and dilation (of a padded operand) and their derivatives are all this operator. Groups are an index.

mod gradient;
mod named;
mod samples;

use super::batching::{stretched, with_leading};
use super::evaluation::{NOT_FLOAT, each, indices, map_form, to_usize};
use super::operands::{at_least, disagreement, needs, representable, same_dtype, take};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts, Shape};

/// `offset + Σ coefficient · index`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Subscript {
    /// Coefficient (not 0) and index, ascending in the index; the empty list is the constant `offset`.
    pub terms: Vec<(i64, usize)>,
    pub offset: Dim,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Contract {
    /// Extent of each index; an index is its position here.
    pub extents: Vec<Dim>,
    /// The output's indices, one an axis, each once.
    pub out: Vec<usize>,
    pub lhs: Vec<Subscript>,
    pub rhs: Vec<Subscript>,
}

impl Subscript {
    /// A bare index.
    pub fn index(index: usize) -> Subscript {
        Subscript { terms: vec![(1, index)], offset: Dim::from(0i64) }
    }

    /// What the index is multiplied by, 0 where it does not stand.
    pub fn coefficient(&self, index: usize) -> i64 {
        self.terms.iter().find(|(_, other)| *other == index).map_or(0, |(coefficient, _)| *coefficient)
    }

    /// The value at these indices.
    pub fn at(&self, values: &[Expr]) -> Expr {
        let terms = self.terms.iter().map(|(c, index)| values[*index].clone().mul(Expr::int(*c)));
        let sum = terms.reduce(Expr::add).unwrap_or_else(|| Expr::int(0));
        sum.add(Expr::dim(&self.offset))
    }

    /// Smallest and largest value, where no range is empty.
    pub fn bounds(&self, extents: &[Dim]) -> (Dim, Dim) {
        let mut bounds = (self.offset.clone(), self.offset.clone());
        for (coefficient, index) in &self.terms {
            let reach = (&extents[*index] - 1) * *coefficient;
            if *coefficient < 0 { bounds.0 += reach } else { bounds.1 += reach }
        }
        bounds
    }
}

impl Operator for Contract {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [lhs, rhs] = take("contract", inputs)?;
        same_dtype("contract", (0, lhs), (1, rhs))?;
        needs("contract", "numbers", 0, lhs, lhs.dtype.is_float() || lhs.dtype.is_int())?;
        if self.extents.iter().any(|extent| !at_least(facts, extent, &Dim::default())) {
            return Err(Fault::attribute("the range of an index is not known to be at least 0").into());
        }
        if let Some(index) = self.out.iter().enumerate().find_map(|(k, index)| {
            (*index >= self.extents.len() || self.out[..k].contains(index)).then_some(index)
        }) {
            return Err(
                Fault::attribute(format!("index {index} of the output is unknown or stands twice")).into()
            );
        }
        if let Some(index) = (0..self.extents.len())
            .find(|index| !self.uses(&self.lhs, *index) && !self.uses(&self.rhs, *index))
        {
            return Err(Fault::attribute(format!("index {index} stands in no operand")).into());
        }
        for (operand, ty, subscripts) in [(0, lhs, &self.lhs), (1, rhs, &self.rhs)] {
            if subscripts.len() != ty.rank() {
                let message = format!("{} subscripts for a tensor of rank {}", subscripts.len(), ty.rank());
                return Err(Fault::axes(message).label(operand, format!("this is {ty}")).into());
            }
            for (axis, subscript) in subscripts.iter().enumerate() {
                self.check_bounds(facts, operand, ty, axis, subscript)?;
            }
        }
        let shape = Shape(self.out.iter().map(|index| self.extents[*index].clone()).collect());
        representable("contract", &shape)?;
        Ok(vec![Type::new(lhs.dtype, shape)])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        [0, 1]
            .map(|side| {
                if !b.dtype(dout).is_float() {
                    return Grad::None(NOT_FLOAT);
                }
                self.gradient(b, side, inputs, dout).map_or_else(Grad::None, Grad::Value)
            })
            .to_vec()
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        _: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        let left = tangents[0].map(|tangent| b.add(self.clone().into(), &[tangent, inputs[1]]));
        let right = tangents[1].map(|tangent| b.add(self.clone().into(), &[inputs[0], tangent]));
        Ok(match (left, right) {
            (Some(left), Some(right)) => Some(b.binary(kernel::Binary::Add, left, right)),
            (one, other) => one.or(other),
        })
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        if !batched.contains(&true) {
            let value = b.try_add(self.clone().into(), inputs)?;
            return Ok(stretched(b, value, false, size));
        }
        // The lane is one more index.
        let shifted = |subscripts: &[Subscript], batched: bool| {
            let lane = batched.then(|| Subscript::index(0));
            let others = subscripts.iter().map(|subscript| Subscript {
                terms: subscript.terms.iter().map(|(c, index)| (*c, index + 1)).collect(),
                offset: subscript.offset.clone(),
            });
            lane.into_iter().chain(others).collect()
        };
        let contract = Contract {
            extents: with_leading(size, &self.extents).0,
            out: std::iter::once(0).chain(self.out.iter().map(|index| index + 1)).collect(),
            lhs: shifted(&self.lhs, batched[0]),
            rhs: shifted(&self.rhs, batched[1]),
        };
        b.try_add(contract.into(), inputs)
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        dims: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let sizes = self.extents.iter().map(dims).collect::<Result<Vec<i64>, EvalError>>()?;
        let sizes = sizes.into_iter().map(to_usize).collect::<Result<Vec<usize>, EvalError>>()?;
        let offsets = |subscripts: &[Subscript]| {
            subscripts
                .iter()
                .map(|subscript| dims(&subscript.offset))
                .collect::<Result<Vec<i64>, EvalError>>()
        };
        let (left, right) = (offsets(&self.lhs)?, offsets(&self.rhs)?);
        let reduced = self.reduced();
        let ranges: Vec<usize> = reduced.iter().map(|index| sizes[*index]).collect();
        let ranges: Vec<Vec<usize>> = indices(&ranges).collect();
        let place = |subscripts: &[Subscript], offsets: &[i64], values: &[i64]| -> Vec<usize> {
            let sum = |subscript: &Subscript| {
                subscript.terms.iter().map(|(c, index)| c * values[*index]).sum::<i64>()
            };
            subscripts
                .iter()
                .zip(offsets)
                .map(|(subscript, offset)| (offset + sum(subscript)) as usize)
                .collect()
        };
        let mut values = vec![0i64; sizes.len()];
        each(output, |index| {
            for (axis, value) in self.out.iter().zip(index) {
                values[*axis] = *value as i64;
            }
            let mut sum = 0.0;
            for range in &ranges {
                for (axis, value) in reduced.iter().zip(range) {
                    values[*axis] = *value as i64;
                }
                let x = inputs[0].at(&place(&self.lhs, &left, &values));
                sum += x * inputs[1].at(&place(&self.rhs, &right, &values));
            }
            sum
        })
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        let extents: Vec<Dim> = self.reduced().into_iter().map(|index| self.extents[index].clone()).collect();
        // Over nothing it is a product, or what an operand has at these subscripts.
        if extents.is_empty() { map_form() } else { Some(Form::Contract { extents }) }
    }

    /// The product at the output index and the reduced indices, these in ascending order.
    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let mut values = vec![Expr::int(0); self.extents.len()];
        for (place, value) in self.out.iter().copied().chain(self.reduced()).zip(index) {
            values[place] = value.clone();
        }
        let place = |subscripts: &[Subscript]| -> Vec<Expr> {
            subscripts.iter().map(|subscript| subscript.at(&values)).collect()
        };
        let left = cx.reader.read(0, &place(&self.lhs));
        let right = cx.reader.read(1, &place(&self.rhs));
        Expr::Binary(kernel::Binary::Mul, Box::new(left), Box::new(right))
    }

    fn samples() -> Vec<Sample> {
        samples::all()
    }
}

impl Contract {
    /// Indices that are summed over, ascending.
    pub fn reduced(&self) -> Vec<usize> {
        (0..self.extents.len()).filter(|index| !self.out.contains(index)).collect()
    }

    /// The axis of an operand that alone runs over the index of the output's axis.
    pub fn axis_of(&self, operand: usize, out: usize) -> Option<usize> {
        let subscripts = if operand == 0 { &self.lhs } else { &self.rhs };
        let index = self.out.get(out)?;
        subscripts.iter().position(|subscript| *subscript == Subscript::index(*index))
    }

    fn uses(&self, subscripts: &[Subscript], index: usize) -> bool {
        subscripts.iter().any(|subscript| subscript.coefficient(index) != 0)
    }

    fn check_bounds(
        &self,
        facts: &Facts,
        operand: usize,
        ty: &Type,
        axis: usize,
        subscript: &Subscript,
    ) -> Result<(), Box<Fault>> {
        let well_formed = subscript
            .terms
            .iter()
            .all(|(c, index)| *c != 0 && c.unsigned_abs() < 1 << 31 && *index < self.extents.len())
            && subscript.terms.is_sorted_by(|a, b| a.1 < b.1);
        if !well_formed {
            return Err(
                Fault::attribute(format!("subscript {axis} of operand {operand} is not canonical")).into()
            );
        }
        // Nothing is read where the range of an index is empty.
        if subscript.terms.iter().any(|(_, index)| self.extents[*index].is_const(0)) {
            return Ok(());
        }
        let (low, high) = subscript.bounds(&self.extents);
        let size = &ty.shape[axis];
        if !at_least(facts, &low, &Dim::default()) {
            let message = format!(
                "axis {axis} of {} is read from {low}, which is not known to be at least 0",
                ty.shape
            );
            return Err(Fault::shapes(message).label(operand, format!("this is {ty}")).dims([&low]).into());
        }
        if !at_least(facts, size, &(&high + 1)) {
            let message = match subscript.terms.as_slice() {
                [(1, index)] if subscript.offset.is_const(0) => {
                    let extent = &self.extents[*index];
                    format!(
                        "axis {axis} of {} does not fit: sizes {}",
                        ty.shape,
                        disagreement(facts, size, extent)
                    )
                }
                _ => format!(
                    "axis {axis} of {} is read up to {high}, which is not known to be below {size}",
                    ty.shape
                ),
            };
            return Err(Fault::shapes(message)
                .label(operand, format!("axis {axis} of {ty} has size {size}"))
                .dims([size, &(high + 1)])
                .into());
        }
        Ok(())
    }
}
