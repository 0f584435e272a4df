//! How much arithmetic a node does.

use crate::{Function, NodeId, Op};
use shape::Dim;

/// Floating-point operations of one node, without what it runs: a multiply-add of a contraction is two, an elementwise
/// operation on floats one an element, whichever it is; a reduction, a scatter, a sum of overlapping windows or a running
/// sum one an element of its operand; a random draw one an element. Moving, converting and comparing integers is none.
pub fn flops(function: &Function, id: NodeId) -> Dim {
    let node = &function.nodes[id];
    let operand = |index: usize| function.ty(node.inputs[index]);
    match &node.op {
        Op::Contract(contract) => contract.extents.iter().product::<Dim>() * 2,
        Op::Reduce(_) | Op::Fold(_) | Op::Cumulative(_) if operand(0).dtype.is_float() => {
            operand(0).shape.elements()
        }
        Op::ScatterAdd(_) if node.ty().dtype.is_float() => operand(2).shape.elements(),
        Op::Unary(_) | Op::Binary(_) | Op::Select(_) if node.ty().dtype.is_float() => {
            node.ty().shape.elements()
        }
        Op::Random(_) => node.ty().shape.elements(),
        _ => Dim::default(),
    }
}
