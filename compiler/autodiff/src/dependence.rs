//! What a cost depends on only through something without a derivative: comparisons, positions, whole numbers. The
//! derivative there would be a zero that nobody meant; so it is an error. `stop_gradient`, `floor` and the condition of
//! a `select` are constants that are meant, and no way leads through them.

use crate::NoDerivative;
use graph::{Builder, FuncId, Function, Grad, Module, Node, NodeId, Op, Param, Type, ops};
use std::collections::BTreeMap;

/// How a value can be reached from the cost, walking backwards.
#[derive(Clone, Default)]
struct Reach {
    /// There is a way with derivatives throughout.
    smooth: bool,
    /// There is a way through this, which has none; of several on the way the one next to the value.
    blocked: Option<Box<NoDerivative>>,
}

impl Reach {
    const COST: Reach = Reach { smooth: true, blocked: None };

    fn is_reached(&self) -> bool {
        self.smooth || self.blocked.is_some()
    }

    /// A further way: along `edge`, to what is reached as `from`.
    fn add(&mut self, edge: &Reach, from: &Reach) {
        self.smooth |= edge.smooth && from.smooth;
        if self.blocked.is_none() && from.is_reached() {
            self.blocked = match (&edge.blocked, edge.smooth) {
                (Some(place), _) => Some(place.clone()),
                (None, true) => from.blocked.clone(),
                (None, false) => None,
            };
        }
    }
}

/// How each operand of a called function is reached from one of its results.
type Known = BTreeMap<(FuncId, usize), Vec<Reach>>;

/// The first of `wrt` that the cost depends on, but only through what has no derivative.
pub(crate) fn check(
    module: &Module,
    function: &Function,
    cost: NodeId,
    wrt: &[NodeId],
) -> Result<(), Box<NoDerivative>> {
    let mut matters = vec![false; cost.index() + 1];
    for id in wrt.iter().filter(|id| id.index() <= cost.index()) {
        matters[id.index()] = true;
    }
    spread(function, &mut matters);
    let reaches = walk(module, function, &matters, cost, &mut Known::new());
    for id in wrt.iter().filter(|id| function.ty(**id).dtype.is_float()) {
        if let Some(Reach { smooth: false, blocked: Some(blocked) }) = reaches.get(id.index()) {
            return Err(Box::new(NoDerivative { by: Some(*id), ..(**blocked).clone() }));
        }
    }
    Ok(())
}

/// Marks all that depends on what is marked.
fn spread(function: &Function, matters: &mut [bool]) {
    for (id, node) in function.nodes.iter().take(matters.len()) {
        matters[id.index()] |= node.inputs.iter().any(|input| matters[input.index()]);
    }
}

/// How the values up to `from` are reached from it; those that do not matter are left out.
fn walk(
    module: &Module,
    function: &Function,
    matters: &[bool],
    from: NodeId,
    known: &mut Known,
) -> Vec<Reach> {
    let mut reaches = vec![Reach::default(); from.index() + 1];
    // What runs functions is reached result by result.
    let mut results: BTreeMap<NodeId, Vec<(usize, Reach)>> = BTreeMap::new();
    reaches[from.index()] = Reach::COST;
    for id in (0..=from.index()).rev().map(NodeId::new) {
        let node = &function.nodes[id];
        if !matters[id.index()] {
            continue;
        }
        if node.op.is_tuple() {
            for (result, reach) in results.remove(&id).unwrap_or_default() {
                let edges = through_node(module, node, result, known);
                for (input, edge) in node.inputs.iter().zip(edges) {
                    let blocked = edge.blocked.map(|blocked| blocked.called_from(node.span));
                    reaches[input.index()].add(&Reach { blocked, ..edge }, &reach);
                }
            }
            continue;
        }
        let reach = reaches[id.index()].clone();
        if !reach.is_reached() || node.inputs.is_empty() {
            continue;
        }
        if let Op::Get(get) = &node.op {
            results.entry(node.inputs[0]).or_default().push((get.index, reach));
            continue;
        }
        for (input, edge) in node.inputs.iter().zip(edges(module, function, id)) {
            if matters[input.index()] {
                reaches[input.index()].add(&edge, &reach);
            }
        }
    }
    reaches
}

