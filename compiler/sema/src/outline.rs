//! Part of the function under construction as a function of its own: the body of a loop, a branch, a block whose values
//! are computed again.
//!
//! A body is evaluated in the frame around it, on stand-ins for what it is given, so it sees whatever is in scope: tensors,
//! weights, instances. What its results need of the nodes made meanwhile becomes a function, and what these read besides
//! becomes operands. In the frame the nodes stay behind, and nothing reads them.

use crate::{
    checker::{Average, Checker},
    frame::RandomParams,
    value::{Closure, Env, Value},
};
use base::{Diagnostic, Span};
use graph::{FuncId, Function, Node, NodeId, Op, Param, Role, ops};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// What entry points are called among the functions: others of such a name are numbered.
const ENTRY_POINTS: [&str; 9] =
    ["run", "init", "reset", "grad", "step", "accumulate", "eval", "eval_finish", "fit"];

/// Where a body begins, and what the frame held there.
pub struct Mark {
    first: NodeId,
    n_weights: usize,
    n_side: usize,
    n_asserts: usize,
    random: Option<RandomParams>,
    /// Value of each state, and whether it had been written.
    states: BTreeMap<String, (NodeId, bool)>,
    averages: Option<Vec<Average>>,
}

/// What was built between two points of a frame.
pub struct Body {
    first: NodeId,
    /// Nodes made meanwhile that are the same for every run of the body: initial values, seeds.
    outside: BTreeSet<NodeId>,
    pub states: Vec<StateChange>,
    pub side: Vec<(String, NodeId)>,
    asserted: bool,
}

/// A state that a body writes.
#[derive(Clone, Debug)]
pub struct StateChange {
    pub name: String,
    pub before: NodeId,
    pub after: NodeId,
}

/// A parameter of a function to be, and the node that stands for it in the body.
#[derive(Clone, Debug)]
pub struct Given {
    pub name: String,
    pub node: NodeId,
}

impl Given {
    pub fn new(name: impl Into<String>, node: NodeId) -> Given {
        Given { name: name.into(), node }
    }
}

/// The number of the step under way, as the draws in a loop's body see it.
#[derive(Clone, Debug)]
pub struct StepCounter {
    /// The stand-in for the number, an i64.
    pub number: NodeId,
    /// The path of draws in this step, once something draws.
    pub path: Option<NodeId>,
}

/// A state while a loop's body is evaluated: `alias` is its value when a step begins.
pub struct Alias {
    name: String,
    before: NodeId,
    alias: NodeId,
    written: bool,
}

impl<'p> Checker<'p> {
    /// What is built from here on belongs to a body.
    pub fn begin_body(&mut self) -> Mark {
        let averages = self.averages.take();
        let n_asserts = self.asserts.as_ref().map_or(0, Vec::len);
        let frame = self.frame_ref();
        Mark {
            first: self.next_node(),
            n_weights: frame.weights.len(),
            n_side: frame.side.len(),
            n_asserts,
            random: frame.random,
            states: frame.states.iter().map(|(name, s)| (name.clone(), (s.current, s.written))).collect(),
            averages,
        }
    }

    /// The body built since `mark`; states are as they were before it.
    pub fn end_body(&mut self, mark: Mark) -> Body {
        self.averages = mark.averages;
        let asserted = self.asserts.as_ref().is_some_and(|asserts| asserts.len() > mark.n_asserts);
        let frame = self.frame();
        let mut outside: BTreeSet<NodeId> =
            frame.weights.values().skip(mark.n_weights).map(|(id, _)| *id).collect();
        if let (None, Some(random)) = (mark.random, frame.random) {
            outside.extend([random.seed, random.step, random.path]);
        }
        // Draws of the loops around go on along their own paths.
        outside.extend(frame.steps.iter().filter_map(|step| step.path));
        let mut states = Vec::new();
        for (name, state) in &mut frame.states {
            let (before, written) = match mark.states.get(name) {
                Some(known) => *known,
                None => {
                    outside.insert(state.start);
                    (state.start, false)
                }
            };
            if state.current != before {
                states.push(StateChange { name: name.clone(), before, after: state.current });
                state.current = before;
                state.written = written;
            }
        }
        let side = frame.side.split_off(mark.n_side);
        Body { first: mark.first, outside, states, side, asserted }
    }

