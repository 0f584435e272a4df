//! Functions of nodes, and modules of functions.

use crate::{Op, Type};
use base::{Id, IdVec, Span};
use shape::{Dim, Facts, Symbol};

pub type NodeId = Id<Node>;
pub type FuncId = Id<Function>;

/// One operation. Its operands are earlier nodes of the same function.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<NodeId>,
    /// One type a result. All but `call` have one result; the results of a call are read with `get`.
    pub types: Vec<Type>,
    /// Where in the source it comes from.
    pub span: Option<Span>,
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
    RequireGe { value: Dim, at_least: Dim, message: String, span: Option<Span> },
    RequireEq { a: Dim, b: Dim, message: String, span: Option<Span> },
}

#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    /// Set on functions that stay one named region until late (`softmax`, `layer_norm`): a special kernel is chosen by
    /// this name, everything else expands the region.
    pub composite: Option<String>,
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

/// Functions that call each other; callees come before callers, so there is no recursion.
#[derive(Clone, Debug, Default)]
pub struct Module {
    pub functions: IdVec<Function>,
}

impl Module {
    pub fn find(&self, name: &str) -> Option<FuncId> {
        self.functions.iter().find(|(_, function)| function.name == name).map(|(id, _)| id)
    }
}
