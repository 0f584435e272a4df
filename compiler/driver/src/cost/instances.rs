//! The instances of a model's layers.

use super::{joined, runs::runs};
use graph::{FuncId, Function, Module, Op, Scope, Type, ops};
use shape::Facts;
use std::collections::BTreeSet;

/// An instance of a layer in an entry point.
#[derive(Clone, PartialEq, Debug)]
pub struct Instance {
    pub path: String,
    /// The layer's definition, as `conv2d`.
    pub layer: String,
    pub outputs: Vec<Type>,
    pub depth: usize,
}

/// All instances of an entry of the module that the checker made, in the order in which they are first applied, each
/// before what is inside it.
pub fn instances(module: &Module, entry: FuncId) -> Vec<Instance> {
    let mut found = Found::default();
    inside(module, &module.functions[entry], ("", 0), &|ty| ty.clone(), &mut found);
    found.list
}

#[derive(Default)]
struct Found {
    list: Vec<Instance>,
    known: BTreeSet<String>,
}

fn inside(
    module: &Module,
    function: &Function,
    (prefix, depth): (&str, usize),
    in_entry: &dyn Fn(&Type) -> Type,
    found: &mut Found,
) {
    for node in function.nodes.values() {
        for body in runs(function, node).bodies {
            let callee = &module.functions[body.id];
            let operands: Vec<&Type> = body.operands.iter().collect();
            let Ok(dims) = ops::bind(callee, &Facts::default(), &operands)
                .or_else(|_| ops::bind(callee, &function.facts, &operands))
            else {
                continue;
            };
            let types = |ty: &Type| in_entry(&Type::new(ty.dtype, ty.shape.substitute(&dims)));
            let is_call = matches!(node.op, Op::Call(_));
            let scope = node.scope.as_ref().filter(|it| is_call && !it.instance.is_empty() && !it.backward);
            let Some(scope) = scope else {
                inside(module, callee, (prefix, depth), &types, found);
                continue;
            };
            let paths =
                Scope::paths_of_steps(&scope.instance).unwrap_or_else(|| vec![scope.instance.clone()]);
            for path in paths {
                let path = joined(prefix, &path);
                if !found.known.insert(path.clone()) {
                    continue;
                }
                let results = callee.results.iter().filter(|(_, role, _)| *role == graph::Role::Output);
                let layer = callee.name.split('.').next().unwrap_or_default().to_string();
                let outputs = results.map(|(_, _, id)| types(callee.ty(*id))).collect();
                found.list.push(Instance { path: path.clone(), layer, outputs, depth });
                inside(module, callee, (&path, depth + 1), &types, found);
            }
        }
    }
}
