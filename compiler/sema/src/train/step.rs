//! The update: gradients, their limit, the optimiser of each weight, running averages.

use super::{AVERAGE_PREFIX, GRADIENT_PREFIX, Gradients};
use crate::{
    api::TrainSpec,
    arith::Places,
    call::Arg,
    checker::Checker,
    entry::TRAIN,
    frame::{Init, State, Weight},
    program::Train,
    settings::TrainExprs,
    value::{Clip, Configured, Value},
};
use base::Span;
use grammar::ast::{self, BinaryOp};
use graph::{DType, FuncId, NodeId, Op, Param, Role, Type, ops};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

impl<'p> Checker<'p> {
    #[allow(clippy::type_complexity, reason = "the initial values travel with their function")]
    pub(super) fn build_step(
        &mut self,
        def: &'p ast::Def,
        train: &Train<'p>,
        spec: &TrainSpec,
        exprs: &TrainExprs<'p>,
        loss: &'p ast::Expr,
    ) -> Option<(Option<FuncId>, Vec<(String, Weight<'p>, Role)>)> {
        self.forward_with_fields(def, train, spec, "step", TRAIN)?;
        let outcome = self.step_body(spec, exprs, loss);
        let frame = self.frames.pop()?;
        outcome?;
        let mut inits: Vec<(String, Weight<'p>, Role)> = Vec::new();
        for (name, (_, weight)) in &frame.weights {
            inits.push((name.clone(), weight.clone(), Role::Weight));
        }
        let roles: BTreeMap<&str, Role> =
            frame.function.params.iter().map(|param| (param.name.as_str(), param.role)).collect();
        for (name, state) in &frame.states {
            let role = roles.get(name.as_str()).copied().unwrap_or(Role::State);
            inits.push((
                name.clone(),
                Weight { ty: state.ty.clone(), init: state.init.clone(), span: state.span },
                role,
            ));
        }
        // A block with nothing but a loss is enough for `dlc grad`: there is no step, and the loop says so.
        let step = exprs.optimizer.map(|_| self.module.functions.push(frame.function));
        Some((step, inits))
    }

    /// Like the step up to its gradients, which are added to those of the update's earlier batches.
    pub(super) fn build_accumulate(
        &mut self,
        def: &'p ast::Def,
        train: &Train<'p>,
        spec: &TrainSpec,
        exprs: &TrainExprs<'p>,
        loss: &'p ast::Expr,
    ) -> Option<FuncId> {
        self.forward_with_fields(def, train, spec, "accumulate", TRAIN)?;
        self.random_params(loss.span);
        let outcome = self.gradients(spec, exprs, loss);
        if let Some(found) = &outcome {
            self.export(&[("loss".into(), found.loss)], Role::Loss);
            self.export_states();
            let name = |name: &String| format!("{GRADIENT_PREFIX}{name}");
            let sums: Vec<(String, NodeId)> =
                found.weights.iter().map(|(weight, ..)| name(weight)).zip(found.grads.clone()).collect();
            self.export(&sums, Role::Gradient);
        }
        let frame = self.frames.pop()?;
        outcome?;
        Some(self.module.functions.push(frame.function))
    }

    /// The loss of the present frame and its derivatives, with those of the update's earlier batches added.
    pub(super) fn gradients(
        &mut self,
        spec: &TrainSpec,
        exprs: &TrainExprs<'p>,
        loss: &'p ast::Expr,
    ) -> Option<Gradients> {
        let span = loss.span;
        let at = Places::all(span);
        let loss_id = self.loss(loss)?;
        let groups = match exprs.optimizer {
            Some(optimizer) => self.groups(optimizer)?,
            None => Vec::new(),
        };
        let weights = self.weight_nodes();
        let names: Vec<String> = weights.iter().map(|(name, _)| name.clone()).collect();
        let assigned = self.assign_groups(&groups, &names)?;
        let is_trained = |group: &Option<usize>| group.is_none_or(|group| !groups[group].is_frozen());
        let trained: Vec<(String, NodeId, Option<usize>)> = weights
            .into_iter()
            .zip(assigned)
            .filter(|(_, group)| is_trained(group))
            .map(|((name, id), group)| (name, id, group))
            .collect();
        if trained.is_empty() && !names.is_empty() {
            let place = exprs.optimizer.map_or(span, |optimizer| optimizer.span);
            self.error("E0415", place, "every weight is frozen", "nothing is left to train");
            return None;
        }
        let ids: Vec<NodeId> = trained.iter().map(|(_, id, _)| *id).collect();
        let grads = self.derive(loss_id, &ids, span)?;
        let mut grads = grads.into_iter().map(|id| self.widened(id, span)).collect::<Option<Vec<_>>>()?;
        if spec.accumulate > 1 {
            let share = Param { name: "share".into(), role: Role::Control, ty: Type::scalar(DType::F64) };
            let share = self.param(share);
            for ((name, ..), grad) in trained.iter().zip(&mut grads) {
                let ty = self.ty(*grad).clone();
                let factor = self.cast(share, ty.dtype, span)?;
                let name = format!("{GRADIENT_PREFIX}{name}");
                let sum = self.param(Param { name, role: Role::Gradient, ty });
                let part = self.binary(BinaryOp::Mul, Value::Tensor(*grad), Value::Tensor(factor), at);
                let value = self.binary(BinaryOp::Add, Value::Tensor(sum), part, at);
                *grad = self.tensor(&value, None, span)?;
            }
        }
        Some(Gradients { loss: loss_id, weights: trained, grads })
    }

    /// What an update changes: the weight, or the f32 that the model's weight is rounded from.
    fn master(&self, weight: NodeId) -> NodeId {
        let function = &self.frame_ref().function;
        let node = &function.nodes[weight];
        match node.op {
            Op::Cast(_) if matches!(function.nodes[node.inputs[0]].op, Op::Parameter(_)) => node.inputs[0],
            _ => weight,
        }
    }

    /// The square root of the sum of all squares.
    fn norm(&mut self, tensors: &[NodeId], span: Span) -> Option<NodeId> {
        let mut total = Value::Float(0.0);
        for id in tensors {
            let square = self.add(ops::Binary { op: kernel::Binary::Mul }, &[*id, *id], span)?;
            let axes = (0..self.ty(square).rank()).collect();
            let sum = self.add(ops::Reduce { combine: kernel::Combine::Sum, axes }, &[square], span)?;
            total = self.binary(BinaryOp::Add, total, Value::Tensor(sum), Places::all(span));
        }
        let total = self.tensor(&total, Some(self.float()), span)?;
        self.add(ops::Unary { op: kernel::Unary::Sqrt }, &[total], span)
    }

    /// Running averages of the weights as optimiser states of their own.
    fn average_weights(&mut self, decay: f64, updated: &[(String, NodeId)], span: Span) -> Option<()> {
        let at = Places::all(span);
        for (name, next) in updated {
            let ty = self.ty(*next).clone();
            let name = format!("{AVERAGE_PREFIX}{name}");
            let average = self.param(Param { name: name.clone(), role: Role::Optimizer, ty: ty.clone() });
            let old = self.binary(BinaryOp::Mul, Value::Tensor(average), Value::Float(decay), at);
            let new = self.binary(BinaryOp::Mul, Value::Tensor(*next), Value::Float(1.0 - decay), at);
            let value = self.binary(BinaryOp::Add, old, new, at);
            let current = self.tensor(&value, Some(ty.dtype), span)?;
            let init = Init { expr: None, env: Rc::new(Vec::new()) };
            self.frame()
                .states
                .insert(name, State { ty, init, current, start: current, written: true, span });
        }
        Some(())
    }

    fn step_body(&mut self, spec: &TrainSpec, exprs: &TrainExprs<'p>, loss: &'p ast::Expr) -> Option<()> {
        let random = self.random_params(loss.span);
        let total = self.control("total_steps");
        let Gradients { loss: loss_id, weights, mut grads } = self.gradients(spec, exprs, loss)?;
        let gradient_norm = self.norm(&grads, loss.span)?;
        let ids: Vec<NodeId> = weights.iter().map(|(_, id, _)| self.master(*id)).collect();
        let weight_norm = self.norm(&ids, loss.span)?;
        if let Some(clip) = exprs.clip {
            grads = self.clipped(clip, grads, gradient_norm)?;
        }
        let first_step = self.frame_ref().extra.iter().find_map(|(name, value)| match (*name, value) {
            ("_update", Value::Tensor(id)) => Some(*id),
            _ => None,
        });
        // Schedules and optimisers see the number of the update, from 0 and from 1, and the length of the run.
        let span = loss.span;
        let update = self.cast(first_step.unwrap_or(random.step), self.float(), span)?;
        let one = self.scalar(self.float(), 1.0);
        let number = self.add(ops::Binary { op: kernel::Binary::Add }, &[update, one], span)?;
        let total = self.cast(total, self.float(), span)?;
        self.frame().extra.retain(|(name, _)| *name != "_fields");
        self.frame().extra.extend([
            ("update", Value::Tensor(update)),
            ("step", Value::Tensor(number)),
            ("total_steps", Value::Tensor(total)),
        ]);
        let Some(optimizer_expr) = exprs.optimizer else { return Some(()) };
        // Of the model's names, the optimiser's arguments see those that are known now: configuration and dimensions.
        let known = |value: &Value<'p>| !value.holds_tensor() && !matches!(value, Value::Field(_));
        let scope = self.frame_ref().snapshot(known);
        let scope = scope.iter().map(|(name, value)| crate::frame::Binding {
            name: name.clone(),
            value: value.clone(),
            span: optimizer_expr.span,
        });
        let scope = vec![scope.collect()];
        let saved = std::mem::replace(&mut self.frame().scopes, scope);
        let configured =
            self.groups(optimizer_expr).and_then(|groups| self.optimizers(optimizer_expr, &groups));
        let updated = configured.as_ref().and_then(|configured| {
            let mut updated = Vec::new();
            let mut alike = BTreeSet::new();
            for ((name, weight, group), grad) in weights.iter().zip(&grads) {
                if self.only_check && !alike.insert((*group, self.ty(*weight).to_string())) {
                    continue;
                }
                updated.push((
                    name.clone(),
                    self.update(
                        &configured.of(*group),
                        name,
                        self.master(*weight),
                        *grad,
                        optimizer_expr.span,
                    )?,
                ));
            }
            Some(updated)
        });
        self.frame().scopes = saved;
        let (configured, updated) = (configured?, updated?);
        self.export(&[("loss".into(), loss_id)], Role::Loss);
        if let Some(rate) = self.rate(&configured.default) {
            self.export(&[("lr".into(), rate)], Role::Metric);
        }
        let norms = [("grad_norm".into(), gradient_norm), ("weight_norm".into(), weight_norm)];
        self.export(&norms, Role::Metric);
        self.export(&updated, Role::Weight);
        if let Some(decay) = spec.ema {
            self.average_weights(decay, &updated, span)?;
        }
        self.export_states();
        Some(())
    }

    /// The optimiser's learning rate now, for the log.
    fn rate(&mut self, configured: &Configured<'p>) -> Option<NodeId> {
        let params = &configured.def.config.as_ref()?.params;
        let position = params.iter().position(|param| param.name.text == "lr")?;
        let value = configured.config.get(position)?.clone();
        self.tensor(&value, Some(self.float()), configured.def.name.span)
    }

    fn clipped(&mut self, expr: &'p ast::Expr, grads: Vec<NodeId>, norm: NodeId) -> Option<Vec<NodeId>> {
        let span = expr.span;
        let at = Places::all(span);
        let limit = match self.expr(expr) {
            Value::Clip(limit) => limit,
            Value::Error => return None,
            other => {
                let message =
                    format!("`clip` is `global_norm(max)` or `by_value(max)`, but this is {}", other.kind());
                self.error("E0415", span, message, other.kind());
                return None;
            }
        };
        let mut clipped = Vec::new();
        match limit {
            Clip::ByValue(limit) => {
                for grad in grads {
                    let (dtype, shape) = (self.ty(grad).dtype, self.shape(grad));
                    let (high, low) = (self.scalar(dtype, limit), self.scalar(dtype, -limit));
                    let (high, low) =
                        (self.broadcast_to(high, &shape, span)?, self.broadcast_to(low, &shape, span)?);
                    let below = self.add(ops::Binary { op: kernel::Binary::Min }, &[grad, high], span)?;
                    clipped.push(self.add(ops::Binary { op: kernel::Binary::Max }, &[below, low], span)?);
                }
            }
            Clip::GlobalNorm(limit) => {
                let room = self.binary(BinaryOp::Add, Value::Tensor(norm), Value::Float(1e-6), at);
                let scale = self.binary(BinaryOp::Div, Value::Float(limit), room, at);
                let scale = self.tensor(&scale, None, span)?;
                let one = self.scalar(self.ty(scale).dtype, 1.0);
                let scale = self.add(ops::Binary { op: kernel::Binary::Min }, &[scale, one], span)?;
                for grad in grads {
                    let value = self.binary(BinaryOp::Mul, Value::Tensor(grad), Value::Tensor(scale), at);
                    clipped.push(self.tensor(&value, None, span)?);
                }
            }
        }
        Some(clipped)
    }

    /// `sgd(lr: 0.1)(p, g)` in a test: the weight after the first update, whose states begin there.
    pub fn first_update(&mut self, configured: &Configured<'p>, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        let def = configured.def;
        let Some(given) = self.match_args(&def.name.text, &def.inputs.params, args, span) else {
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
