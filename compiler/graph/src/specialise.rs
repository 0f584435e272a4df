//! Functions in the dimensions of those that run them.

use crate::{Effect, FuncId, Function, Module, Type};
use shape::{Assumption, Dim, Facts, Proof, Symbol};
use std::collections::{BTreeMap, BTreeSet};

type Dims = BTreeMap<Symbol, Dim>;

/// The function where the names that no parameter gives, which are those of whoever runs it, are replaced. Where there are
/// none it is the same function; else a copy, added to the module, as are copies of the functions that it runs.
pub fn specialise(module: &mut Module, id: FuncId, dims: &Dims) -> FuncId {
    let free = free_symbols(module, id);
    let changed: Dims = dims
        .iter()
        .filter(|(symbol, dim)| free.contains(*symbol) && dim.as_symbol().as_ref() != Some(*symbol))
        .map(|(symbol, dim)| (symbol.clone(), dim.clone()))
        .collect();
    if changed.is_empty() {
        return id;
    }
    let mut function = module.functions[id].clone();
    // What the parameters give keeps its name unless that is taken now.
    let taken: BTreeSet<Symbol> =
        changed.values().flat_map(Dim::symbols).chain(free).chain(used_symbols(&function)).collect();
    let arriving: BTreeSet<Symbol> = changed.values().flat_map(Dim::symbols).collect();
    let mut replaced = changed;
    for symbol in bound_symbols(&function).intersection(&arriving) {
        let mut name = format!("{symbol}_");
        while taken.contains(&Symbol::new(&name)) {
            name.push('_');
        }
        replaced.insert(symbol.clone(), Dim::from(Symbol::new(&name)));
    }
    substitute(module, &mut function, &replaced);
    function.derivative = None;
    module.add(function)
}

/// Replaces names in all of the function, those that its parameters give included.
fn substitute(module: &mut Module, function: &mut Function, dims: &Dims) {
    let in_dims = |ty: &mut Type| ty.shape = ty.shape.substitute(dims);
    function.params.iter_mut().for_each(|param| in_dims(&mut param.ty));
    for (_, node) in function.nodes.iter_mut() {
        node.types.iter_mut().for_each(in_dims);
        node.op = node.op.clone().substitute(dims);
        node.op.map_bodies(|body| specialise(module, body, dims));
    }
    for effect in &mut function.effects {
        *effect = effect.in_dims(dims);
    }
    let mut facts = Facts::default();
    for assumption in function.facts.assumptions() {
        assume_in_dims(&mut facts, assumption, dims);
    }
    function.facts = facts;
}

/// What the parameters' types name: solved where the function is run, if it can be.
fn bound_symbols(function: &Function) -> BTreeSet<Symbol> {
    function.params.iter().flat_map(|param| param.ty.shape.iter().flat_map(Dim::symbols)).collect()
}

/// All names in the function itself.
fn used_symbols(function: &Function) -> BTreeSet<Symbol> {
    let mut used = BTreeSet::new();
    for (_, node) in function.nodes.iter() {
        used.extend(node.types.iter().flat_map(|ty| ty.shape.iter().flat_map(Dim::symbols)));
        used.extend(node.op.symbols());
    }
    for effect in &function.effects {
        let (a, b) = effect.sides();
        used.extend(a.symbols().into_iter().chain(b.symbols()));
    }
    used
}

/// Names that whoever runs the function gives, through the functions that it runs too.
fn free_symbols(module: &Module, id: FuncId) -> BTreeSet<Symbol> {
    let function = &module.functions[id];
    let mut used = used_symbols(function);
    for (_, node) in function.nodes.iter() {
        for body in node.op.bodies() {
            used.extend(free_symbols(module, body));
        }
    }
    let bound = bound_symbols(function);
    used.into_iter().filter(|symbol| !bound.contains(symbol)).collect()
}

impl Effect {
    /// The two dimensions that it compares.
    pub fn sides(&self) -> (&Dim, &Dim) {
        match self {
            Effect::RequireGe { value, at_least, .. } => (value, at_least),
            Effect::RequireEq { a, b, .. } => (a, b),
        }
    }

    /// The same of other dimensions.
    #[must_use]
    pub fn in_dims(&self, dims: &Dims) -> Effect {
        let mut effect = self.clone();
        let (a, b) = match &mut effect {
            Effect::RequireGe { value, at_least, .. } => (value, at_least),
            Effect::RequireEq { a, b, .. } => (a, b),
        };
        (*a, *b) = (a.substitute(dims), b.substitute(dims));
        effect
    }

    pub fn always_holds(&self, facts: &Facts) -> bool {
        let proof = match self {
            Effect::RequireGe { value, at_least, .. } => facts.prove_ge(value, at_least),
            Effect::RequireEq { a, b, .. } => facts.prove_eq(a, b),
        };
        proof == Proof::Proved
    }
}

/// Takes over what a called function assumes, where that is not known anyway.
pub fn assume_in_dims(facts: &mut Facts, assumption: &Assumption, dims: &Dims) {
    let in_dims = |dim: &Dim| dim.substitute(dims);
    let assumption = match assumption {
        Assumption::Ge(a, b) => Assumption::Ge(in_dims(a), in_dims(b)),
        Assumption::Eq(a, b) => Assumption::Eq(in_dims(a), in_dims(b)),
        Assumption::Divisible(a, by) => Assumption::Divisible(in_dims(a), in_dims(by)),
    };
    let proof = match &assumption {
        Assumption::Ge(a, b) => facts.prove_ge(a, b),
        Assumption::Eq(a, b) => facts.prove_eq(a, b),
        Assumption::Divisible(a, by) => facts.prove_divisible(a, by),
    };
    if proof != Proof::Proved {
        facts.assume(assumption);
    }
}
