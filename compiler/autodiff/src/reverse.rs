//! Reverse derivatives: one walk from the results to the operands that matter, asking each operator's `vjp`.
//!
//! For `c = f(a)`, `e = g(c, b)` and a cotangent `de`, the nodes `dc, db = vjp_g(…, de)` and `da = vjp_f(…, dc)` are
//! appended. A call is answered by a call of the callee's derivative, which computes the callee's values again: once
//! both are inlined these are equal computations, and merged.

use crate::{NoDerivative, dependence, derived};
use base::IdVec;
use graph::{Builder, FuncId, Function, Grad, Module, Node, NodeId, Op, Param, Role, Scope, ops};
use kernel::Binary;
use std::collections::BTreeMap;

/// The derivatives of a float scalar by each of `wrt`, as values of the same function; the function is not in the
/// module yet. What the cost does not depend on has the derivative zero; what it depends on, but only through something
/// without a derivative, is an error.
pub fn grad(
    module: &mut Module,
    function: &mut Function,
    cost: NodeId,
    wrt: &[NodeId],
) -> Result<Vec<NodeId>, Box<NoDerivative>> {
    let ty = function.ty(cost);
    if !ty.dtype.is_float() || ty.rank() != 0 {
        let reason = format!("a derivative is that of a float scalar, this is {ty}");
        return Err(NoDerivative::new(reason, function, cost));
    }
    let dtype = ty.dtype;
    dependence::check(module, function, cost, wrt)?;
    let seed = Builder::new(module, function).scalar(dtype, 1.0);
    vjp(module, function, &[(cost, seed)], wrt)
}

/// As [`vjp`], where a value that depends on one of `wrt` only through what has no derivative is an error.
pub fn pullback(
    module: &mut Module,
    function: &mut Function,
    seeds: &[(NodeId, NodeId)],
    wrt: &[NodeId],
) -> Result<Vec<NodeId>, Box<NoDerivative>> {
    for (value, _) in seeds {
        dependence::check(module, function, *value, wrt)?;
    }
    vjp(module, function, seeds, wrt)
}

/// The cotangents of `wrt` that follow from the cotangents of some values: pairs of value and cotangent.
pub fn vjp(
    module: &mut Module,
    function: &mut Function,
    seeds: &[(NodeId, NodeId)],
    wrt: &[NodeId],
) -> Result<Vec<NodeId>, Box<NoDerivative>> {
    for id in wrt {
        if !function.ty(*id).dtype.is_float() {
            let reason = format!("there is no derivative with respect to {}", function.ty(*id));
            return Err(NoDerivative::new(reason, function, *id));
        }
    }
    let cotangents = Reverse::run(module, function, seeds, wrt)?;
    let mut b = Builder::new(module, function);
    Ok(wrt.iter().map(|id| cotangents.get(id).copied().unwrap_or_else(|| b.zeros_like(*id))).collect())
}

/// The function from the parameters of `callee` and the cotangents of the chosen results to those of the chosen
/// parameters. Made once; a composite's is the composite `name.vjp`.
pub fn vjp_function(
    module: &mut Module,
    callee: FuncId,
    wrt: &[bool],
    seeded: &[bool],
) -> Result<FuncId, Box<NoDerivative>> {
    let source = &module.functions[callee];
    let all_params: Vec<bool> = source.params.iter().map(|param| param.ty.dtype.is_float()).collect();
    let all_results: Vec<bool> =
        source.results.iter().map(|(_, _, value)| source.ty(*value).dtype.is_float()).collect();
    let derived_name = |of: &str| {
        let of_params = derived::name(of, "vjp", wrt, &all_params);
        if seeded == all_results { of_params } else { derived::name(&of_params, "of", seeded, &[]) }
    };
    let name = derived_name(&source.name);
    let composite = source.composite.as_deref().map(derived_name);
    let params = with_seeds(source, seeded);
    if let Some(known) = derived::find(module, &name, &params) {
        return Ok(known);
    }
    let source = source.clone();
    let mut function = with_cotangents(module, &source, wrt, seeded)?;
    function.name = name;
    function.composite = composite;
    function.results.drain(..source.results.len());
    if source.remat && source.derivative.is_none() {
        behind_barriers(&mut function, source.params.len());
    }
    Ok(module.add(function))
}

/// The parameters of a function, then those of the cotangents of the chosen results.
fn with_seeds(source: &Function, seeded: &[bool]) -> Vec<Param> {
    let own = source.params.iter().map(|param| Param { role: Role::Input, ..param.clone() });
    let seeds =
        source.results.iter().zip(seeded).filter(|(_, seeded)| **seeded).map(|((name, _, value), _)| Param {
            name: format!("d_{name}"),
            role: Role::Input,
            ty: source.ty(*value).clone(),
        });
    own.chain(seeds).collect()
}

