//! The derivative of a contraction by one operand, itself a contraction:
//! `dx[a] = Σ dy[out] · other[…]` over all indices at which `x` is read at `a`.
//!
//! Where a subscript of `x` is `c·i + offset` with one index, `i` becomes an index of the result, which is then spread
//! with step `c` from `offset`. A subscript of several indices, as in a convolution, is solved for one of them, `t`,
//! that stands bare in `dy` or in the other operand: with `a` for the new index, `t = (a − offset − rest) / c`. That
//! operand is padded so that every such access is in bounds and `c − 1` zeros stand between its elements, where the
//! division leaves a rest. If no such `t` is to be found, `dy` and the other operand are multiplied out first.

use super::{Contract, Subscript};
use crate::ops::operands::equal;
use crate::ops::pad::{Pad, span};
use crate::{Builder, DType, NodeId};
use kernel::Binary;
use shape::{Dim, Proof, Shape};

const UNSOLVED: &str = "its derivative is not supported: two subscripts of one operand add the same indices";
const UNPROVED: &str = "its derivative needs sizes that are not known well enough";

/// What an axis of the operand becomes in its derivative.
enum Axis {
    /// An index of the result.
    Index(usize),
    /// `coefficient · index + offset`; not in the contraction where the index stands nowhere else.
    Spread { coefficient: i64, index: usize, offset: Dim },
    /// The same, of an index that axis `of` has already: what is off the diagonal is 0.
    Diagonal { coefficient: i64, index: usize, offset: Dim, of: usize },
    /// Only this place of the axis is read.
    Place(Dim),
}

#[derive(Clone)]
struct Operand {
    node: NodeId,
    subscripts: Vec<Subscript>,
}

impl Contract {
    pub(super) fn gradient(
        &self,
        b: &mut Builder<'_>,
        side: usize,
        inputs: &[NodeId],
        dout: NodeId,
    ) -> Result<NodeId, &'static str> {
        let (mine, theirs) = if side == 0 { (&self.lhs, &self.rhs) } else { (&self.rhs, &self.lhs) };
        let mine = &without_constants(mine, &self.extents);
        let sizes = b.ty(inputs[side]).shape.clone();
        let operands = [
            Operand { node: dout, subscripts: self.out.iter().copied().map(Subscript::index).collect() },
            Operand { node: inputs[1 - side], subscripts: theirs.clone() },
        ];
        match solved(b, mine, &sizes, self.extents.clone(), operands.clone()) {
            Err(UNSOLVED) => {
                let merged = merged(b, &self.extents, &operands)?;
                solved(b, mine, &sizes, self.extents.clone(), merged)
            }
            result => result,
        }
    }
}

/// The derivative by the operand with subscripts `mine`, as a contraction of these operands.
fn solved(
    b: &mut Builder<'_>,
    mine: &[Subscript],
    sizes: &Shape,
    mut extents: Vec<Dim>,
    mut operands: [Operand; 2],
) -> Result<NodeId, &'static str> {
    let mut axes = plain_axes(mine);
    for axis in 0..mine.len() {
        if mine[axis].terms.len() < 2 {
            continue;
        }
        let (position, which, place) = solvable(mine, axis, &axes, &operands).ok_or(UNSOLVED)?;
        let new = extents.len();
        extents.push(sizes[axis].clone());
        solve(b, &mine[axis], position, new, &extents, &mut operands[which], place)?;
        axes[axis] = Some(Axis::Index(new));
    }
    let axes: Vec<Axis> = axes.into_iter().flatten().collect();
    contracted(b, &axes, &extents, sizes, &operands)
}

/// The operands multiplied out, every index an axis of its own, and a one: where an index stands in both operands, or
/// in none, no operand alone can be solved for it.
fn merged(
    b: &mut Builder<'_>,
    extents: &[Dim],
    operands: &[Operand; 2],
) -> Result<[Operand; 2], &'static str> {
    let whole = |index| Axis::Spread { coefficient: 1, index, offset: Dim::default() };
    let axes: Vec<Axis> = (0..extents.len()).map(whole).collect();
    let product = contracted(b, &axes, extents, &Shape(extents.to_vec()), operands)?;
    let one = b.scalar(b.dtype(product), 1.0);
    Ok([
        Operand { node: product, subscripts: (0..extents.len()).map(Subscript::index).collect() },
        Operand { node: one, subscripts: Vec::new() },
    ])
}

/// The contraction whose result has these axes.
fn contracted(
    b: &mut Builder<'_>,
    axes: &[Axis],
    extents: &[Dim],
    sizes: &Shape,
    operands: &[Operand; 2],
) -> Result<NodeId, &'static str> {
    let (contract, out) = contraction(axes, extents, operands);
    let value = b.try_add(contract.into(), &[operands[0].node, operands[1].node]).map_err(|_| UNPROVED)?;
    place_axes(b, value, axes, &out, extents, sizes)
}

