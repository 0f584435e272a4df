//! The next values of weights: norms, limits, the optimiser's body, running averages. Weights that are alike are treated
//! together.

use super::{AVERAGE_PREFIX, alike::Step};
use crate::{
    arith::Places,
    call::Arg,
    checker::Checker,
    frame::{Init, State},
    value::{Clip, Configured, Value},
};
use base::Span;
use grammar::ast::{self, BinaryOp};
use graph::{NodeId, Param, Role, ops};
use std::rc::Rc;

/// A weight and its gradient.
pub(super) struct Member<'a> {
    pub name: &'a str,
    pub weight: NodeId,
    pub grad: NodeId,
}

/// What `clip` does to a gradient.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    /// Holds each value within plus and minus this.
    Values(f64, Span),
    /// Multiplies by this scalar.
    Scale(NodeId, Span),
}

impl<'p> Checker<'p> {
    /// The square root of the sum of all squares.
    pub(super) fn norm(&mut self, tensors: &[NodeId], sets: &[Vec<usize>], span: Span) -> Option<NodeId> {
        let mut total = Value::Float(0.0);
        for set in sets {
            let id = tensors[set[0]];
            if set.len() > 1 {
                // The sum goes from step to step as one dtype.
                let dtype = self.ty(id).dtype;
                let so_far = self.tensor(&total, Some(dtype), span)?;
                total = Value::Tensor(self.cast(so_far, dtype, span)?);
            }
            let mark = self.begin_body();
            let square = self.add(ops::Binary { op: kernel::Binary::Mul }, &[id, id], span)?;
            let axes = (0..self.ty(square).rank()).collect();
            let sum = self.add(ops::Reduce { combine: kernel::Combine::Sum, axes }, &[square], span)?;
            let before = total.clone();
            total = self.binary(BinaryOp::Add, total, Value::Tensor(sum), Places::all(span));
            let body = self.end_body(mark);
            if let (Value::Tensor(before), Value::Tensor(after)) = (before, &total)
                && set.len() > 1
            {
                let tables = [set.iter().map(|position| tensors[*position]).collect()];
                let step = Step {
                    body: &body,
                    count: set.len(),
                    stacked: &[],
                    carried: &[(before, *after)],
                    tables: &tables,
                    kept: &[],
                };
                total = Value::Tensor(self.for_all(&step, span)?.0.swap_remove(0));
            }
        }
        let total = self.tensor(&total, Some(self.float()), span)?;
        self.add(ops::Unary { op: kernel::Unary::Sqrt }, &[total], span)
    }

    /// Running averages of the weights as optimiser states of their own.
    pub(super) fn average_weights(
        &mut self,
        decay: f64,
        updated: &[(String, NodeId)],
        sets: &[Vec<usize>],
        span: Span,
    ) -> Option<()> {
        // Where a layer is only checked, not all weights are updated.
        let sets = sets
            .iter()
            .map(|set| set.iter().filter_map(|position| updated.get(*position)).collect::<Vec<_>>());
        for set in sets.filter(|set| !set.is_empty()) {
            let average = |checker: &mut Self, (name, next): &(String, NodeId)| {
                let ty = checker.ty(*next).clone();
                checker.param(Param { name: format!("{AVERAGE_PREFIX}{name}"), role: Role::Optimizer, ty })
            };
            let averages: Vec<NodeId> = set.iter().map(|member| average(self, member)).collect();
            let mark = self.begin_body();
            let (next, ty) = (set[0].1, self.ty(set[0].1).clone());
            let at = Places::all(span);
            let old = self.binary(BinaryOp::Mul, Value::Tensor(averages[0]), Value::Float(decay), at);
            let new = self.binary(BinaryOp::Mul, Value::Tensor(next), Value::Float(1.0 - decay), at);
            let value = self.binary(BinaryOp::Add, old, new, at);
            let current = self.tensor(&value, Some(ty.dtype), span)?;
            let body = self.end_body(mark);
            let mut currents = vec![current];
            if set.len() > 1 {
                let tables = [averages, set.iter().map(|(_, next)| *next).collect()];
                let step = Step {
                    body: &body,
                    count: set.len(),
                    stacked: &[],
                    carried: &[],
                    tables: &tables,
                    kept: &[current],
                };
                currents = self.for_all(&step, span)?.1.swap_remove(0);
            }
            for ((name, _), current) in set.into_iter().zip(currents) {
                let init = Init { expr: None, env: Rc::new(Vec::new()) };
                let state = State { ty: ty.clone(), init, current, start: current, written: true, span };
                self.frame().states.insert(format!("{AVERAGE_PREFIX}{name}"), state);
            }
        }
        Some(())
    }

