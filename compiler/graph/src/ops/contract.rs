//! `y[out] = Σ lhs[subscripts] · rhs[subscripts]` over all indices that the output does not have.
//! Subscripts are affine in the indices and in bounds by proof, so matrix products, batched ones, convolutions of any
//! rank, stride and dilation (of a padded operand) and their derivatives are all this operator. Groups are an index.

use super::operands::{at_least, disagreement, needs, representable, same_dtype, take};
use crate::{Fault, Operator, Type};
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
            return Err(Fault::attribute(format!("index {index} of the output is unknown or stands twice")).into());
        }
        if let Some(index) = (0..self.extents.len()).find(|index| !self.uses(&self.lhs, *index) && !self.uses(&self.rhs, *index)) {
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

    rules_follow!();
}

impl Contract {
    /// Indices that are summed over, ascending.
    pub fn reduced(&self) -> Vec<usize> {
        (0..self.extents.len()).filter(|index| !self.out.contains(index)).collect()
    }

    fn uses(&self, subscripts: &[Subscript], index: usize) -> bool {
        subscripts.iter().any(|subscript| subscript.coefficient(index) != 0)
    }

    fn check_bounds(&self, facts: &Facts, operand: usize, ty: &Type, axis: usize, subscript: &Subscript) -> Result<(), Box<Fault>> {
        let well_formed = subscript.terms.iter().all(|(c, index)| *c != 0 && *index < self.extents.len())
            && subscript.terms.is_sorted_by(|a, b| a.1 < b.1);
        if !well_formed {
            return Err(Fault::attribute(format!("subscript {axis} of operand {operand} is not canonical")).into());
        }
        // Nothing is read where the range of an index is empty.
        if subscript.terms.iter().any(|(_, index)| self.extents[*index].is_const(0)) {
            return Ok(());
        }
        let (low, high) = subscript.bounds(&self.extents);
        let size = &ty.shape[axis];
        if !at_least(facts, &low, &Dim::default()) {
            let message = format!("axis {axis} of {} is read from {low}, which is not known to be at least 0", ty.shape);
            return Err(Fault::shapes(message).label(operand, format!("this is {ty}")).dims([&low]).into());
        }
        if !at_least(facts, size, &(&high + 1)) {
            let message = match subscript.terms.as_slice() {
                [(1, index)] if subscript.offset.is_const(0) => {
                    let extent = &self.extents[*index];
                    format!("axis {axis} of {} does not fit: sizes {}", ty.shape, disagreement(facts, size, extent))
                }
                _ => format!("axis {axis} of {} is read up to {high}, which is not known to be below {size}", ty.shape),
            };
            return Err(Fault::shapes(message)
                .label(operand, format!("axis {axis} of {ty} has size {size}"))
                .dims([size, &(high + 1)])
                .into());
        }
        Ok(())
    }
}
