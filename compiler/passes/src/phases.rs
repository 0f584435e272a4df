//! Convolutions of what has zeros between its elements, as the input gradients of strided convolutions are: most of their
//! products are with those zeros. The outputs fall into phases, by what they leave when divided by the stride; each phase
//! meets the elements at its own taps of the kernel alone, so it is a convolution with fewer taps and no zeros.
//! Needs: composites expanded, crops folded into contractions. Keeps: everything else.

use crate::{
    Changed, Pass, PassCx,
    fold::splat,
    rebuild::{each_function, rebuild},
};
use graph::{
    Builder, Node, NodeId, Op,
    ops::{self, Contract, Subscript},
};
use shape::{Dim, Shape};

pub const PASS: Pass =
    Pass { name: "phases", summary: "do not multiply with the zeros of transposed convolutions", run };

/// Larger strides make more phases than they save.
const MAX_STRIDE: i64 = 4;
/// Axes of one operand, and chains of them; a contraction has a few of each.
const MAX_ROUNDS: usize = 16;

fn run(module: &mut graph::Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    if cx.strict {
        // A product with 0 that is left out may have been NaN or −0.
        return Ok(Changed::No);
    }
    each_function(module, cx, |module, function| {
        let mut changed = Changed::No;
        for _ in 0..MAX_ROUNDS {
            let round = rebuild(module, function, |b, node| {
                let found = Dilated::find(b, node);
                found.map(|found| found.by_phases(b, node)).transpose()
            })?;
            if round == Changed::No {
                break;
            }
            changed = Changed::Yes;
        }
        Ok(changed)
    })
}

/// A contraction that reads one axis of an operand at `output + direction · tap + offset`, elements of which stand
/// `stride` apart between zeros.
struct Dilated {
    contract: Contract,
    side: usize,
    axis: usize,
    output: usize,
    tap: usize,
    direction: i64,
    offset: i64,
    stride: i64,
    /// Zeros before the first element.
    low: i64,
    elements: i64,
    taps: i64,
    outputs: i64,
    /// What is padded, and the padding of other axes around it, innermost first.
    source: NodeId,
    around: Vec<NodeId>,
}

impl Dilated {
    fn find(b: &Builder<'_>, node: &Node) -> Option<Dilated> {
        let Op::Contract(contract) = &node.op else { return None };
        let sides = [&contract.lhs, &contract.rhs];
        let axes =
            sides.iter().enumerate().flat_map(|(side, axes)| (0..axes.len()).map(move |axis| (side, axis)));
        axes.into_iter().find_map(|(side, axis)| Dilated::along(b, node, contract, side, axis))
    }

    fn along(b: &Builder<'_>, node: &Node, contract: &Contract, side: usize, axis: usize) -> Option<Dilated> {
        let (mut source, mut around) = (node.inputs[side], Vec::new());
        let pad = loop {
            let Op::Pad(pad) = &b.function.nodes[source].op else { return None };
            let inputs = &b.function.nodes[source].inputs;
            let none = |k: usize| pad.low[k].is_const(0) && pad.high[k].is_const(0) && pad.interior[k] == 0;
            if splat(b, inputs[1]).is_none_or(|fill| fill != 0.0) {
                return None;
            }
            if pad.interior[axis] > 0 {
                if (0..pad.low.len()).any(|k| k != axis && !none(k)) {
                    return None;
                }
                source = inputs[0];
                break pad;
            }
            if !none(axis) {
                return None;
            }
            around.insert(0, source);
            source = inputs[0];
        };
        let stride = pad.interior[axis] + 1;
        let subscript = [&contract.lhs, &contract.rhs][side].get(axis)?;
        let is_output = |index: usize| contract.out.contains(&index);
        let [(a, first), (c, second)] = subscript.terms[..] else { return None };
        let (output, tap, direction) = match (is_output(first), is_output(second)) {
            (true, false) if a == 1 => (first, second, c),
            (false, true) if c == 1 => (second, first, a),
            _ => return None,
        };
        let reads = contract.lhs.iter().chain(&contract.rhs).filter(|other| other.coefficient(output) != 0);
        let read_once = reads.count() == 1;
        let (taps, outputs) = (contract.extents[tap].as_const()?, contract.extents[output].as_const()?);
        let found = Dilated {
            contract: contract.clone(),
            side,
            axis,
            output,
            tap,
            direction,
            offset: subscript.offset.as_const()?,
            stride,
            low: pad.low[axis].as_const()?,
            elements: b.ty(source).shape[axis].as_const()?,
            taps,
            outputs,
            source,
            around,
        };
        let fits = direction.abs() == 1
            && stride <= MAX_STRIDE
            && outputs % stride == 0
            && outputs > 0
            && read_once
            && b.ty(node.inputs[side]).dtype.is_float();
        fits.then_some(found)
    }