/// The subscripts without indices that are always 0: a kernel of one element is no convolution.
fn without_constants(subscripts: &[Subscript], extents: &[Dim]) -> Vec<Subscript> {
    let varies = |index: usize| !extents[index].is_const(1);
    let varying = |subscript: &Subscript| match subscript.terms.len() {
        0 | 1 => subscript.terms.clone(),
        _ => subscript.terms.iter().copied().filter(|(_, index)| varies(*index)).collect(),
    };
    subscripts
        .iter()
        .map(|subscript| Subscript { terms: varying(subscript), offset: subscript.offset.clone() })
        .collect()
}

/// The axes that need no solving.
fn plain_axes(subscripts: &[Subscript]) -> Vec<Option<Axis>> {
    let mut axes: Vec<Option<Axis>> = Vec::with_capacity(subscripts.len());
    for subscript in subscripts {
        let offset = subscript.offset.clone();
        axes.push(match subscript.terms.as_slice() {
            [] => Some(Axis::Place(offset)),
            [(coefficient, index)] => {
                let (coefficient, index) = (*coefficient, *index);
                let first = axes
                    .iter()
                    .position(|axis| matches!(axis, Some(Axis::Spread { index: i, .. }) if *i == index));
                Some(match first {
                    Some(of) => Axis::Diagonal { coefficient, index, offset, of },
                    None => Axis::Spread { coefficient, index, offset },
                })
            }
            _ => None,
        });
    }
    axes
}

/// A term of the subscript to solve for, and the operand and axis where its index stands bare and alone.
fn solvable(
    mine: &[Subscript],
    axis: usize,
    axes: &[Option<Axis>],
    operands: &[Operand; 2],
) -> Option<(usize, usize, usize)> {
    for which in [0, 1] {
        for (position, (_, index)) in mine[axis].terms.iter().enumerate() {
            let index = *index;
            let fixed = axes.iter().flatten().any(|axis| match axis {
                Axis::Spread { index: other, .. } => *other == index,
                _ => false,
            });
            let uses = |subscripts: &[Subscript]| {
                subscripts.iter().filter(|subscript| subscript.coefficient(index) != 0).count()
            };
            if fixed || uses(mine) != 1 || uses(&operands[1 - which].subscripts) != 0 {
                continue;
            }
            if uses(&operands[which].subscripts) != 1 {
                continue;
            }
            let bare =
                operands[which].subscripts.iter().position(|subscript| subscript.terms == [(1, index)]);
            if let Some(place) = bare {
                return Some((position, which, place));
            }
        }
    }
    None
}

/// Replaces term `position` of the subscript by the new index: pads the operand's axis `place`, where it stands.
fn solve(
    b: &mut Builder<'_>,
    subscript: &Subscript,
    position: usize,
    new: usize,
    extents: &[Dim],
    operand: &mut Operand,
    place: usize,
) -> Result<(), &'static str> {
    let (coefficient, index) = subscript.terms[position];
    let extent = &extents[index];
    // Only the part of the axis that the index walks.
    let start = operand.subscripts[place].offset.clone();
    let whole = start.is_const(0) && equal(b.facts(), &b.ty(operand.node).shape[place], extent);
    let mut node = if whole { operand.node } else { b.slice_axis(operand.node, place, &start, extent, 1) };
    let mut offset = subscript.offset.clone();
    if coefficient < 0 {
        node = b.reverse(node, place);
        offset += (extent - 1) * coefficient;
    }
    let step = coefficient.abs();
    let (mut low, mut above) = (offset.clone(), Dim::default());
    let mut terms = vec![(1, new)];
    for (k, (c, other)) in subscript.terms.iter().enumerate() {
        if k != position {
            let reach = (&extents[*other] - 1) * c.abs();
            if *c > 0 {
                low += reach
            } else {
                above += reach
            }
            terms.push((-c, *other));
        }
    }
    terms.sort_by_key(|(_, index)| *index);
    // Where another range might be empty, there is nothing to make room for.
    let low = at_least_zero(b, low);
    // Place `p` of the padded axis is where c·t + rest = p − low + offset.
    let padded = &extents[new] - &offset + above + &low;
    let high = at_least_zero(b, padded - &low - span(extent, step - 1, b.facts()));
    let rank = b.ty(node).rank();
    let mut pad =
        Pad { low: vec![Dim::default(); rank], high: vec![Dim::default(); rank], interior: vec![0; rank] };
    pad.low[place] = low.clone();
    pad.high[place] = high;
    pad.interior[place] = step - 1;
    let zero = b.scalar(b.dtype(node), 0.0);
    operand.node =
        if pad.is_nothing() { node } else { b.try_add(pad.into(), &[node, zero]).map_err(|_| UNPROVED)? };
    operand.subscripts[place] = Subscript { terms, offset: low - offset };
    Ok(())
}

