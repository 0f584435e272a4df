//! Training as graph: the step (forward, backward, clipping, update) is one function, evaluation is two.

use crate::{
    api::{FieldSpec, Source, TrainSpec},
    arith::Places,
    checker::{Average, Checker},
    entry::{FIT, Forward, RUN, TRAIN},
    frame::{Init, Mode, State, Weight},
    program::Train,
    settings::TrainExprs,
    value::{Clip, Configured, Value},
};
use base::{Diagnostic, Span};
use grammar::ast::{self, BinaryOp, SettingValue};
use graph::{Builder, DType, FuncId, Function, NodeId, Op, Param, Role, Type, ops};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// Before the name of a weight: the optimiser state that is its running average.
pub const AVERAGE_PREFIX: &str = "ema/";
/// Before the name of a weight: the sum of its gradients over the batches of an update so far.
const GRADIENT_PREFIX: &str = "gradient/";

/// The loss and its derivatives by the weights that are trained.
struct Gradients {
    loss: NodeId,
    /// Names and nodes of the weights, and their optimizer's groups.
    weights: Vec<(String, NodeId, Option<usize>)>,
    grads: Vec<NodeId>,
}

impl<'p> Checker<'p> {
    /// Adds the entry points that training needs, and says what the loop must know.
    pub fn build_training(
        &mut self,
        def: &'p ast::Def,
        train: &Train<'p>,
        entries: &mut Vec<(&'static str, FuncId)>,
        inits: &mut Vec<(String, Weight<'p>, Role)>,
        fits: &mut Vec<String>,
    ) -> Option<TrainSpec> {
        self.push_frame("settings", RUN, None);
        let (mut spec, exprs) = self.train_settings(train);
        self.frames.pop();
        let Some(loss) = exprs.loss else {
            self.error("E0415", train.span, "a train block needs a `loss`", "as in `loss = mse(y, target)`");
            return None;
        };
        // The step comes first: it finds the fields that the loss needs, and the weights of the training branch.
        let (step, step_inits) = self.build_step(def, train, &spec, &exprs, loss)?;
        let mut known: BTreeSet<String> = inits.iter().map(|(name, ..)| name.clone()).collect();
        for (name, weight, role) in step_inits {
            if known.insert(name.clone()) {
                inits.push((name, weight, role));
            }
        }
        spec.plateau = self.plateau.take().map(|(plateau, _)| plateau);
        if spec.accumulate > 1 && step.is_some() && !self.only_check {
            let accumulate = self.build_accumulate(def, train, &spec, &exprs, loss)?;
            entries.push(("accumulate", accumulate));
        }
        // The step differentiates already; by itself, the gradient is only built where somebody will call it.
        if !self.only_check {
            let grad = self.build_grad(def, train, &spec, loss)?;
            entries.push(("grad", grad));
        }
        let (eval, finish, fields, batch) = self.build_eval(def, train, &spec, &exprs, loss)?;
        spec.fields = fields;
        self.check_source(&spec);
        spec.batch_symbol = batch;
        entries.extend(step.map(|step| ("step", step)));
        entries.extend([("eval", eval), ("eval_finish", finish)]);
        if let Some(fit) = self.build_fit(def, fits) {
            entries.push(("fit", fit));
        }
        self.check_stopping(&spec, train.span);
        Some(spec)
    }

    fn check_stopping(&mut self, spec: &TrainSpec, span: Span) {
        let early = spec.early_stop.iter().map(|early| &early.on);
        let plateau = spec.plateau.iter().map(|plateau| &plateau.on);
        for on in early.chain(spec.checkpoint.best.iter()).chain(plateau) {
            let name = on.strip_prefix("val.").unwrap_or(on);
            if name != "loss" && !spec.metrics.iter().any(|metric| metric.name == name) {
                let known: Vec<&str> =
                    spec.metrics.iter().map(|metric| metric.name.as_str()).chain(["loss"]).collect();
                let near = base::did_you_mean(name, known.iter().copied());
                self.report(
                    Diagnostic::error("E0415", format!("there is no metric `{on}` to watch"))
                        .label(span, format!("its metrics are {}", known.join(", ")))
                        .maybe_help(near.map(|near| format!("did you mean `val.{near}`?"))),
                );
            }
        }
    }

    /// Evaluates the model in a new frame; then inputs, results and fields are in scope for the loss.
    fn forward_with_fields(
        &mut self,
        def: &'p ast::Def,
        train: &Train<'p>,
        spec: &TrainSpec,
        name: &str,
        mode: Mode,
    ) -> Option<Forward> {
        self.fields.clear();
        self.push_frame(name, mode, Some(def));
        self.frame().masters = self.halves() && (name == "step" || name == "accumulate");
        if spec.accumulate > 1 && (name == "step" || name == "accumulate") {
            self.count_parts(spec.accumulate, train.span);
        }
        let Some(forward) = self.forward(def) else {
            self.frames.pop();
            return None;
        };
        if self.halves() {
            self.frame().wide = true;
            let inputs = forward.inputs.iter().map(|input| input.name.as_str());
            for name in inputs.chain(forward.outputs.iter().map(|(name, _)| name.as_str())) {
                if let Some(Value::Tensor(id)) = self.lookup_value(name)
                    && let Some(id) = self.widened(id, train.span)
                {
                    self.frame().bind(name, Value::Tensor(id), train.span);
                }
            }
        }
        for field in train.fields {
            let Some((ty, places)) = field.ty.as_ref().and_then(|ty| self.declare_type(ty)) else {
                self.error(
                    "E0412",
                    field.span,
                    format!("the field `{}` needs a type", field.name.text),
                    "as in `target: f32[batch]`",
                );
                continue;
            };
            if forward.inputs.iter().any(|input| input.name == field.name.text) {
                continue;
            }
            let id = self.new_field(&field.name.text, ty, places);
            self.frame().bind(&field.name.text, Value::Tensor(id), field.name.span);
        }
        // Fields of the source are known by name even where a function of the library has the same one.
        for name in source_fields(spec.source.as_ref()) {
            let known = forward.inputs.iter().any(|input| input.name == *name)
                || train.fields.iter().any(|field| field.name.text == *name);
            if !known {
                self.frame().bind(name, Value::Field(name.as_str().into()), spec.span);
            }
        }
        self.frame().extra.push(("_fields", Value::Nothing));
        Some(forward)
    }

    /// The loss as a floating scalar of the present frame.
    fn loss(&mut self, expr: &'p ast::Expr) -> Option<NodeId> {
        let value = self.expr(expr);
        let id = self.tensor(&value, None, expr.span)?;
        let ty = self.ty(id).clone();
        if ty.rank() != 0 || !ty.dtype.is_float() {
            self.report(
                Diagnostic::error("E0314", format!("the loss is a floating scalar, but this is {ty}"))
                    .label(expr.span, ty.to_string())
                    .help("reduce it, as in `mean(…)`"),
            );
            return None;
        }
        self.cast(id, self.float(), expr.span)
    }

    /// Batches of one update draw other random numbers: what counts for them is the batch, not the update.
    fn count_parts(&mut self, per_update: i64, span: Span) -> Option<()> {
        let random = self.random_params(span);
        let part = self.control("part");
        let count = self.scalar(DType::I64, per_update as f64);
        let before = self.add(ops::Binary { op: kernel::Binary::Mul }, &[random.step, count], span)?;
        let step = self.add(ops::Binary { op: kernel::Binary::Add }, &[before, part], span)?;
        let frame = self.frame();
        frame.extra.push(("_update", Value::Tensor(random.step)));
        frame.random = Some(crate::frame::RandomParams { step, ..random });
        Some(())
    }

    fn control(&mut self, name: &str) -> NodeId {
        self.param(Param { name: name.into(), role: Role::Control, ty: Type::scalar(DType::I64) })
    }

    fn weight_nodes(&self) -> Vec<(String, NodeId)> {
        self.frame_ref().weights.iter().map(|(name, (id, _))| (name.clone(), *id)).collect()
    }

    fn build_grad(
        &mut self,
        def: &'p ast::Def,
        train: &Train<'p>,
        spec: &TrainSpec,
        loss: &'p ast::Expr,
    ) -> Option<FuncId> {
        self.forward_with_fields(def, train, spec, "grad", TRAIN)?;
        self.random_params(loss.span);
        let outcome = self.loss(loss).and_then(|id| {
            let weights = self.weight_nodes();
            let ids: Vec<NodeId> = weights.iter().map(|(_, id)| *id).collect();
            Some((id, weights, self.derive(id, &ids, loss.span)?))
        });
        if let Some((id, weights, grads)) = &outcome {
            self.export(&[("loss".into(), *id)], Role::Loss);
            let named: Vec<(String, NodeId)> =
                weights.iter().zip(grads).map(|((name, _), grad)| (name.clone(), *grad)).collect();
            self.export(&named, Role::Gradient);
        }
        let frame = self.frames.pop()?;
        outcome?;
        Some(self.module.functions.push(frame.function))
    }

    #[allow(clippy::type_complexity, reason = "the initial values travel with their function")]
    fn build_step(
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
    fn build_accumulate(
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
    fn gradients(
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
            self.frame().states.insert(name, State { ty, init, current, written: true, span });
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
        // The optimiser's scope holds no names of the model: `lr` is its own.
        let saved = std::mem::replace(&mut self.frame().scopes, vec![Vec::new()]);
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

    /// `eval` gives accumulators for one batch, `finish` the loss and metrics of all that was accumulated.
    #[allow(clippy::type_complexity, reason = "four things that are found in one walk")]
    fn build_eval(
        &mut self,
        def: &'p ast::Def,
        train: &Train<'p>,
        spec: &TrainSpec,
        exprs: &TrainExprs<'p>,
        loss: &'p ast::Expr,
    ) -> Option<(FuncId, FuncId, Vec<FieldSpec>, Option<String>)> {
        let forward = self.forward_with_fields(def, train, spec, "eval", RUN)?;
        let mut measured: Vec<(String, NodeId, Vec<Average>, Span)> = Vec::new();
        let mut fine = true;
        let metric_exprs = exprs.metrics.iter().filter_map(|row| match &row.value {
            SettingValue::Expr(expr) => Some((row.key.text.clone(), expr)),
            _ => None,
        });
        let all: Vec<(String, &'p ast::Expr)> =
            [("loss".to_string(), loss)].into_iter().chain(metric_exprs).collect();
        for (name, expr) in all {
            self.averages = Some(Vec::new());
            let id = self.loss(expr);
            let averages = self.averages.take().unwrap_or_default();
            match id {
                Some(id) => measured.push((name, id, averages, expr.span)),
                None => fine = false,
            }
        }
        let batch = self.batch_symbol(&forward, spec);
        let mut finish = Function::new("eval_finish");
        let mut finished: Vec<(String, Role, NodeId)> = Vec::new();
        if fine {
            for (name, id, averages, span) in measured {
                let role = if name == "loss" && finished.is_empty() { Role::Loss } else { Role::Metric };
                if let Some(value) =
                    self.accumulate(&name, id, &averages, batch.as_deref(), &mut finish, span)
                {
                    finished.push((name, role, value));
                }
            }
        }
        finish.results = finished;
        let fields: Vec<FieldSpec> = forward
            .inputs
            .iter()
            .cloned()
            .chain(self.fields.iter().map(|(name, id)| FieldSpec {
                name: name.clone(),
                ty: self.ty(*id).clone(),
                default: None,
            }))
            .collect();
        let frame = self.frames.pop()?;
        if !fine {
            return None;
        }
        let eval = self.module.functions.push(frame.function);
        let finish = self.module.functions.push(finish);
        Some((eval, finish, fields, batch))
    }

    /// The leading dynamic dimension of the first input that data feeds.
    fn batch_symbol(&self, forward: &Forward, spec: &TrainSpec) -> Option<String> {
        let fed = source_fields(spec.source.as_ref());
        let inputs = forward.inputs.iter().filter(|input| input.ty.rank() > 0);
        let mut inputs = inputs.filter(|input| fed.is_empty() || fed.iter().any(|name| **name == input.name));
        let first = inputs.next()?;
        first.ty.shape.first()?.as_symbol().map(|symbol| symbol.name().to_string())
    }

    /// Makes the results of `eval` for one measure, and its value in `finish`.
    fn accumulate(
        &mut self,
        name: &str,
        value: NodeId,
        averages: &[Average],
        batch: Option<&str>,
        finish: &mut Function,
        span: Span,
    ) -> Option<NodeId> {
        // The loss was cast to `float` where needed; look through that for a curve that stands alone.
        let bare = match &self.frame_ref().function.nodes[value] {
            node if matches!(node.op, Op::Cast(_)) => node.inputs[0],
            _ => value,
        };
        let curve = averages.iter().find_map(|average| match average {
            Average::Ranking { value, scores, labels } => Some((*value, *scores, *labels)),
            Average::Mean { .. } => None,
        });
        if let Some((id, scores, labels)) = curve {
            if id != bare {
                self.unsupported(span, "`roc_auc` inside a larger expression");
                return None;
            }
            self.export(
                &[(format!("{name}.scores.keep"), scores), (format!("{name}.labels.keep"), labels)],
                Role::Metric,
            );
            return None;
        }
        let mut stops: BTreeMap<NodeId, (String, DType)> = BTreeMap::new();
        let mut accumulators: Vec<(String, NodeId)> = Vec::new();
        for (number, average) in averages.iter().enumerate() {
            let Average::Mean { value, total, count } = average else { continue };
            let prefix = format!("{name}.{number}");
            stops.insert(*value, (prefix.clone(), self.ty(*value).dtype));
            accumulators.push((format!("{prefix}.total.sum"), *total));
            accumulators.push((format!("{prefix}.count.sum"), *count));
        }
        let mut slice = Slice { source: &self.frame_ref().function, stops: &stops, done: BTreeMap::new() };
        let mut attempt = finish.clone();
        if let Some(id) = slice.copy(&self.module, &mut attempt, value) {
            *finish = attempt;
            self.export(&accumulators, Role::Metric);
            return Some(id);
        }
        // Not made of library means: the mean over batches, weighted by their rows.
        let rows = match batch {
            Some(symbol) => {
                self.add(ops::Size { dim: shape::Dim::symbol(symbol), dtype: self.float() }, &[], span)?
            }
            None => self.scalar(self.float(), 1.0),
        };
        let total = self.add(ops::Binary { op: kernel::Binary::Mul }, &[value, rows], span)?;
        self.export(
            &[(format!("{name}.total.sum"), total), (format!("{name}.count.sum"), rows)],
            Role::Metric,
        );
        Some(quotient(&self.module, finish, name, self.float()))
    }

    fn build_fit(&mut self, def: &'p ast::Def, fits: &mut Vec<String>) -> Option<FuncId> {
        self.push_frame("fit", FIT, Some(def));
        let forward = self.forward(def);
        let side = std::mem::take(&mut self.frame().side);
        self.export(&side, Role::Metric);
        let frame = self.frames.pop()?;
        forward?;
        fits.extend(side.iter().filter_map(|(name, _)| name.strip_suffix(".count.sum")).map(String::from));
        if fits.is_empty() {
            return None;
        }
        Some(self.module.functions.push(frame.function))
    }
}

fn source_fields(source: Option<&Source>) -> Vec<&String> {
    source.into_iter().flat_map(|source| &source.fields).map(|described| &described.field).collect()
}

/// Copies an expression into `finish`, with library means replaced by quotients of accumulated sums.
struct Slice<'a> {
    source: &'a Function,
    stops: &'a BTreeMap<NodeId, (String, DType)>,
    done: BTreeMap<NodeId, NodeId>,
}

impl Slice<'_> {
    /// `None` where the expression reads anything but constants and means.
    fn copy(&mut self, module: &graph::Module, finish: &mut Function, id: NodeId) -> Option<NodeId> {
        if let Some(done) = self.done.get(&id) {
            return Some(*done);
        }
        let copied = match self.stops.get(&id) {
            Some((prefix, dtype)) => quotient(module, finish, prefix, *dtype),
            None => {
                let node = &self.source.nodes[id];
                if matches!(node.op, Op::Parameter(_) | Op::Random(_))
                    || matches!(&node.op, Op::Size(size) if size.dim.as_const().is_none())
                {
                    return None;
                }
                let inputs: Option<Vec<NodeId>> =
                    node.inputs.iter().map(|input| self.copy(module, finish, *input)).collect();
                let inputs = inputs?;
                let mut builder = Builder::new(module, finish);
                builder.span = node.span;
                builder.try_add(node.op.clone(), &inputs).ok()?
            }
        };
        self.done.insert(id, copied);
        Some(copied)
    }
}

/// `PREFIX.total.sum / max(PREFIX.count.sum, 1)`, over parameters of `finish`.
fn quotient(module: &graph::Module, finish: &mut Function, prefix: &str, dtype: DType) -> NodeId {
    let mut builder = Builder::new(module, finish);
    let param = |builder: &mut Builder<'_>, part: &str| {
        builder.param(Param {
            name: format!("{prefix}.{part}.sum"),
            role: Role::Metric,
            ty: Type::scalar(dtype),
        })
    };
    let total = param(&mut builder, "total");
    let count = param(&mut builder, "count");
    let one = builder.add(ops::Constant { dtype, shape: Vec::new(), bits: vec![1f64.to_bits()] }.into(), &[]);
    let count = builder.add(ops::Binary { op: kernel::Binary::Max }.into(), &[count, one]);
    builder.add(ops::Binary { op: kernel::Binary::Div }.into(), &[total, count])
}
