//! Bodies of loops and branches without what nobody needs: `scan` of a body that also sums what is never read no longer
//! carries the sum. What a step does not change is not carried, what is one constant is made where it is used; a loop of one
//! step and a branch on what is known become calls, which `inline` then expands.
//! Needs: nothing. Keeps: the functions as they are; bodies that change are copies.

mod restrict;
mod scan;

use crate::{
    Changed, Pass, PassCx,
    rebuild::{live_nodes, rebuild},
};
use graph::{Builder, FuncId, Function, Module, Node, NodeId, Op, ops};
use restrict::Bodies;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) use restrict::{Restriction, keep_names, restricted};

pub const PASS: Pass = Pass { name: "narrow", summary: "drop what loops and branches do not need", run };

/// Where a result of a node now comes from.
#[derive(Clone, Copy)]
enum Source {
    Result(usize),
    /// The operand of this number, as it was given.
    Operand(usize),
    /// Nobody reads it.
    Dropped,
}

/// What stands in the place of a node.
struct Narrowed {
    op: Op,
    /// Numbers of the operands that are left.
    operands: Vec<usize>,
    results: Vec<Source>,
}

/// How a node changes.
enum Plan {
    Same,
    Narrow(Narrowed),
    /// One branch, or the body of the only step.
    Call(FuncId),
    /// The carried values as they are given.
    Nothing,
}

/// Those that run a function come before it, so that what they no longer read is dropped in it too.
fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    let mut changed = Changed::No;
    let mut bodies = Bodies::default();
    let mut pending: Vec<FuncId> = cx.reachable(module);
    let mut seen: BTreeSet<FuncId> = pending.iter().copied().collect();
    while let Some(id) = pending.pop() {
        let mut function = std::mem::replace(&mut module.functions[id], Function::new(""));
        let result = narrow_in(module, &mut function, &mut bodies);
        // Copies of bodies are looked at after all that run them; what runs a copy now is looked at here.
        for body in function.nodes.values().iter().flat_map(|node| node.op.bodies()) {
            if seen.insert(body) {
                pending.push(body);
            }
        }
        module.functions[id] = function;
        changed = changed.or(result?);
    }
    Ok(changed)
}

fn narrow_in(module: &mut Module, function: &mut Function, bodies: &mut Bodies) -> Result<Changed, String> {
    let live = live_nodes(function);
    let mut read: BTreeMap<NodeId, BTreeSet<usize>> = BTreeMap::new();
    for (id, node) in function.nodes.iter().filter(|(id, _)| live[id.index()]) {
        match &node.op {
            Op::Get(get) => _ = read.entry(node.inputs[0]).or_default().insert(get.index),
            op if op.is_tuple() => _ = read.entry(id).or_default(),
            _ => {}
        }
    }
    let mut plans = Vec::with_capacity(read.len());
    for (id, read) in &read {
        plans.push(plan(module, function, &function.nodes[*id], read, bodies)?);
    }
    if plans.iter().all(|plan| matches!(plan, Plan::Same)) {
        return Ok(Changed::No);
    }
    // The walk meets the nodes in the order of the plans.
    let mut plans = plans.into_iter();
    let mut sources: BTreeMap<NodeId, Results> = BTreeMap::new();
    rebuild(module, function, |b, node| {
        if let Op::Get(get) = &node.op {
            return Ok(sources.get(&node.inputs[0]).map(|results| results.value(b, get.index)));
        }
        if !node.op.is_tuple() {
            return Ok(None);
        }
        let results = match plans.next().ok_or("a node has no plan")? {
            Plan::Same => return Ok(None),
            Plan::Narrow(narrowed) => {
                let operands: Vec<NodeId> =
                    narrowed.operands.iter().map(|operand| node.inputs[*operand]).collect();
                let place = b.try_add(narrowed.op, &operands).map_err(|fault| fault.message.clone())?;
                (
                    place,
                    Results {
                        place: Some(place),
                        sources: narrowed.results,
                        operands: node.inputs.clone(),
                        values: Vec::new(),
                    },
                )
            }
            Plan::Call(callee) => {
                let values = scan::called(b, node, callee)?;
                let place = b.function.nodes.push(node.clone());
                (place, Results { place: None, sources: Vec::new(), operands: Vec::new(), values })
            }
            Plan::Nothing => {
                let values = node.inputs[..node.types.len()].to_vec();
                let place = b.function.nodes.push(node.clone());
                (place, Results { place: None, sources: Vec::new(), operands: Vec::new(), values })
            }
        };
        let (place, results) = results;
        sources.insert(place, results);
        Ok(Some(place))
    })?;
    // Without the nodes that only held a place.
    rebuild(module, function, |_, _| Ok(None))?;
    Ok(Changed::Yes)
}

