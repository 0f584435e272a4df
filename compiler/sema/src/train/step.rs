//! The update: gradients, their limit, the optimiser of each weight, running averages.

use super::{GRADIENT_PREFIX, Gradients, update::Member};
use crate::{
    api::TrainSpec,
    arith::Places,
    checker::Checker,
    entry::TRAIN,
    frame::Weight,
    program::Train,
    settings::TrainExprs,
    value::{Configured, Value},
};
use grammar::ast::{self, BinaryOp};
use graph::{DType, FuncId, NodeId, Op, Param, Role, Type, ops};
use std::collections::{BTreeMap, BTreeSet};

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

    fn step_body(&mut self, spec: &TrainSpec, exprs: &TrainExprs<'p>, loss: &'p ast::Expr) -> Option<()> {
        let random = self.random_params(loss.span);
        let total = self.control("total_steps");
        let Gradients { loss: loss_id, weights, grads } = self.gradients(spec, exprs, loss)?;
        let sets = self.alike(&weights);
        let gradient_norm = self.norm(&grads, &sets, loss.span)?;
        let ids: Vec<NodeId> = weights.iter().map(|(_, id, _)| self.master(*id)).collect();
        let weight_norm = self.norm(&ids, &sets, loss.span)?;
        let limit = match exprs.clip {
            Some(clip) => Some(self.gradient_limit(clip, gradient_norm)?),
            None => None,
        };
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
            let mut updated: Vec<Option<NodeId>> = vec![None; weights.len()];
            let mut known = BTreeSet::new();
            for set in &sets {
                let (_, weight, group) = &weights[set[0]];
                if self.only_check && !known.insert((*group, self.ty(*weight).to_string())) {
                    continue;
                }
                let member = |position: &usize| {
                    let (name, weight, _) = &weights[*position];
                    Member { name, weight: self.master(*weight), grad: grads[*position] }
                };
                let members: Vec<Member<'_>> = set.iter().map(member).collect();
                let optimizer = configured.of(*group);
                let next = self.update_all(&optimizer, &members, limit, optimizer_expr.span)?;
                set.iter().zip(next).for_each(|(position, next)| updated[*position] = Some(next));
            }
            let named = weights.iter().zip(updated);
            let updated =
                named.filter_map(|((name, ..), next)| Some((name.clone(), next?))).collect::<Vec<_>>();
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
            self.average_weights(decay, &updated, &sets, span)?;
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
}
