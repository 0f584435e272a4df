//! `if`: on what is known while compiling it keeps one branch, at run time it runs one. And `remat`.

use crate::{
    checker::Checker,
    frame::Binding,
    outline::{Body, Form},
    value::Value,
};
use base::{Diagnostic, Span};
use grammar::ast;
use graph::{DType, NodeId, ops};
use shape::Proof;
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// What an `if` stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// A value; what its branches bind is their own.
    Value,
    /// A line in the middle of a block.
    Line,
    /// The last line, whose value is the block's.
    LastLine,
}

/// A branch, evaluated.
struct Branch<'p> {
    body: Body,
    value: Value<'p>,
    bound: Vec<Binding<'p>>,
    /// Where its value stands.
    span: Span,
}

/// Why values of two branches are not one.
enum Apart {
    DTypes,
    Shapes,
}

impl<'p> Checker<'p> {
    pub fn if_else(
        &mut self,
        arms: &'p [ast::IfArm],
        otherwise: Option<&'p ast::Block>,
        standing: Standing,
    ) -> Value<'p> {
        let value = self.chosen(arms, otherwise, standing);
        if value.is_error() && standing != Standing::Value {
            // What the branches would have bound is not missing after them.
            for stmt in arms.iter().map(|arm| &arm.body).chain(otherwise).flat_map(|block| &block.stmts) {
                let ast::StmtKind::Bind { targets, .. } = &stmt.kind else { continue };
                for name in targets {
                    if self.frame_ref().lookup(&name.text).is_none() {
                        self.frame().bind(&name.text, Value::Error, name.span);
                    }
                }
            }
        }
        value
    }

    fn chosen(
        &mut self,
        arms: &'p [ast::IfArm],
        otherwise: Option<&'p ast::Block>,
        standing: Standing,
    ) -> Value<'p> {
        for (position, arm) in arms.iter().enumerate() {
            match self.expr(&arm.condition) {
                Value::Bool(true) => return self.kept(&arm.body, standing),
                Value::Bool(false) => {}
                Value::Error => return Value::Error,
                Value::Tensor(id) => {
                    let Some(id) = self.truth(id, "a condition", arm.condition.span) else {
                        return Value::Error;
                    };
                    let rest = &arms[position + 1..];
                    let value = self.run_time_if((id, arm), rest, otherwise, standing);
                    return value.unwrap_or(Value::Error);
                }
                other => {
                    let message = format!("a condition is a bool, but this is {}", other.kind());
                    return self.error("E0302", arm.condition.span, message, other.kind());
                }
            }
        }
        otherwise.map_or(Value::Nothing, |block| self.kept(block, standing))
    }

    /// The branch that is kept; as a line it binds into the block around it.
    fn kept(&mut self, block: &'p ast::Block, standing: Standing) -> Value<'p> {
        match standing {
            Standing::Value => self.block(block),
            Standing::LastLine => self.statements(block),
            Standing::Line => {
                self.statements(block);
                Value::Nothing
            }
        }
    }

    fn run_time_if(
        &mut self,
        (condition, arm): (NodeId, &'p ast::IfArm),
        rest: &'p [ast::IfArm],
        otherwise: Option<&'p ast::Block>,
        standing: Standing,
    ) -> Option<Value<'p>> {
        let errors = self.n_errors();
        let span = arm.condition.span;
        let then = self.branch(place(Some(&arm.body), span), |checker| checker.statements(&arm.body));
        let other = self.branch(place(otherwise, span), |checker| match (rest, otherwise) {
            ([], None) => Value::Nothing,
            ([], Some(block)) => checker.statements(block),
            (rest, otherwise) => checker.if_else(rest, otherwise, standing),
        });
        if self.n_errors() > errors {
            return None;
        }
        for branch in [&then, &other] {
            self.asserts_nothing(&branch.body, span)?;
            if !branch.body.side.is_empty() {
                self.unsupported(span, "`standardize` inside an `if` at run time");
                return None;
            }
        }

        let is_value = standing != Standing::Line && (!rest.is_empty() || otherwise.is_some());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let form =
            if is_value { self.joined(&then, &other, &mut first, &mut second)? } else { Form::Nothing };
        let n_values = first.len();
        let names = if standing == Standing::Value {
            Vec::new()
        } else {
            self.joined_names(&then, &other, &mut first, &mut second)
        };
        let n_named = first.len();
        let states = [&then, &other].map(|branch| {
            branch.body.states.iter().map(|state| (state.name.clone(), state)).collect::<BTreeMap<_, _>>()
        });
        let written: BTreeSet<&String> = states.iter().flat_map(|states| states.keys()).collect();
        for name in &written {
            let before = states.iter().find_map(|states| states.get(*name)).map(|state| state.before);
            for (states, outputs) in states.iter().zip([&mut first, &mut second]) {
                outputs.extend(states.get(*name).map(|state| state.after).or(before));
            }
        }
        if first.is_empty() {
            return Some(form.value(&mut std::iter::empty()));
        }
        let captured: BTreeSet<NodeId> = (self.captures(&then.body, &[], &first).into_iter())
            .chain(self.captures(&other.body, &[], &second))
            .collect();
        let captured: Vec<NodeId> = captured.into_iter().collect();
        let given = self.fixed(&captured);
        let function = self.outlined("if_then", &then.body, &given, &first);
        let then_function = self.add_function(function);
        let function = self.outlined("if_else", &other.body, &given, &second);
        let op = ops::Cond { then: then_function, otherwise: self.add_function(function) };
        let operands: Vec<NodeId> = std::iter::once(condition).chain(captured).collect();
        let results = self.results(op, &operands, span)?;
        for (result, like) in results.iter().zip(&first) {
            let origins = (0..self.ty(*result).rank()).map(|axis| self.origin(*like, axis)).collect();
            self.set_origins(*result, origins);
        }
        let value = form.value(&mut results[..n_values].iter().copied());
        let mut bound = results[n_values..n_named].iter().copied();
        for (name, form, span) in names {
            let value = form.value(&mut bound);
            self.frame().bind(&name, value, span);
        }
        let written: Vec<String> = written.into_iter().cloned().collect();
        for (name, result) in written.iter().zip(&results[n_named..]) {
            self.settle_state(name, *result);
        }
        Some(value)
    }

    fn branch(&mut self, span: Span, build: impl FnOnce(&mut Self) -> Value<'p>) -> Branch<'p> {
        let mark = self.begin_body();
        self.frame().scopes.push(Vec::new());
        let value = build(self);
        let bound = self.frame().scopes.pop().unwrap_or_default();
        let body = self.end_body(mark);
        Branch { body, value, bound, span }
    }

    /// The values of both branches, part by part in one type.
    fn joined(
        &mut self,
        then: &Branch<'p>,
        other: &Branch<'p>,
        first: &mut Vec<NodeId>,
        second: &mut Vec<NodeId>,
    ) -> Option<Form> {
        if then.value.is_error() || other.value.is_error() {
            return None;
        }
        for (branch, value) in [(then, &then.value), (other, &other.value)] {
            if only_while_compiling(value) {
                let message =
                    format!("at run time `if` chooses between tensors, but this is {}", value.kind());
                self.report(
                    Diagnostic::error("E0404", message)
                        .label(branch.span, value.kind())
                        .help("apply it in both branches, or choose by what is known while compiling"),
                );
                return None;
            }
        }
        match self.join(&then.value, &other.value, first, second, then.span, other.span) {
            Some(Ok(form)) => Some(form),
            Some(Err((a, b, apart))) => {
                let (a, b) = (self.ty(a).to_string(), self.ty(b).to_string());
                let code = if matches!(apart, Apart::DTypes) { "E0302" } else { "E0301" };
                let message = format!("the branches of this `if` give {a} and {b}");
                let mut diagnostic = Diagnostic::error(code, message)
                    .label(then.span, format!("this is {a}"))
                    .label(other.span, format!("this is {b}"));
                if matches!(apart, Apart::DTypes) {
                    diagnostic =
                        diagnostic.help("there is no silent conversion; write `cast(…)` in one of them");
                }
                self.report(diagnostic);
                None
            }
            None if self
                .diagnostics
                .last()
                .is_some_and(|last| last.is_error() && last.span == Some(then.span)) =>
            {
                None
            }
            None => {
                let said = |value: &Value<'p>| match value {
                    Value::Tuple(items) => format!("{} values", items.len()),
                    value => value.kind().to_string(),
                };
                let (a, b) = (said(&then.value), said(&other.value));
                let message = format!("the branches of this `if` give {a} and {b}");
                self.report(Diagnostic::error("E0310", message).label(then.span, a).label(other.span, b));
                None
            }
        }
    }

    /// Adds the parts of two values to the outputs of their branches. `None` where they are not built alike.
    #[allow(clippy::type_complexity, reason = "the fault names the two parts")]
    fn join(
        &mut self,
        a: &Value<'p>,
        b: &Value<'p>,
        first: &mut Vec<NodeId>,
        second: &mut Vec<NodeId>,
        at_a: Span,
        at_b: Span,
    ) -> Option<Result<Form, (NodeId, NodeId, Apart)>> {
        match (a, b) {
            (Value::Nothing, Value::Nothing) => Some(Ok(Form::Nothing)),
            (Value::Tuple(a), Value::Tuple(b)) if a.len() == b.len() => {
                let mut forms = Vec::new();
                for (a, b) in a.iter().zip(b.iter()) {
                    match self.join(a, b, first, second, at_a, at_b)? {
                        Ok(form) => forms.push(form),
                        fault => return Some(fault),
                    }
                }
                Some(Ok(Form::Tuple(forms)))
            }
            (Value::Nothing | Value::Tuple(_), _) | (_, Value::Nothing | Value::Tuple(_)) => None,
            (a, b) => {
                let hint = |checker: &Self, value: &Value<'p>| match value {
                    Value::Tensor(id) => Some(checker.ty(*id).dtype),
                    _ => None,
                };
                let (of_a, of_b) = (hint(self, a), hint(self, b));
                let (a, b) = (self.tensor(a, of_b, at_a)?, self.tensor(b, of_a, at_b)?);
                Some(self.one_type(a, b, at_b).map(|(a, b)| {
                    first.push(a);
                    second.push(b);
                    Form::One
                }))
            }
        }
    }

    fn one_type(
        &mut self,
        a: NodeId,
        b: NodeId,
        span: Span,
    ) -> Result<(NodeId, NodeId), (NodeId, NodeId, Apart)> {
        let (x, y) = (self.ty(a).clone(), self.ty(b).clone());
        let open = x.dtype == DType::Float || y.dtype == DType::Float || self.frame_ref().wide;
        let (mut left, mut right) = (a, b);
        if x.dtype != y.dtype {
            if !(x.dtype.is_float() && y.dtype.is_float() && open) {
                return Err((a, b, Apart::DTypes));
            }
            let float = self.float();
            left = self.cast(a, float, span).unwrap_or(a);
            right = self.cast(b, float, span).unwrap_or(b);
        }
        if x.shape == y.shape {
            return Ok((left, right));
        }
        let proofs: Vec<Proof> = if x.rank() == y.rank() {
            x.shape.iter().zip(y.shape.iter()).map(|(a, b)| self.equal(a, b)).collect()
        } else {
            vec![Proof::Disproved]
        };
        if proofs.iter().all(|proof| *proof == Proof::Proved) {
            let shape = x.shape.clone();
            return Ok((left, self.add(ops::Reshape { shape }, &[right], span).unwrap_or(right)));
        }
        if self.generic && !proofs.contains(&Proof::Disproved) {
            let ty = self.ty(left).clone();
            return Ok((left, self.lane(&ty, span).unwrap_or(right)));
        }
        Err((a, b, Apart::Shapes))
    }

    /// Names that mean a tensor after either branch stay bound. Where a branch binds a name and the other does not, the
    /// name means there what it meant before.
    fn joined_names(
        &mut self,
        then: &Branch<'p>,
        other: &Branch<'p>,
        first: &mut Vec<NodeId>,
        second: &mut Vec<NodeId>,
    ) -> Vec<(Rc<str>, Form, Span)> {
        let mut names: Vec<(Rc<str>, Span)> = Vec::new();
        for binding in then.bound.iter().chain(&other.bound) {
            let is_state = self.frame_ref().states.contains_key(&*binding.name);
            if !is_state && names.iter().all(|(known, _)| *known != binding.name) {
                names.push((binding.name.clone(), binding.span));
            }
        }
        let mut joined = Vec::new();
        for (name, span) in names {
            let of = |branch: &Branch<'p>| {
                branch.bound.iter().rev().find(|binding| binding.name == name).map(|b| b.value.clone())
            };
            let outer = self.frame_ref().lookup(&name).map(|binding| binding.value.clone());
            let a = of(then).or_else(|| outer.clone());
            let b = of(other).or_else(|| outer.clone());
            if let (Some(a), Some(b)) = (&a, &b)
                && same_now(a, b)
            {
                self.frame().bind(&name, a.clone(), span);
                continue;
            }
            let (n_first, n_second) = (first.len(), second.len());
            let outcome = match (&a, &b) {
                (Some(a), Some(b)) if !only_while_compiling(a) && !only_while_compiling(b) => {
                    self.join(a, b, first, second, span, span)
                }
                _ => None,
            };
            if let Some(Ok(form)) = outcome {
                joined.push((name, form, span));
                continue;
            }
            first.truncate(n_first);
            second.truncate(n_second);
            match (outer, outcome) {
                (None, _) => self.frame().half_bound.push((name, span)),
                // The name would go on meaning what it meant before, whatever the branch says.
                (Some(_), Some(Err((a, b, _)))) => {
                    let message = format!(
                        "`{name}` is {} after one branch and {} after the other",
                        self.ty(a),
                        self.ty(b)
                    );
                    self.report(
                        Diagnostic::error("E0301", message)
                            .label(span, "bound to another type here")
                            .help("take another name for what the branch needs for itself"),
                    );
                }
                (Some(_), _) => {
                    let message = format!("`{name}` is not a tensor after both branches of this `if`");
                    self.report(
                        Diagnostic::error("E0404", message)
                            .label(span, "bound here, in a branch that may run or not")
                            .help("take another name for what the branch needs for itself"),
                    );
                }
            }
        }
        joined
    }

    /// `remat { … }`: reverse derivatives compute the values inside again.
    pub fn remat(&mut self, block: &'p ast::Block) -> Value<'p> {
        self.computed_again(block).unwrap_or(Value::Error)
    }

    fn computed_again(&mut self, block: &'p ast::Block) -> Option<Value<'p>> {
        let span = place(Some(block), block.span);
        let branch = self.branch(span, |checker| checker.statements(block));
        if branch.value.is_error() {
            return None;
        }
        self.asserts_nothing(&branch.body, span)?;
        if only_while_compiling(&branch.value) {
            let message = format!("`remat` gives tensors, but this is {}", branch.value.kind());
            self.error("E0305", span, message, branch.value.kind());
            return None;
        }
        let mut outputs = Vec::new();
        let form = self.parts(&branch.value, span, &mut outputs)?;
        let n_values = outputs.len();
        outputs.extend(branch.body.states.iter().map(|state| state.after));
        let n_states = outputs.len();
        outputs.extend(branch.body.side.iter().map(|(_, id)| *id));
        if outputs.is_empty() {
            self.report(
                Diagnostic::error("E0210", "this `remat` has no value")
                    .label(span, "its block ends with a statement, which is no value")
                    .help("the value of a block is its last expression: add a line with what is to be computed again"),
            );
            return None;
        }
        let captured = self.captures(&branch.body, &[], &outputs);
        let given = self.fixed(&captured);
        let mut function = self.outlined("remat", &branch.body, &given, &outputs);
        function.remat = true;
        let callee = self.add_function(function);
        let results = self.results(ops::Call { callee }, &captured, span)?;
        for (result, like) in results.iter().zip(&outputs) {
            let origins = (0..self.ty(*result).rank()).map(|axis| self.origin(*like, axis)).collect();
            self.set_origins(*result, origins);
        }
        for (state, value) in branch.body.states.iter().zip(&results[n_values..n_states]) {
            self.settle_state(&state.name, *value);
        }
        for ((name, _), value) in branch.body.side.iter().zip(&results[n_states..]) {
            self.frame().side.push((name.clone(), *value));
        }
        Some(form.value(&mut results[..n_values].iter().copied()))
    }
}

/// Whether a value exists while compiling alone.
fn only_while_compiling(value: &Value<'_>) -> bool {
    match value {
        Value::Tuple(items) => items.iter().any(only_while_compiling),
        Value::Nothing
        | Value::Error
        | Value::Tensor(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Dim(_)
        | Value::Bool(_)
        | Value::List(_) => false,
        _ => true,
    }
}

/// Whether two values are one that is known while compiling.
fn same_now(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Dim(a), Value::Dim(b)) => a == b,
        (Value::Tensor(a), Value::Tensor(b)) => a == b,
        _ => false,
    }
}

/// Where the value of a block stands.
fn place(block: Option<&ast::Block>, otherwise: Span) -> Span {
    block.map_or(otherwise, |block| block.last_expr().map_or(block.span, |expr| expr.span))
}
