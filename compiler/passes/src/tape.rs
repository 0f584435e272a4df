//! Give derivatives what the forward pass has computed: where `y = exp(x)` stands before, a derivative's own `exp(x)` becomes
//! `y`. So a framework's tape does, and no more: equal computations as a person wrote them stay as many as they are.
//! Keeps: the order.

use crate::{
    Changed, Pass, PassCx,
    rebuild::{each_function, rebuild},
};
use graph::{Module, Node, NodeId, Op, Type};
use std::collections::HashMap;

pub const PASS: Pass = Pass { name: "tape", summary: "give derivatives what was computed before them", run };

fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    each_function(module, cx, |module, function| {
        // The first of equal nodes, whose operands are told by the first that is equal to each. Only looked up.
        let mut known: HashMap<(Op, Vec<NodeId>, Vec<Type>), NodeId> = HashMap::new();
        let mut first: HashMap<NodeId, NodeId> = HashMap::new();
        rebuild(module, function, |b, node| {
            let Node { op, inputs, types, .. } = node.clone();
            let inputs = inputs.iter().map(|input| first.get(input).copied().unwrap_or(*input)).collect();
            // Where the copy will stand.
            let copy = NodeId::new(b.function.nodes.len());
            let before = *known.entry((op, inputs, types)).or_insert(copy);
            if before == copy {
                return Ok(None);
            }
            if node.scope.as_ref().is_some_and(|scope| scope.backward) {
                return Ok(Some(before));
            }
            first.insert(copy, before);
            Ok(None)
        })
    })
}
