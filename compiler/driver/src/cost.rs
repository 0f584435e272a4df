//! How much work an entry point does, and which layer does it, as formulas of its dimensions.
//!
//! The rules: a multiply-add of a contraction is two operations; an elementwise operation on floats is one an element,
//! whichever it is; a reduction, a scatter, a sum of overlapping windows or a running sum one an element of its operand;
//! a random draw one an element. Moving, converting and comparing integers is none.

use graph::{FuncId, Function, Module, NodeId, Op, Phase, Type, ops, phases};
use kernel::DType;
use shape::{Dim, Facts};
use std::collections::{BTreeMap, BTreeSet};

/// The work of one part of an entry point.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Work {
    pub forward: Dim,
    pub backward: Dim,
    pub update: Dim,
}

impl Work {
    fn add(&mut self, phase: Phase, work: &Dim) {
        let part = match phase {
            Phase::Forward => &mut self.forward,
            Phase::Backward => &mut self.backward,
            Phase::Update => &mut self.update,
        };
        *part = &*part + work;
    }

    pub fn total(&self) -> Dim {
        &self.forward + &self.backward + &self.update
    }
}

/// The work of an entry point, and of each instance with all that is inside it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    pub total: Work,
    pub instances: BTreeMap<String, Work>,
    /// Bytes of what each instance reads and gives in the forward pass, each value once.
    pub bytes: BTreeMap<String, Dim>,
}

/// Accounts for an entry of a module after all passes: calls are expanded, nodes know their instance.
pub fn account(module: &Module, entry: FuncId, float: DType) -> Account {
    let function = &module.functions[entry];
    let phases = phases(function);
    let mut account = Account::default();
    let mut crossing: BTreeMap<String, BTreeSet<NodeId>> = BTreeMap::new();
    let path = |id: NodeId| function.nodes[id].scope.as_ref().map_or("", |scope| scope.instance.as_str());
    for (id, node) in function.nodes.iter() {
        let work = work(module, entry, id);
        if !work.is_const(0) {
            account.total.add(phases[id.index()], &work);
            for outer in enclosing(path(id)) {
                account.instances.entry(outer.to_string()).or_default().add(phases[id.index()], &work);
            }
        }
        if phases[id.index()] != Phase::Forward {
            continue;
        }
        for input in &node.inputs {
            let (from, to) = (path(*input), path(id));
            let read = enclosing(to).filter(|outer| !is_inside(from, outer));
            let given = enclosing(from).filter(|outer| !is_inside(to, outer));
            for outer in read.chain(given) {
                crossing.entry(outer.to_string()).or_default().insert(*input);
            }
        }
    }
    for (_, _, value) in &function.results {
        for outer in enclosing(path(*value)) {
            crossing.entry(outer.to_string()).or_default().insert(*value);
        }
    }
    for (instance, values) in crossing {
        let bytes = values.into_iter().map(|id| {
            let ty = function.ty(id);
            ty.shape.elements() * ty.dtype.concrete(float).size() as i64
        });
        account.bytes.insert(instance, bytes.sum());
    }
    account
}

/// The paths that lead to an instance, itself included: of `a.b.c` they are `a`, `a.b` and `a.b.c`.
fn enclosing(path: &str) -> impl Iterator<Item = &str> {
    let dots = path.match_indices('.').map(|(at, _)| &path[..at]);
    dots.chain(Some(path).filter(|path| !path.is_empty()))
}