/// The size itself where it is known not to be negative.
fn at_least_zero(b: &Builder<'_>, size: Dim) -> Dim {
    let zero = Dim::default();
    if b.facts().prove_ge(&size, &zero) == Proof::Proved { size } else { Dim::max(&size, &zero) }
}

/// The contraction of the two operands whose output has the axes' indices as far as the operands do, and these indices
/// in the numbering of `extents`.
fn contraction(axes: &[Axis], extents: &[Dim], operands: &[Operand; 2]) -> (Contract, Vec<usize>) {
    let used = |index: usize| {
        operands
            .iter()
            .flat_map(|operand| &operand.subscripts)
            .any(|subscript| subscript.coefficient(index) != 0)
    };
    let out: Vec<usize> = axes
        .iter()
        .filter_map(|axis| match axis {
            Axis::Index(index) | Axis::Spread { index, .. } => Some(*index),
            Axis::Diagonal { .. } | Axis::Place(_) => None,
        })
        .filter(|index| used(*index))
        .collect();
    // Indices that were solved for are gone.
    let kept: Vec<usize> = (0..extents.len()).filter(|index| used(*index)).collect();
    let renumbered = |index: usize| kept.binary_search(&index).unwrap_or(index);
    let subscripts = |operand: &Operand| {
        let renumber = |subscript: &Subscript| Subscript {
            terms: subscript.terms.iter().map(|(c, index)| (*c, renumbered(*index))).collect(),
            offset: subscript.offset.clone(),
        };
        operand.subscripts.iter().map(renumber).collect()
    };
    let contract = Contract {
        extents: kept.iter().map(|index| extents[*index].clone()).collect(),
        out: out.iter().map(|index| renumbered(*index)).collect(),
        lhs: subscripts(&operands[0]),
        rhs: subscripts(&operands[1]),
    };
    (contract, out)
}

/// Brings the axes that the contraction does not have, and every element to its place.
fn place_axes(
    b: &mut Builder<'_>,
    value: NodeId,
    axes: &[Axis],
    out: &[usize],
    extents: &[Dim],
    sizes: &Shape,
) -> Result<NodeId, &'static str> {
    let one = Dim::from(1i64);
    let (mut inserted, mut full) = (Vec::new(), Vec::new());
    for axis in axes {
        let (present, extent) = match axis {
            Axis::Index(index) => (true, extents[*index].clone()),
            Axis::Spread { index, .. } => (out.contains(index), extents[*index].clone()),
            Axis::Diagonal { index, .. } => (false, extents[*index].clone()),
            Axis::Place(_) => (false, one.clone()),
        };
        inserted.push(if present { extent.clone() } else { one.clone() });
        full.push(extent);
    }
    let full = Shape(full);
    let value = b.reshape(value, &Shape(inserted));
    let mut value = b.broadcast(value, &full);
    let dtype = b.dtype(value);
    let rank = axes.len();
    let mut pad =
        Pad { low: vec![Dim::default(); rank], high: vec![Dim::default(); rank], interior: vec![0; rank] };
    let mut needed = false;
    for (k, axis) in axes.iter().enumerate() {
        let (coefficient, offset) = match axis {
            Axis::Index(_) => continue,
            Axis::Spread { coefficient, offset, .. } => (*coefficient, offset.clone()),
            Axis::Diagonal { coefficient, offset, of, .. } => {
                let places = [b.iota(DType::I32, &full, *of), b.iota(DType::I32, &full, k)];
                let diagonal = b.binary(Binary::Eq, places[0], places[1]);
                let zeros = b.zeros_like(value);
                value = b.select(diagonal, value, zeros);
                (*coefficient, offset.clone())
            }
            Axis::Place(offset) => (1, offset.clone()),
        };
        let extent = &full[k];
        let mut low = offset;
        if coefficient < 0 {
            low += (extent - 1) * coefficient;
        }
        let gap = coefficient.abs() - 1;
        if low.is_const(0) && gap == 0 && coefficient > 0 && equal(b.facts(), extent, &sizes[k]) {
            continue;
        }
        needed = true;
        pad.high[k] = &sizes[k] - &low - span(extent, gap, b.facts());
        pad.low[k] = low;
        pad.interior[k] = gap;
    }
    // Reversed after all masks, which are in the order of the indices.
    for (k, axis) in axes.iter().enumerate() {
        if let Axis::Spread { coefficient: ..0, .. } | Axis::Diagonal { coefficient: ..0, .. } = axis {
            value = b.reverse(value, k);
        }
    }
    if !needed {
        return Ok(value);
    }
    let zero = b.scalar(dtype, 0.0);
    b.try_add(pad.into(), &[value, zero]).map_err(|_| UNPROVED)
}
