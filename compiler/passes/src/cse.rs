//! Merge nodes that compute the same value: `b = exp(x); c = exp(x)` becomes one `exp(x)`.
//! Keeps: the place in the source of the first. All operators are functions of their operands and attributes, random
//! draws and calls too, so equal ones are merged without exception.

use crate::{
    Changed, Pass, PassCx,
    rebuild::{each_function, rebuild},
};
use graph::{Module, Node, NodeId, Op, Type};
use std::collections::{HashMap, hash_map::Entry};

pub const PASS: Pass = Pass { name: "cse", summary: "merge equal computations", run };

fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    each_function(module, cx, |module, function| {
        let mut known: HashMap<(Op, Vec<NodeId>, Vec<Type>), NodeId> = HashMap::new();
        rebuild(module, function, |b, node| {
            let Node { op, inputs, types, .. } = node.clone();
            match known.entry((op, inputs, types)) {
                Entry::Occupied(first) => Ok(Some(*first.get())),
                Entry::Vacant(place) => {
                    // Where the copy will stand.
                    place.insert(NodeId::new(b.function.nodes.len()));
                    Ok(None)
                }
            }
        })
    })
}
