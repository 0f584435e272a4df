//! Products of a loop's step that no later step needs: done for all steps at once, after the loop. So the gradient of a
//! recurrent layer's weights is one product over the whole sequence, instead of as many small ones, each of which reads and
//! writes the whole sum.
//! Needs: calls inlined; to come before `hoist`, which would make all the products and leave a loop that adds them up. Keeps: the functions as they are; bodies that change are copies.

use crate::{
    Changed, Pass, PassCx,
    narrow::{Restriction, restricted},
    rebuild::{each_function, live_nodes, rebuild},
};
use graph::{
    Builder, Function, Module, Node, NodeId, Op, Role, Type,
    ops::{self, Contract, Subscript, bind},
};
use kernel::Binary;
use shape::Dim;
use std::collections::BTreeMap;

pub const PASS: Pass =
    Pass { name: "sink", summary: "do after loops the products that no later step needs", run };

/// What stands in the place of a loop.
struct Sunk {
    scan: ops::Scan,
    /// Numbers of the operands that are left.
    operands: Vec<usize>,
    /// What each result of the loop is now.
    results: Vec<After>,
}

enum After {
    Result(usize),
    Product(Product),
}

/// A product over the operands of all steps.
struct Product {
    contract: Contract,
    sources: [Source; 2],
    /// The number of the operand that it is added to.
    onto: Option<usize>,
}

#[derive(Clone, Copy)]
enum Source {
    /// Of the loop before.
    Operand(usize),
    /// Of the loop now.
    Result(usize),
}

/// What a result of the body is.
#[derive(Clone, Copy)]
enum Found {
    /// A product that is stacked.
    Stacked(NodeId),
    /// A product that is added to the carried value of this number.
    Sum(NodeId),
}

fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    each_function(module, cx, |module, function| sink_in(module, function, cx.strict))
}

fn sink_in(module: &mut Module, function: &mut Function, strict: bool) -> Result<Changed, String> {
    let live = live_nodes(function);
    let mut plans = Vec::new();
    for (id, node) in function.nodes.iter() {
        if let (Op::Scan(scan), true) = (&node.op, live[id.index()]) {
            plans.push(plan(module, function, node, scan, strict)?);
        }
    }
    if plans.iter().all(Option::is_none) {
        return Ok(Changed::No);
    }
    // The walk meets the loops in the order of the plans.
    let mut plans = plans.into_iter();
    let mut moved: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    rebuild(module, function, |b, node| match &node.op {
        Op::Scan(_) => {
            let Some(sunk) = plans.next().ok_or("a loop has no plan")? else { return Ok(None) };
            let (scan, values) = sunk.build(b, node)?;
            moved.insert(scan, values);
            Ok(Some(scan))
        }
        Op::Get(get) => Ok(moved.get(&node.inputs[0]).and_then(|values| values.get(get.index)).copied()),
        _ => Ok(None),
    })
}

impl Sunk {
    /// The loop, and what each of its results was.
    fn build(self, b: &mut Builder<'_>, node: &Node) -> Result<(NodeId, Vec<NodeId>), String> {
        let mut add =
            |op: Op, inputs: &[NodeId]| b.try_add(op, inputs).map_err(|fault| fault.message.clone());
        let given: Vec<NodeId> = self.operands.iter().map(|operand| node.inputs[*operand]).collect();
        let scan = add(self.scan.into(), &given)?;
        let mut values = Vec::new();
        for after in self.results {
            values.push(match after {
                After::Result(index) => add(ops::Get { index }.into(), &[scan])?,
                After::Product(product) => {
                    let mut read = Vec::new();
                    for source in product.sources {
                        read.push(match source {
                            Source::Operand(operand) => node.inputs[operand],
                            Source::Result(index) => add(ops::Get { index }.into(), &[scan])?,
                        });
                    }
                    let all = add(product.contract.into(), &read)?;
                    match product.onto {
                        Some(operand) => {
                            add(ops::Binary { op: Binary::Add }.into(), &[node.inputs[operand], all])?
                        }
                        None => all,
                    }
                }
            });
        }
        Ok((scan, values))
    }
}

