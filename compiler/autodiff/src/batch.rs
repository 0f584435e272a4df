//! A function over a further leading axis, by the operators' `batch`.

use crate::{derived, reverse::parameter};
use base::Span;
use graph::{Builder, DType, FuncId, Function, Module, Node, NodeId, Op, Param, Role, Type, ops};
use kernel::Combine;
use shape::{Dim, Shape, Symbol};
use std::{collections::BTreeMap, fmt};

mod loops;

/// Why a function cannot be mapped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotBatchable {
    pub reason: String,
    /// The function that the node belongs to.
    pub function: String,
    pub node: NodeId,
    pub span: Option<Span>,
}

impl fmt::Display for NotBatchable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{} of `{}`: {}", self.node.index(), self.function, self.reason)
    }
}

impl std::error::Error for NotBatchable {}

/// Whether random draws differ from lane to lane. They do where a function is mapped; they do not where one application
/// of a function is differentiated in many directions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Draws {
    Differ,
    Same,
}

/// The values of `outputs` with a leading axis of extent `size`, as nodes of the same function, which is not in the
/// module yet: what was built from the node `first` on is done again for all lanes of `given` (pairs of the value in one
/// lane and all its values). Nodes that do not vary stay as they are.
pub fn vmap(
    module: &mut Module,
    function: &mut Function,
    first: NodeId,
    outputs: &[NodeId],
    given: &[(NodeId, NodeId)],
    size: &Dim,
    draws: Draws,
) -> Result<Vec<NodeId>, Box<NotBatchable>> {
    let drawing = drawing_functions(module);
    let mut mapped: BTreeMap<NodeId, NodeId> = given.iter().copied().collect();
    // Results of what runs functions, each with whether it varies.
    let mut tuples: BTreeMap<NodeId, Vec<(NodeId, bool)>> = BTreeMap::new();
    // What does not vary but was computed anew beside what does.
    let mut plain: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for id in function.needed(outputs).into_iter().filter(|id| *id >= first) {
        if mapped.contains_key(&id) {
            continue;
        }
        let node = function.nodes[id].clone();
        if let Op::Get(get) = &node.op
            && let Some(results) = tuples.get(&node.inputs[0])
        {
            let (value, varies) = results[get.index];
            if varies {
                mapped.insert(id, value)
            } else {
                plain.insert(id, value)
            };
            continue;
        }
        let has_axis: Vec<bool> = node.inputs.iter().map(|input| mapped.contains_key(input)).collect();
        let inputs: Vec<NodeId> = node
            .inputs
            .iter()
            .map(|input| mapped.get(input).or(plain.get(input)).copied().unwrap_or(*input))
            .collect();
        // Derivatives of what was drawn before `first` draw the same again.
        let draws = if draws_as_before(module, &node, first) { Draws::Same } else { draws };
        if has_axis.contains(&true) || (draws == Draws::Differ && is_drawing(&drawing, &node.op)) {
            let lanes = Lanes { size, draws };
            match lanes.node(module, function, (id, &node), &inputs, &has_axis)? {
                Mapped::Value(value) => _ = mapped.insert(id, value),
                Mapped::Results(results) => _ = tuples.insert(id, results),
            }
        } else if inputs != node.inputs {
            let copy = function.nodes.push(Node { inputs, ..node });
            plain.insert(id, copy);
        }
    }
    let mut b = Builder::new(module, function);
    let all_lanes = |id: &NodeId| match mapped.get(id) {
        Some(mapped) => *mapped,
        None => {
            let value = plain.get(id).copied().unwrap_or(*id);
            let shape = with_leading(size, &b.ty(value).shape);
            b.broadcast(value, &shape)
        }
    };
    Ok(outputs.iter().map(all_lanes).collect())
}

/// `callee` mapped over the leading axis, of extent `size`, that the chosen parameters get; all results get it too.
/// Nodes that no chosen parameter reaches stay as they are, except for random draws, which differ along the axis.
/// Made once for each choice and constant size; another size becomes a dimension of the new function.
pub fn vmap_function(
    module: &mut Module,
    callee: FuncId,
    batched: &[bool],
    size: &Dim,
) -> Result<FuncId, Box<NotBatchable>> {
    map_function(module, callee, batched, None, size, Draws::Differ)
}

