//! Contractions take in what moves the elements of their operands: it is all in the subscripts.

use super::{Match, rules};
use graph::{
    NodeId, Op,
    ops::{Contract, Subscript},
};
use shape::Dim;

rules! {
    operand_transposed,
    operand_stretched,
    operand_sliced,
    result_sliced,
    result_cropped,
    result_without_units,
}

/// Each operand of a contraction with its subscripts.
fn operands<'a>(m: &'a Match<'_, '_>) -> Option<[(NodeId, &'a [Subscript]); 2]> {
    let Op::Contract(contract) = &m.node.op else { return None };
    Some([(m.input(0), &contract.lhs), (m.input(1), &contract.rhs)])
}

/// The contraction with one operand exchanged for another, at these subscripts.
fn with_operand(m: &mut Match<'_, '_>, side: usize, x: NodeId, subscripts: Vec<Subscript>) -> Option<NodeId> {
    let Op::Contract(contract) = &m.node.op else { return None };
    let (mut contract, mut inputs) = (contract.clone(), m.node.inputs.clone());
    inputs[side] = x;
    if side == 0 {
        contract.lhs = subscripts
    } else {
        contract.rhs = subscripts
    }
    m.replace(contract, &inputs)
}

/// xᵀ[s₀, s₁] = x[s₁, s₀].
fn operand_transposed(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let sides = operands(m)?;
    let (side, x, subscripts) = sides.into_iter().enumerate().find_map(|(side, (id, subscripts))| {
        let node = m.of(id);
        let Op::Transpose(transpose) = &node.op else { return None };
        let mut moved = subscripts.to_vec();
        for (axis, from) in transpose.perm.iter().enumerate() {
            moved[*from] = subscripts[axis].clone();
        }
        Some((side, node.inputs[0], moved))
    })?;
    with_operand(m, side, x, subscripts)
}

/// A repeated element is read where it is: an axis that was stretched at 0, an axis that was added not at all.
fn operand_stretched(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let sides = operands(m)?;
    let (side, x, subscripts) = sides.into_iter().enumerate().find_map(|(side, (id, subscripts))| {
        let node = m.of(id);
        let Op::Broadcast(_) = &node.op else { return None };
        let (from, to) = (&m.b.ty(node.inputs[0]).shape, &node.ty().shape);
        let added = to.rank() - from.rank();
        let read = from.iter().zip(&to[added..]).zip(&subscripts[added..]).map(|((from, to), subscript)| {
            if from == to {
                subscript.clone()
            } else {
                Subscript { terms: Vec::new(), offset: Dim::default() }
            }
        });
        Some((side, node.inputs[0], read.collect()))
    })?;
    with_operand(m, side, x, subscripts)
}

/// Element s of a slice is element start + stride · s.
fn operand_sliced(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let sides = operands(m)?;
    let (side, x, subscripts) = sides.into_iter().enumerate().find_map(|(side, (id, subscripts))| {
        let node = m.of(id);
        let Op::Slice(slice) = &node.op else { return None };
        let read =
            subscripts.iter().zip(&slice.start).zip(&slice.stride).map(|((subscript, start), stride)| {
                let terms = subscript.terms.iter().map(|(c, index)| Some((c.checked_mul(*stride)?, *index)));
                Some(Subscript {
                    terms: terms.collect::<Option<Vec<_>>>()?,
                    offset: start + &subscript.offset * *stride,
                })
            });
        Some((side, node.inputs[0], read.collect::<Option<Vec<Subscript>>>()?))
    })?;
    with_operand(m, side, x, subscripts)
}

/// Element s of a slice of the result is the result at start + stride · s.
fn result_sliced(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Slice(slice) = &m.node.op else { return None };
    let (start, stride) = (slice.start.clone(), slice.stride.clone());
    part_of_result(m, &start, &stride)
}

/// So is what is left of a result that is cropped, as the gradient of a padded convolution.
fn result_cropped(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Pad(pad) = &m.node.op else { return None };
    let crops = |dim: &Dim| dim.as_const().is_some_and(|amount| amount <= 0);
    if !pad.low.iter().chain(&pad.high).all(crops) || pad.interior.iter().any(|between| *between != 0) {
        return None;
    }
    let start: Vec<Dim> = pad.low.iter().map(|low| low * -1).collect();
    let stride = vec![1; start.len()];
    part_of_result(m, &start, &stride)
}

/// A result whose axes of one element are dropped is one without them: a depthwise convolution has such an axis between
/// its groups and its pixels, and what follows of it has the shape that is left.
fn result_without_units(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Reshape(_) = &m.node.op else { return None };
    let whole = m.input(0);
    let node = m.of(whole);
    let Op::Contract(contract) = &node.op else { return None };
    if !m.uses.is_single(whole) {
        return None;
    }
    let mut left = m.ty().shape.iter().peekable();
    let mut out = Vec::new();
    for index in &contract.out {
        let extent = &contract.extents[*index];
        match left.next_if(|dim| *dim == extent) {
            Some(_) => out.push(*index),
            None if extent.is_const(1) => {}
            None => return None,
        }
    }
    if left.next().is_some() {
        return None;
    }
    let (contract, inputs) = (Contract { out, ..contract.clone() }, node.inputs.clone());
    m.replace(contract, &inputs)
}

/// The contraction that is the node's only operand, and whose only reader it is, at index start + stride · s of each axis.
fn part_of_result(m: &mut Match<'_, '_>, start: &[Dim], stride: &[i64]) -> Option<NodeId> {
    let whole = m.input(0);
    let node = m.of(whole);
    let Op::Contract(contract) = &node.op else { return None };
    if !m.uses.is_single(whole) {
        return None;
    }
    let (mut contract, inputs) = (contract.clone(), node.inputs.clone());
    for (axis, index) in contract.out.clone().into_iter().enumerate() {
        contract.extents[index] = m.ty().shape[axis].clone();
        for subscript in contract.lhs.iter_mut().chain(&mut contract.rhs) {
            for (coefficient, _) in subscript.terms.iter_mut().filter(|(_, other)| *other == index) {
                subscript.offset += &start[axis] * *coefficient;
                *coefficient = coefficient.checked_mul(stride[axis])?;
            }
        }
    }
    m.replace(contract, &inputs)
}
