//! Adds nodes to a function. The only way nodes come into being: types are inferred here, faults come back as values.

mod nodes;

use crate::{DType, FuncId, Function, Module, Node, NodeId, Op, Type, rules::Fault};
use base::Span;
use shape::Facts;

/// Builds one function of a module whose earlier functions may be called.
pub struct Builder<'m> {
    pub module: &'m Module,
    pub function: &'m mut Function,
    /// Given to every node that is added.
    pub span: Option<Span>,
}

impl<'m> Builder<'m> {
    pub fn new(module: &'m Module, function: &'m mut Function) -> Builder<'m> {
        Builder { module, function, span: None }
    }

    /// Adds an operation, or says why its operands do not fit.
    pub fn try_add(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId, Box<Fault>> {
        let types = self.function.infer(self.module, &op, inputs)?;
        let node = Node { op, inputs: inputs.to_vec(), types, span: self.span, scope: None };
        Ok(self.function.nodes.push(node))
    }

    /// Adds an operation whose operands are known to fit, as in rules and passes.
    ///
    /// # Panics
    /// When they do not: a bug of the caller, caught by the table tests.
    #[track_caller]
    pub fn add(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        match self.try_add(op, inputs) {
            Ok(id) => id,
            Err(fault) => panic!("internal: operands of a derived operation do not fit: {}", fault.message),
        }
    }

    pub fn ty(&self, id: NodeId) -> &Type {
        self.function.ty(id)
    }

    pub fn facts(&self) -> &Facts {
        &self.function.facts
    }

    pub fn dtype(&self, id: NodeId) -> DType {
        self.function.ty(id).dtype
    }

    /// A further parameter of the function.
    pub fn param(&mut self, param: crate::Param) -> NodeId {
        let index = self.function.params.len();
        let ty = param.ty.clone();
        self.function.params.push(param);
        self.function.nodes.push(Node {
            op: Op::from(crate::ops::Parameter { index }),
            inputs: Vec::new(),
            types: vec![ty],
            span: self.span,
            scope: None,
        })
    }

    /// Adds an operation that runs functions; its results in order.
    pub fn try_results(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<Vec<NodeId>, Box<Fault>> {
        let tuple = self.try_add(op.into(), inputs)?;
        let n_results = self.function.nodes[tuple].types.len();
        Ok((0..n_results).map(|index| self.add(Op::from(crate::ops::Get { index }), &[tuple])).collect())
    }

    /// The same with operands that are known to fit.
    ///
    /// # Panics
    /// As [`Builder::add`].
    #[track_caller]
    pub fn results(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Vec<NodeId> {
        let tuple = self.add(op.into(), inputs);
        let n_results = self.function.nodes[tuple].types.len();
        (0..n_results).map(|index| self.add(Op::from(crate::ops::Get { index }), &[tuple])).collect()
    }

    pub fn call(&mut self, callee: FuncId, inputs: &[NodeId]) -> Result<Vec<NodeId>, Box<Fault>> {
        self.try_results(crate::ops::Call { callee }, inputs)
    }

    /// `then` or `otherwise` of `inputs`.
    pub fn cond(
        &mut self,
        condition: NodeId,
        then: FuncId,
        otherwise: FuncId,
        inputs: &[NodeId],
    ) -> Result<Vec<NodeId>, Box<Fault>> {
        let operands: Vec<NodeId> = std::iter::once(condition).chain(inputs.iter().copied()).collect();
        self.try_results(crate::ops::Cond { then, otherwise }, &operands)
    }
}
