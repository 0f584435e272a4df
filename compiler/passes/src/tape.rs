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
        // The last of equal nodes. Only looked up.
        let mut known: HashMap<(Op, Vec<NodeId>, Vec<Type>), NodeId> = HashMap::new();
        rebuild(module, function, |b, node| {
            let Node { op, inputs, types, .. } = node.clone();
            let key = (op, inputs, types);
            if node.scope.as_ref().is_some_and(|scope| scope.backward)
                && let Some(before) = known.get(&key)
            {
                return Ok(Some(*before));
            }
            // Where the copy will stand.
            known.insert(key, NodeId::new(b.function.nodes.len()));
            Ok(None)
        })
    })
}
