//! A function over a further leading axis, by the operators' `batch`.

use crate::derived;
use base::Span;
use graph::{Builder, FuncId, Function, Module, NodeId, Op, Param, Type};
use shape::{Dim, Shape, Symbol};
use std::fmt;

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

/// `callee` mapped over the leading axis, of extent `size`, that the chosen parameters get; all results get it too.
/// Nodes that no chosen parameter reaches stay as they are, except for random draws, which differ along the axis.
/// Made once for each choice and constant size; another size becomes a dimension of the new function.
pub fn vmap_function(
    module: &mut Module,
    callee: FuncId,
    batched: &[bool],
    size: &Dim,
) -> Result<FuncId, Box<NotBatchable>> {
    let source = module.functions[callee].clone();
    let size = if size.as_const().is_some() || !batched.contains(&true) {
        size.clone()
    } else {
        Dim::from(fresh_symbol(&source))
    };
    let all = vec![true; source.params.len()];
    let mut function = Function::new(derived::name(&source.name, &format!("vmap[{size}]"), batched, &all));
    function.facts = source.facts.clone();
    function.effects = source.effects.clone();
    let with_axis = |ty: &Type| Type::new(ty.dtype, with_leading(&size, &ty.shape));
    for (param, batched) in source.params.iter().zip(batched) {
        let ty = if *batched { with_axis(&param.ty) } else { param.ty.clone() };
        function.params.push(Param { ty, ..param.clone() });
    }
    if let Some(known) = derived::find(module, &function.name, &function.params) {
        return Ok(known);
    }
    let drawing = drawing_functions(module);
    let mut values: Vec<(NodeId, bool)> = Vec::with_capacity(source.nodes.len());
    for (id, node) in source.nodes.iter() {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| values[input.index()].0).collect();
        let has_axis: Vec<bool> = node.inputs.iter().map(|input| values[input.index()].1).collect();
        let not_batchable = |reason: &str| {
            Box::new(NotBatchable {
                reason: reason.into(),
                function: source.name.clone(),
                node: id,
                span: node.span,
            })
        };
        let varies = has_axis.contains(&true) || draws(&drawing, &node.op);
        if varies
            && !has_axis.contains(&true)
            && let Some(callee) = node.op.callee()
            && size.symbols().iter().any(|symbol| module.functions[callee].symbols().contains(symbol))
        {
            return Err(not_batchable(
                "random draws in a mapped function that is mapped again, and varies with neither",
            ));
        }
        let value = match &node.op {
            Op::Parameter(parameter) => {
                let mut copy = node.clone();
                let is_batched = batched[parameter.index];
                copy.types = vec![function.params[parameter.index].ty.clone()];
                (function.nodes.push(copy), is_batched)
            }
            Op::Call(call) if varies => {
                let mapped = vmap_function(module, call.callee, &has_axis, &size)?;
                let mut b = Builder { module, function: &mut function, span: node.span };
                (b.add(Op::from(graph::ops::Call { callee: mapped }), &inputs), true)
            }
            op @ Op::Get(_) => {
                let mut b = Builder { module, function: &mut function, span: node.span };
                (b.add(op.clone(), &inputs), has_axis[0])
            }
            op if varies => {
                let mut b = Builder { module, function: &mut function, span: node.span };
                let value = op.batch(&mut b, &inputs, &has_axis, &size);
                (value.map_err(|fault| not_batchable(&fault.message))?, true)
            }
            op => {
                let mut b = Builder { module, function: &mut function, span: node.span };
                (b.add(op.clone(), &inputs), false)
            }
        };
        values.push(value);
    }
    let mut b = Builder::new(module, &mut function);
    let mut results = Vec::new();
    for (name, role, value) in &source.results {
        let (mut value, has_axis) = values[value.index()];
        if !has_axis {
            let shape = with_leading(&size, &b.ty(value).shape);
            value = b.broadcast(value, &shape);
        }
        results.push((name.clone(), *role, value));
    }
    function.results = results;
    Ok(derived::add(module, function))
}

/// Which functions draw random numbers, themselves or by what they call. Callees come first.
fn drawing_functions(module: &Module) -> Vec<bool> {
    let mut drawing: Vec<bool> = Vec::with_capacity(module.functions.len());
    for function in module.functions.values() {
        let any = function.nodes.values().iter().any(|node| draws(&drawing, &node.op));
        drawing.push(any);
    }
    drawing
}

/// A draw differs from lane to lane even though its seed does not.
fn draws(drawing: &[bool], op: &Op) -> bool {
    match op.callee() {
        Some(callee) => drawing.get(callee.index()) == Some(&true),
        None => matches!(op, Op::Random(_)),
    }
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