/// The function that takes the cotangents of the chosen results too, and gives those of the chosen parameters after its
/// own results. It has neither a name of its own yet nor a place in the module.
pub(crate) fn with_cotangents(
    module: &mut Module,
    source: &Function,
    wrt: &[bool],
    seeded: &[bool],
) -> Result<Function, Box<NoDerivative>> {
    let mut function = source.clone();
    let derivative = function.derivative.take();
    let params = with_seeds(source, seeded);
    function.params = params[..source.params.len()].to_vec();
    let mut seeds = Vec::new();
    let values = source.results.iter().zip(seeded).filter(|(_, seeded)| **seeded);
    for (param, ((_, _, value), _)) in params[source.params.len()..].iter().zip(values) {
        let cotangent = Builder::new(module, &mut function).param(param.clone());
        seeds.push((*value, cotangent));
    }
    let chosen: Vec<usize> = (0..wrt.len()).filter(|index| wrt[*index]).collect();
    let cotangents = match derivative {
        Some(derivative) => {
            let values: Vec<(NodeId, bool)> =
                source.results.iter().map(|(_, _, value)| *value).zip(seeded.iter().copied()).collect();
            stated(module, &mut function, derivative, &values, &seeds, &chosen)
        }
        None => {
            let wrt: Vec<NodeId> = chosen.iter().map(|index| parameter(&mut function, *index)).collect();
            vjp(module, &mut function, &seeds, &wrt)?
        }
    };
    for (index, cotangent) in chosen.iter().zip(cotangents) {
        let name = format!("d_{}", function.params[*index].name);
        function.results.push((name, Role::Output, cotangent));
    }
    Ok(function)
}

/// The cotangents of the chosen parameters by the derivative that the function states for itself.
fn stated(
    module: &Module,
    function: &mut Function,
    derivative: FuncId,
    values: &[(NodeId, bool)],
    seeds: &[(NodeId, NodeId)],
    chosen: &[usize],
) -> Vec<NodeId> {
    let n_params = function.params.len() - seeds.len();
    let mut operands: Vec<NodeId> = (0..n_params).map(|index| parameter(function, index)).collect();
    let is_float: Vec<bool> = function.params.iter().map(|param| param.ty.dtype.is_float()).collect();
    let mut seeds = seeds.iter();
    let mut b = Builder::new(module, function);
    for (value, seeded) in values {
        let seed = if *seeded { seeds.next() } else { None };
        match seed {
            Some((_, cotangent)) => operands.push(*cotangent),
            None if b.dtype(*value).is_float() => operands.push(b.zeros_like(*value)),
            None => {}
        }
    }
    let cotangents = b.results(ops::Call { callee: derivative }, &operands);
    let place = |index: usize| is_float[..index].iter().filter(|is_float| **is_float).count();
    chosen.iter().map(|index| cotangents[place(*index)]).collect()
}

/// Puts a barrier behind each of the first parameters: no value computed from it is one that was computed before.
fn behind_barriers(function: &mut Function, n_params: usize) {
    let nodes = std::mem::replace(&mut function.nodes, IdVec::new());
    let mut copies: Vec<NodeId> = Vec::with_capacity(nodes.len());
    for (_, node) in nodes.iter() {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| copies[input.index()]).collect();
        let copy = function.nodes.push(Node { inputs, ..node.clone() });
        let is_operand = matches!(&node.op, Op::Parameter(parameter) if parameter.index < n_params);
        copies.push(if is_operand {
            function.nodes.push(Node { op: Op::from(ops::Barrier), inputs: vec![copy], ..node.clone() })
        } else {
            copy
        });
    }
    for (_, _, value) in &mut function.results {
        *value = copies[value.index()];
    }
}

/// The node of a parameter; one is added where nothing reads it.
pub(crate) fn parameter(function: &mut Function, index: usize) -> NodeId {
    let known = function
        .nodes
        .iter()
        .find(|(_, node)| matches!(&node.op, Op::Parameter(parameter) if parameter.index == index));
    match known {
        Some((id, _)) => id,
        None => {
            let types = vec![function.params[index].ty.clone()];
            let op = Op::from(ops::Parameter { index });
            function.nodes.push(Node { op, inputs: Vec::new(), types, span: None, scope: None })
        }
    }
}

mod loops;

struct Reverse {
    /// Which nodes depend on what is differentiated by, through floats.
    active: Vec<bool>,
    cotangents: BTreeMap<NodeId, NodeId>,
    /// Cotangents of the results of what runs functions.
    tuple_cotangents: BTreeMap<NodeId, BTreeMap<usize, NodeId>>,
}

