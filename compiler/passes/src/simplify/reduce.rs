//! Reductions.

use super::{Match, rules};
use graph::{NodeId, Op, ops};
use kernel::{Binary, Combine};
use shape::{Dim, Proof, Shape};

rules! {
    no_axes,
    axes_of_size_one,
    reduce_of_reduce,
    reduce_of_transpose,
    reduce_of_broadcast,
}

/// A reduction that gives an index instead of a value.
fn gives_index(combine: Combine) -> bool {
    matches!(combine, Combine::ArgMax | Combine::ArgMin)
}

/// Whether the order in which values are combined cannot be seen in the result.
fn order_free(m: &Match<'_, '_>, combine: Combine) -> bool {
    match combine {
        Combine::Sum | Combine::Product => !m.is_float() || !m.cx.strict,
        Combine::Max | Combine::Min | Combine::Any | Combine::All => true,
        Combine::ArgMax | Combine::ArgMin => false,
    }
}

/// Over no axes: x.
fn no_axes(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Reduce(reduce) = &m.node.op else { return None };
    (reduce.axes.is_empty() && m.same_type(m.input(0))).then(|| m.input(0))
}

/// One value combined is that value: such axes only vanish. Strictly not for sums of floats, where −0 becomes 0.
fn axes_of_size_one(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Reduce(reduce) = &m.node.op else { return None };
    let shape = &m.b.ty(m.input(0)).shape;
    if gives_index(reduce.combine) || !order_free(m, reduce.combine) {
        return None;
    }
    let (dropped, kept): (Vec<usize>, Vec<usize>) =
        reduce.axes.iter().copied().partition(|axis| shape[*axis].is_const(1));
    if dropped.is_empty() {
        return None;
    }
    let combine = reduce.combine;
    let reshaped: Shape =
        (0..shape.rank()).filter(|axis| !dropped.contains(axis)).map(|axis| shape[axis].clone()).collect();
    let moved = |axis: usize| axis - dropped.iter().filter(|other| **other < axis).count();
    let axes: Vec<usize> = kept.into_iter().map(moved).collect();
    let x = m.add(ops::Reshape { shape: reshaped }, &[m.input(0)])?;
    if axes.is_empty() {
        return Some(x).filter(|x| m.same_type(*x));
    }
    m.replace(ops::Reduce { combine, axes }, &[x])
}

/// Σ_a Σ_b x = Σ_{a,b} x, and for the other combinations; where the inner one is not wanted for itself.
fn reduce_of_reduce(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Reduce(outer) = &m.node.op else { return None };
    let inner_node = m.of(m.input(0));
    let Op::Reduce(inner) = &inner_node.op else { return None };
    if inner.combine != outer.combine || !order_free(m, outer.combine) || !m.uses.is_single(m.input(0)) {
        return None;
    }
    let x = inner_node.inputs[0];
    let kept: Vec<usize> = (0..m.b.ty(x).rank()).filter(|axis| !inner.axes.contains(axis)).collect();
    let mut axes: Vec<usize> =
        inner.axes.iter().copied().chain(outer.axes.iter().map(|axis| kept[*axis])).collect();
    axes.sort_unstable();
    let combine = outer.combine;
    m.replace(ops::Reduce { combine, axes }, &[x])
}

/// Σ over axes of a transposed x is Σ over their axes of x, where the axes that stay keep their order.
fn reduce_of_transpose(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Reduce(reduce) = &m.node.op else { return None };
    let transposed = m.of(m.input(0));
    let Op::Transpose(transpose) = &transposed.op else { return None };
    let kept =
        (0..transpose.perm.len()).filter(|axis| !reduce.axes.contains(axis)).map(|axis| transpose.perm[axis]);
    if !order_free(m, reduce.combine) || !kept.is_sorted() {
        return None;
    }
    let mut axes: Vec<usize> = reduce.axes.iter().map(|axis| transpose.perm[*axis]).collect();
    axes.sort_unstable();
    let (combine, x) = (reduce.combine, transposed.inputs[0]);
    m.replace(ops::Reduce { combine, axes }, &[x])
}

/// Over axes along which x only repeats n times: Σ = n · x (not strictly), max = min = any = all = x where n ≥ 1.
fn reduce_of_broadcast(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Reduce(reduce) = &m.node.op else { return None };
    let spread = m.of(m.input(0));
    let Op::Broadcast(_) = &spread.op else { return None };
    let (x, combine) = (spread.inputs[0], reduce.combine);
    let (from, to) = (m.b.ty(x).shape.clone(), spread.ty().shape.clone());
    let added = to.rank() - from.rank();
    let repeats = |axis: usize| axis < added || from[axis - added].is_const(1);
    if gives_index(combine) || combine == Combine::Product || !order_free(m, combine) {
        return None;
    }
    if !reduce.axes.iter().all(|axis| repeats(*axis)) || reduce.axes.is_empty() {
        return None;
    }
    let count: Dim = reduce.axes.iter().map(|axis| to[*axis].clone()).product();
    if combine != Combine::Sum && m.b.facts().prove_ge(&count, &Dim::from(1i64)) != Proof::Proved {
        return None;
    }
    // The axes of x that stay, then spread along what is left.
    let kept: Shape = (added..to.rank())
        .filter(|axis| !reduce.axes.contains(axis))
        .map(|axis| from[axis - added].clone())
        .collect();
    let target = m.ty().shape.clone();
    let dtype = m.ty().dtype;
    let x = m.b.reshape(x, &kept);
    let x = if combine == Combine::Sum && !count.is_const(1) {
        let count = m.add(ops::Size { dim: count, dtype }, &[])?;
        let count = m.b.broadcast(count, &kept);
        m.add(ops::Binary { op: Binary::Mul }, &[x, count])?
    } else {
        x
    };
    Some(m.b.broadcast(x, &target)).filter(|x| m.same_type(*x))
}
