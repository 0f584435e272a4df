//! Checks what every later stage relies on. A failure is always a bug of the stage before.
//!
//! - operands come before their users, and are single values except for `get`;
//! - each node's types are what its operator infers, up to provable equality;
//! - parameter nodes name a parameter, each at most one, and have its type; results name values;
//! - functions come before those that run them, `get` reads a result that there is, functions have distinct names.

use crate::{Function, Module, Node, Op, Type};
use shape::{Facts, Proof};
use std::collections::BTreeSet;

pub fn verify(module: &Module) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for (id, function) in module.functions.iter() {
        if !names.insert(&function.name) {
            return Err(format!("two functions have the name `{}`", function.name));
        }
        for (_, node) in function.nodes.iter() {
            if node.op.bodies().iter().any(|body| *body >= id) {
                return Err(format!("`{}` runs a function that does not come before it", function.name));
            }
        }
        verify_function(module, function)?;
    }
    Ok(())
}

/// One function, which need not be in the module yet.
pub fn verify_function(module: &Module, function: &Function) -> Result<(), String> {
    let mut parameters = BTreeSet::new();
    for (_, node) in function.nodes.iter() {
        if let Op::Parameter(parameter) = &node.op
            && !parameters.insert(parameter.index)
        {
            return Err(format!("`{}`: the parameter {} has two nodes", function.name, parameter.index));
        }
    }
    for (id, node) in function.nodes.iter() {
        verify_node(module, function, id.index(), node)
            .map_err(|e| format!("`{}`, %{} {}: {e}", function.name, id.index(), node.op.name()))?;
    }
    for (name, _, value) in &function.results {
        match function.nodes.get(*value) {
            Some(node) if !node.op.is_tuple() => {}
            _ => return Err(format!("`{}`: the result `{name}` is not a value", function.name)),
        }
    }
    Ok(())
}

fn verify_node(module: &Module, function: &Function, position: usize, node: &Node) -> Result<(), String> {
    if node.inputs.iter().any(|input| input.index() >= position) {
        return Err("an operand does not come before its use".into());
    }
    let types: Vec<Type> = match &node.op {
        Op::Parameter(parameter) => match function.params.get(parameter.index) {
            Some(param) => vec![param.ty.clone()],
            None => return Err(format!("there is no parameter {}", parameter.index)),
        },
        Op::Get(get) => {
            let [tuple] = node.inputs.as_slice() else { return Err("it does not read one node".into()) };
            let tuple = &function.nodes[*tuple];
            if !tuple.op.is_tuple() {
                return Err("it does not read what runs functions".into());
            }
            vec![tuple.types.get(get.index).cloned().ok_or("there is no such result")?]
        }
        op => {
            if op.bodies().iter().any(|body| module.functions.get(*body).is_none()) {
                return Err("a function it runs does not exist".into());
            }
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for input in &node.inputs {
                let operand = &function.nodes[*input];
                if operand.op.is_tuple() {
                    return Err("it uses what has several results as a value".into());
                }
                inputs.push(operand.ty());
            }
            op.infer_in(module, &function.facts, &inputs).map_err(|fault| fault.message.clone())?
        }
    };
    let agree = types.len() == node.types.len()
        && types.iter().zip(&node.types).all(|(a, b)| same_type(&function.facts, a, b));
    if agree { Ok(()) } else { Err(format!("has the types {:?}, inferred are {types:?}", node.types)) }
}

pub(crate) fn same_type(facts: &Facts, a: &Type, b: &Type) -> bool {
    a.dtype == b.dtype
        && a.rank() == b.rank()
        && a.shape.iter().zip(&b.shape).all(|(a, b)| facts.prove_eq(a, b) == Proof::Proved)
}
