//! Reverse derivatives of what runs functions other than by a plain call.
//!
//! A loop is answered by a loop the other way. What that reads of the steps, the loop itself is made to give: its node gets a
//! body with further results. So is a call of a function with loops, so that none of them runs twice.

use super::{Reverse, vjp_function, with_cotangents};
use crate::{
    NoDerivative, derived,
    flat::flatten,
    reach::{back_through_steps, float_dependence, of_params, through_steps},
    split::{Keep, Split, in_steps},
};
use graph::{Builder, FuncId, Function, Module, NodeId, Op, Param, Role, Scope, Type, ops, specialise};
use kernel::Binary;
use shape::Dim;
use std::collections::BTreeSet;

/// Whether it runs loops, or calls what does.
pub(super) fn has_loops(module: &Module, id: FuncId) -> bool {
    let mut seen = BTreeSet::new();
    let mut pending = vec![id];
    while let Some(id) = pending.pop() {
        let Some(function) = module.functions.get(id).filter(|_| seen.insert(id)) else { continue };
        for node in function.nodes.values() {
            match &node.op {
                Op::Scan(_) | Op::While(_) => return true,
                Op::Call(call) => pending.push(call.callee),
                _ => {}
            }
        }
    }
    false
}

fn input(name: String, ty: &Type) -> Param {
    Param { name, role: Role::Input, ty: ty.clone() }
}

/// A derived function of this name, made before if it is the same in all that shows.
fn find_or_add(module: &mut Module, function: Function) -> FuncId {
    let known = derived::find(module, &function.name, &function.params)
        .filter(|id| module.functions[*id].results == function.results);
    known.unwrap_or_else(|| module.add(function))
}

impl Reverse {
    pub(super) fn visit_cond(
        &mut self,
        module: &mut Module,
        function: &mut Function,
        id: NodeId,
        cond: &ops::Cond,
    ) -> Result<(), Box<NoDerivative>> {
        let Some(cotangents) = self.tuple_cotangents.remove(&id) else { return Ok(()) };
        let node = &function.nodes[id];
        let (mut operands, span) = (node.inputs.clone(), node.span);
        let wrt: Vec<bool> = operands[1..].iter().map(|input| self.active[input.index()]).collect();
        let seeded: Vec<bool> = (0..node.types.len()).map(|index| cotangents.contains_key(&index)).collect();
        let chosen: Vec<NodeId> =
            operands[1..].iter().zip(&wrt).filter(|(_, chosen)| **chosen).map(|(input, _)| *input).collect();
        operands.extend(cotangents.into_values());
        let mut of =
            |body: FuncId| vjp_function(module, body, &wrt, &seeded).map_err(|error| error.called_from(span));
        let (then, otherwise) = (of(cond.then)?, of(cond.otherwise)?);
        let first = function.nodes.len();
        let mut b = Builder { module, function, span };
        let cotangents = b.results(ops::Cond { then, otherwise }, &operands);
        for (input, cotangent) in chosen.into_iter().zip(cotangents) {
            self.add(&mut b, input, cotangent);
        }
        in_scope(function, id, first);
        Ok(())
    }

    /// With a limit it is a scan of that many steps, the last of which may change nothing.
    pub(super) fn visit_while(
        &mut self,
        module: &mut Module,
        function: &mut Function,
        id: NodeId,
        repeat: &ops::While,
    ) -> Result<(), Box<NoDerivative>> {
        if !self.tuple_cotangents.contains_key(&id) {
            return Ok(());
        }
        let Some(count) = repeat.limit.clone() else {
            let reason =
                "how often a loop without a limit runs shows too late for a derivative; give it a limit";
            return Err(NoDerivative::new(reason, function, id));
        };
        let body = step_of_while(module, repeat);
        let fixed = function.nodes[id].inputs.len() - repeat.carried;
        let scan = ops::Scan {
            body,
            count,
            reverse: false,
            carried: repeat.carried,
            fixed,
            stacked: 0,
            tables: 0,
            table_results: 0,
            remat: false,
        };
        function.nodes[id].op = scan.clone().into();
        self.visit_scan(module, function, id, &scan)
    }

