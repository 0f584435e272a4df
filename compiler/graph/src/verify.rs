//! Checks what every later stage relies on. A failure is always a bug of the stage before.
//!
//! - operands come before their users, and are single values except for `get`;
//! - each node's types are what its operator infers, up to provable equality;
//! - parameter nodes name a parameter, each at most one, and have its type; results name values;
//! - derivatives of functions have the types that they need;
//! - no function runs itself, `get` reads a result that there is, functions have distinct names.

use crate::{FuncId, Function, Module, Node, Op, Type, ops::Call};
use shape::{Facts, Proof};
use std::collections::BTreeSet;

pub fn verify(module: &Module) -> Result<(), String> {
    let mut names = BTreeSet::new();
    if module.in_order().is_none() {
        return Err("a function runs itself, or one that does not exist".into());
    }
    for (_, function) in module.functions.iter() {
        if !names.insert(&function.name) {
            return Err(format!("two functions have the name `{}`", function.name));
        }
        if let Some(derivative) = function.derivative {
            verify_derivative(module, function, derivative)
                .map_err(|e| format!("the derivative of `{}`: {e}", function.name))?;
        }
        verify_function(module, function)?;
    }
    Ok(())
}

/// It takes the parameters and the cotangents of the float results, and gives those of the float parameters.
fn verify_derivative(module: &Module, function: &Function, derivative: FuncId) -> Result<(), String> {
    let params: Vec<&Type> = function.params.iter().map(|param| &param.ty).collect();
    let results = function.results.iter().map(|(_, _, value)| function.ty(*value));
    let taken: Vec<&Type> = params.iter().copied().chain(results.filter(|ty| ty.dtype.is_float())).collect();
    let given = Op::from(Call { callee: derivative })
        .infer_in(module, &function.facts, &taken)
        .map_err(|fault| fault.message.clone())?;
    let wanted: Vec<&Type> = params.into_iter().filter(|ty| ty.dtype.is_float()).collect();
    let agree = given.len() == wanted.len()
        && given.iter().zip(&wanted).all(|(a, b)| same_type(&function.facts, a, b));
    if agree { Ok(()) } else { Err(format!("it gives {given:?}, needed are {wanted:?}")) }
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
