//! A function in the dimensions of its caller.

use graph::{Effect, FuncId, Function, Module, Node, Type, ops::bind};
use shape::{Assumption, Dim, Facts, Proof, Symbol};
use std::collections::BTreeMap;

/// The function as it runs on operands of these types, with all that the caller knows of its dimensions.
pub fn specialize(module: &Module, id: FuncId, facts: &Facts, types: &[&Type]) -> Result<Function, String> {
    let mut function = module.functions[id].clone();
    let dims = bind(&function, facts, types).map_err(|fault| fault.message.clone())?;
    let own = std::mem::replace(&mut function.facts, facts.clone());
    for assumption in own.assumptions() {
        assume(&mut function.facts, &in_dims(assumption, &dims));
    }
    if dims.iter().all(|(symbol, dim)| *dim == Dim::from(symbol)) {
        return Ok(function);
    }
    let substituted = |ty: &Type| Type::new(ty.dtype, ty.shape.substitute(&dims));
    for param in &mut function.params {
        param.ty = substituted(&param.ty);
    }
    let nodes = function.nodes.values().iter().map(|node| Node {
        op: node.op.clone().substitute(&dims),
        types: node.types.iter().map(substituted).collect(),
        ..node.clone()
    });
    function.nodes = nodes.collect();
    for effect in &mut function.effects {
        let (a, b) = match effect {
            Effect::RequireGe { value, at_least, .. } => (value, at_least),
            Effect::RequireEq { a, b, .. } => (a, b),
        };
        (*a, *b) = (a.substitute(&dims), b.substitute(&dims));
    }
    Ok(function)
}

fn in_dims(assumption: &Assumption, dims: &BTreeMap<Symbol, Dim>) -> Assumption {
    let told = |dim: &Dim| dim.substitute(dims);
    match assumption {
        Assumption::Ge(a, b) => Assumption::Ge(told(a), told(b)),
        Assumption::Eq(a, b) => Assumption::Eq(told(a), told(b)),
        Assumption::Divisible(a, by) => Assumption::Divisible(told(a), told(by)),
    }
}

fn assume(facts: &mut Facts, assumption: &Assumption) {
    let proof = match assumption {
        Assumption::Ge(a, b) => facts.prove_ge(a, b),
        Assumption::Eq(a, b) => facts.prove_eq(a, b),
        Assumption::Divisible(a, by) => facts.prove_divisible(a, by),
    };
    if proof != Proof::Proved {
        facts.assume(assumption.clone());
    }
}