    pub(super) fn visit_scan(
        &mut self,
        module: &mut Module,
        function: &mut Function,
        id: NodeId,
        scan: &ops::Scan,
    ) -> Result<(), Box<NoDerivative>> {
        let Some(cotangents) = self.tuple_cotangents.remove(&id) else { return Ok(()) };
        let node = &function.nodes[id];
        let (inputs, span, n_results) = (node.inputs.clone(), node.span, node.types.len());
        let body = module.functions[scan.body].clone();
        let n_params = body.params.len();
        let single = scan.carried + scan.fixed + scan.stacked;
        let is_active: Vec<bool> = inputs.iter().map(|input| self.active[input.index()]).collect();
        let mut given = vec![false; body.results.len()];
        for result in cotangents.keys() {
            given[scan.body_result_of(*result, n_results)] = true;
        }
        let dependence = float_dependence(&body);
        let (varying, varying_results) =
            through_steps(&dependence, scan.carried, of_params(scan, &is_active, n_params));
        let (read, reached) = back_through_steps(&dependence, scan.carried, given.clone());
        // The cotangent of a carried value is carried, also where the body drops it: there may be no step.
        let carries = |index: usize| varying[index] && reached[index];
        let wrt: Vec<bool> = (0..n_params)
            .map(|index| if index < scan.carried { carries(index) } else { varying[index] && read[index] })
            .collect();
        let seeded: Vec<bool> =
            (0..body.results.len())
                .map(|index| {
                    if index < scan.carried { carries(index) } else { given[index] && varying_results[index] }
                })
                .collect();
        if !wrt.contains(&true) {
            return Ok(());
        }
        let whole = with_cotangents(module, &body, &wrt, &seeded).map_err(|error| error.called_from(span))?;
        let whole = if scan.remat {
            whole
        } else {
            let flat = flatten(module, &whole);
            flat.map_err(|fault| NoDerivative::new(format!("internal: {fault}"), function, id))?
        };
        let keep = |function: &Function, node: NodeId| {
            if scan.remat { Keep::Never } else { in_steps(function, node) }
        };
        let mut split = Split::new(whole, n_params, body.results.len(), keep);
        bind_all(&mut split, n_params);
        let name = {
            let all: Vec<bool> = Vec::new();
            let of_params = derived::name(&body.name, if scan.remat { "again" } else { "vjp" }, &wrt, &all);
            derived::name(&of_params, "of", &seeded, &all)
        };

        // What a step finds of carried values, and what else is kept, is stacked by the loop itself.
        let mut kept: Vec<NodeId> = Vec::new();
        let found: Vec<usize> = (0..scan.carried).filter(|index| split.read[*index]).collect();
        for index in found {
            kept.push(split.parameter(index));
        }
        kept.extend(&split.kept);
        let places = self.keep(module, function, id, (scan, &body), &split, &kept, &name);

        let whole = split.whole();
        let seeds: Vec<usize> = (0..seeded.len()).filter(|index| seeded[*index]).collect();
        let seed_node = |result: usize| {
            let place = n_params + seeds.iter().position(|seed| *seed == result)?;
            let is_seed =
                |node: &graph::Node| matches!(&node.op, Op::Parameter(parameter) if parameter.index == place);
            whole.nodes.iter().find(|(_, node)| is_seed(node)).map(|(id, _)| id)
        };
        let param_node = |place: usize| {
            let is_it =
                |node: &graph::Node| matches!(&node.op, Op::Parameter(parameter) if parameter.index == place);
            whole.nodes.iter().find(|(_, node)| is_it(node)).map(|(id, _)| id)
        };
        let n_stacked = body.results.len() - scan.carried - scan.table_results;
        let carried: Vec<usize> = (0..scan.carried).filter(|index| wrt[*index]).collect();
        let fixed_range = scan.carried..scan.carried + scan.fixed;
        let summed: Vec<usize> = fixed_range.clone().filter(|index| wrt[*index]).collect();
        let fixed: Vec<usize> = fixed_range.clone().filter(|index| split.read[*index]).collect();
        let stacked: Vec<usize> = (fixed_range.end..single).filter(|index| split.read[*index]).collect();
        let tables: Vec<usize> = (single..n_params).filter(|index| split.read[*index]).collect();
        let stacked_seeds: Vec<usize> = seeds
            .iter()
            .copied()
            .filter(|result| (scan.carried..scan.carried + n_stacked).contains(result))
            .collect();
        let table_seeds: Vec<usize> =
            seeds.iter().copied().filter(|result| *result >= scan.carried + n_stacked).collect();

        let mut params: Vec<(Param, Option<NodeId>)> = Vec::new();
        let own = |index: usize| &body.params[index];
        for index in &carried {
            params.push((input(format!("d_{}", own(*index).name), &own(*index).ty), seed_node(*index)));
        }
        for index in &summed {
            params.push((input(format!("sum_{}", own(*index).name), &own(*index).ty), None));
        }
        for index in &fixed {
            params.push((input(own(*index).name.clone(), &own(*index).ty), param_node(*index)));
        }
        for (place, node) in kept.iter().enumerate() {
            params.push((input(format!("kept_{place}"), whole.ty(*node)), Some(*node)));
        }
        for index in &stacked {
            params.push((input(own(*index).name.clone(), &own(*index).ty), param_node(*index)));
        }
        let seed_param = |result: usize| {
            let (name, _, value) = &body.results[result];
            (input(format!("d_{name}"), body.ty(*value)), seed_node(result))
        };
        params.extend(stacked_seeds.iter().map(|result| seed_param(*result)));
        for index in &tables {
            params.push((input(own(*index).name.clone(), &own(*index).ty), param_node(*index)));
        }
        params.extend(table_seeds.iter().map(|result| seed_param(*result)));
        let mut backward = split.backward(&params);
        backward.name = format!("{name}.backward");
        backward.composite = None;
        backward.remat = false;
        // In the order of the parameters: carried values, sums, stacked, tables.
        let first_sum = carried.len();
        let mut b = Builder::new(module, &mut backward);
        for (place, _) in summed.iter().enumerate() {
            let sum = NodeId::new(first_sum + place);
            let term = b.function.results[first_sum + place].2;
            let sum = b.binary(Binary::Add, sum, term);
            b.function.results[first_sum + place].2 = sum;
        }
        let types: Vec<Type> = inputs.iter().map(|input| function.ty(*input).clone()).collect();
        let of_step = scan.step_types(&types.iter().collect::<Vec<_>>());
        let dims = ops::bind(&body, &function.facts, &of_step.iter().collect::<Vec<_>>())
            .map_err(|fault| NoDerivative::new(format!("internal: {}", fault.message), function, id))?;
        let backward = find_or_add(module, backward);
        let backward = specialise(module, backward, &dims);

        let first = function.nodes.len();
        let mut b = Builder { module, function, span };
        let steps = scan.steps().unwrap_or(0);
        let table_result = |result: usize, step: usize| {
            scan.carried + n_stacked + (result - scan.carried - n_stacked) * steps + step
        };
        let mut operands = Vec::new();
        for index in &carried {
            operands.push(match cotangents.get(index) {
                Some(cotangent) => *cotangent,
                None => b.zeros_like(inputs[*index]),
            });
        }
        for index in &summed {
            operands.push(b.zeros_like(inputs[*index]));
        }
        operands.extend(fixed.iter().map(|index| inputs[*index]));
        for place in &places {
            operands.push(b.add(ops::Get { index: *place }.into(), &[id]));
        }
        operands.extend(stacked.iter().map(|index| inputs[*index]));
        operands.extend(stacked_seeds.iter().filter_map(|result| cotangents.get(result)));
        for index in &tables {
            operands.extend(&inputs[single + (index - single) * steps..][..steps]);
        }
        for result in &table_seeds {
            for step in 0..steps {
                operands.push(match cotangents.get(&table_result(*result, step)) {
                    Some(cotangent) => *cotangent,
                    None => {
                        let of_body = Function::ty(&body, body.results[*result].2);
                        let shape = of_body.shape.substitute(&dims);
                        b.full(of_body.dtype, &shape, 0.0)
                    }
                });
            }
        }
        let table_cotangents = (single..n_params).filter(|index| wrt[*index]).count();
        let scan_back = ops::Scan {
            body: backward,
            count: scan.count.clone(),
            reverse: !scan.reverse,
            carried: carried.len() + summed.len(),
            fixed: fixed.len(),
            stacked: places.len() + stacked.len() + stacked_seeds.len(),
            tables: tables.len() + table_seeds.len(),
            table_results: table_cotangents,
            remat: scan.remat,
        };
        let results = b.results(scan_back, &operands);
        let mut results = results.into_iter();
        for index in (0..n_params).filter(|index| wrt[*index]) {
            let n_operands = if index < single { 1 } else { steps };
            let operand = if index < single { index } else { single + (index - single) * steps };
            for operand in operand..operand + n_operands {
                let Some(cotangent) = results.next() else { continue };
                if is_active[operand] {
                    self.add(&mut b, inputs[operand], cotangent);
                }
            }
        }
        in_scope(function, id, first);
        Ok(())
    }

