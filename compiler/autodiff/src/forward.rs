//! Forward derivatives: one walk in program order, asking each operator's `jvp`.

use crate::{NoDerivative, dependence, derived, reverse::parameter};
use graph::{Builder, FuncId, Function, Module, NodeId, Op, Param, Role};
use std::collections::BTreeMap;

mod loops;

/// As [`jvp`], where an output that depends on a value only through what has no derivative is an error.
pub fn pushforward(
    module: &mut Module,
    function: &mut Function,
    outputs: &[NodeId],
    given: &[(NodeId, NodeId)],
) -> Result<Vec<NodeId>, Box<NoDerivative>> {
    let values: Vec<NodeId> = given.iter().map(|(value, _)| *value).collect();
    for output in outputs {
        dependence::check(module, function, *output, &values)?;
    }
    jvp(module, function, outputs, given)
}

/// The tangents of `outputs` that follow from those given (pairs of value and tangent), as values of the same function,
/// which is not in the module yet. What does not vary has the tangent zero.
pub fn jvp(
    module: &mut Module,
    function: &mut Function,
    outputs: &[NodeId],
    given: &[(NodeId, NodeId)],
) -> Result<Vec<NodeId>, Box<NoDerivative>> {
    for id in outputs.iter().chain(given.iter().map(|(value, _)| value)) {
        if !function.ty(*id).dtype.is_float() {
            let reason = format!("there is no tangent of {}", function.ty(*id));
            return Err(NoDerivative::new(reason, function, *id));
        }
    }
    let mut tangents: BTreeMap<NodeId, NodeId> = given.iter().copied().collect();
    // Tangents of the results of what runs functions.
    let mut of_tuples: BTreeMap<NodeId, Vec<Option<NodeId>>> = BTreeMap::new();
    for id in function.needed(outputs) {
        let node = &function.nodes[id];
        let (op, inputs, span) = (node.op.clone(), node.inputs.clone(), node.span);
        if tangents.contains_key(&id) {
            continue;
        }
        if let Op::Get(get) = &op {
            let tangent = of_tuples.get(&inputs[0]).and_then(|results| results[get.index]);
            tangents.extend(tangent.map(|tangent| (id, tangent)));
            continue;
        }
        let of_inputs: Vec<Option<NodeId>> =
            inputs.iter().map(|input| tangents.get(input).copied()).collect();
        if of_inputs.iter().all(Option::is_none) {
            continue;
        }
        if op.is_tuple() {
            let first = function.nodes.len();
            let tangents = loops::tangents(module, function, id, &of_inputs)?;
            of_tuples.insert(id, tangents);
            in_scope_of(function, id, first);
        } else if function.ty(id).dtype.is_float() {
            let first = function.nodes.len();
            let mut b = Builder { module, function, span };
            let tangent = op.jvp(&mut b, &inputs, id, &of_inputs);
            in_scope_of(function, id, first);
            match tangent {
                Ok(tangent) => tangents.extend(tangent.map(|tangent| (id, tangent))),
                Err(reason) => return Err(NoDerivative::new(reason, function, id)),
            }
        }
    }
    let mut b = Builder::new(module, function);
    Ok(outputs.iter().map(|id| tangents.get(id).copied().unwrap_or_else(|| b.zeros_like(*id))).collect())
}

/// Nodes from `first` on belong where `id` does.
fn in_scope_of(function: &mut Function, id: NodeId, first: usize) {
    if let Some(scope) = function.nodes[id].scope.clone() {
        function.scope_from(first, &scope);
    }
}

/// The function from the parameters of `callee` and the tangents of the varying ones to the tangents of the float
/// results. Made once.
pub fn jvp_function(
    module: &mut Module,
    callee: FuncId,
    varying: &[bool],
) -> Result<FuncId, Box<NoDerivative>> {
    let source = &module.functions[callee];
    none_stated(source)?;
    let all: Vec<bool> = source.params.iter().map(|param| param.ty.dtype.is_float()).collect();
    let derived_name = |of: &str| derived::name(of, "jvp", varying, &all);
    let mut function = source.clone();
    function.name = derived_name(&source.name);
    function.composite = source.composite.as_deref().map(derived_name);
    for param in &mut function.params {
        param.role = Role::Input;
    }
    let given = tangent_params(module, &mut function, varying);
    if let Some(known) = derived::find(module, &function.name, &function.params) {
        return Ok(known);
    }
    let results: Vec<(String, Role, NodeId)> = std::mem::take(&mut function.results)
        .into_iter()
        .filter(|(_, _, value)| function.ty(*value).dtype.is_float())
        .collect();
    let outputs: Vec<NodeId> = results.iter().map(|(_, _, value)| *value).collect();
    let tangents = jvp(module, &mut function, &outputs, &given)?;
    function.results = results
        .into_iter()
        .zip(tangents)
        .map(|((name, _, _), tangent)| (format!("t_{name}"), Role::Output, tangent))
        .collect();
    Ok(module.add(function))
}

/// A further parameter for the tangent of each that varies; pairs of value and tangent.
fn tangent_params(module: &mut Module, function: &mut Function, varying: &[bool]) -> Vec<(NodeId, NodeId)> {
    let mut given = Vec::new();
    for index in (0..varying.len()).filter(|index| varying[*index]) {
        let value = parameter(function, index);
        let param = &function.params[index];
        let tangent = Param { name: format!("t_{}", param.name), role: Role::Input, ty: param.ty.clone() };
        given.push((value, Builder::new(module, function).param(tangent)));
    }
    given
}

/// A stated derivative works backwards only.
fn none_stated(source: &Function) -> Result<(), Box<NoDerivative>> {
    if source.derivative.is_none() {
        return Ok(());
    }
    let reason = format!("`{}` states its derivative backwards, there is none forwards", source.name);
    let result = source.results.first().map_or(NodeId::new(0), |(_, _, value)| *value);
    Err(NoDerivative::new(reason, source, result))
}