    /// The phases' results, woven into one.
    fn by_phases(&self, b: &mut Builder<'_>, node: &Node) -> Result<NodeId, String> {
        let shape = node.ty().shape.clone();
        let place = self.contract.out.iter().position(|index| *index == self.output);
        let place = place.ok_or("the index of an output is none")?;
        let with = |extents: [i64; 2]| -> Shape {
            let (before, after) = (shape[..place].iter(), shape[place + 1..].iter());
            before.cloned().chain(extents.map(Dim::from)).chain(after.cloned()).collect()
        };
        let each = self.outputs / self.stride;
        let mut parts = Vec::new();
        for phase in 0..self.stride {
            let part = match self.phase(b, node, phase)? {
                Some(part) => b.reshape(part, &with([each, 1])),
                None => b.full(node.ty().dtype, &with([each, 1]), 0.0),
            };
            parts.push(part);
        }
        let woven = b.try_add(ops::Concat { axis: place + 1 }.into(), &parts);
        let woven = woven.map_err(|fault| fault.message.clone())?;
        Ok(b.reshape(woven, &shape))
    }

    /// Outputs `stride · o + phase`; `None` where no tap meets an element.
    fn phase(&self, b: &mut Builder<'_>, node: &Node, phase: i64) -> Result<Option<NodeId>, String> {
        // An element stands where output + direction · tap + offset − low is a multiple of the stride.
        let ahead = phase + self.offset - self.low;
        let first_tap = (-self.direction * ahead).rem_euclid(self.stride);
        let taps = (self.taps - first_tap + self.stride - 1).div_euclid(self.stride);
        if taps <= 0 {
            return Ok(None);
        }
        let shift = (ahead + self.direction * first_tap) / self.stride;
        let each = self.outputs / self.stride;
        let (lowest_tap, highest_tap) = match self.direction {
            1 => (0, taps - 1),
            _ => (1 - taps, 0),
        };
        let low = (-(lowest_tap + shift)).max(0);
        let high = (each - 1 + highest_tap + shift - (self.elements - 1)).max(0);
        let operand = self.padded(b, low, high)?;
        let mut contract = self.contract.clone();
        contract.extents[self.output] = Dim::from(each);
        contract.extents[self.tap] = Dim::from(taps);
        for (side, subscripts) in [&mut contract.lhs, &mut contract.rhs].into_iter().enumerate() {
            for (axis, subscript) in subscripts.iter_mut().enumerate() {
                if (side, axis) == (self.side, self.axis) {
                    let mut terms = vec![(1, self.output), (self.direction, self.tap)];
                    terms.sort_by_key(|(_, index)| *index);
                    *subscript = Subscript { terms, offset: Dim::from(shift + low) };
                    continue;
                }
                for (coefficient, _) in subscript.terms.iter_mut().filter(|(_, index)| *index == self.tap) {
                    subscript.offset += Dim::from(*coefficient * first_tap);
                    *coefficient *= self.stride;
                }
            }
        }
        let mut inputs = node.inputs.clone();
        inputs[self.side] = operand;
        b.try_add(contract.into(), &inputs).map(Some).map_err(|fault| fault.message.clone())
    }

    /// The operand without zeros between its elements, with as many around them as are read.
    fn padded(&self, b: &mut Builder<'_>, low: i64, high: i64) -> Result<NodeId, String> {
        let mut operand = self.source;
        let fill = b.scalar(b.dtype(operand), 0.0);
        for pad in &self.around {
            let op = b.function.nodes[*pad].op.clone();
            operand = b.try_add(op, &[operand, fill]).map_err(|fault| fault.message.clone())?;
        }
        if low == 0 && high == 0 {
            return Ok(operand);
        }
        let rank = b.ty(operand).shape.rank();
        let along = |amount: i64| -> Vec<Dim> {
            (0..rank).map(|k| Dim::from(if k == self.axis { amount } else { 0 })).collect()
        };
        let pad = ops::Pad { low: along(low), high: along(high), interior: vec![0; rank] };
        b.try_add(pad.into(), &[operand, fill]).map_err(|fault| fault.message.clone())
    }
}
