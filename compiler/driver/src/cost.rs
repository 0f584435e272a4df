//! How much work an entry point does, and which layer does it, as formulas of its dimensions.
//!
//! What counts is said at [`graph::flops`].

mod instances;
mod runs;

pub use instances::{Instance, instances};

use graph::{FuncId, Function, Module, NodeId, Op, Phase, Scope, Type, ops, phases};
use kernel::DType;
use runs::{Body, runs};
use shape::Dim;
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
    /// Whether there are branches, of which the dearer side counts.
    pub branches: bool,
    /// Whether there are loops without a limit, of which one step counts.
    pub open_loops: bool,
}

/// Accounts for an entry of a module after all passes: calls are expanded, nodes know their instance.
pub fn account(module: &Module, entry: FuncId, float: DType) -> Account {
    let function = &module.functions[entry];
    let phases = phases(function);
    let mut account = Account::default();
    for id in function.nodes.ids() {
        let phase = phases[id.index()];
        let work = work(module, entry, id);
        if !work.is_const(0) {
            account.total.add(phase, &work);
            for outer in enclosing(path_of(function, id)) {
                account.instances.entry(outer.to_string()).or_default().add(phase, &work);
            }
        }
        for (inner, part) in inside_bodies(module, function, id, float, &mut account) {
            let path = joined(path_of(function, id), &inner);
            if phase == Phase::Forward {
                *account.bytes.entry(path.clone()).or_default() += part.each_time + part.once;
            }
            account.instances.entry(path).or_default().add(phase, &part.work);
        }
    }
    for (instance, values) in crossing(function, &|id| phases[id.index()] == Phase::Forward) {
        let bytes: Dim = values.into_iter().map(|id| bytes_of(function, id, float)).sum();
        *account.bytes.entry(instance).or_default() += bytes;
    }
    account
}

/// What an instance inside of a body costs.
#[derive(Clone, Default)]
struct Part {
    work: Dim,
    /// Bytes of values that are others each time the body runs, and of those that are the same.
    each_time: Dim,
    once: Dim,
}

/// The instances in what a node runs, by their paths as seen from the node. Where they are steps of a scan, each has its
/// own.
fn inside_bodies(
    module: &Module,
    function: &Function,
    id: NodeId,
    float: DType,
    account: &mut Account,
) -> BTreeMap<String, Part> {
    let node = &function.nodes[id];
    let runs = runs(function, node);
    account.branches |= runs.alternatives;
    account.open_loops |= matches!(&node.op, Op::While(repeat) if repeat.limit.is_none());
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for ran in &runs.bodies {
        let body = &module.functions[ran.id];
        let operands: Vec<&Type> = ran.operands.iter().collect();
        let dims = ops::bind(body, &function.facts, &operands).unwrap_or_default();
        for (path, part) in parts_of_body(module, body, ran, float, account) {
            let [work, each_time, once] =
                [part.work, part.each_time, part.once].map(|dim| dim.substitute(&dims));
            let steps = Scope::paths_of_steps(&path).filter(|paths| runs.times.is_const(paths.len() as i64));
            let (paths, times) = match steps {
                Some(paths) => (paths, Dim::from(1i64)),
                None => (vec![path], runs.times.clone()),
            };
            for path in paths {
                let known = parts.entry(path).or_default();
                let join = |known: &Dim, more: &Dim| {
                    if runs.alternatives { Dim::max(known, more) } else { known + more }
                };
                *known = Part {
                    work: join(&known.work, &(&work * &times)),
                    each_time: join(&known.each_time, &(&each_time * &times)),
                    once: join(&known.once, &once),
                };
            }
        }
    }
    parts
}

fn parts_of_body(
    module: &Module,
    body: &Function,
    ran: &Body,
    float: DType,
    account: &mut Account,
) -> BTreeMap<String, Part> {
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for id in body.nodes.ids() {
        let path = path_of(body, id);
        if !path.is_empty() {
            let work = node_work(module, body, id);
            for outer in enclosing(path).filter(|_| !work.is_const(0)) {
                parts.entry(outer.to_string()).or_default().work += work.clone();
            }
        }
        for (inner, part) in inside_bodies(module, body, id, float, account) {
            let known = parts.entry(joined(path, &inner)).or_default();
            known.work += part.work;
            known.each_time += part.each_time + part.once;
        }
    }
    for (path, values) in crossing(body, &|_| true) {
        let known = parts.entry(path).or_default();
        for id in values {
            let bytes = bytes_of(body, id, float);
            let place = match &body.nodes[id].op {
                Op::Parameter(parameter) if ran.fixed.contains(&parameter.index) => &mut known.once,
                _ => &mut known.each_time,
            };
            *place += bytes;
        }
    }
    parts
}

/// Values that go into each instance or come out of it, at nodes that `counts` names.
fn crossing(function: &Function, counts: &dyn Fn(NodeId) -> bool) -> BTreeMap<String, BTreeSet<NodeId>> {
    let mut crossing: BTreeMap<String, BTreeSet<NodeId>> = BTreeMap::new();
    for (id, node) in function.nodes.iter().filter(|(id, _)| counts(*id)) {
        for input in node.inputs.iter().filter(|input| !function.nodes[**input].op.is_tuple()) {
            let (from, to) = (path_of(function, *input), path_of(function, id));
            let read = enclosing(to).filter(|outer| !is_inside(from, outer));
            let given = enclosing(from).filter(|outer| !is_inside(to, outer));
            for outer in read.chain(given) {
                crossing.entry(outer.to_string()).or_default().insert(*input);
            }
        }
    }
    for (_, _, value) in &function.results {
        for outer in enclosing(path_of(function, *value)) {
            crossing.entry(outer.to_string()).or_default().insert(*value);
        }
    }
    crossing
}

fn path_of(function: &Function, id: NodeId) -> &str {
    function.nodes[id].scope.as_ref().map_or("", |scope| scope.instance.as_str())
}

fn bytes_of(function: &Function, id: NodeId, float: DType) -> Dim {
    let ty = function.ty(id);
    ty.shape.elements() * ty.dtype.concrete(float).size() as i64
}

fn joined(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        ("", path) | (path, "") => path.to_string(),
        _ => format!("{outer}.{inner}"),
    }
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
    if node.op.bodies().is_empty() {
        return graph::flops(function, id);
    }
    let runs = runs(function, node);
    let works = runs.bodies.iter().map(|ran| body_work(module, function, ran));
    let once = match runs.alternatives {
        // The dearer branch.
        true => works.fold(Dim::default(), |most, work| Dim::max(&most, &work)),
        false => works.sum(),
    };
    once * &runs.times
}

/// The work of one run of a body, in the dimensions of the function that names it.
fn body_work(module: &Module, function: &Function, ran: &Body) -> Dim {
    let body = &module.functions[ran.id];
    let operands: Vec<&Type> = ran.operands.iter().collect();
    let dims = ops::bind(body, &function.facts, &operands).unwrap_or_default();
    let inside: Dim = body.nodes.ids().map(|id| node_work(module, body, id)).sum();
    inside.substitute(&dims)
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