fn plan(
    module: &mut Module,
    function: &Function,
    node: &Node,
    scan: &ops::Scan,
    strict: bool,
) -> Result<Option<Sunk>, String> {
    if scan.count.is_const(1) {
        return Ok(None);
    }
    let body = module.functions[scan.body].clone();
    let mut found = products(&body, scan, strict);
    let kept = stacked_anew(&body, scan, &mut found);
    let is_sum = |result: usize| matches!(found.get(&result), Some(Found::Sum(_)));
    let results_left = body.results.len() - found.len() + kept.len();
    if found.is_empty() || results_left == 0 {
        return Ok(None);
    }

    // The body without the sums, with what the products read of it.
    let stays = |result: &usize| !found.contains_key(result);
    let tables_from = body.results.len() - scan.table_results;
    let (single, tables): (Vec<usize>, Vec<usize>) =
        (0..body.results.len()).filter(stays).partition(|result| *result < tables_from);
    let old = |result: &usize| body.results[*result].clone();
    let anew = |(number, id): (usize, &NodeId)| (format!("operand{number}"), Role::Output, *id);
    let results =
        single.iter().map(old).chain(kept.iter().enumerate().map(anew)).chain(tables.iter().map(old));
    let results: Vec<_> = results.collect();
    let params: Vec<usize> =
        (0..body.params.len()).filter(|param| *param >= scan.carried || !is_sum(*param)).collect();
    let restriction =
        Restriction { params, results: (0..results.len()).collect(), constants: BTreeMap::new() };
    let source = Function { name: format!("{}.sunk", body.name), results, ..body.clone() };
    let rest = restricted(module, &source, &restriction)?;

    let types: Vec<&Type> = node.inputs.iter().map(|input| function.ty(*input)).collect();
    let of_step = scan.step_types(&types);
    let dims = bind(&body, &function.facts, &of_step.iter().collect::<Vec<_>>())
        .map_err(|fault| fault.message.clone())?;
    let source_of = |id: NodeId| match &body.nodes[id].op {
        Op::Parameter(parameter) if !kept.contains(&id) => Some(Source::Operand(parameter.index)),
        _ => kept.iter().position(|kept| *kept == id).map(|place| Source::Result(single.len() + place)),
    };
    let first_stacked = scan.carried + scan.fixed;
    let mut after = Vec::new();
    for result in 0..node.types.len() {
        let of_body = scan.body_result_of(result, node.types.len());
        let Some(product) = found.get(&of_body) else {
            let before = (0..of_body).filter(|result| !stays(result)).count();
            let added = if of_body >= tables_from { kept.len() } else { 0 };
            after.push(After::Result(result - before + added));
            continue;
        };
        let (Found::Stacked(id) | Found::Sum(id)) = *product;
        let product = &body.nodes[id];
        let Op::Contract(contract) = product.op.clone().substitute(&dims) else {
            return Err("a product that is none".into());
        };
        let (a, b) = (source_of(product.inputs[0]), source_of(product.inputs[1]));
        let sources = [a.ok_or("an operand was dropped")?, b.ok_or("an operand was dropped")?];
        let steps = sources.map(|source| match source {
            Source::Operand(operand) => operand >= first_stacked,
            Source::Result(_) => true,
        });
        let onto = matches!(found[&of_body], Found::Sum(_)).then_some(of_body);
        let contract = of_all_steps(contract, &scan.count, steps, onto.is_none());
        after.push(After::Product(Product { contract, sources, onto }));
    }
    let removed = (0..scan.carried).filter(|carried| is_sum(*carried)).count();
    let operands =
        (0..node.inputs.len()).filter(|operand| *operand >= scan.carried || !is_sum(*operand)).collect();
    let scan = ops::Scan { body: module.add(rest), carried: scan.carried - removed, ..scan.clone() };
    Ok(Some(Sunk { scan, operands, results: after }))
}