impl Reverse {
    fn run(
        module: &mut Module,
        function: &mut Function,
        seeds: &[(NodeId, NodeId)],
        wrt: &[NodeId],
    ) -> Result<BTreeMap<NodeId, NodeId>, Box<NoDerivative>> {
        let n_nodes = seeds.iter().map(|(value, _)| value.index() + 1).max().unwrap_or(0);
        let mut walk = Reverse {
            active: activity(function, n_nodes, wrt),
            cotangents: BTreeMap::new(),
            tuple_cotangents: BTreeMap::new(),
        };
        for (value, cotangent) in seeds {
            walk.add(&mut Builder::new(module, function), *value, *cotangent);
        }
        for id in (0..n_nodes).rev().map(NodeId::new) {
            if walk.active[id.index()] {
                let first = function.nodes.len();
                walk.visit(module, function, id)?;
                if function.nodes.len() > first {
                    let scope = Scope::derived(function.nodes[id].scope.as_ref());
                    function.scope_from(first, &scope);
                }
            }
        }
        Ok(walk.cotangents)
    }

    fn visit(
        &mut self,
        module: &mut Module,
        function: &mut Function,
        id: NodeId,
    ) -> Result<(), Box<NoDerivative>> {
        let node = &function.nodes[id];
        let (op, inputs, span) = (node.op.clone(), node.inputs.clone(), node.span);
        match &op {
            Op::Call(call) if loops::has_loops(module, call.callee) => {
                return self.visit_looping_call(module, function, id, call.callee);
            }
            Op::Call(call) => return self.visit_call(module, function, id, call.callee),
            Op::Scan(scan) => return self.visit_scan(module, function, id, scan),
            Op::Cond(cond) => return self.visit_cond(module, function, id, cond),
            Op::While(repeat) => return self.visit_while(module, function, id, repeat),
            _ => {}
        }
        let Some(cotangent) = self.cotangents.get(&id).copied() else { return Ok(()) };
        match &op {
            Op::Parameter(_) => {}
            Op::Get(get) => {
                let mut b = Builder { module, function, span };
                let results = self.tuple_cotangents.entry(inputs[0]).or_default();
                let sum = match results.get(&get.index) {
                    Some(other) => b.binary(Binary::Add, *other, cotangent),
                    None => cotangent,
                };
                results.insert(get.index, sum);
            }
            op => {
                let mut b = Builder { module, function, span };
                let grads = op.vjp(&mut b, &inputs, id, cotangent);
                for (input, grad) in inputs.iter().zip(grads) {
                    if !self.active[input.index()] {
                        continue;
                    }
                    match grad {
                        Grad::Value(value) => self.add(&mut b, *input, value),
                        Grad::Zero => {}
                        Grad::None(reason) => return Err(NoDerivative::new(reason, b.function, id)),
                    }
                }
            }
        }
        Ok(())
    }

    fn visit_call(
        &mut self,
        module: &mut Module,
        function: &mut Function,
        id: NodeId,
        callee: FuncId,
    ) -> Result<(), Box<NoDerivative>> {
        let Some(cotangents) = self.tuple_cotangents.remove(&id) else { return Ok(()) };
        let node = &function.nodes[id];
        let (mut operands, span) = (node.inputs.clone(), node.span);
        let wrt: Vec<bool> = operands.iter().map(|input| self.active[input.index()]).collect();
        let seeded: Vec<bool> = (0..node.types.len()).map(|index| cotangents.contains_key(&index)).collect();
        let chosen: Vec<NodeId> =
            operands.iter().zip(&wrt).filter(|(_, chosen)| **chosen).map(|(input, _)| *input).collect();
        operands.extend(cotangents.into_values());
        let derivative =
            vjp_function(module, callee, &wrt, &seeded).map_err(|error| error.called_from(span))?;
        let mut b = Builder { module, function, span };
        let call = b.add(Op::from(ops::Call { callee: derivative }), &operands);
        for (index, input) in chosen.into_iter().enumerate() {
            let cotangent = b.add(Op::from(ops::Get { index }), &[call]);
            self.add(&mut b, input, cotangent);
        }
        Ok(())
    }

    fn add(&mut self, b: &mut Builder<'_>, id: NodeId, cotangent: NodeId) {
        let sum = match self.cotangents.get(&id) {
            Some(other) => b.binary(Binary::Add, *other, cotangent),
            None => cotangent,
        };
        self.cotangents.insert(id, sum);
    }
}

/// Which of the first nodes carry a derivative: floats that depend on one of `wrt` through floats alone.
fn activity(function: &Function, n_nodes: usize, wrt: &[NodeId]) -> Vec<bool> {
    let mut active: Vec<bool> = Vec::with_capacity(n_nodes);
    for (id, node) in function.nodes.iter().take(n_nodes) {
        let carries = node.op.is_tuple() || node.ty().dtype.is_float();
        let depends = wrt.contains(&id) || node.inputs.iter().any(|input| active[input.index()]);
        active.push(carries && depends);
    }
    active
}
