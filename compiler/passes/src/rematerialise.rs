//! Computing values of the forward half again, right before derivatives read them, instead of keeping them:
//! `h = relu(z); …; dz = h * dh` becomes `h = relu(z); …; h' = relu(z); dz = h' * dh`.
//! Keeps: every bit, since the same operations run on the same operands. Runs last: merging equal values would undo it.

use base::IdVec;
use graph::{Function, Node, NodeId, Op, Phase, Scope, phases};
use std::{collections::BTreeMap, sync::Arc};

/// Values that are free to have again: another view of an operand, or no data at all.
pub fn is_free(op: &Op) -> bool {
    matches!(
        op,
        Op::Constant(_)
            | Op::Size(_)
            | Op::Broadcast(_)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice(_)
            | Op::StopGradient(_)
            | Op::Barrier(_)
            | Op::Window(_)
    )
}

/// The forward half as a sequence of values that may be cut into segments.
pub struct Forward {
    phases: Vec<Phase>,
    /// The last node of the forward half that reads the value, through free operations; its own place where none does.
    last_read: Vec<usize>,
    /// Whether a derivative, or what is done with it, reads the value.
    read_later: Vec<bool>,
}

impl Forward {
    /// `None` where nothing follows the forward half.
    pub fn of(function: &Function) -> Option<Forward> {
        let phases = phases(function);
        let n = function.nodes.len();
        let mut last_read: Vec<usize> = (0..n).collect();
        let mut read_later = vec![false; n];
        for (id, node) in function.nodes.iter().rev() {
            let index = id.index();
            for input in &node.inputs {
                let input = input.index();
                if phases[index] == Phase::Forward {
                    let read = if is_free(&node.op) { last_read[index] } else { index };
                    last_read[input] = last_read[input].max(read);
                    read_later[input] |= is_free(&node.op) && read_later[index];
                } else {
                    read_later[input] = true;
                }
            }
        }
        let has_later = phases.iter().any(|phase| *phase != Phase::Forward);
        has_later.then_some(Forward { phases, last_read, read_later })
    }

    fn is_value(&self, function: &Function, index: usize) -> bool {
        let node = &function.nodes[NodeId::new(index)];
        let is_array = node.types.len() == 1 && !matches!(node.op, Op::Parameter(_));
        self.phases[index] == Phase::Forward && is_array && !is_free(&node.op)
    }

    fn crosses(&self, index: usize, cut: usize) -> bool {
        index <= cut && cut < self.last_read[index]
    }

    /// About `count` cuts, each behind the node given, that divide what derivatives read into parts of like size and
    /// leave little to be kept between the parts. `bytes` tells the size of a node's value.
    pub fn cuts(&self, function: &Function, count: usize, bytes: &dyn Fn(NodeId) -> u64) -> Vec<usize> {
        let n = function.nodes.len();
        let size = |index: usize| if self.is_value(function, index) { bytes(NodeId::new(index)) } else { 0 };
        let sizes: Vec<u64> = (0..n).map(size).collect();
        let kept = |index: usize| if self.read_later[index] { sizes[index] } else { 0 };
        let total: u64 = (0..n).map(kept).sum();
        // Bytes that cross the place behind each node.
        let mut ends = vec![0u64; n + 1];
        let mut crossing = Vec::with_capacity(n);
        let mut live = 0u64;
        for index in 0..n {
            live = live.saturating_sub(ends[index]);
            if self.last_read[index] > index {
                live += sizes[index];
                ends[self.last_read[index]] += sizes[index];
            }
            crossing.push(live);
        }
        let mut cuts: Vec<usize> = Vec::new();
        let (mut before, mut number, parts) = (0u64, 1u64, count as u64 + 1);
        let mut best: Option<(u64, usize)> = None;
        for (index, crossing) in crossing.iter().enumerate() {
            if !self.is_value(function, index) {
                continue;
            }
            before += kept(index);
            // Half a part before and behind the ideal place.
            let (from, to) = ((2 * number - 1) * total / (2 * parts), (2 * number + 1) * total / (2 * parts));
            if before >= to {
                cuts.extend(best.take().map(|(_, cut)| cut));
                number += 1;
                if number == parts {
                    break;
                }
            } else if before >= from && best.is_none_or(|(least, _)| *crossing < least) {
                best = Some((*crossing, index));
            }
        }
        cuts.extend(best.filter(|_| number < parts).map(|(_, cut)| cut));
        cuts.dedup();
        cuts
    }

    /// Which nodes are computed again when only what crosses a cut is kept. What follows the last cut stays, since
    /// derivatives read it first. With `cheap`, values there that follow element by element from others are computed
    /// again too.
    pub fn between(&self, function: &Function, cuts: &[usize], cheap: bool) -> Vec<bool> {
        let last = cuts.last().copied();
        let chosen = function.nodes.iter().map(|(id, node)| {
            let index = id.index();
            if self.phases[index] != Phase::Forward || matches!(node.op, Op::Parameter(_) | Op::Constant(_)) {
                return false;
            }
            let inside = last.is_some_and(|last| index <= last);
            let map = matches!(node.op, Op::Unary(_) | Op::Binary(_) | Op::Select(_) | Op::Cast(_));
            match inside {
                true => is_free(&node.op) || !cuts.iter().any(|cut| self.crosses(index, *cut)),
                false => is_free(&node.op) || cheap && map,
            }
        });
        chosen.collect()
    }
}

/// Computes the chosen nodes of the forward half again for what follows it, each once and as late as possible. The
/// nodes of the new function that do so.
pub fn rematerialise(function: &mut Function, chosen: &[bool]) -> Vec<NodeId> {
    let phases = phases(function);
    let nodes = std::mem::replace(&mut function.nodes, IdVec::new());
    let mut copies: Vec<NodeId> = Vec::with_capacity(nodes.len());
    let mut again: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let mut added = Vec::new();
    for (id, node) in nodes.iter() {
        let late = phases[id.index()] != Phase::Forward;
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            let input = *input;
            if late && chosen[input.index()] {
                // Operands first, without recursion: chains are as long as networks are deep.
                let mut stack = vec![input];
                while let Some(top) = stack.last().copied() {
                    if again.contains_key(&top) {
                        stack.pop();
                        continue;
                    }
                    let source = &nodes[top];
                    let open = |input: &&NodeId| chosen[input.index()] && !again.contains_key(*input);
                    let missing: Vec<NodeId> = source.inputs.iter().filter(open).copied().collect();
                    if !missing.is_empty() {
                        stack.extend(missing);
                        continue;
                    }
                    let place = |input: &NodeId| again.get(input).copied().unwrap_or(copies[input.index()]);
                    let scope = Scope {
                        backward: true,
                        recomputed: true,
                        ..source.scope.as_deref().cloned().unwrap_or_default()
                    };
                    let copy = Node {
                        inputs: source.inputs.iter().map(place).collect(),
                        scope: Some(Arc::new(scope)),
                        ..source.clone()
                    };
                    let copy = function.nodes.push(copy);
                    again.insert(top, copy);
                    added.push(copy);
                    stack.pop();
                }
                inputs.push(again[&input]);
            } else {
                inputs.push(copies[input.index()]);
            }
        }
        copies.push(function.nodes.push(Node { inputs, ..node.clone() }));
    }
    for (_, _, value) in &mut function.results {
        *value = copies[value.index()];
    }
    added
}
