//! A reverse derivative in two halves: a function from parameters and cotangents is cut at values that do not depend on the
//! cotangents. The forward half gives them as further results, the backward half takes them.

use base::IdVec;
use graph::{Function, Node, NodeId, Op, Param, ops};

/// What becomes of a value that the backward half reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It is kept wherever the backward half comes across it.
    Always,
    /// It is kept if a derivative reads it.
    IfRead,
    /// It is computed again if that needs nothing more to be kept.
    Never,
}

pub(crate) struct Split {
    /// From parameters, then cotangents, to the results, then the cotangents of parameters.
    whole: Function,
    n_primal: usize,
    /// Nodes of the whole that the forward half gives.
    pub kept: Vec<NodeId>,
    /// Whether the backward half reads a parameter.
    pub read: Vec<bool>,
    /// Nodes that the backward half computes.
    retained: Vec<bool>,
}

impl Split {
    /// The first parameters and results of `whole` are those of what is differentiated.
    pub fn new(
        whole: Function,
        n_params: usize,
        n_primal: usize,
        keep: impl Fn(&Function, NodeId) -> Keep,
    ) -> Split {
        let n_nodes = whole.nodes.len();
        let mut backward = vec![false; n_nodes];
        for (id, node) in whole.nodes.iter() {
            backward[id.index()] = match &node.op {
                Op::Parameter(parameter) => parameter.index >= n_params,
                _ => node.inputs.iter().any(|input| backward[input.index()]),
            };
        }
        let roots: Vec<NodeId> = whole.results[n_primal..].iter().map(|(_, _, value)| *value).collect();
        let mut is_read = vec![false; n_nodes];
        for id in &roots {
            is_read[id.index()] = true;
        }
        let mut live = is_read.clone();
        for (id, node) in whole.nodes.iter().rev() {
            if live[id.index()] && backward[id.index()] {
                for input in &node.inputs {
                    live[input.index()] = true;
                    is_read[input.index()] = true;
                }
            }
        }
        // Operands come first, so what is kept of them is known.
        let mut available = vec![false; n_nodes];
        let mut is_kept = vec![false; n_nodes];
        for (id, node) in whole.nodes.iter().filter(|(id, _)| !backward[id.index()]) {
            let again = || node.inputs.iter().all(|input| available[input.index()]);
            available[id.index()] = match (&node.op, keep(&whole, id)) {
                (Op::Parameter(_), _) | (_, Keep::Always) => true,
                (_, Keep::Never) if again() => true,
                (op, _) => {
                    is_kept[id.index()] = is_read[id.index()] && !op.is_tuple();
                    is_kept[id.index()]
                }
            };
        }
        let mut retained = vec![false; n_nodes];
        let mut read = vec![false; n_params];
        for id in &roots {
            retained[id.index()] = true;
        }
        for (id, node) in whole.nodes.iter().rev() {
            if !retained[id.index()] {
                continue;
            }
            if let Op::Parameter(parameter) = &node.op {
                if let Some(read) = read.get_mut(parameter.index) {
                    *read = true;
                }
                continue;
            }
            if !backward[id.index()] {
                is_kept[id.index()] |= keep(&whole, id) == Keep::Always;
                if is_kept[id.index()] {
                    retained[id.index()] = false;
                    continue;
                }
            }
            for input in &node.inputs {
                retained[input.index()] = true;
            }
        }
        let kept = whole.nodes.ids().filter(|id| is_kept[id.index()]).collect();
        Split { whole, n_primal, kept, read, retained }
    }

    pub fn whole(&self) -> &Function {
        &self.whole
    }

    /// The node of a parameter of the whole.
    pub fn parameter(&mut self, index: usize) -> NodeId {
        let node = crate::reverse::parameter(&mut self.whole, index);
        self.retained.resize(self.whole.nodes.len(), false);
        node
    }

    /// The function that is differentiated, with these results: nodes of the whole that do not depend on cotangents.
    pub fn forward(&self, n_params: usize, results: &[(String, NodeId)]) -> Function {
        let mut function = Function { nodes: IdVec::new(), ..self.whole.clone() };
        function.params.truncate(n_params);
        let outputs: Vec<NodeId> = results.iter().map(|(_, value)| *value).collect();
        let mut copies: Vec<Option<NodeId>> = vec![None; self.whole.nodes.len()];
        for id in self.whole.needed(&outputs) {
            let node = &self.whole.nodes[id];
            copies[id.index()] = Some(push(&mut function, node, &copies));
        }
        function.results = results
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), graph::Role::Output, copies[value.index()]?)))
            .collect();
        function
    }

    /// The function to the cotangents, from parameters that stand for nodes of the whole. A parameter that stands for none
    /// is not read yet.
    pub fn backward(&self, params: &[(Param, Option<NodeId>)]) -> Function {
        let mut function = Function { nodes: IdVec::new(), effects: Vec::new(), ..self.whole.clone() };
        function.params = params.iter().map(|(param, _)| param.clone()).collect();
        let mut copies: Vec<Option<NodeId>> = vec![None; self.whole.nodes.len()];
        for (index, (param, node)) in params.iter().enumerate() {
            let op = Op::from(ops::Parameter { index });
            let types = vec![param.ty.clone()];
            let id = function.nodes.push(Node { op, inputs: Vec::new(), types, span: None, scope: None });
            if let Some(node) = node {
                copies[node.index()] = Some(id);
            }
        }
        for (id, node) in self.whole.nodes.iter().filter(|(id, _)| self.retained[id.index()]) {
            if copies[id.index()].is_none() {
                copies[id.index()] = Some(push(&mut function, node, &copies));
            }
        }
        function.results = self.whole.results[self.n_primal..]
            .iter()
            .filter_map(|(name, role, value)| Some((name.clone(), *role, copies[value.index()]?)))
            .collect();
        function
    }
}

/// A copy of the node; its operands have copies.
fn push(function: &mut Function, node: &Node, copies: &[Option<NodeId>]) -> NodeId {
    let inputs = node.inputs.iter().filter_map(|input| copies[input.index()]).collect();
    function.nodes.push(Node { inputs, ..node.clone() })
}

/// What the step of a loop keeps: all that is read but what is made anew in passing from values that are there.
pub(crate) fn in_steps(function: &Function, id: NodeId) -> Keep {
    match &function.nodes[id].op {
        Op::Constant(_)
        | Op::Size(_)
        | Op::Iota(_)
        | Op::Broadcast(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Cast(_)
        | Op::StopGradient(_)
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Select(_) => Keep::Never,
        _ => Keep::IfRead,
    }
}