/// `with_axis` tells which results get the axis; the others do not vary.
fn map_function(
    module: &mut Module,
    callee: FuncId,
    batched: &[bool],
    with_axis: Option<&[bool]>,
    size: &Dim,
    draws: Draws,
) -> Result<FuncId, Box<NotBatchable>> {
    let source = module.functions[callee].clone();
    let size = if size.as_const().is_some() || !batched.contains(&true) {
        size.clone()
    } else {
        Dim::from(fresh_symbol(&source))
    };
    let kind = if draws == Draws::Differ { "vmap" } else { "map" };
    let all = vec![true; source.params.len()];
    let mut name = derived::name(&source.name, &format!("{kind}[{size}]"), batched, &all);
    if let Some(with_axis) = with_axis {
        name = derived::name(&name, "to", with_axis, &vec![true; with_axis.len()]);
    }
    let mut function = Function::new(name);
    function.facts = source.facts.clone();
    function.effects = source.effects.clone();
    let stretched = |ty: &Type| Type::new(ty.dtype, with_leading(&size, &ty.shape));
    for (param, batched) in source.params.iter().zip(batched) {
        let ty = if *batched { stretched(&param.ty) } else { param.ty.clone() };
        function.params.push(Param { ty, ..param.clone() });
    }
    if let Some(known) = derived::find(module, &function.name, &function.params) {
        return Ok(known);
    }
    let drawing = drawing_functions(module);
    let mut values: Vec<(NodeId, bool)> = Vec::with_capacity(source.nodes.len());
    let mut tuples: BTreeMap<NodeId, Vec<(NodeId, bool)>> = BTreeMap::new();
    for (id, node) in source.nodes.iter() {
        if let Op::Get(get) = &node.op
            && let Some(results) = tuples.get(&node.inputs[0])
        {
            values.push(results[get.index]);
            continue;
        }
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| values[input.index()].0).collect();
        let has_axis: Vec<bool> = node.inputs.iter().map(|input| values[input.index()].1).collect();
        let varies = has_axis.contains(&true) || (draws == Draws::Differ && is_drawing(&drawing, &node.op));
        let first = function.nodes.len();
        let value = match &node.op {
            Op::Parameter(parameter) => {
                let mut copy = node.clone();
                let is_batched = batched[parameter.index];
                copy.types = vec![function.params[parameter.index].ty.clone()];
                (function.nodes.push(copy), is_batched)
            }
            _ if varies => {
                let lanes = Lanes { size: &size, draws };
                match lanes.node(module, &mut function, (id, node), &inputs, &has_axis)? {
                    Mapped::Value(value) => (value, true),
                    // Nothing but `get` reads the node itself.
                    Mapped::Results(results) => {
                        tuples.insert(id, results);
                        (NodeId::new(0), true)
                    }
                }
            }
            op => {
                let mut b = Builder { module, function: &mut function, span: node.span };
                (b.add(op.clone(), &inputs), false)
            }
        };
        if let Some(scope) = &node.scope {
            function.scope_from(first, scope);
        }
        values.push(value);
    }
    let mut b = Builder::new(module, &mut function);
    let mut results = Vec::new();
    for (index, (name, role, value)) in source.results.iter().enumerate() {
        let (mut value, has_axis) = values[value.index()];
        let wanted = with_axis.is_none_or(|with_axis| with_axis[index]);
        debug_assert!(wanted || !has_axis, "internal: a result that varies was said not to");
        if wanted && !has_axis {
            let shape = with_leading(&size, &b.ty(value).shape);
            value = b.broadcast(value, &shape);
        }
        results.push((name.clone(), *role, value));
    }
    function.results = results;
    function.remat = source.remat;
    if let Some(derivative) = source.derivative {
        function.derivative = Some(map_derivative(module, &source, &function, derivative, batched, &size)?);
    }
    Ok(module.add(function))
}

