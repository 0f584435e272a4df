//! Why something cannot be differentiated.

use base::Span;
use graph::{Function, NodeId};
use std::fmt;

/// The user's error: the way from a value to be differentiated by leads through what has no derivative.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoDerivative {
    pub reason: String,
    /// The function that the node belongs to.
    pub function: String,
    pub node: NodeId,
    /// Where the node comes from.
    pub span: Option<Span>,
    /// What is differentiated by, where the cost depends on it through this node alone.
    pub by: Option<NodeId>,
    /// Places of the calls that lead there, innermost first.
    pub calls: Vec<Option<Span>>,
}

impl NoDerivative {
    pub(crate) fn new(reason: impl Into<String>, function: &Function, node: NodeId) -> Box<NoDerivative> {
        Box::new(NoDerivative {
            reason: reason.into(),
            function: function.name.clone(),
            node,
            span: function.nodes.get(node).and_then(|node| node.span),
            by: None,
            calls: Vec::new(),
        })
    }

    pub(crate) fn called_from(mut self: Box<Self>, span: Option<Span>) -> Box<NoDerivative> {
        self.calls.push(span);
        self
    }
}

impl fmt::Display for NoDerivative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{} of `{}`: {}", self.node.index(), self.function, self.reason)
    }
}

impl std::error::Error for NoDerivative {}