    /// What `clip` allows, where the norm of all gradients is this.
    pub(super) fn gradient_limit(&mut self, expr: &'p ast::Expr, norm: NodeId) -> Option<Limit> {
        let span = expr.span;
        let at = Places::all(span);
        match self.expr(expr) {
            Value::Clip(Clip::ByValue(limit)) => Some(Limit::Values(limit, span)),
            Value::Clip(Clip::GlobalNorm(limit)) => {
                let room = self.binary(BinaryOp::Add, Value::Tensor(norm), Value::Float(1e-6), at);
                let scale = self.binary(BinaryOp::Div, Value::Float(limit), room, at);
                let scale = self.tensor(&scale, None, span)?;
                let one = self.scalar(self.ty(scale).dtype, 1.0);
                let scale = self.add(ops::Binary { op: kernel::Binary::Min }, &[scale, one], span)?;
                Some(Limit::Scale(scale, span))
            }
            Value::Error => None,
            other => {
                let message =
                    format!("`clip` is `global_norm(max)` or `by_value(max)`, but this is {}", other.kind());
                self.error("E0415", span, message, other.kind());
                None
            }
        }
    }

    fn limited(&mut self, limit: Option<Limit>, grad: NodeId) -> Option<NodeId> {
        match limit {
            None => Some(grad),
            Some(Limit::Values(limit, span)) => {
                let (dtype, shape) = (self.ty(grad).dtype, self.shape(grad));
                let (high, low) = (self.scalar(dtype, limit), self.scalar(dtype, -limit));
                let (high, low) =
                    (self.broadcast_to(high, &shape, span)?, self.broadcast_to(low, &shape, span)?);
                let below = self.add(ops::Binary { op: kernel::Binary::Min }, &[grad, high], span)?;
                self.add(ops::Binary { op: kernel::Binary::Max }, &[below, low], span)
            }
            Some(Limit::Scale(scale, span)) => {
                let at = Places::all(span);
                let value = self.binary(BinaryOp::Mul, Value::Tensor(grad), Value::Tensor(scale), at);
                self.tensor(&value, None, span)
            }
        }
    }

