//! The one way in which passes change a function: its live nodes are copied in order, and a rule may put another value
//! in the place of any.

use crate::{Changed, PassCx};
use base::IdVec;
use graph::{Builder, Function, Module, Node, NodeId, Op};
use std::collections::BTreeMap;

/// Applies `change` to every function that an entry point needs, callees first.
pub(crate) fn each_function(
    module: &mut Module,
    cx: &PassCx<'_>,
    mut change: impl FnMut(&mut Module, &mut Function) -> Result<Changed, String>,
) -> Result<Changed, String> {
    let mut changed = Changed::No;
    for id in cx.reachable(module) {
        // The function is taken out while it changes, because building reads the functions that it calls.
        let mut function = std::mem::replace(&mut module.functions[id], Function::new(""));
        let result = change(module, &mut function);
        module.functions[id] = function;
        changed = changed.or(result?);
    }
    Ok(changed)
}

/// Copies the live nodes. Where the rule gives a value, of the same type as the node, it takes the node's place; the rule
/// sees the node with its operands already replaced.
pub(crate) fn rebuild(
    module: &Module,
    function: &mut Function,
    mut rule: impl FnMut(&mut Builder<'_>, &Node) -> Result<Option<NodeId>, String>,
) -> Result<Changed, String> {
    rebuild_with_uses(module, function, |b, node, _| rule(b, node))
}

/// How often each copy is read by live nodes and results.
#[derive(Default)]
pub(crate) struct Uses(BTreeMap<NodeId, usize>);

impl Uses {
    pub(crate) fn is_single(&self, id: NodeId) -> bool {
        self.0.get(&id) == Some(&1)
    }
}

/// The same with a rule that sees who else reads a value.
pub(crate) fn rebuild_with_uses(
    module: &Module,
    function: &mut Function,
    mut rule: impl FnMut(&mut Builder<'_>, &Node, &Uses) -> Result<Option<NodeId>, String>,
) -> Result<Changed, String> {
    let live = live_nodes(function);
    let mut uses_before = vec![0usize; function.nodes.len()];
    let read = function.nodes.iter().filter(|(id, _)| live[id.index()]).flat_map(|(_, node)| &node.inputs);
    for id in read.chain(function.results.iter().map(|(_, _, value)| value)) {
        uses_before[id.index()] += 1;
    }
    let mut uses = Uses::default();
    let nodes = std::mem::replace(&mut function.nodes, IdVec::new());
    let mut changed = Changed::No;
    let mut copies: Vec<Option<NodeId>> = Vec::with_capacity(nodes.len());
    for (id, node) in nodes.iter() {
        if !live[id.index()] {
            copies.push(None);
            continue;
        }
        let inputs = node.inputs.iter().map(|input| copies[input.index()]).collect::<Option<Vec<NodeId>>>();
        let inputs = inputs.ok_or("a live node has a dead operand")?;
        let node = Node { inputs, ..node.clone() };
        let mut b = Builder { module, function, span: node.span };
        let (first, scope) = (b.function.nodes.len(), node.scope.clone());
        let copy = match rule(&mut b, &node, &uses)? {
            Some(value) => {
                changed = Changed::Yes;
                value
            }
            None => function.nodes.push(node),
        };
        if let Some(scope) = &scope {
            function.scope_from(first, scope);
        }
        *uses.0.entry(copy).or_default() += uses_before[id.index()];
        copies.push(Some(copy));
    }
    for (_, _, value) in &mut function.results {
        *value = copies[value.index()].ok_or("a result is dead")?;
    }
    Ok(changed)
}

/// What a result needs, and all parameters.
pub(crate) fn live_nodes(function: &Function) -> Vec<bool> {
    let mut live = vec![false; function.nodes.len()];
    for (_, _, value) in &function.results {
        live[value.index()] = true;
    }
    for (id, node) in function.nodes.iter().rev() {
        live[id.index()] |= matches!(node.op, Op::Parameter(_));
        if live[id.index()] {
            for input in &node.inputs {
                live[input.index()] = true;
            }
        }
    }
    live
}