    /// Makes the loop stack the values of these nodes too, and says which results they are.
    #[allow(clippy::too_many_arguments, reason = "the loop, its body and its derivative are one thing here")]
    fn keep(
        &mut self,
        module: &mut Module,
        function: &mut Function,
        id: NodeId,
        (scan, body): (&ops::Scan, &Function),
        split: &Split,
        kept: &[NodeId],
        name: &str,
    ) -> Vec<usize> {
        let whole = split.whole();
        let n_results = body.results.len();
        let end = n_results - scan.table_results;
        let mut results: Vec<(String, NodeId)> =
            (whole.results[..n_results].iter()).map(|(name, _, value)| (name.clone(), *value)).collect();
        let mut places = Vec::new();
        let mut added = 0;
        for node in kept {
            let known = (scan.carried..end + added).find(|place| results[*place].1 == *node);
            places.push(known.unwrap_or_else(|| {
                results.insert(end + added, (format!("kept_{added}"), *node));
                added += 1;
                end + added - 1
            }));
        }
        if added == 0 {
            return places;
        }
        let mut forward = split.forward(body.params.len(), &results);
        forward.name = format!("{name}.forward");
        forward.composite = None;
        let forward = find_or_add(module, forward);
        // Values that are kept apart come after those that are stacked.
        let first_apart = end;
        for (_, node) in function.nodes.iter_mut() {
            if let Op::Get(get) = &mut node.op
                && node.inputs[0] == id
                && get.index >= first_apart
            {
                get.index += added;
            }
        }
        let op = Op::from(ops::Scan { body: forward, ..scan.clone() });
        replace_op(module, function, id, op);
        places
    }