/// What the results of a node are now.
struct Results {
    place: Option<NodeId>,
    sources: Vec<Source>,
    operands: Vec<NodeId>,
    values: Vec<NodeId>,
}

impl Results {
    fn value(&self, b: &mut Builder<'_>, index: usize) -> NodeId {
        match (self.place, self.sources.get(index)) {
            (Some(place), Some(Source::Result(index))) => b.add(ops::Get { index: *index }.into(), &[place]),
            (_, Some(Source::Operand(operand))) => self.operands[*operand],
            _ => self.values[index],
        }
    }
}

fn plan(
    module: &mut Module,
    function: &Function,
    node: &Node,
    read: &BTreeSet<usize>,
    bodies: &mut Bodies,
) -> Result<Plan, String> {
    match &node.op {
        Op::Scan(scan) => scan::plan(module, function, (node, scan), read, bodies),
        Op::Cond(cond) => {
            if let Op::Constant(constant) = &function.nodes[node.inputs[0]].op {
                let holds = constant.bits.first().is_some_and(|bits| f64::from_bits(*bits) != 0.0);
                return Ok(Plan::Call(if holds { cond.then } else { cond.otherwise }));
            }
            plan_cond(module, function, (node, cond), read, bodies)
        }
        Op::While(repeat) if repeat.limit.as_ref().is_some_and(|limit| limit.is_const(0)) => {
            Ok(Plan::Nothing)
        }
        _ => Ok(Plan::Same),
    }
}

fn plan_cond(
    module: &mut Module,
    function: &Function,
    (node, cond): (&Node, &ops::Cond),
    read: &BTreeSet<usize>,
    bodies: &mut Bodies,
) -> Result<Plan, String> {
    let results: Vec<usize> = read.iter().copied().collect();
    let branches = [cond.then, cond.otherwise];
    let mut params: BTreeSet<usize> = BTreeSet::new();
    for branch in branches {
        let branch = &module.functions[branch];
        params.extend(restrict::read_params(branch, &results));
        let types: Vec<_> = node.inputs[1..].iter().map(|input| function.ty(*input)).collect();
        restrict::keep_names(branch, &function.facts, &types, &mut params)?;
    }
    if params.len() + 1 == node.inputs.len() && results.len() == node.types.len() {
        return Ok(Plan::Same);
    }
    let order: Vec<usize> = params.into_iter().collect();
    let mut narrowed = |branch: FuncId| {
        let restriction =
            Restriction { params: order.clone(), results: results.clone(), constants: BTreeMap::new() };
        bodies.restricted(module, branch, restriction)
    };
    let op = Op::from(ops::Cond { then: narrowed(cond.then)?, otherwise: narrowed(cond.otherwise)? });
    let mut sources = vec![Source::Dropped; node.types.len()];
    for (place, result) in results.iter().enumerate() {
        sources[*result] = Source::Result(place);
    }
    let operands = std::iter::once(0).chain(order.iter().map(|param| param + 1)).collect();
    Ok(Plan::Narrow(Narrowed { op, operands, results: sources }))
}
