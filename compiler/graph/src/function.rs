//! Functions of nodes, and modules of functions.

use crate::{Fault, Op, Scope, Type};
use base::{Id, IdVec, Span};
use shape::{Dim, Facts, Symbol};
use std::sync::Arc;

pub(crate) const READ_WITH_GET: &str = "the results of what runs functions are read with `get`";

pub type NodeId = Id<Node>;
pub type FuncId = Id<Function>;

/// One operation. Its operands are earlier nodes of the same function.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<NodeId>,
    /// One type a result. What runs functions has any number of results, which are read with `get`; all others have one.
    pub types: Vec<Type>,
    /// Where in the source it comes from.
    pub span: Option<Span>,
    /// Where in the model it belongs; `None` is the function itself.
    pub scope: Option<Arc<Scope>>,
}

impl Node {
    /// The type of a node with one result.
    pub fn ty(&self) -> &Type {
        &self.types[0]
    }
}

/// What a parameter or result of an entry point is to the host. Inner functions use `Input` throughout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    Input,
    Weight,
    State,
    Optimizer,
    Control,
    Output,
    Loss,
    Metric,
    Gradient,
}

impl Role {
    pub const ALL: [Role; 9] = [
        Role::Input,
        Role::Weight,
        Role::State,
        Role::Optimizer,
        Role::Control,
        Role::Output,
        Role::Loss,
        Role::Metric,
        Role::Gradient,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Role::Input => "input",
            Role::Weight => "weight",
            Role::State => "state",
            Role::Optimizer => "optimizer",
            Role::Control => "control",
            Role::Output => "output",
            Role::Loss => "loss",
            Role::Metric => "metric",
            Role::Gradient => "gradient",
        }
    }

    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Param {
    pub name: String,
    pub role: Role,
    pub ty: Type,
}

/// What must hold when the function runs; tested by compiled code.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// `at_least <= value` on dimensions.
    RequireGe {
        value: Dim,
        at_least: Dim,
        message: String,
        span: Option<Span>,
    },
    RequireEq {
        a: Dim,
        b: Dim,
        message: String,
        span: Option<Span>,
    },
}

#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    /// Set on functions that stay one named region until late (`softmax`, `layer_norm`): a special kernel is chosen by
    /// this name, everything else expands the region.
    pub composite: Option<String>,
    /// Set on functions that frameworks run as one operation, as they do all composites: where operations are not fused,
    /// it stays in one piece.
    pub operation: bool,
    /// The reverse derivative, where it is not that of the body: from the parameters and the cotangents of all float results
    /// to the cotangents of all float parameters. Until the function is inlined; derivatives of the derivative are those of
    /// this function.
    pub derivative: Option<FuncId>,
    /// Its reverse derivative computes its values again instead of keeping them.
    pub remat: bool,
    pub params: Vec<Param>,
    pub nodes: IdVec<Node>,
    /// Name, role and value of each result.
    pub results: Vec<(String, Role, NodeId)>,
    pub effects: Vec<Effect>,
    /// What is known of the dimensions.
    pub facts: Facts,
}

impl Function {
    pub fn new(name: impl Into<String>) -> Function {
        Function {
            name: name.into(),
            composite: None,
            operation: false,
            derivative: None,
            remat: false,
            params: Vec::new(),
            nodes: IdVec::new(),
            results: Vec::new(),
            effects: Vec::new(),
            facts: Facts::default(),
        }
    }

    pub fn ty(&self, id: NodeId) -> &Type {
        self.nodes[id].ty()
    }

    /// Gives the nodes from `first` on that have no scope one.
    pub fn scope_from(&mut self, first: usize, scope: &Arc<Scope>) {
        for id in (first..self.nodes.len()).map(Id::new) {
            self.nodes[id].scope.get_or_insert_with(|| scope.clone());
        }
    }