    /// A call of a function with loops: the call is made to give what its derivative needs of them.
    pub(super) fn visit_looping_call(
        &mut self,
        module: &mut Module,
        function: &mut Function,
        id: NodeId,
        callee: FuncId,
    ) -> Result<(), Box<NoDerivative>> {
        let source = module.functions[callee].clone();
        if source.remat || source.derivative.is_some() {
            return self.visit_call(module, function, id, callee);
        }
        let Some(cotangents) = self.tuple_cotangents.remove(&id) else { return Ok(()) };
        let node = &function.nodes[id];
        let (mut operands, span) = (node.inputs.clone(), node.span);
        let n_params = source.params.len();
        let n_results = source.results.len();
        let wrt: Vec<bool> = operands.iter().map(|input| self.active[input.index()]).collect();
        let seeded: Vec<bool> = (0..n_results).map(|index| cotangents.contains_key(&index)).collect();
        let chosen: Vec<NodeId> =
            operands.iter().zip(&wrt).filter(|(_, chosen)| **chosen).map(|(input, _)| *input).collect();
        let whole =
            with_cotangents(module, &source, &wrt, &seeded).map_err(|error| error.called_from(span))?;
        let looping: Vec<bool> = (whole.nodes.values().iter())
            .map(|node| match &node.op {
                Op::Scan(_) | Op::While(_) => true,
                Op::Call(call) => has_loops(module, call.callee),
                _ => false,
            })
            .collect();
        let split = Split::new(whole, n_params, n_results, |function, node| {
            let node = &function.nodes[node];
            let of_loop = matches!(node.op, Op::Get(_)) && looping[node.inputs[0].index()];
            if of_loop { Keep::Always } else { Keep::Never }
        });
        let name = derived::name(&derived::name(&source.name, "vjp", &wrt, &[]), "of", &seeded, &[]);
        let whole = split.whole();
        let mut results: Vec<(String, NodeId)> =
            whole.results[..n_results].iter().map(|(name, _, value)| (name.clone(), *value)).collect();
        let mut places = Vec::new();
        for node in &split.kept {
            let known = results.iter().position(|(_, known)| known == node);
            places.push(known.unwrap_or_else(|| {
                results.push((format!("kept_{}", results.len()), *node));
                results.len() - 1
            }));
        }
        let mut forward = split.forward(n_params, &results);
        forward.name = format!("{name}.forward");
        forward.composite = None;
        let mut params: Vec<(Param, Option<NodeId>)> = Vec::new();
        let param_node = |place: usize| {
            let is_it =
                |node: &graph::Node| matches!(&node.op, Op::Parameter(parameter) if parameter.index == place);
            whole.nodes.iter().find(|(_, node)| is_it(node)).map(|(id, _)| id)
        };
        for (index, param) in whole.params.iter().enumerate() {
            params.push((param.clone(), param_node(index)));
        }
        for (place, node) in split.kept.iter().enumerate() {
            params.push((input(format!("kept_{place}"), whole.ty(*node)), Some(*node)));
        }
        let mut backward = split.backward(&params);
        backward.name = format!("{name}.backward");
        backward.composite = None;
        let forward = find_or_add(module, forward);
        let backward = find_or_add(module, backward);
        replace_op(module, function, id, ops::Call { callee: forward }.into());
        let first = function.nodes.len();
        let mut b = Builder { module, function, span };
        operands.extend(cotangents.into_values());
        for place in places {
            operands.push(b.add(ops::Get { index: place }.into(), &[id]));
        }
        let results = b.results(ops::Call { callee: backward }, &operands);
        for (input, cotangent) in chosen.into_iter().zip(results) {
            self.add(&mut b, input, cotangent);
        }
        in_scope(function, id, first);
        Ok(())
    }
}