    /// The next values of weights that are alike.
    pub(super) fn update_all(
        &mut self,
        configured: &Configured<'p>,
        members: &[Member<'_>],
        limit: Option<Limit>,
        span: Span,
    ) -> Option<Vec<NodeId>> {
        let draws = self.frame_ref().draws;
        let n_states = self.frame_ref().states.len();
        let mark = (members.len() > 1 && !self.only_check).then(|| self.begin_body());
        let grad = self.limited(limit, members[0].grad)?;
        let next = self.update(configured, members[0].name, members[0].weight, grad, span)?;
        let Some(mark) = mark else { return Some(vec![next]) };
        let body = self.end_body(mark);
        if self.frame_ref().draws != draws {
            // Each weight draws numbers of its own.
            body.states.iter().for_each(|change| self.settle_state(&change.name, change.after));
            let mut all = vec![next];
            for member in &members[1..] {
                let grad = self.limited(limit, member.grad)?;
                all.push(self.update(configured, member.name, member.weight, grad, span)?);
            }
            return Some(all);
        }
        let states = self.frame_ref().states.iter().skip(n_states);
        let states: Vec<(String, State<'p>)> =
            states.map(|(name, state)| (name.clone(), state.clone())).collect();
        let mut tables = vec![
            members.iter().map(|member| member.weight).collect::<Vec<_>>(),
            members.iter().map(|member| member.grad).collect(),
        ];
        tables.extend(states.iter().map(|(_, state)| vec![state.start]));
        for member in &members[1..] {
            for (index, (name, state)) in states.iter().enumerate() {
                let name = format!("{}{}", member.name, name.strip_prefix(members[0].name)?);
                let ty = state.ty.clone();
                let param = self.param(Param { name: name.clone(), role: Role::Optimizer, ty });
                let state = State { current: param, start: param, ..state.clone() };
                self.frame().states.insert(name, state);
                tables[2 + index].push(param);
            }
        }
        let mut kept = vec![next];
        kept.extend(body.states.iter().map(|change| change.after));
        let step = Step {
            body: &body,
            count: members.len(),
            stacked: &[],
            carried: &[],
            tables: &tables,
            kept: &kept,
        };
        let mut results = self.for_all(&step, span)?.1;
        for (change, currents) in body.states.iter().zip(results.split_off(1)) {
            let suffix = change.name.strip_prefix(members[0].name)?;
            for (member, current) in members.iter().zip(currents) {
                let state = self.frame().states.get_mut(&format!("{}{suffix}", member.name))?;
                (state.current, state.written) = (current, true);
            }
        }
        results.pop()
    }

    /// `sgd(lr: 0.1)(p, g)` in a test: the weight after the first update, whose states begin there.
    pub fn first_update(&mut self, configured: &Configured<'p>, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        let def = configured.def;
        let Some(given) = self.match_args(&def.name.text, &def.inputs.params, args) else {
            return Value::Error;
        };
        let mut operands = Vec::new();
        for (param, arg) in def.inputs.params.iter().zip(given) {
            let Some(arg) = arg else {
                let message = format!("`{}` needs `{}`", def.name.text, param.name.text);
                return self.error("E0208", span, message, format!("`{}` is not given", param.name.text));
            };
            let Some(id) = self.tensor(&arg.value, None, arg.span) else { return Value::Error };
            operands.push(id);
        }
        let [weight, grad] = operands[..] else {
            let message = format!("`{}` takes a weight and its gradient", def.name.text);
            return self.error("E0310", def.name.span, message, "two inputs are needed");
        };
        let known = self.frame_ref().extra.len();
        let counts = [("step", 1), ("update", 0), ("total_steps", 1)];
        self.frame().extra.extend(counts.map(|(name, count)| (name, Value::Int(count))));
        let name = format!("{}_{}", def.name.text, self.frame_ref().states.len());
        let next = self.update(configured, &name, weight, grad, span);
        self.frame().extra.truncate(known);
        Self::tensor_or_error(next)
    }

    /// One weight's next value: the optimiser's body with `p` and `g` bound.
    fn update(
        &mut self,
        configured: &Configured<'p>,
        name: &str,
        weight: NodeId,
        grad: NodeId,
        span: Span,
    ) -> Option<NodeId> {
        let def = configured.def;
        let mut scope = Vec::new();
        let config = def.config.iter().flat_map(|list| &list.params);
        for (param, value) in config.zip(&configured.config) {
            scope.push(crate::frame::Binding {
                name: param.name.text.as_str().into(),
                value: value.clone(),
                span: param.name.span,
            });
        }
        let saved = std::mem::replace(&mut self.frame().scopes, vec![scope]);
        self.frame().extra.push(("_optimizer_of", Value::Text(name.into())));
        self.calls.push((def, span));
        for (param, id) in def.inputs.params.iter().zip([weight, grad]) {
            self.frame().bind(&param.name.text, Value::Tensor(id), param.name.span);
        }
        let value = self.body(def);
        let ty = self.ty(weight).clone();
        let next = match &value {
            Value::Error => None,
            value => self.tensor(value, Some(ty.dtype), def.name.span),
        };
        let next =
            next.and_then(|id| self.fit_dtype(id, ty.dtype, def.name.span, None, "the updated weight"));
        let next = next.and_then(|id| {
            if self.ty(id).shape == ty.shape {
                return Some(id);
            }
            let message = format!("`{}` gives {} for a weight that is {ty}", def.name.text, self.ty(id));
            self.error("E0301", def.name.span, message, "the next value has the weight's shape");
            None
        });
        self.calls.pop();
        self.frame().extra.retain(|(name, _)| *name != "_optimizer_of");
        self.frame().scopes = saved;
        next
    }
}
