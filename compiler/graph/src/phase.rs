//! Which part of a training step an operation is of.

use crate::{Function, Op, Role};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// All that the loss is made of, and what follows from nothing else.
    Forward,
    /// Derivatives.
    Backward,
    /// What is done with them.
    Update,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Forward => "forward",
            Phase::Backward => "backward",
            Phase::Update => "update",
        }
    }
}

/// The phase of each node. Derivatives that a model itself asks for belong to its forward half.
pub fn phases(function: &Function) -> Vec<Phase> {
    let mut of_loss = vec![false; function.nodes.len()];
    let has_loss = function.results.iter().any(|(_, role, _)| *role == Role::Loss);
    for (_, role, value) in &function.results {
        of_loss[value.index()] |= *role == Role::Loss || !has_loss;
    }
    for (id, node) in function.nodes.iter().rev() {
        if of_loss[id.index()] {
            node.inputs.iter().for_each(|input| of_loss[input.index()] = true);
        }
    }
    let mut phases: Vec<Phase> = Vec::with_capacity(function.nodes.len());
    for (id, node) in function.nodes.iter() {
        let derived = node.scope.as_ref().is_some_and(|scope| scope.backward);
        let follows = || node.inputs.iter().any(|input| phases[input.index()] != Phase::Forward);
        phases.push(match node.op {
            _ if of_loss[id.index()] => Phase::Forward,
            Op::Parameter(_) | Op::Constant(_) | Op::Size(_) => Phase::Forward,
            _ if derived => Phase::Backward,
            _ if follows() => Phase::Update,
            _ => Phase::Forward,
        });
    }
    phases
}