    /// That a body holds no `assert`, since it does not run exactly once.
    pub fn asserts_nothing(&mut self, body: &Body, span: Span) -> Option<()> {
        if !body.asserted {
            return Some(());
        }
        self.report(
            Diagnostic::error("E0417", "`assert` stands in what does not run exactly once")
                .label(span, "runs it")
                .help("give the value as a result and assert it outside"),
        );
        None
    }

    /// What the outputs of a body read besides what it is given.
    pub fn captures(&self, body: &Body, given: &[Given], outputs: &[NodeId]) -> Vec<NodeId> {
        self.walk(body, given, outputs).0
    }

    /// Captured nodes and those of the body, in order.
    fn walk(&self, body: &Body, given: &[Given], outputs: &[NodeId]) -> (Vec<NodeId>, Vec<NodeId>) {
        let nodes = &self.frame_ref().function.nodes;
        let given: BTreeSet<NodeId> = given.iter().map(|given| given.node).collect();
        let comes_before = |id: NodeId| id < body.first || body.outside.contains(&id);
        let (mut captured, mut inner) = (BTreeSet::new(), BTreeSet::new());
        let mut pending = outputs.to_vec();
        while let Some(id) = pending.pop() {
            if given.contains(&id) || captured.contains(&id) || inner.contains(&id) {
                continue;
            }
            let node = &nodes[id];
            // One of several results is read where these are.
            let of_outer_tuple = matches!(node.op, Op::Get(_)) && comes_before(node.inputs[0]);
            if comes_before(id) || of_outer_tuple || matches!(node.op, Op::Parameter(_)) {
                captured.insert(id);
            } else {
                inner.insert(id);
                pending.extend(&node.inputs);
            }
        }
        (captured.into_iter().collect(), inner.into_iter().collect())
    }

    /// Parameters for what a body reads from around it.
    pub fn fixed(&self, captured: &[NodeId]) -> Vec<Given> {
        // Draws are known by the name of their path.
        let path = self.frame_ref().random.map(|random| random.path);
        let named = |(index, id): (usize, &NodeId)| {
            let name = if Some(*id) == path { "path".into() } else { format!("fixed{index}") };
            Given::new(name, *id)
        };
        captured.iter().enumerate().map(named).collect()
    }

    /// The body as a function with these parameters and results, which is not in the module yet.
    pub fn outlined(&mut self, name: &str, body: &Body, given: &[Given], outputs: &[NodeId]) -> Function {
        let (captured, inner) = self.walk(body, given, outputs);
        debug_assert!(captured.is_empty(), "operands of a body are among what it is given");
        let name = self.fresh_function_name(name);
        let source = &self.frame_ref().function;
        let mut function = Function::new(name);
        function.facts = source.facts.clone();
        let mut copies: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for (index, given) in given.iter().enumerate() {
            let ty = source.ty(given.node).clone();
            let op = Op::from(ops::Parameter { index });
            function.params.push(Param { name: given.name.clone(), role: Role::Input, ty: ty.clone() });
            let span = source.nodes[given.node].span;
            let copy = Node { op, inputs: Vec::new(), types: vec![ty], span, scope: None };
            // Of two parameters for one node the first is read.
            let copy = function.nodes.push(copy);
            copies.entry(given.node).or_insert(copy);
        }
        for id in inner {
            let node = &source.nodes[id];
            let inputs = node.inputs.iter().map(|input| copies[input]).collect();
            let copy = function.nodes.push(Node { inputs, ..node.clone() });
            copies.insert(id, copy);
        }
        for (index, output) in outputs.iter().enumerate() {
            function.results.push((format!("result{index}"), Role::Output, copies[output]));
        }
        function
    }

    /// `dense`, `dense.1`, …; from `step.0` on where an entry point is called so.
    pub fn fresh_function_name(&self, base: &str) -> String {
        let same = |known: &&Function| known.name.split('.').next() == Some(base);
        match self.module.functions.values().iter().filter(same).count() {
            0 if !ENTRY_POINTS.contains(&base) => base.to_string(),
            n_same => format!("{base}.{n_same}"),
        }
    }

    pub fn add_function(&mut self, function: Function) -> FuncId {
        self.module.functions.push(function)
    }

