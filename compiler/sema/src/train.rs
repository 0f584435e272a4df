//! Training as graph: the step (forward, backward, clipping, update) is one function, evaluation is two.

mod alike;
mod evaluation;
mod step;
mod update;

pub(crate) use alike::{FEWEST_ALIKE, Step, numberless};

use crate::{
    api::{Source, TrainSpec},
    checker::Checker,
    entry::{FIT, Forward, RUN, TRAIN},
    frame::{Mode, Weight},
    program::Train,
    value::Value,
};
use base::{Diagnostic, Span};
use grammar::ast::{self};
use graph::{DType, FuncId, NodeId, Param, Role, Type, ops};
use std::collections::BTreeSet;

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
        self.bind_configuration(def);
        for ty in def.inputs.params.iter().filter_map(|param| param.ty.as_ref()) {
            self.bind_dimensions(ty);
        }
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

    /// The leading dynamic dimension of the first input that data feeds.
    fn batch_symbol(&self, forward: &Forward, spec: &TrainSpec) -> Option<String> {
        let fed = source_fields(spec.source.as_ref());
        let inputs = forward.inputs.iter().filter(|input| input.ty.rank() > 0);
        let mut inputs = inputs.filter(|input| fed.is_empty() || fed.iter().any(|name| **name == input.name));
        let first = inputs.next()?;
        first.ty.shape.first()?.as_symbol().map(|symbol| symbol.name().to_string())
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
