//! Put the body of a function in the place of each call of it: `y = call @dense x w` becomes `y = add (contract x w) b`.
//! Composites stay calls until `expand_composites`.
//! Needs: callees before callers. Keeps: requirements, in the caller's dimensions.

use crate::{
    Changed, Pass, PassCx,
    rebuild::{each_function, rebuild},
};
use graph::{Function, Module, Node, NodeId, Op, Scope, Type, assume_in_dims, ops::bind};
use shape::{Dim, Symbol};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

pub const PASS: Pass = Pass { name: "inline", summary: "put bodies in the place of calls", run };

fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    expand_calls(module, cx, |callee| callee.composite.is_none())
}

/// Expands the calls of the functions that `wanted` accepts, at any depth.
pub(crate) fn expand_calls(
    module: &mut Module,
    cx: &PassCx<'_>,
    wanted: impl Fn(&Function) -> bool,
) -> Result<Changed, String> {
    each_function(module, cx, |module, function| {
        // What each call that was expanded gave.
        let mut results: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        let facts_before = function.facts.clone();
        let mut effects = Vec::new();
        let changed = rebuild(module, function, |b, node| {
            if let Op::Get(get) = &node.op {
                return Ok(results.get(&node.inputs[0]).map(|values| values[get.index]));
            }
            let Some(callee) = node.op.callee().and_then(|id| module.functions.get(id)) else {
                return Ok(None);
            };
            if !wanted(callee) {
                return Ok(None);
            }
            let types: Vec<&Type> = node.inputs.iter().map(|input| b.ty(*input)).collect();
            let dims = bind(callee, b.facts(), &types).map_err(|fault| fault.message.clone())?;
            effects.extend(callee.effects.iter().map(|effect| effect.in_dims(&dims)));
            for assumption in callee.facts.assumptions() {
                assume_in_dims(&mut b.function.facts, assumption, &dims);
            }
            let values = copy_body(b.function, callee, node, &dims);
            // A stand-in that nothing reads keeps the call's place until the next rebuild drops it.
            let place = b.function.nodes.push(node.clone());
            results.insert(place, values);
            Ok(Some(place))
        })?;
        for effect in effects {
            if !function.effects.contains(&effect) && !effect.always_holds(&facts_before) {
                function.effects.push(effect);
            }
        }
        if changed == Changed::Yes {
            rebuild(module, function, |_, _| Ok(None))?;
        }
        Ok(changed)
    })
}

fn copy_body(
    function: &mut Function,
    callee: &Function,
    call: &Node,
    dims: &BTreeMap<Symbol, Dim>,
) -> Vec<NodeId> {
    // Few scopes for many nodes: each is made once. Only looked up, by where it lies.
    let mut scopes: HashMap<Option<*const Scope>, Arc<Scope>> = HashMap::new();
    let mut copies: Vec<NodeId> = Vec::with_capacity(callee.nodes.len());
    for (_, node) in callee.nodes.iter() {
        copies.push(match &node.op {
            Op::Parameter(parameter) => call.inputs[parameter.index],
            op => {
                let inner = node.scope.as_deref();
                let scope = scopes
                    .entry(inner.map(std::ptr::from_ref))
                    .or_insert_with(|| Arc::new(Scope::called(inner, call.scope.as_deref(), call.span)));
                let scope = scope.clone();
                let substituted = |ty: &Type| Type::new(ty.dtype, ty.shape.substitute(dims));
                function.nodes.push(Node {
                    op: op.clone().substitute(dims),
                    inputs: node.inputs.iter().map(|input| copies[input.index()]).collect(),
                    types: node.types.iter().map(substituted).collect(),
                    span: node.span,
                    scope: Some(scope),
                })
            }
        });
    }
    callee.results.iter().map(|(_, _, value)| copies[value.index()]).collect()
}
