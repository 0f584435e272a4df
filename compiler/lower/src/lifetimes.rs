//! When values need memory, without making kernels: for judging a graph before it is lowered.

use crate::{
    Options, Unsupported,
    group::form_groups,
    place::{Analysis, Place},
};
use graph::{FuncId, Module, NodeId};
use shape::Dim;
use std::collections::BTreeSet;

/// A value that gets workspace, from the kernel that writes it to the last that reads it.
pub struct Life {
    pub node: NodeId,
    pub bytes: Dim,
    pub first: usize,
    pub last: usize,
}

/// The values of an entry that live in the workspace; scratch of single kernels is not among them.
pub fn lifetimes(module: &Module, entry: FuncId, options: &Options<'_>) -> Result<Vec<Life>, Unsupported> {
    let function = &module.functions[entry];
    let analysis = Analysis::new(function, options)?;
    let groups = form_groups(&analysis);
    let mut last: Vec<Option<usize>> = vec![None; function.nodes.len()];
    for (number, group) in groups.groups.iter().enumerate() {
        let mut seen = BTreeSet::new();
        let mut stack: Vec<NodeId> = group.source.into_iter().collect();
        for node in group.heroes.iter().chain(&group.members) {
            stack.extend(&analysis.node(*node).inputs);
        }
        while let Some(id) = stack.pop() {
            if !seen.insert(id) {
                continue;
            }
            match analysis.place(id) {
                Place::Inline | Place::View => stack.extend(&analysis.node(id).inputs),
                Place::Computed => last[id.index()] = Some(number),
                _ => {}
            }
        }
    }
    let results: BTreeSet<NodeId> =
        function.results.iter().map(|(_, _, value)| analysis.base(*value)).collect();
    let lives = function.nodes.iter().filter_map(|(id, _)| {
        let first = groups.group_of[id.index()]?;
        if !groups.stored[id.index()] || results.contains(&id) {
            return None;
        }
        let bytes = analysis.ty(id).shape.elements() * analysis.dtype(id).size() as i64;
        Some(Life { node: id, bytes, first, last: last[id.index()].unwrap_or(first) })
    });
    Ok(lives.collect())
}
