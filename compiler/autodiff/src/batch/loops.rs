//! Operators that run functions, done for all lanes. What does not vary, such as a counter, stays as it is, so that loops
//! end by one condition wherever they can.

use super::{Draws, Lanes, NotBatchable, drawing_functions, is_drawing, map_function, with_leading};
use graph::{Builder, FuncId, Function, Module, Node, NodeId, Op, Role, ops};
use kernel::Combine;
use shape::{Dim, Shape};

/// Which parameters and results of the functions that a node runs get the axis.
struct Axes {
    params: Vec<bool>,
    results: Vec<bool>,
}

impl Lanes<'_> {
    /// The results of the node for all lanes, each with whether it has the axis.
    pub(super) fn tuple(
        &self,
        module: &mut Module,
        function: &mut Function,
        node: &Node,
        inputs: &[NodeId],
        has_axis: &[bool],
    ) -> Result<Vec<(NodeId, bool)>, Box<NotBatchable>> {
        let drawing = drawing_functions(module);
        let axes = axes_of(module, &drawing, node, has_axis, self.draws);
        match &node.op {
            Op::Scan(scan) => self.scan(module, function, (node, scan), inputs, has_axis, &axes),
            Op::Cond(cond) => self.cond(module, function, (node, cond), inputs, has_axis, &axes),
            Op::While(repeat) => self.repeat(module, function, (node, repeat), inputs, has_axis, &axes),
            op => {
                let callee = op.callee().unwrap_or(FuncId::new(0));
                let callee = map_function(module, callee, has_axis, None, self.size, self.draws)?;
                let mut b = Builder { module, function, span: node.span };
                let results = b.results(ops::Call { callee }, inputs);
                Ok(results.into_iter().map(|value| (value, true)).collect())
            }
        }
    }

    /// The function with these axes; itself where there are none.
    fn body(
        &self,
        module: &mut Module,
        id: FuncId,
        params: &[bool],
        results: &[bool],
    ) -> Result<FuncId, Box<NotBatchable>> {
        if !params.contains(&true) && !results.contains(&true) {
            return Ok(id);
        }
        map_function(module, id, params, Some(results), self.size, self.draws)
    }

    fn scan(
        &self,
        module: &mut Module,
        function: &mut Function,
        (node, scan): (&Node, &ops::Scan),
        inputs: &[NodeId],
        has_axis: &[bool],
        axes: &Axes,
    ) -> Result<Vec<(NodeId, bool)>, Box<NotBatchable>> {
        let body = self.body(module, scan.body, &axes.params, &axes.results)?;
        let n_results = node.types.len();
        let mut b = Builder { module, function, span: node.span };
        let mut operands = Vec::with_capacity(inputs.len());
        let stacked = scan.carried + scan.fixed..scan.carried + scan.fixed + scan.stacked;
        for (operand, input) in inputs.iter().enumerate() {
            operands.push(if stacked.contains(&operand) {
                if has_axis[operand] { b.move_axis(*input, 1, 0) } else { *input }
            } else if axes.params[scan.param_of(operand)] && !has_axis[operand] {
                self.stretch(&mut b, *input)
            } else {
                *input
            });
        }
        let results = b.results(ops::Scan { body, ..scan.clone() }, &operands);
        let n_stacked = axes.results.len() - scan.carried - scan.table_results;
        let mut values = Vec::with_capacity(n_results);
        for (result, value) in results.into_iter().enumerate() {
            let varies = axes.results[scan.body_result_of(result, n_results)];
            let is_stacked = (scan.carried..scan.carried + n_stacked).contains(&result);
            let value = if varies && is_stacked { b.move_axis(value, 1, 0) } else { value };
            values.push((value, varies));
        }
        Ok(values)
    }

    fn cond(
        &self,
        module: &mut Module,
        function: &mut Function,
        (node, cond): (&Node, &ops::Cond),
        inputs: &[NodeId],
        has_axis: &[bool],
        axes: &Axes,
    ) -> Result<Vec<(NodeId, bool)>, Box<NotBatchable>> {
        if !has_axis[0] {
            let then = self.body(module, cond.then, &axes.params, &axes.results)?;
            let otherwise = self.body(module, cond.otherwise, &axes.params, &axes.results)?;
            let mut b = Builder { module, function, span: node.span };
            let results = b.results(ops::Cond { then, otherwise }, inputs);
            return Ok(results.into_iter().zip(axes.results.iter().copied()).collect());
        }
        // Some lanes take one branch and some the other: both are computed.
        let drawing = drawing_functions(module);
        let mut both = Vec::new();
        for branch in [cond.then, cond.otherwise] {
            let varies = varying(module, &drawing, branch, &axes.params, self.draws);
            let callee = self.body(module, branch, &axes.params, &varies)?;
            let mut b = Builder { module, function, span: node.span };
            let mut results = b.results(ops::Call { callee }, &inputs[1..]);
            for (value, varies) in results.iter_mut().zip(varies) {
                if !varies {
                    *value = self.stretch(&mut b, *value);
                }
            }
            both.push(results);
        }
        let mut b = Builder { module, function, span: node.span };
        let select = |(yes, no): (&NodeId, &NodeId)| (select_lanes(&mut b, inputs[0], *yes, *no), true);
        Ok(both[0].iter().zip(&both[1]).map(select).collect())
    }

    fn repeat(
        &self,
        module: &mut Module,
        function: &mut Function,
        (node, repeat): (&Node, &ops::While),
        inputs: &[NodeId],
        has_axis: &[bool],
        axes: &Axes,
    ) -> Result<Vec<(NodeId, bool)>, Box<NotBatchable>> {
        let drawing = drawing_functions(module);
        let ends_apart = varying(module, &drawing, repeat.condition, &axes.params, self.draws) == [true];
        let mut condition = self.body(module, repeat.condition, &axes.params, &[ends_apart])?;
        let mut body = self.body(module, repeat.body, &axes.params, &axes.results)?;
        if ends_apart {
            (condition, body) = while_any(module, condition, body, &axes.params);
        }
        let mut b = Builder { module, function, span: node.span };
        let mut operands = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            let stretches = axes.params[index] && !has_axis[index];
            operands.push(if stretches { self.stretch(&mut b, *input) } else { *input });
        }
        let op = ops::While { condition, body, ..repeat.clone() };
        Ok(b.results(op, &operands).into_iter().zip(axes.results.iter().copied()).collect())
    }

    fn stretch(&self, b: &mut Builder<'_>, value: NodeId) -> NodeId {
        let shape = with_leading(self.size, &b.ty(value).shape);
        b.broadcast(value, &shape)
    }
}

