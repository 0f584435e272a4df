//! Operators that only move elements.

use super::{Match, rules};
use graph::{NodeId, Op, ops};
use shape::{Dim, Shape};

rules! {
    reshape_to_same,
    reshape_of_reshape,
    broadcast_to_same,
    broadcast_of_broadcast,
    broadcast_of_leading_ones,
    broadcast_last,
    transpose_in_order,
    transpose_of_transpose,
    transpose_of_ones,
    move_of_splat,
    slice_of_all,
    slice_of_slice,
    pad_nothing,
    concat_one,
    concat_of_concat,
}

/// Another shape that is the same shape: x.
fn reshape_to_same(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Reshape(_) = &m.node.op else { return None };
    m.same_shape(m.input(0)).then(|| m.input(0))
}

/// The shape in between is not seen.
fn reshape_of_reshape(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Reshape(outer) = &m.node.op else { return None };
    let inner = m.of(m.input(0));
    let Op::Reshape(_) = &inner.op else { return None };
    let (outer, x) = (outer.clone(), inner.inputs[0]);
    m.replace(outer, &[x])
}

fn broadcast_to_same(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Broadcast(_) = &m.node.op else { return None };
    m.same_shape(m.input(0)).then(|| m.input(0))
}

/// Stretching twice is stretching once.
fn broadcast_of_broadcast(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Broadcast(outer) = &m.node.op else { return None };
    let inner = m.of(m.input(0));
    let Op::Broadcast(_) = &inner.op else { return None };
    let (outer, x) = (outer.clone(), inner.inputs[0]);
    m.replace(outer, &[x])
}

/// [n] → [1, n] → [m, n] is [n] → [m, n]: broadcasting adds leading axes by itself.
fn broadcast_of_leading_ones(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Broadcast(outer) = &m.node.op else { return None };
    let reshaped = m.of(m.input(0));
    let Op::Reshape(_) = &reshaped.op else { return None };
    let x = reshaped.inputs[0];
    let (from, to) = (&m.b.ty(x).shape, &reshaped.ty().shape);
    let added = to.rank().checked_sub(from.rank())?;
    if !to[..added].iter().all(|dim| dim.is_const(1)) || to[added..] != from[..] {
        return None;
    }
    let outer = outer.clone();
    m.replace(outer, &[x])
}

/// f(stretched x, stretched y) = stretched f(x, y): computed once for each element before it repeats. Operands that
/// repeat one value fit any shape.
fn broadcast_last(m: &mut Match<'_, '_>) -> Option<NodeId> {
    match &m.node.op {
        Op::Unary(_) | Op::Binary(_) | Op::Select(_) | Op::Cast(_) => {}
        _ => return None,
    }
    let is_repeated = |id: NodeId| m.splat(id).is_some() || matches!(m.of(id).op, Op::Broadcast(_));
    if !m.node.inputs.iter().all(|id| is_repeated(*id)) {
        return None;
    }
    let mut sources = Vec::with_capacity(m.node.inputs.len());
    let mut small = Shape::scalar();
    for input in m.node.inputs.clone() {
        let source = match m.splat(input) {
            Some(value) => {
                let dtype = m.b.dtype(input);
                m.b.scalar(dtype, value)
            }
            None => m.of(input).inputs[0],
        };
        small = m.b.facts().broadcast(&small, &m.b.ty(source).shape).ok()?;
        sources.push(source);
    }
    // What repeats one value altogether is folded; what does not repeat stays.
    let all_splat = m.node.inputs.iter().all(|input| m.splat(*input).is_some());
    let shape = m.ty().shape.clone();
    if all_splat || small == shape {
        return None;
    }
    let operands: Vec<NodeId> = sources.into_iter().map(|source| m.b.broadcast(source, &small)).collect();
    let result = m.add(m.node.op.clone(), &operands)?;
    m.replace(ops::Broadcast { shape }, &[result])
}

/// The order of before: x.
fn transpose_in_order(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Transpose(transpose) = &m.node.op else { return None };
    transpose.perm.is_sorted().then(|| m.input(0))
}

/// Axis i is axis inner[outer[i]].
fn transpose_of_transpose(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Transpose(outer) = &m.node.op else { return None };
    let inner_node = m.of(m.input(0));
    let Op::Transpose(inner) = &inner_node.op else { return None };
    let perm = outer.perm.iter().map(|axis| inner.perm[*axis]).collect();
    let x = inner_node.inputs[0];
    m.replace(ops::Transpose { perm }, &[x])
}

/// Where only axes of size 1 change their place, no element does.
fn transpose_of_ones(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Transpose(transpose) = &m.node.op else { return None };
    let shape = &m.b.ty(m.input(0)).shape;
    let moved = transpose.perm.iter().filter(|axis| !shape[**axis].is_const(1));
    if !moved.is_sorted() {
        return None;
    }
    let shape = m.ty().shape.clone();
    m.replace(ops::Reshape { shape }, &[m.input(0)])
}

/// One repeated value looks the same from everywhere: it is stretched to the shape wanted.
fn move_of_splat(m: &mut Match<'_, '_>) -> Option<NodeId> {
    match &m.node.op {
        Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) => {}
        _ => return None,
    }
    let value = m.splat(m.input(0))?;
    // Small constants are left to be folded.
    if let Op::Constant(_) = &m.of(m.input(0)).op {
        return None;
    }
    let ty = m.ty().clone();
    Some(m.b.full(ty.dtype, &ty.shape, value))
}

/// All elements in their order: x.
fn slice_of_all(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Slice(slice) = &m.node.op else { return None };
    let is_whole =
        slice.stride.iter().all(|stride| *stride == 1) && slice.start.iter().all(|dim| dim.is_const(0));
    (is_whole && m.same_shape(m.input(0))).then(|| m.input(0))
}

/// Element i is element s + t·(s' + t'·i).
fn slice_of_slice(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Slice(outer) = &m.node.op else { return None };
    let inner_node = m.of(m.input(0));
    let Op::Slice(inner) = &inner_node.op else { return None };
    let start: Vec<Dim> = inner
        .start
        .iter()
        .zip(&inner.stride)
        .zip(&outer.start)
        .map(|((start, stride), further)| start + Dim::from(*stride) * further)
        .collect();
    let stride = inner
        .stride
        .iter()
        .zip(&outer.stride)
        .map(|(a, b)| a.checked_mul(*b))
        .collect::<Option<Vec<i64>>>()?;
    let (extent, x) = (outer.extent.clone(), inner_node.inputs[0]);
    m.replace(ops::Slice { start, extent, stride }, &[x])
}

/// No room added: x.
fn pad_nothing(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Pad(pad) = &m.node.op else { return None };
    let adds_nothing = pad.low.iter().chain(&pad.high).all(|dim| dim.is_const(0))
        && pad.interior.iter().all(|interior| *interior == 0);
    (adds_nothing && m.same_shape(m.input(0))).then(|| m.input(0))
}

/// One operand: itself.
fn concat_one(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Concat(_) = &m.node.op else { return None };
    (m.node.inputs.len() == 1).then(|| m.input(0))
}

/// One after the other is associative.
fn concat_of_concat(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Concat(outer) = &m.node.op else { return None };
    let mut parts = Vec::new();
    for input in &m.node.inputs {
        let part = m.of(*input);
        match &part.op {
            Op::Concat(inner) if inner.axis == outer.axis => parts.extend_from_slice(&part.inputs),
            _ => parts.push(*input),
        }
    }
    if parts.len() == m.node.inputs.len() {
        return None;
    }
    let outer = outer.clone();
    m.replace(outer, &parts)
}
