//! Forward derivatives of what runs functions: tangents are carried along with the values that they belong to.

use super::{jvp, jvp_function};
use crate::{
    NoDerivative, derived,
    reach::{float_dependence, of_params, through_steps},
};
use graph::{Builder, FuncId, Function, Module, NodeId, Op, Role, ops};

/// Tangents of the results of a node, from those of its operands; `None` where a result does not vary.
pub(super) fn tangents(
    module: &mut Module,
    function: &mut Function,
    id: NodeId,
    given: &[Option<NodeId>],
) -> Result<Vec<Option<NodeId>>, Box<NoDerivative>> {
    let node = &function.nodes[id];
    let span = node.span;
    let tangents = match &node.op.clone() {
        Op::Call(call) => of_call(module, function, id, call.callee, given),
        Op::Cond(cond) => of_cond(module, function, id, cond, given),
        Op::Scan(scan) => of_scan(module, function, id, scan, given),
        Op::While(repeat) => of_while(module, function, id, repeat, given),
        op => return Err(NoDerivative::new(format!("`{}` has no tangents", op.name()), function, id)),
    };
    tangents.map_err(|error| error.called_from(span))
}

type Tangents = Result<Vec<Option<NodeId>>, Box<NoDerivative>>;

fn of_call(
    module: &mut Module,
    function: &mut Function,
    id: NodeId,
    callee: FuncId,
    given: &[Option<NodeId>],
) -> Tangents {
    let varying: Vec<bool> = given.iter().map(Option::is_some).collect();
    let callee = jvp_function(module, callee, &varying)?;
    let mut operands = function.nodes[id].inputs.clone();
    operands.extend(given.iter().flatten());
    let span = function.nodes[id].span;
    let results = Builder { module, function, span }.results(ops::Call { callee }, &operands);
    Ok(for_floats(function, id, results))
}

/// One a float result.
fn for_floats(function: &Function, id: NodeId, tangents: Vec<NodeId>) -> Vec<Option<NodeId>> {
    let mut tangents = tangents.into_iter();
    let types = function.nodes[id].types.iter();
    types.map(|ty| if ty.dtype.is_float() { tangents.next() } else { None }).collect()
}

fn of_cond(
    module: &mut Module,
    function: &mut Function,
    id: NodeId,
    cond: &ops::Cond,
    given: &[Option<NodeId>],
) -> Tangents {
    let varying: Vec<bool> = given[1..].iter().map(Option::is_some).collect();
    if !varying.contains(&true) {
        return Ok(vec![None; function.nodes[id].types.len()]);
    }
    let then = jvp_function(module, cond.then, &varying)?;
    let otherwise = jvp_function(module, cond.otherwise, &varying)?;
    let mut operands = function.nodes[id].inputs.clone();
    operands.extend(given.iter().flatten());
    let span = function.nodes[id].span;
    let results = Builder { module, function, span }.results(ops::Cond { then, otherwise }, &operands);
    Ok(for_floats(function, id, results))
}

fn of_scan(
    module: &mut Module,
    function: &mut Function,
    id: NodeId,
    scan: &ops::Scan,
    given: &[Option<NodeId>],
) -> Tangents {
    let body = module.functions[scan.body].clone();
    let n_params = body.params.len();
    let single = scan.carried + scan.fixed + scan.stacked;
    let steps = scan.steps().unwrap_or(0);
    let has_tangent: Vec<bool> = given.iter().map(Option::is_some).collect();
    let (varying, varying_results) =
        through_steps(&float_dependence(&body), scan.carried, of_params(scan, &has_tangent, n_params));
    let wanted: Vec<bool> = (0..body.results.len())
        .map(|r| if r < scan.carried { varying[r] } else { varying_results[r] })
        .collect();
    let mut joint = with_tangents(module, scan.body, &varying, &wanted)?;
    // Kind by kind, tangents after the values.
    let tangent_of = |index: usize| n_params + varying[..index].iter().filter(|varies| **varies).count();
    let kinds = [
        0..scan.carried,
        scan.carried..scan.carried + scan.fixed,
        scan.carried + scan.fixed..single,
        single..n_params,
    ];
    let mut order = Vec::new();
    let mut numbers = Vec::new();
    for kind in &kinds {
        let before = order.len();
        order.extend(kind.clone());
        order.extend(kind.clone().filter(|index| varying[*index]).map(tangent_of));
        numbers.push(order.len() - before);
    }
    reorder_params(&mut joint, &order);
    // The values that are stacked are those of the loop without tangents.
    let n_results = body.results.len();
    let tangent_results = joint.results.split_off(n_results);
    joint.results.truncate(scan.carried);
    joint.results.extend(tangent_results);
    let end = n_results - scan.table_results;
    let joint = module.add(joint);

    let inputs = function.nodes[id].inputs.clone();
    let span = function.nodes[id].span;
    let mut b = Builder { module, function, span };
    let mut operands: Vec<NodeId> = Vec::new();
    for kind in &kinds {
        let of_param = |index: usize| {
            if index < single {
                index..index + 1
            } else {
                single + (index - single) * steps..single + (index - single + 1) * steps
            }
        };
        operands.extend(kind.clone().flat_map(of_param).map(|operand| inputs[operand]));
        for operand in kind.clone().filter(|index| varying[*index]).flat_map(of_param) {
            operands.push(given[operand].unwrap_or_else(|| b.zeros_like(inputs[operand])));
        }
    }
    let count_of = |range: std::ops::Range<usize>| range.filter(|r| wanted[*r]).count();
    let scan_joint = ops::Scan {
        body: joint,
        carried: numbers[0],
        fixed: numbers[1],
        stacked: numbers[2],
        tables: numbers[3],
        table_results: count_of(end..n_results),
        ..scan.clone()
    };
    let mut results = b.results(scan_joint, &operands).into_iter().skip(scan.carried);
    let mut tangents = Vec::new();
    for (result, wanted) in wanted.iter().enumerate() {
        for _ in 0..if result < end { 1 } else { steps } {
            tangents.push(if *wanted { results.next() } else { None });
        }
    }
    Ok(tangents)
}

