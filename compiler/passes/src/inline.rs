//! Put the body of a function in the place of each call of it: `y = call @dense x w` becomes `y = add (contract x w) b`.
//! Composites stay calls until `expand_composites`.
//! Needs: callees before callers. Keeps: requirements, in the caller's dimensions.

use crate::{Changed, Pass, PassCx, rebuild::rebuild};
use graph::{Effect, Function, Module, Node, NodeId, Op, Scope, Type, assume_in_dims, ops::bind, specialise};
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
    let mut changed = Changed::No;
    for id in cx.reachable(module) {
        let mut function = std::mem::replace(&mut module.functions[id], Function::new(""));
        let result = expand_in(module, &mut function, &wanted);
        module.functions[id] = function;
        changed = changed.or(result?);
    }
    Ok(changed)
}

fn expand_in(
    module: &mut Module,
    function: &mut Function,
    wanted: &impl Fn(&Function) -> bool,
) -> Result<Changed, String> {
    // What each call that was expanded gave.
    let mut results: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    // What runs functions, with the dimensions of the function that it was in.
    let mut moved: Vec<(NodeId, BTreeMap<Symbol, Dim>)> = Vec::new();
    let facts_before = function.facts.clone();
    let mut effects = Vec::new();
    let mut operations = Operations::of(function);
    let changed = rebuild(module, function, |b, node| {
        if let Op::Get(get) = &node.op {
            return Ok(results.get(&node.inputs[0]).map(|values| values[get.index]));
        }
        let Some(callee) = node.op.callee().and_then(|id| b.module.functions.get(id)) else {
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
        let first = b.function.nodes.len();
        let values = copy_body(b.function, callee, node, &dims, &mut operations);
        let copies = (first..b.function.nodes.len()).map(NodeId::new);
        moved.extend(
            copies.filter(|copy| b.function.nodes[*copy].op.is_tuple()).map(|copy| (copy, dims.clone())),
        );
        // A stand-in that nothing reads keeps the call's place until the next rebuild drops it.
        let place = b.function.nodes.push(node.clone());
        results.insert(place, values);
        Ok(Some(place))
    })?;
    // Names that a body takes from the function that it was in are now those of this one.
    for (copy, dims) in moved {
        let mut op = function.nodes[copy].op.clone();
        op.map_bodies(|body| specialise(module, body, &dims));
        function.nodes[copy].op = op;
    }
    // What a body requires of dimensions is known before it runs.
    for node in function.nodes.values().iter().filter(|node| node.op.callee().is_none()) {
        effects.extend(effects_of_bodies(module, function, node)?);
    }
    for effect in effects {
        if !function.effects.contains(&effect) && !effect.always_holds(&facts_before) {
            function.effects.push(effect);
        }
    }
    if changed == Changed::Yes {
        rebuild(module, function, |_, _| Ok(None))?;
    }
    Ok(changed)
}

fn effects_of_bodies(module: &Module, function: &Function, node: &Node) -> Result<Vec<Effect>, String> {
    let operands: Vec<&Type> = match &node.op {
        op if op.bodies().is_empty() => return Ok(Vec::new()),
        _ => node.inputs.iter().map(|input| function.ty(*input)).collect(),
    };
    let types: Vec<Type> = match &node.op {
        Op::Scan(scan) => scan.step_types(&operands),
        Op::Cond(_) => operands.into_iter().skip(1).cloned().collect(),
        _ => operands.into_iter().cloned().collect(),
    };
    let types: Vec<&Type> = types.iter().collect();
    let mut effects = Vec::new();
    for body in node.op.bodies() {
        let body = &module.functions[body];
        let dims = bind(body, &function.facts, &types).map_err(|fault| fault.message.clone())?;
        effects.extend(body.effects.iter().map(|effect| effect.in_dims(&dims)));
    }
    Ok(effects)
}

/// Numbers of a function's operations that consist of several nodes.
struct Operations {
    next: u32,
}

impl Operations {
    fn of(function: &Function) -> Operations {
        let known = function.nodes.values().iter().filter_map(|node| node.scope.as_ref()?.operation);
        Operations { next: known.max().map_or(0, |last| last + 1) }
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }
}

fn copy_body(
    function: &mut Function,
    callee: &Function,
    call: &Node,
    dims: &BTreeMap<Symbol, Dim>,
    operations: &mut Operations,
) -> Vec<NodeId> {
    // Few scopes for many nodes: each is made once. Only looked up, by where it lies.
    let mut scopes: HashMap<Option<*const Scope>, Arc<Scope>> = HashMap::new();
    // The operation that each of the callee's nodes belongs to: what an operation calls is part of it.
    let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
    let is_one = callee.operation || callee.composite.is_some();
    let whole = call.scope.as_ref().and_then(|scope| scope.operation);
    let whole = whole.or_else(|| is_one.then(|| operations.number()));
    let mut copies: Vec<NodeId> = Vec::with_capacity(callee.nodes.len());
    for (_, node) in callee.nodes.iter() {
        copies.push(match &node.op {
            Op::Parameter(parameter) => call.inputs[parameter.index],
            op => {
                let inner = node.scope.as_deref();
                let scope = scopes.entry(inner.map(std::ptr::from_ref)).or_insert_with(|| {
                    let own = inner.and_then(|scope| scope.operation);
                    let own = own.map(|own| *numbers.entry(own).or_insert_with(|| operations.number()));
                    let scope = Scope::called(inner, call.scope.as_deref(), call.span);
                    Arc::new(Scope { operation: whole.or(own), ..scope })
                });
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