    /// Types of the results of an operation on values of this function.
    pub fn infer(&self, module: &Module, op: &Op, inputs: &[NodeId]) -> Result<Vec<Type>, Box<Fault>> {
        let mut types = Vec::with_capacity(inputs.len());
        for (operand, id) in inputs.iter().enumerate() {
            let node = self.nodes.get(*id).ok_or_else(|| {
                Fault::attribute(format!("operand {operand} is not a node of function `{}`", self.name))
            })?;
            match (op, node.types.as_slice()) {
                // It picks one of several results, so it has to see them all.
                (Op::Get(_), all) => types.extend(all),
                (_, [ty]) if !node.op.is_tuple() => types.push(ty),
                _ => return Err(Fault::attribute(READ_WITH_GET).into()),
            }
        }
        op.infer_in(module, &self.facts, &types)
    }

    /// The nodes that some values follow from, themselves among them, in program order.
    pub fn needed(&self, values: &[NodeId]) -> Vec<NodeId> {
        let mut needed = vec![false; self.nodes.len()];
        for id in values {
            needed[id.index()] = true;
        }
        for (id, node) in self.nodes.iter().rev() {
            if needed[id.index()] {
                for input in &node.inputs {
                    needed[input.index()] = true;
                }
            }
        }
        self.nodes.ids().filter(|id| needed[id.index()]).collect()
    }

    /// The dynamic dimensions, in the order in which the parameters and then the nodes name them.
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        let types = self.params.iter().map(|param| &param.ty);
        for ty in types.chain(self.nodes.values().iter().flat_map(|node| &node.types)) {
            for symbol in ty.shape.iter().flat_map(Dim::symbols) {
                if !symbols.contains(&symbol) {
                    symbols.push(symbol);
                }
            }
        }
        symbols
    }
}

/// Functions that run each other, without recursion. Those that `sema` and `autodiff` make come after those that they run;
/// passes may add some at the end.
#[derive(Clone, Debug, Default)]
pub struct Module {
    pub functions: IdVec<Function>,
}

impl Module {
    pub fn find(&self, name: &str) -> Option<FuncId> {
        self.functions.iter().find(|(_, function)| function.name == name).map(|(id, _)| id)
    }

    /// Adds the function; where its name is taken, under another.
    pub fn add(&mut self, mut function: Function) -> FuncId {
        while self.find(&function.name).is_some() {
            function.name.push('\'');
        }
        self.functions.push(function)
    }

    /// All functions, each after those that it runs and that say its derivative; by their numbers where that is free. `None`
    /// where one runs itself, or one that there is not.
    pub fn in_order(&self) -> Option<Vec<FuncId>> {
        self.order_of(self.functions.ids())
    }

    /// The same of some functions and what they need.
    pub fn order_of(&self, roots: impl IntoIterator<Item = FuncId>) -> Option<Vec<FuncId>> {
        let mut order = Vec::with_capacity(self.functions.len());
        // 1 while what a function needs is visited, 2 when it is done.
        let mut states = vec![0u8; self.functions.len()];
        for root in roots {
            let mut stack = vec![(root, self.needed_by(root)?)];
            match states.get(root.index())? {
                0 => states[root.index()] = 1,
                _ => continue,
            }
            while let Some((id, pending)) = stack.last_mut() {
                let Some(next) = pending.pop() else {
                    states[id.index()] = 2;
                    order.push(*id);
                    stack.pop();
                    continue;
                };
                match states.get(next.index())? {
                    0 => {
                        states[next.index()] = 1;
                        stack.push((next, self.needed_by(next)?));
                    }
                    1 => return None,
                    _ => {}
                }
            }
        }
        Some(order)
    }

    /// What it runs, the last first.
    fn needed_by(&self, id: FuncId) -> Option<Vec<FuncId>> {
        let function = self.functions.get(id)?;
        let bodies = function.nodes.values().iter().flat_map(|node| node.op.bodies());
        let mut needed: Vec<FuncId> = function.derivative.into_iter().chain(bodies).collect();
        needed.reverse();
        Some(needed)
    }
}
