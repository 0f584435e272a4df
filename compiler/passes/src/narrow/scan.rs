//! Loops of a known number of steps.

use super::{
    Narrowed, Plan, Source,
    restrict::{self, Bodies, Restriction},
};
use crate::fold::splat;
use graph::{Builder, FuncId, Function, Module, Node, NodeId, Op, Type, ops};
use shape::{Dim, Shape};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn plan(
    module: &mut Module,
    function: &Function,
    (node, scan): (&Node, &ops::Scan),
    read: &BTreeSet<usize>,
    bodies: &mut Bodies,
) -> Result<Plan, String> {
    if scan.count.is_const(1) {
        return Ok(Plan::Call(scan.body));
    }
    let body = &module.functions[scan.body];
    let (n_params, n_results) = (body.params.len(), node.types.len());
    let single = scan.carried + scan.fixed + scan.stacked;
    let stacked_end = body.results.len() - scan.table_results;

    // A value that each step hands on as it got it.
    let is_handed_on = |index: usize| {
        let value = &body.nodes[body.results[index].2];
        matches!(&value.op, Op::Parameter(parameter) if parameter.index == index)
    };
    let handed_on: BTreeSet<usize> = (0..scan.carried).filter(|index| is_handed_on(*index)).collect();
    let mut results: BTreeSet<usize> =
        read.iter().map(|result| scan.body_result_of(*result, n_results)).collect();
    results.retain(|result| !handed_on.contains(result));
    let mut params;
    loop {
        let chosen: Vec<usize> = results.iter().copied().collect();
        params = restrict::read_params(body, &chosen);
        let before = results.len();
        results.extend(params.iter().filter(|param| **param < scan.carried && !handed_on.contains(*param)));
        if results.len() == before {
            break;
        }
    }
    // A value that is carried has its place even where no step reads it.
    params.extend(results.iter().filter(|result| **result < scan.carried));

    // What is the same in all steps and all elements is made in the body.
    let mut constants: BTreeMap<usize, u64> = BTreeMap::new();
    let mut scratch = Function { nodes: function.nodes.clone(), ..Function::new("") };
    let b = Builder::new(module, &mut scratch);
    for param in params.iter().filter(|param| **param < single) {
        let is_open = *param >= scan.carried || handed_on.contains(param);
        if let Some(value) = splat(&b, node.inputs[*param]).filter(|_| is_open) {
            constants.insert(*param, value.to_bits());
        }
    }
    params.retain(|param| !constants.contains_key(param));
    let types: Vec<&Type> = node.inputs.iter().map(|input| function.ty(*input)).collect();
    let of_step = scan.step_types(&types);
    restrict::keep_names(body, &function.facts, &of_step.iter().collect::<Vec<_>>(), &mut params)?;
    constants.retain(|param, _| !params.contains(param));
    // One that only names a dimension is carried no longer.
    let carried: Vec<usize> = results.iter().copied().filter(|result| *result < scan.carried).collect();
    if carried.len() == scan.carried && params.len() == n_params && results.len() == body.results.len() {
        return Ok(Plan::Same);
    }

    let in_range = |from: usize, to: usize| -> Vec<usize> {
        params.iter().copied().filter(|param| (from..to).contains(param)).collect()
    };
    let became_fixed: Vec<usize> =
        in_range(0, scan.carried).into_iter().filter(|param| !carried.contains(param)).collect();
    let fixed: Vec<usize> =
        became_fixed.into_iter().chain(in_range(scan.carried, scan.carried + scan.fixed)).collect();
    let stacked = in_range(scan.carried + scan.fixed, single);
    let tables = in_range(single, n_params);
    let order: Vec<usize> = [carried.as_slice(), &fixed, &stacked, &tables].concat();
    let left: Vec<usize> = results.iter().copied().collect();
    let table_results = left.iter().filter(|result| **result >= stacked_end).count();
    let steps = scan.steps().unwrap_or(0);
    let restriction = Restriction { params: order.clone(), results: left.clone(), constants };
    let op = ops::Scan {
        body: bodies.restricted(module, scan.body, restriction)?,
        carried: carried.len(),
        fixed: fixed.len(),
        stacked: stacked.len(),
        tables: tables.len(),
        table_results,
        ..scan.clone()
    };
    let operands_of = |param: &usize| -> Vec<usize> {
        match param.checked_sub(single) {
            None => vec![*param],
            Some(table) => (single + table * steps..single + (table + 1) * steps).collect(),
        }
    };
    let operands = order.iter().flat_map(operands_of).collect();
    let mut sources = Vec::with_capacity(n_results);
    let mut apart_seen: BTreeMap<usize, usize> = BTreeMap::new();
    for result in 0..n_results {
        let of_body = scan.body_result_of(result, n_results);
        let place = left.iter().position(|left| *left == of_body);
        sources.push(match place {
            _ if handed_on.contains(&of_body) => Source::Operand(of_body),
            None => Source::Dropped,
            Some(place) if of_body < stacked_end => Source::Result(place),
            Some(place) => {
                let step = apart_seen.entry(of_body).or_default();
                *step += 1;
                let first_apart = left.len() - table_results;
                Source::Result(first_apart + (place - first_apart) * steps + *step - 1)
            }
        });
    }
    Ok(Plan::Narrow(Narrowed { op: op.into(), operands, results: sources }))
}

/// The results of a node that runs one function once: a branch, or the body of a loop of one step.
pub(super) fn called(b: &mut Builder<'_>, node: &Node, callee: FuncId) -> Result<Vec<NodeId>, String> {
    let Op::Scan(scan) = &node.op else {
        return b.call(callee, &node.inputs[1..]).map_err(|fault| fault.message.clone());
    };
    let stacked = scan.carried + scan.fixed..scan.carried + scan.fixed + scan.stacked;
    let mut operands = Vec::with_capacity(node.inputs.len());
    for (operand, input) in node.inputs.iter().enumerate() {
        operands.push(if stacked.contains(&operand) {
            let element: Shape = b.ty(*input).shape.iter().skip(1).cloned().collect();
            b.reshape(*input, &element)
        } else {
            *input
        });
    }
    let mut results = b.call(callee, &operands).map_err(|fault| fault.message.clone())?;
    let end = results.len() - scan.table_results;
    for value in &mut results[scan.carried..end] {
        let element = b.ty(*value).shape.clone();
        let whole: Shape = std::iter::once(Dim::from(1i64)).chain(element.iter().cloned()).collect();
        *value = b.reshape(*value, &whole);
    }
    Ok(results)
}