fn is_inside(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Floating-point operations of one node.
pub fn work(module: &Module, function: FuncId, node: NodeId) -> Dim {
    node_work(module, &module.functions[function], node)
}

fn node_work(module: &Module, function: &Function, id: NodeId) -> Dim {
    let node = &function.nodes[id];
    let operand = |index: usize| function.ty(node.inputs[index]);
    match &node.op {
        Op::Contract(contract) => contract.extents.iter().product::<Dim>() * 2,
        Op::Reduce(_) | Op::Fold(_) | Op::Cumulative(_) if operand(0).dtype.is_float() => {
            operand(0).shape.elements()
        }
        Op::ScatterAdd(_) if node.ty().dtype.is_float() => operand(2).shape.elements(),
        Op::Unary(_) | Op::Binary(_) | Op::Select(_) if node.ty().dtype.is_float() => {
            node.ty().shape.elements()
        }
        Op::Random(_) => node.ty().shape.elements(),
        Op::Call(call) => body_work(module, function, call.callee, &types(function, &node.inputs)),
        Op::Scan(scan) => {
            let of_step = scan.step_types(&types(function, &node.inputs));
            let operands: Vec<&Type> = of_step.iter().collect();
            body_work(module, function, scan.body, &operands) * &scan.count
        }
        // The dearer branch.
        Op::Cond(cond) => {
            let operands = types(function, &node.inputs[1..]);
            let of = |body: FuncId| body_work(module, function, body, &operands);
            Dim::max(&of(cond.then), &of(cond.otherwise))
        }
        // As many steps as it may take; one where there is no limit.
        Op::While(repeat) => {
            let operands = types(function, &node.inputs);
            let of = |body: FuncId| body_work(module, function, body, &operands);
            let steps = repeat.limit.clone().unwrap_or_else(|| Dim::from(1i64));
            (of(repeat.condition) + of(repeat.body)) * steps
        }
        _ => Dim::default(),
    }
}

fn types<'f>(function: &'f Function, ids: &[NodeId]) -> Vec<&'f Type> {
    ids.iter().map(|id| function.ty(*id)).collect()
}

/// The work of one run of a body, in the dimensions of the function that names it.
fn body_work(module: &Module, function: &Function, body: FuncId, operands: &[&Type]) -> Dim {
    let body = &module.functions[body];
    let dims = ops::bind(body, &function.facts, operands).unwrap_or_default();
    let inside: Dim = body.nodes.ids().map(|id| node_work(module, body, id)).sum();
    inside.substitute(&dims)
}

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
    let mut found = Vec::new();
    inside(module, &module.functions[entry], ("", 0), &|ty| ty.clone(), &mut found);
    found
}

fn inside(
    module: &Module,
    function: &Function,
    (prefix, depth): (&str, usize),
    in_entry: &dyn Fn(&Type) -> Type,
    found: &mut Vec<Instance>,
) {
    for node in function.nodes.values() {
        let Op::Call(call) = &node.op else { continue };
        let callee = &module.functions[call.callee];
        let operands: Vec<&Type> = node.inputs.iter().map(|id| function.ty(*id)).collect();
        let Ok(dims) = ops::bind(callee, &Facts::default(), &operands)
            .or_else(|_| ops::bind(callee, &function.facts, &operands))
        else {
            continue;
        };
        let types = |ty: &Type| in_entry(&Type::new(ty.dtype, ty.shape.substitute(&dims)));
        let scope = node.scope.as_ref().filter(|scope| !scope.instance.is_empty() && !scope.backward);
        let Some(scope) = scope else {
            inside(module, callee, (prefix, depth), &types, found);
            continue;
        };
        let path =
            if prefix.is_empty() { scope.instance.clone() } else { format!("{prefix}.{}", scope.instance) };
        if found.iter().any(|known| known.path == path) {
            continue;
        }
        let results = callee.results.iter().filter(|(_, role, _)| *role == graph::Role::Output);
        let layer = callee.name.split('.').next().unwrap_or_default().to_string();
        let outputs = results.map(|(_, _, id)| types(callee.ty(*id))).collect();
        found.push(Instance { path: path.clone(), layer, outputs, depth });
        inside(module, callee, (&path, depth + 1), &types, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(enclosing("a.b.0").collect::<Vec<_>>(), ["a", "a.b", "a.b.0"]);
        assert_eq!(enclosing("").count(), 0);
        assert!(is_inside("a.b", "a") && is_inside("a", "a") && !is_inside("ab", "a"));
    }
}