/// Condition and body of a loop that goes on while any lane does; lanes that have ended keep their values.
fn while_any(module: &mut Module, condition: FuncId, body: FuncId, batched: &[bool]) -> (FuncId, FuncId) {
    let like = |module: &Module, name: &str| {
        let source = &module.functions[body];
        let mut function = Function::new(format!("{}.{name}", source.name));
        function.facts = source.facts.clone();
        for param in source.params.clone() {
            Builder::new(module, &mut function).param(param);
        }
        let params: Vec<NodeId> = function.nodes.ids().collect();
        (function, params)
    };
    let (mut any, params) = like(module, "any_goes_on");
    let mut b = Builder::new(module, &mut any);
    let goes_on = b.results(ops::Call { callee: condition }, &params);
    let goes_on = b.reduce(Combine::Any, &[0], goes_on[0]);
    any.results = vec![("goes_on".into(), Role::Output, goes_on)];

    let (mut step, params) = like(module, "of_those_that_go_on");
    let mut b = Builder::new(module, &mut step);
    let goes_on = b.results(ops::Call { callee: condition }, &params);
    let next = b.results(ops::Call { callee: body }, &params);
    debug_assert!(batched[..next.len()].iter().all(|batched| *batched));
    let values: Vec<NodeId> =
        next.iter().zip(&params).map(|(next, now)| select_lanes(&mut b, goes_on[0], *next, *now)).collect();
    let names = module.functions[body].results.iter().map(|(name, role, _)| (name.clone(), *role));
    step.results = names.zip(values).map(|((name, role), value)| (name, role, value)).collect();
    (module.add(any), module.add(step))
}