    /// Adds an operator that runs functions; its results.
    pub fn results(&mut self, op: impl Into<Op>, inputs: &[NodeId], span: Span) -> Option<Vec<NodeId>> {
        let tuple = self.add(op, inputs, span)?;
        let n_results = self.frame_ref().function.nodes[tuple].types.len();
        (0..n_results).map(|index| self.add(ops::Get { index }, &[tuple], span)).collect()
    }

    /// Gives a state that a body wrote its value after it; lines below read the new value.
    pub fn settle_state(&mut self, name: &str, value: NodeId) {
        let Some(state) = self.frame().states.get_mut(name) else { return };
        state.current = value;
        state.written = true;
        let span = state.span;
        if self.frame_ref().lookup(name).is_some_and(|b| matches!(b.value, Value::Tensor(_))) {
            self.frame().bind(name, Value::Tensor(value), span);
        }
    }

    /// Gives each state a value of its own for one step of a loop: what a step writes, the next one reads.
    pub fn alias_states(&mut self, functions: &mut [&mut Value<'p>], span: Span) -> Option<Vec<Alias>> {
        let states: Vec<(String, NodeId, bool)> =
            self.frame_ref().states.iter().map(|(name, s)| (name.clone(), s.current, s.written)).collect();
        let mut aliases = Vec::new();
        for (name, before, written) in states {
            let shape = self.shape(before);
            let alias = self.add(ops::Reshape { shape }, &[before], span)?;
            if let Some(state) = self.frame().states.get_mut(&name) {
                state.current = alias;
            }
            for function in functions.iter_mut() {
                **function = seeing(function, &name, before, alias);
            }
            aliases.push(Alias { name, before, alias, written });
        }
        Some(aliases)
    }

    /// Undoes [`Checker::alias_states`].
    pub fn drop_aliases(&mut self, aliases: &[Alias]) {
        for Alias { name, before, alias, written } in aliases {
            if let Some(state) = self.frame().states.get_mut(name)
                && state.current == *alias
            {
                state.current = *before;
                state.written = *written;
            }
        }
    }
}

/// The value of a state before the loop, given its stand-in.
pub fn before_loop(aliases: &[Alias], stand_in: NodeId) -> NodeId {
    aliases.iter().find(|known| known.alias == stand_in).map_or(stand_in, |known| known.before)
}

/// A local function that reads the state `name` as it stood when the function was written, reading `alias` instead.
fn seeing<'p>(function: &Value<'p>, name: &str, before: NodeId, alias: NodeId) -> Value<'p> {
    let Value::Fn(closure) = function else { return function.clone() };
    let Some(env) = &closure.env else { return function.clone() };
    let env: Env<'p> = Rc::new(
        env.iter()
            .map(|(known, value)| match value {
                Value::Tensor(id) if **known == *name && *id == before => {
                    (known.clone(), Value::Tensor(alias))
                }
                value => (known.clone(), seeing(value, name, before, alias)),
            })
            .collect(),
    );
    Value::Fn(Rc::new(Closure { def: closure.def, env: Some(env), frame: closure.frame }))
}

/// A value made of tensors: its parts in order, and how they are put together again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Form {
    Nothing,
    One,
    Tuple(Vec<Form>),
}

impl Form {
    /// The value whose parts are the next of these.
    pub fn value<'p>(&self, parts: &mut impl Iterator<Item = NodeId>) -> Value<'p> {
        match self {
            Form::Nothing => Value::Nothing,
            Form::One => parts.next().map_or(Value::Error, Value::Tensor),
            Form::Tuple(forms) => Value::tuple(forms.iter().map(|form| form.value(parts)).collect()),
        }
    }
}

impl<'p> Checker<'p> {
    /// The tensors of a value, in order.
    pub fn parts(&mut self, value: &Value<'p>, span: Span, parts: &mut Vec<NodeId>) -> Option<Form> {
        Some(match value {
            Value::Nothing => Form::Nothing,
            Value::Tuple(items) => {
                Form::Tuple(items.iter().map(|item| self.parts(item, span, parts)).collect::<Option<_>>()?)
            }
            value => {
                parts.push(self.tensor(value, None, span)?);
                Form::One
            }
        })
    }
}