/// The stated derivative of a mapped function. The cotangents of parameters that are the same in all lanes add up.
fn map_derivative(
    module: &mut Module,
    source: &Function,
    mapped: &Function,
    derivative: FuncId,
    batched: &[bool],
    size: &Dim,
) -> Result<FuncId, Box<NotBatchable>> {
    let is_float = |function: &Function, value: &NodeId| function.ty(*value).dtype.is_float();
    let cotangents = mapped.results.iter().filter(|(_, _, value)| is_float(mapped, value));
    let mut varying = batched.to_vec();
    let mut function = Function::new(format!("{}.derivative", mapped.name));
    function.facts = mapped.facts.clone();
    function.params = mapped.params.clone();
    for (name, _, value) in cotangents {
        varying.push(true);
        let ty = mapped.ty(*value).clone();
        function.params.push(Param { name: format!("d_{name}"), role: Role::Input, ty });
    }
    let callee = map_function(module, derivative, &varying, None, size, Draws::Same)?;
    let operands: Vec<NodeId> =
        (0..function.params.len()).map(|index| parameter(&mut function, index)).collect();
    let mut b = Builder::new(module, &mut function);
    let all = b.results(ops::Call { callee }, &operands);
    let of_params = source.params.iter().zip(batched).filter(|(param, _)| param.ty.dtype.is_float()).zip(all);
    let mut results = Vec::new();
    for ((param, batched), all) in of_params {
        let cotangent = if *batched { all } else { b.reduce(Combine::Sum, &[0], all) };
        results.push((format!("d_{}", param.name), Role::Output, cotangent));
    }
    function.results = results;
    Ok(module.add(function))
}

struct Lanes<'a> {
    size: &'a Dim,
    draws: Draws,
}

impl Lanes<'_> {
    /// A node done for all lanes.
    fn node(
        &self,
        module: &mut Module,
        function: &mut Function,
        (id, node): (NodeId, &Node),
        inputs: &[NodeId],
        has_axis: &[bool],
    ) -> Result<Mapped, Box<NotBatchable>> {
        let not_batchable = |function: &Function, reason: &str| {
            Box::new(NotBatchable {
                reason: reason.into(),
                function: function.name.clone(),
                node: id,
                span: node.span,
            })
        };
        let names_size = |body: &FuncId| {
            let symbols = module.functions[*body].symbols();
            self.size.symbols().iter().any(|symbol| symbols.contains(symbol))
        };
        if !has_axis.contains(&true) && node.op.bodies().iter().any(names_size) {
            let reason = "random draws in a mapped function that is mapped again, and varies with neither";
            return Err(not_batchable(function, reason));
        }
        if node.op.is_tuple() {
            let results = self.tuple(module, function, node, inputs, has_axis)?;
            return Ok(Mapped::Results(results));
        }
        let mut b = Builder { module, function, span: node.span };
        let value = node.op.batch(&mut b, inputs, has_axis, self.size);
        value.map(Mapped::Value).map_err(|fault| not_batchable(function, &fault.message))
    }
}

/// A node done for all lanes.
enum Mapped {
    Value(NodeId),
    /// Of what runs functions, each with whether it has the axis.
    Results(Vec<(NodeId, bool)>),
}

/// Whether what a node runs draws along a path that was made before `first`: that of a node before it.
fn draws_as_before(module: &Module, node: &Node, first: NodeId) -> bool {
    let path = Type::scalar(DType::I64);
    node.op.bodies().into_iter().any(|body| {
        let params = &module.functions[body].params;
        node.inputs.iter().enumerate().any(|(operand, input)| {
            let place = match &node.op {
                Op::Scan(scan) => Some(scan.param_of(operand)),
                Op::Cond(_) => operand.checked_sub(1),
                _ => Some(operand),
            };
            let param = place.and_then(|place| params.get(place));
            param.is_some_and(|param| param.name == "path" && param.ty == path) && *input < first
        })
    })
}

/// Which functions draw random numbers, themselves or by what they call. Callees come first.
fn drawing_functions(module: &Module) -> Vec<bool> {
    let mut drawing: Vec<bool> = Vec::with_capacity(module.functions.len());
    for function in module.functions.values() {
        let any = function.nodes.values().iter().any(|node| is_drawing(&drawing, &node.op));
        drawing.push(any);
    }
    drawing
}

/// A draw differs from lane to lane even though its seed does not.
fn is_drawing(drawing: &[bool], op: &Op) -> bool {
    matches!(op, Op::Random(_)) || op.bodies().iter().any(|body| drawing.get(body.index()) == Some(&true))
}

fn with_leading(size: &Dim, shape: &Shape) -> Shape {
    std::iter::once(size.clone()).chain(shape.iter().cloned()).collect()
}

/// A name that no dimension of the function has.
fn fresh_symbol(function: &Function) -> Symbol {
    let taken = function.symbols();
    let mut name = String::from("lanes");
    while taken.contains(&Symbol::new(&name)) {
        name.push('_');
    }
    Symbol::new(&name)
}