/// Puts another operator in a node's place, one that gives the same and more.
fn replace_op(module: &Module, function: &mut Function, id: NodeId, op: Op) {
    let inputs = function.nodes[id].inputs.clone();
    let types = function.infer(module, &op, &inputs);
    let node = &mut function.nodes[id];
    node.op = op;
    match types {
        Ok(types) => node.types = types,
        Err(fault) => panic!("internal: the forward half does not fit: {}", fault.message),
    }
}

/// Where types of what is read name a dimension only inside of an expression, a parameter that has it by itself is read too:
/// so it is known.
fn bind_all(split: &mut Split, n_params: usize) {
    let whole = split.whole();
    let shown: Vec<Dim> = (0..n_params)
        .filter(|index| split.read[*index])
        .flat_map(|index| whole.params[index].ty.shape.iter().cloned())
        .chain(split.kept.iter().flat_map(|node| whole.ty(*node).shape.iter().cloned()))
        .chain(whole.params[n_params..].iter().flat_map(|param| param.ty.shape.iter().cloned()))
        .collect();
    let is_bare = |dim: &Dim, symbol: &shape::Symbol| dim.as_symbol().as_ref() == Some(symbol);
    let mut wanted = Vec::new();
    for symbol in shown.iter().flat_map(Dim::symbols) {
        if shown.iter().any(|dim| is_bare(dim, &symbol)) {
            continue;
        }
        let has_it = |index: &usize| whole.params[*index].ty.shape.iter().any(|dim| is_bare(dim, &symbol));
        wanted.extend((0..n_params).find(has_it));
    }
    for index in wanted {
        split.read[index] = true;
    }
}

/// The step of a `while` as that of a scan: while the condition holds, the body, else nothing.
fn step_of_while(module: &mut Module, repeat: &ops::While) -> FuncId {
    let body = &module.functions[repeat.body];
    let mut unchanged = Function::new(format!("{}.unchanged", body.name));
    let mut step = Function::new(format!("{}.step", body.name));
    let condition = &module.functions[repeat.condition].name;
    step.name = format!("{}.while.{condition}", body.name);
    for function in [&mut unchanged, &mut step] {
        function.facts = body.facts.clone();
        let params = body.params.iter().map(|param| Param { role: Role::Input, ..param.clone() });
        for param in params {
            Builder::new(&Module::default(), function).param(param);
        }
    }
    let names: Vec<String> = body.results.iter().map(|(name, _, _)| name.clone()).collect();
    let result = |(name, value): (&String, NodeId)| (name.clone(), Role::Output, value);
    unchanged.results = names.iter().zip((0..repeat.carried).map(NodeId::new)).map(result).collect();
    let otherwise = find_or_add(module, unchanged);
    let operands: Vec<NodeId> = step.nodes.ids().collect();
    let mut b = Builder::new(module, &mut step);
    let goes_on = b.results(ops::Call { callee: repeat.condition }, &operands);
    let taken: Vec<NodeId> = goes_on.into_iter().chain(operands).collect();
    let values = b.results(ops::Cond { then: repeat.body, otherwise }, &taken);
    step.results = names.iter().zip(values).map(result).collect();
    find_or_add(module, step)
}

/// Nodes from `first` on are the derivative of what `id` is part of.
fn in_scope(function: &mut Function, id: NodeId, first: usize) {
    if function.nodes.len() > first {
        let scope = Scope::derived(function.nodes[id].scope.as_ref());
        function.scope_from(first, &scope);
    }
}
