//! A function under construction: its bindings, its instances, the weights and states it turns out to need.

use crate::value::{Env, Value};
use base::Span;
use grammar::ast;
use graph::{Function, NodeId, Type};
use indexmap::IndexMap;
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// A bound name.
#[derive(Clone, Debug)]
pub struct Binding<'p> {
    pub name: Rc<str>,
    pub value: Value<'p>,
    pub span: Span,
}

/// How a weight or state begins: an expression and the compile-time names around it.
#[derive(Clone, Debug)]
pub struct Init<'p> {
    pub expr: Option<&'p ast::Expr>,
    pub env: Env<'p>,
}

#[derive(Clone, Debug)]
pub struct Weight<'p> {
    pub ty: Type,
    pub init: Init<'p>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct State<'p> {
    pub ty: Type,
    pub init: Init<'p>,
    /// The value now: the parameter, or what was written last.
    pub current: NodeId,
    /// The value when the function begins.
    pub start: NodeId,
    pub written: bool,
    pub span: Span,
}

/// What a function is built for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mode {
    pub training: bool,
    /// Collect the moments that `standardize` is fitted to.
    pub fit: bool,
}

/// The operands of random draws, made on demand.
#[derive(Clone, Copy, Debug)]
pub struct RandomParams {
    pub seed: NodeId,
    pub step: NodeId,
    pub path: NodeId,
}

pub struct Frame<'p> {
    /// Tells tensors of one frame from those of another.
    pub id: u64,
    pub function: Function,
    pub scopes: Vec<Vec<Binding<'p>>>,
    pub weights: IndexMap<String, (NodeId, Weight<'p>)>,
    pub states: IndexMap<String, State<'p>>,
    /// Further results, each with its dotted name, that pass through callers up to the entry point.
    pub side: Vec<(String, NodeId)>,
    pub random: Option<RandomParams>,
    pub draws: u32,
    /// The loops whose steps are being built, innermost last.
    pub steps: Vec<crate::outline::StepCounter>,
    pub mode: Mode,
    /// What stands for the arguments of functions that are being applied: derivatives by it may be asked for.
    pub stand_ins: BTreeSet<NodeId>,
    /// How many `vmap` are being applied: there is no state inside.
    pub mapped: usize,
    /// Names of inline instances by the place of the expression that makes them.
    pub inline_names: BTreeMap<Span, String>,
    /// Names bound in one branch of an `if` at run time, and so in none after it.
    pub half_bound: Vec<(Rc<str>, Span)>,
    /// Instances bound to a name and inline ones that were applied, for `block.0.w`.
    pub instances: IndexMap<String, Rc<crate::value::Instance<'p>>>,
    /// Instances whose use was at fault, so that their weights are not missed.
    pub failed: BTreeSet<String>,
    /// An error was found here.
    pub faulty: bool,
    /// Where each axis of each node was first named, for "20 comes from here".
    pub origins: Vec<Vec<Option<Span>>>,
    /// Where the dtype of a parameter is stated.
    pub dtypes: BTreeMap<NodeId, Span>,
    /// The definition, for messages and for finding recursion; `None` for tests.
    pub def: Option<&'p ast::Def>,
    /// Weights may be declared here (not in a `fn`).
    pub allows_weights: bool,
    /// Weights are f32 parameters, and what the model reads is rounded from them: builds whose `float` is a half.
    pub masters: bool,
    /// `float` means f32 here: loss, metrics and updates of such a build.
    pub wide: bool,
    /// Names that only exist where a step or an initial value is built.
    pub extra: Vec<(&'static str, Value<'p>)>,
}

impl<'p> Frame<'p> {
    pub fn new(id: u64, function: Function, mode: Mode, def: Option<&'p ast::Def>) -> Frame<'p> {
        Frame {
            id,
            function,
            scopes: vec![Vec::new()],
            weights: IndexMap::new(),
            states: IndexMap::new(),
            side: Vec::new(),
            random: None,
            draws: 0,
            steps: Vec::new(),
            mode,
            stand_ins: BTreeSet::new(),
            mapped: 0,
            inline_names: BTreeMap::new(),
            half_bound: Vec::new(),
            instances: IndexMap::new(),
            failed: BTreeSet::new(),
            faulty: false,
            origins: Vec::new(),
            dtypes: BTreeMap::new(),
            def,
            allows_weights: true,
            masters: false,
            wide: false,
            extra: Vec::new(),
        }
    }

    /// Whether an operator's fault stands whatever the free dimensions are.
    pub fn never_holds(&self, fault: &graph::Fault) -> bool {
        match (fault.code, &fault.dims[..]) {
            ("E0301", [a, b]) => self.function.facts.prove_eq(a, b) == shape::Proof::Disproved,
            ("E0301" | "E0304", _) => false,
            _ => true,
        }
    }

    pub fn bind(&mut self, name: &str, value: Value<'p>, span: Span) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(Binding { name: name.into(), value, span });
        }
    }

    pub fn lookup(&self, name: &str) -> Option<&Binding<'p>> {
        self.scopes.iter().rev().flat_map(|scope| scope.iter().rev()).find(|binding| &*binding.name == name)
    }

    /// What a local function or an initial value may see later.
    pub fn snapshot(&self, keep: impl Fn(&Value<'p>) -> bool) -> Env<'p> {
        let visible = self.scopes.iter().flatten();
        Rc::new(visible.filter(|b| keep(&b.value)).map(|b| (b.name.clone(), b.value.clone())).collect())
    }

    /// The bindings of these names; of those that hide each other, the inner one.
    pub fn snapshot_of(&self, names: &BTreeSet<&str>) -> Env<'p> {
        let mut found: BTreeMap<&str, (Rc<str>, Value<'p>)> = BTreeMap::new();
        for binding in self.scopes.iter().flatten().filter(|binding| names.contains(&*binding.name)) {
            found.insert(&binding.name, (binding.name.clone(), binding.value.clone()));
        }
        Rc::new(found.into_values().collect())
    }
}
