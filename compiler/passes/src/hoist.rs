//! Contractions of a loop's step that no earlier step has a part in: done for all steps at once, before the loop. So a
//! recurrent layer multiplies its whole sequence by the input weights in one product, and the step is left with the
//! recurrent weights alone.
//! Needs: calls inlined; leaves calls of the mapped parts. Keeps: the functions as they are; bodies that change are copies.

use crate::{
    Changed, Pass, PassCx,
    narrow::{Restriction, keep_names, restricted},
    rebuild::{each_function, live_nodes, rebuild},
};
use autodiff::vmap_function;
use base::IdVec;
use graph::{Builder, FuncId, Function, Module, Node, NodeId, Op, Param, Role, Type, ops};
use shape::Dim;
use std::collections::{BTreeMap, BTreeSet};

pub const PASS: Pass =
    Pass { name: "hoist", summary: "do what steps of loops do independently before the loop", run };

/// How many times larger the values may be than what the loop is given.
const MOST_GROWTH: i64 = 64;

/// What stands in the place of a loop.
struct Hoisted {
    /// Computes the values of all steps.
    values: FuncId,
    /// Numbers of the operands that it takes.
    operands: Vec<usize>,
    scan: ops::Scan,
    /// The operand before which the values stand.
    at: usize,
}

fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    each_function(module, cx, hoist_in)
}

fn hoist_in(module: &mut Module, function: &mut Function) -> Result<Changed, String> {
    let live = live_nodes(function);
    let mut plans = Vec::new();
    for (id, node) in function.nodes.iter() {
        if let (Op::Scan(scan), true) = (&node.op, live[id.index()]) {
            plans.push(plan(module, function, node, scan)?);
        }
    }
    if plans.iter().all(Option::is_none) {
        return Ok(Changed::No);
    }
    // The walk meets the loops in the order of the plans.
    let mut plans = plans.into_iter();
    rebuild(module, function, |b, node| {
        if !matches!(node.op, Op::Scan(_)) {
            return Ok(None);
        }
        let Some(hoisted) = plans.next().ok_or("a loop has no plan")? else { return Ok(None) };
        let given: Vec<NodeId> = hoisted.operands.iter().map(|operand| node.inputs[*operand]).collect();
        let values = b.call(hoisted.values, &given).map_err(|fault| fault.message.clone())?;
        let (before, after) = node.inputs.split_at(hoisted.at);
        let operands = [before, &values, after].concat();
        let scan = b.try_add(hoisted.scan.into(), &operands).map_err(|fault| fault.message.clone())?;
        Ok(Some(scan))
    })
}

fn plan(
    module: &mut Module,
    function: &Function,
    node: &Node,
    scan: &ops::Scan,
) -> Result<Option<Hoisted>, String> {
    if scan.count.is_const(1) || scan.stacked == 0 {
        return Ok(None);
    }
    let body = module.functions[scan.body].clone();
    let chosen = independent_contractions(&body, scan);
    if chosen.is_empty() {
        return Ok(None);
    }
    let types: Vec<&Type> = node.inputs.iter().map(|input| function.ty(*input)).collect();
    let of_step = scan.step_types(&types);
    let (part, params) = part(module, &body, &chosen, &of_step, function)?;
    let at = scan.carried + scan.fixed + scan.stacked;
    // A dimension that tables alone name cannot be told before the loop.
    if params.iter().any(|param| *param >= at) {
        return Ok(None);
    }
    let first_stacked = scan.carried + scan.fixed;
    let batched: Vec<bool> = params.iter().map(|param| *param >= first_stacked).collect();
    let part = module.add(part);
    let values = vmap_function(module, part, &batched, &scan.count).map_err(|fault| fault.to_string())?;
    let rest = rest(module, &body, &chosen, at);
    let scan = ops::Scan { body: module.add(rest), stacked: scan.stacked + chosen.len(), ..scan.clone() };
    Ok(Some(Hoisted { values, operands: params, scan, at }))
}