/// Results of the body, by their number, that are products which nothing else in the step reads.
fn products(body: &Function, scan: &ops::Scan, strict: bool) -> BTreeMap<usize, Found> {
    let live = live_nodes(body);
    let mut reads = vec![0usize; body.nodes.len()];
    let nodes = body.nodes.iter().filter(|(id, _)| live[id.index()]);
    for id in nodes.flat_map(|(_, node)| &node.inputs).chain(body.results.iter().map(|(_, _, id)| id)) {
        reads[id.index()] += 1;
    }
    let is_product = |id: NodeId| {
        let node = &body.nodes[id];
        matches!(node.op, Op::Contract(_)) && node.ty().dtype.is_float() && reads[id.index()] == 1
    };
    let is_carried = |id: NodeId, carried: usize| {
        let own = matches!(&body.nodes[id].op, Op::Parameter(parameter) if parameter.index == carried);
        own && reads[id.index()] == 1
    };
    let found = |(result, (_, _, id)): (usize, &(String, Role, NodeId))| {
        let node = &body.nodes[*id];
        if result >= scan.carried {
            let stacked = result < body.results.len() - scan.table_results && is_product(*id);
            return stacked.then_some((result, Found::Stacked(*id)));
        }
        let Op::Binary(ops::Binary { op: Binary::Add }) = &node.op else { return None };
        let (a, b) = (node.inputs[0], node.inputs[1]);
        let product = match (is_carried(a, result), is_carried(b, result)) {
            (true, false) => b,
            (false, true) => a,
            _ => return None,
        };
        // Another order of the sum has other bits.
        let sunk = !strict && reads[id.index()] == 1 && is_product(product);
        sunk.then_some((result, Found::Sum(product)))
    };
    body.results.iter().enumerate().filter_map(found).collect()
}

/// What the products read of a step that is to be kept of all steps from now on. Products that would have more kept than
/// they give are left where they are.
fn stacked_anew(body: &Function, scan: &ops::Scan, found: &mut BTreeMap<usize, Found>) -> Vec<NodeId> {
    let elements = |id: NodeId| body.ty(id).shape.iter().filter_map(Dim::as_const).product::<i64>();
    let given = scan.carried..scan.carried + scan.fixed + scan.stacked;
    let is_given = |id: NodeId| matches!(&body.nodes[id].op, Op::Parameter(parameter) if given.contains(&parameter.index));
    let varies = |id: NodeId| match &body.nodes[id].op {
        Op::Parameter(parameter) => {
            parameter.index < scan.carried || parameter.index >= scan.carried + scan.fixed
        }
        _ => true,
    };
    let mut kept: Vec<NodeId> = Vec::new();
    // Sums first: what they have kept costs the others nothing.
    let mut order: Vec<usize> = found.keys().copied().collect();
    order.sort_by_key(|result| *result >= scan.carried);
    for result in order {
        let (Found::Stacked(id) | Found::Sum(id)) = found[&result];
        let inputs = &body.nodes[id].inputs;
        let mut anew: Vec<NodeId> = inputs.clone();
        anew.dedup();
        anew.retain(|input| !is_given(*input) && !kept.contains(input));
        let costs = anew.iter().map(|input| elements(*input)).sum::<i64>();
        if costs <= elements(id) && inputs.iter().any(|input| varies(*input)) {
            kept.extend(anew);
        } else {
            found.remove(&result);
        }
    }
    kept
}

/// The contraction with one more index for the steps, before all others so that sums walk them in the order of memory;
/// the result has it where the products are `stacked`.
fn of_all_steps(contract: Contract, count: &Dim, steps: [bool; 2], stacked: bool) -> Contract {
    let moved = |mut subscript: Subscript| {
        subscript.terms.iter_mut().for_each(|(_, index)| *index += 1);
        subscript
    };
    let of_step = |subscripts: Vec<Subscript>, varies: bool| {
        let step = varies.then(|| Subscript::index(0));
        step.into_iter().chain(subscripts.into_iter().map(moved)).collect()
    };
    let step = stacked.then_some(0);
    Contract {
        extents: [count.clone()].into_iter().chain(contract.extents).collect(),
        out: step.into_iter().chain(contract.out.into_iter().map(|index| index + 1)).collect(),
        lhs: of_step(contract.lhs, steps[0]),
        rhs: of_step(contract.rhs, steps[1]),
    }
}