/// How each operand of a node that runs functions is reached from one of its results.
fn through_node(module: &Module, node: &Node, result: usize, known: &mut Known) -> Vec<Reach> {
    let n_operands = node.inputs.len();
    match &node.op {
        Op::Call(call) => through_call(module, call.callee, result, known),
        // Which branch is taken is a constant that is meant.
        Op::Cond(cond) => {
            let mut reaches = vec![Reach::default(); n_operands];
            for body in [cond.then, cond.otherwise] {
                for (reach, edge) in reaches[1..].iter_mut().zip(through_call(module, body, result, known)) {
                    reach.add(&edge, &Reach::COST);
                }
            }
            reaches
        }
        Op::Scan(scan) => {
            let result = scan.body_result_of(result, node.types.len());
            let params = through_steps(module, scan.body, scan.carried, result, known);
            (0..n_operands)
                .map(|operand| params.get(scan.param_of(operand)).cloned().unwrap_or_default())
                .collect()
        }
        Op::While(repeat) => through_steps(module, repeat.body, repeat.carried, result, known),
        _ => vec![Reach::default(); n_operands],
    }
}

/// How each parameter of a loop's body is reached from one of its results, over any number of steps.
fn through_steps(
    module: &Module,
    body: FuncId,
    carried: usize,
    result: usize,
    known: &mut Known,
) -> Vec<Reach> {
    let n_results = module.functions[body].results.len();
    let edges: Vec<Vec<Reach>> =
        (0..n_results).map(|result| through_call(module, body, result, known)).collect();
    let mut results = vec![Reach::default(); n_results];
    results[result] = Reach::COST;
    let state = |results: &[Reach]| -> Vec<(bool, bool)> {
        results.iter().map(|reach| (reach.smooth, reach.blocked.is_some())).collect()
    };
    loop {
        let before = state(&results);
        let mut params = vec![Reach::default(); module.functions[body].params.len()];
        for (reach, edges) in results.iter().zip(&edges) {
            for (param, edge) in params.iter_mut().zip(edges) {
                param.add(edge, reach);
            }
        }
        for (result, param) in results.iter_mut().zip(&params).take(carried) {
            result.add(&Reach::COST, param);
        }
        if state(&results) == before {
            // Without a step a carried value is its operand.
            for (param, result) in params.iter_mut().zip(&results).take(carried) {
                param.add(&Reach::COST, result);
            }
            return params;
        }
    }
}

fn through_call(module: &Module, callee: FuncId, result: usize, known: &mut Known) -> Vec<Reach> {
    if let Some(reaches) = known.get(&(callee, result)) {
        return reaches.clone();
    }
    let function = &module.functions[callee];
    let from = function.results[result].2;
    if function.derivative.is_some() {
        let is_float = |ty: &Type| ty.dtype.is_float();
        let reach = |param: &Param| {
            if is_float(&param.ty) && is_float(function.ty(from)) { Reach::COST } else { Reach::default() }
        };
        return function.params.iter().map(reach).collect();
    }
    let mut matters = vec![false; from.index() + 1];
    for (id, node) in function.nodes.iter().take(matters.len()) {
        matters[id.index()] = matches!(node.op, Op::Parameter(_));
    }
    spread(function, &mut matters);
    let reaches = walk(module, function, &matters, from, known);
    let mut of_params = vec![Reach::default(); function.params.len()];
    for (id, node) in function.nodes.iter().take(reaches.len()) {
        if let Op::Parameter(parameter) = &node.op {
            of_params[parameter.index] = reaches[id.index()].clone();
        }
    }
    known.insert((callee, result), of_params.clone());
    of_params
}

/// What the operator's own rule says of each operand, asked in a function of its own.
fn edges(module: &Module, function: &Function, id: NodeId) -> Vec<Reach> {
    let node = &function.nodes[id];
    let mut scratch = Function::new("dependence");
    scratch.facts = function.facts.clone();
    let inputs: Vec<NodeId> = node
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let types = vec![function.ty(*input).clone()];
            let op = Op::from(ops::Parameter { index });
            scratch.nodes.push(Node { op, inputs: Vec::new(), types, span: None, scope: None })
        })
        .collect();
    let output = scratch.nodes.push(Node { inputs: inputs.clone(), ..node.clone() });
    let mut b = Builder::new(module, &mut scratch);
    let dout = b.zeros_like(output);
    let grads = node.op.vjp(&mut b, &inputs, output, dout);
    let reach = |grad| match grad {
        Grad::Value(_) => Reach::COST,
        Grad::Zero => Reach::default(),
        Grad::None(reason) => Reach { smooth: false, blocked: Some(NoDerivative::new(reason, function, id)) },
    };
    grads.into_iter().map(reach).collect()
}
