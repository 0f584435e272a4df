//! How operators take a further leading axis.

use crate::{Builder, Fault, NodeId, Op};
use shape::{Dim, Shape};

/// The value with the leading axis, along which it repeats if it does not vary.
pub fn stretched(b: &mut Builder<'_>, x: NodeId, batched: bool, size: &Dim) -> NodeId {
    if batched {
        return x;
    }
    let shape = with_leading(size, &b.ty(x).shape);
    b.broadcast(x, &shape)
}

/// All operands with the leading axis.
pub fn all_stretched(b: &mut Builder<'_>, inputs: &[NodeId], batched: &[bool], size: &Dim) -> Vec<NodeId> {
    inputs.iter().zip(batched).map(|(x, batched)| stretched(b, *x, *batched, size)).collect()
}

/// An operator that sees each element by itself: the same, on operands of one more axis.
pub fn elementwise(
    b: &mut Builder<'_>,
    op: Op,
    inputs: &[NodeId],
    batched: &[bool],
    size: &Dim,
) -> Result<NodeId, Box<Fault>> {
    let operands = all_stretched(b, inputs, batched, size);
    b.try_add(op, &operands)
}

/// An operator without operands that depend on the lane.
pub fn repeated(b: &mut Builder<'_>, op: Op, size: &Dim) -> Result<NodeId, Box<Fault>> {
    let value = b.try_add(op, &[])?;
    Ok(stretched(b, value, false, size))
}

pub fn with_leading(size: &Dim, shape: &[Dim]) -> Shape {
    std::iter::once(size).chain(shape).cloned().collect()
}