fn of_while(
    module: &mut Module,
    function: &mut Function,
    id: NodeId,
    repeat: &ops::While,
    given: &[Option<NodeId>],
) -> Tangents {
    let body = module.functions[repeat.body].clone();
    let n_params = body.params.len();
    let has_tangent: Vec<bool> = given.iter().map(Option::is_some).collect();
    let (varying, _) = through_steps(&float_dependence(&body), repeat.carried, has_tangent);
    let mut joint = with_tangents(module, repeat.body, &varying, &varying[..repeat.carried])?;
    let tangent_of = |index: usize| n_params + varying[..index].iter().filter(|varies| **varies).count();
    let mut order: Vec<usize> = (0..repeat.carried).collect();
    order.extend((0..repeat.carried).filter(|index| varying[*index]).map(tangent_of));
    let carried = order.len();
    order.extend(repeat.carried..n_params);
    order.extend((repeat.carried..n_params).filter(|index| varying[*index]).map(tangent_of));
    reorder_params(&mut joint, &order);
    // The condition sees the values alone.
    let mut condition = Function::new(format!("{}.with_tangents", module.functions[repeat.condition].name));
    condition.facts = joint.facts.clone();
    let mut b = Builder::new(module, &mut condition);
    let params: Vec<NodeId> = joint.params.iter().map(|param| b.param(param.clone())).collect();
    let values: Vec<NodeId> = (0..n_params)
        .filter_map(|index| order.iter().position(|old| *old == index).map(|place| params[place]))
        .collect();
    let goes_on = b.results(ops::Call { callee: repeat.condition }, &values);
    condition.results = goes_on.into_iter().map(|value| ("goes_on".into(), Role::Output, value)).collect();
    let condition = module.add(condition);
    let body = module.add(joint);

    let inputs = function.nodes[id].inputs.clone();
    let span = function.nodes[id].span;
    let mut b = Builder { module, function, span };
    let mut operands = Vec::new();
    for old in &order {
        operands.push(match inputs.get(*old) {
            Some(value) => *value,
            None => {
                let index = (0..n_params).filter(|index| varying[*index]).nth(old - n_params).unwrap_or(0);
                given[index].unwrap_or_else(|| b.zeros_like(inputs[index]))
            }
        });
    }
    let looped = ops::While { condition, body, carried, limit: repeat.limit.clone() };
    let mut results = b.results(looped, &operands).into_iter().skip(repeat.carried);
    Ok((0..repeat.carried).map(|index| if varying[index] { results.next() } else { None }).collect())
}

/// The function with the tangents of the varying parameters as further ones, and those of the wanted results as further
/// results. It is not in the module.
fn with_tangents(
    module: &mut Module,
    id: FuncId,
    varying: &[bool],
    wanted: &[bool],
) -> Result<Function, Box<NoDerivative>> {
    super::none_stated(&module.functions[id])?;
    let source = &module.functions[id];
    let all: Vec<bool> = Vec::new();
    let mut function = source.clone();
    function.name =
        derived::name(&derived::name(&source.name, "tangents", varying, &all), "of", wanted, &all);
    function.composite = None;
    let given = super::tangent_params(module, &mut function, varying);
    let outputs: Vec<(String, NodeId)> = function
        .results
        .iter()
        .zip(wanted)
        .filter(|(_, wanted)| **wanted)
        .map(|((name, _, value), _)| (format!("t_{name}"), *value))
        .collect();
    let values: Vec<NodeId> = outputs.iter().map(|(_, value)| *value).collect();
    let tangents = jvp(module, &mut function, &values, &given)?;
    for ((name, _), tangent) in outputs.into_iter().zip(tangents) {
        function.results.push((name, Role::Output, tangent));
    }
    Ok(function)
}

/// Parameter `order[i]` becomes parameter i.
fn reorder_params(function: &mut Function, order: &[usize]) {
    function.params = order.iter().map(|old| function.params[*old].clone()).collect();
    for (_, node) in function.nodes.iter_mut() {
        if let Op::Parameter(parameter) = &mut node.op
            && let Some(place) = order.iter().position(|old| *old == parameter.index)
        {
            parameter.index = place;
        }
    }
}