/// `yes` in the lanes where the condition, one bool a lane, holds.
fn select_lanes(b: &mut Builder<'_>, condition: NodeId, yes: NodeId, no: NodeId) -> NodeId {
    let shape = b.ty(yes).shape.clone();
    let ones = std::iter::repeat_n(Dim::from(1i64), shape.rank().saturating_sub(1));
    let column: Shape = shape.iter().take(1).cloned().chain(ones).collect();
    let condition = b.reshape(condition, &column);
    let condition = b.broadcast(condition, &shape);
    b.select(condition, yes, no)
}

fn axes_of(module: &Module, drawing: &[bool], node: &Node, has_axis: &[bool], draws: Draws) -> Axes {
    match &node.op {
        Op::Scan(scan) => {
            let mut params = vec![false; module.functions[scan.body].params.len()];
            for (operand, axis) in has_axis.iter().enumerate() {
                params[scan.param_of(operand)] |= axis;
            }
            settle(module, drawing, scan.body, scan.carried, params, draws)
        }
        Op::While(repeat) => {
            let axes = settle(module, drawing, repeat.body, repeat.carried, has_axis.to_vec(), draws);
            if varying(module, drawing, repeat.condition, &axes.params, draws) != [true] {
                return axes;
            }
            // Lanes end apart, so all that they carry differs.
            let mut params = axes.params;
            params[..repeat.carried].fill(true);
            Axes { params, results: vec![true; repeat.carried] }
        }
        Op::Cond(cond) => {
            let params = has_axis[1..].to_vec();
            let then = varying(module, drawing, cond.then, &params, draws);
            let otherwise = varying(module, drawing, cond.otherwise, &params, draws);
            let results = then.iter().zip(&otherwise).map(|(a, b)| has_axis[0] || *a || *b).collect();
            Axes { params, results }
        }
        op => {
            let any = has_axis.contains(&true) || draws == Draws::Differ && is_drawing(drawing, op);
            Axes { params: has_axis.to_vec(), results: vec![any; node.types.len()] }
        }
    }
}

/// Carried values that come to vary from step to step get the axis from the start.
fn settle(
    module: &Module,
    drawing: &[bool],
    body: FuncId,
    carried: usize,
    mut params: Vec<bool>,
    draws: Draws,
) -> Axes {
    loop {
        let mut results = varying(module, drawing, body, &params, draws);
        let before = params.clone();
        for (param, result) in params.iter_mut().zip(&mut results).take(carried) {
            *param |= *result;
            *result |= *param;
        }
        if params == before {
            return Axes { params, results };
        }
    }
}

/// Which results of a function vary where the chosen parameters do.
fn varying(module: &Module, drawing: &[bool], id: FuncId, batched: &[bool], draws: Draws) -> Vec<bool> {
    let function = &module.functions[id];
    let mut varies: Vec<Vec<bool>> = Vec::with_capacity(function.nodes.len());
    for (_, node) in function.nodes.iter() {
        let of_inputs = || node.inputs.iter().map(|input| varies[input.index()].first() == Some(&true));
        let of_node = match &node.op {
            Op::Parameter(parameter) => vec![batched[parameter.index]],
            Op::Get(get) => vec![varies[node.inputs[0].index()].get(get.index) == Some(&true)],
            op if op.is_tuple() => {
                axes_of(module, drawing, node, &of_inputs().collect::<Vec<bool>>(), draws).of_results(node)
            }
            op => vec![of_inputs().any(|varies| varies) || draws == Draws::Differ && is_drawing(drawing, op)],
        };
        varies.push(of_node);
    }
    function.results.iter().map(|(_, _, value)| varies[value.index()].first() == Some(&true)).collect()
}

impl Axes {
    /// One a result of the node.
    fn of_results(&self, node: &Node) -> Vec<bool> {
        match &node.op {
            Op::Scan(scan) => {
                let n_results = node.types.len();
                (0..n_results).map(|result| self.results[scan.body_result_of(result, n_results)]).collect()
            }
            _ => self.results.clone(),
        }
    }
}