/// Contractions with a sum that follow from what the step is given of its own, not from what it is handed on, and that
/// something else than such a contraction reads.
fn independent_contractions(body: &Function, scan: &ops::Scan) -> Vec<NodeId> {
    let first_stacked = scan.carried + scan.fixed;
    let own = first_stacked..first_stacked + scan.stacked;
    let (mut free, mut of_step) = (vec![false; body.nodes.len()], vec![false; body.nodes.len()]);
    for (id, node) in body.nodes.iter() {
        let index = id.index();
        free[index] = match &node.op {
            Op::Parameter(parameter) => (scan.carried..own.end).contains(&parameter.index),
            Op::Random(_) | Op::Call(_) | Op::Get(_) => false,
            op => !op.is_tuple() && node.inputs.iter().all(|input| free[input.index()]),
        };
        of_step[index] = match &node.op {
            Op::Parameter(parameter) => own.contains(&parameter.index),
            _ => node.inputs.iter().any(|input| of_step[input.index()]),
        };
    }
    let mut read = vec![false; body.nodes.len()];
    for (_, _, value) in &body.results {
        read[value.index()] = true;
    }
    let live = live_nodes(body);
    for (id, node) in body.nodes.iter().filter(|(id, _)| live[id.index()]) {
        if !free[id.index()] {
            node.inputs.iter().for_each(|input| read[input.index()] = true);
        }
    }
    // A step's values, of all steps, take memory: not much more than what all steps are given anyway.
    let elements = |ty: &Type| ty.shape.iter().filter_map(Dim::as_const).product::<i64>();
    let given: i64 = own.clone().map(|param| elements(&body.params[param].ty)).sum();
    let is_chosen = |(id, node): (NodeId, &Node)| {
        let sums = matches!(&node.op, Op::Contract(contract) if !contract.reduced().is_empty());
        let fits = elements(node.ty()) <= given.saturating_mul(MOST_GROWTH);
        (sums && fits && free[id.index()] && of_step[id.index()] && read[id.index()]).then_some(id)
    };
    body.nodes.iter().filter_map(is_chosen).collect()
}

/// The function of a step that gives the chosen values, and the numbers of its parameters in the body.
fn part(
    module: &Module,
    body: &Function,
    chosen: &[NodeId],
    of_step: &[Type],
    outside: &Function,
) -> Result<(Function, Vec<usize>), String> {
    let needed = body.needed(chosen);
    let parameter = |id: &NodeId| match &body.nodes[*id].op {
        Op::Parameter(parameter) => Some(parameter.index),
        _ => None,
    };
    let mut params: BTreeSet<usize> = needed.iter().filter_map(parameter).collect();
    let types: Vec<&Type> = of_step.iter().collect();
    keep_names(body, &outside.facts, &types, &mut params)?;
    let params: Vec<usize> = params.into_iter().collect();
    let result = |(number, id): (usize, &NodeId)| (format!("before{number}"), Role::Output, *id);
    let results = chosen.iter().enumerate().map(result).collect();
    let source =
        Function { name: format!("{}.before", body.name), results, effects: Vec::new(), ..body.clone() };
    let results = (0..chosen.len()).collect();
    let restriction = Restriction { params: params.clone(), results, constants: BTreeMap::new() };
    Ok((restricted(module, &source, &restriction)?, params))
}

/// The body with the chosen values as further parameters, from number `at` on.
fn rest(module: &Module, body: &Function, chosen: &[NodeId], at: usize) -> Function {
    let name = format!("{}.rest", body.name);
    let mut function = Function { name, nodes: IdVec::new(), params: Vec::new(), ..body.clone() };
    function.composite = None;
    function.derivative = None;
    let mut b = Builder::new(module, &mut function);
    let mut of_params: Vec<NodeId> = Vec::new();
    let mut values: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for (number, param) in body.params.iter().enumerate() {
        if number == at {
            values = added(&mut b, body, chosen);
        }
        of_params.push(b.param(param.clone()));
    }
    if at == body.params.len() {
        values = added(&mut b, body, chosen);
    }
    let mut copies: Vec<NodeId> = Vec::with_capacity(body.nodes.len());
    for (id, node) in body.nodes.iter() {
        let copy = match (&node.op, values.get(&id)) {
            (Op::Parameter(parameter), _) => of_params[parameter.index],
            (_, Some(value)) => *value,
            _ => {
                let inputs = node.inputs.iter().map(|input| copies[input.index()]).collect();
                function.nodes.push(Node { inputs, ..node.clone() })
            }
        };
        copies.push(copy);
    }
    for (_, _, value) in &mut function.results {
        *value = copies[value.index()];
    }
    function
}

fn added(b: &mut Builder<'_>, body: &Function, chosen: &[NodeId]) -> BTreeMap<NodeId, NodeId> {
    let param = |(number, id): (usize, &NodeId)| {
        let param = Param { name: format!("before{number}"), role: Role::Input, ty: body.ty(*id).clone() };
        (*id, b.param(param))
    };
    chosen.iter().enumerate().map(param).collect()
}
