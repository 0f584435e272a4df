//! Evaluation: sums that are accumulated over the batches of a split, and what is made of them at its end.

use crate::{
    api::{FieldSpec, TrainSpec},
    checker::{Average, Checker},
    entry::RUN,
    program::Train,
    settings::TrainExprs,
};
use base::Span;
use grammar::ast::{self, SettingValue};
use graph::{Builder, DType, FuncId, Function, NodeId, Op, Param, Role, Type, ops};
use std::collections::BTreeMap;

impl<'p> Checker<'p> {
    /// `eval` gives accumulators for one batch, `finish` the loss and metrics of all that was accumulated.
    #[allow(clippy::type_complexity, reason = "four things that are found in one walk")]
    pub(super) fn build_eval(
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
        let mut stops: BTreeMap<NodeId, (String, DType, Gathered)> = BTreeMap::new();
        let mut accumulators: Vec<(String, NodeId)> = Vec::new();
        let mut ranked = false;
        for (number, average) in averages.iter().enumerate() {
            let prefix = format!("{name}.{number}");
            match average {
                Average::Mean { value, total, count } => {
                    stops.insert(*value, (prefix.clone(), self.ty(*value).dtype, Gathered::Sums));
                    accumulators.push((format!("{prefix}.total.sum"), *total));
                    accumulators.push((format!("{prefix}.count.sum"), *count));
                }
                Average::Ranking { value: id, scores, labels } => {
                    // Alone, the host's value is the metric.
                    let alone = *id == bare;
                    let prefix = if alone { name.to_string() } else { prefix };
                    let kept = [
                        (format!("{prefix}.scores.keep"), *scores),
                        (format!("{prefix}.labels.keep"), *labels),
                    ];
                    if alone {
                        self.export(&kept, Role::Metric);
                        return None;
                    }
                    ranked = true;
                    accumulators.extend(kept);
                    stops.insert(*id, (prefix, self.ty(*id).dtype, Gathered::Curve));
                }
            }
        }
        let mut slice = Slice { source: &self.frame_ref().function, stops: &stops, done: BTreeMap::new() };
        let mut attempt = finish.clone();
        if let Some(id) = slice.copy(&self.module, &mut attempt, value) {
            *finish = attempt;
            self.export(&accumulators, Role::Metric);
            return Some(id);
        }
        if ranked {
            self.unsupported(span, "`roc_auc` combined with anything but numbers and metrics of the library");
            return None;
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
}

/// How the host makes one value of what the batches left.
#[derive(Clone, Copy)]
enum Gathered {
    Sums,
    Curve,
}

/// Copies an expression into `finish`, with library means replaced by quotients of accumulated sums.
struct Slice<'a> {
    source: &'a Function,
    stops: &'a BTreeMap<NodeId, (String, DType, Gathered)>,
    done: BTreeMap<NodeId, NodeId>,
}

impl Slice<'_> {
    /// `None` where the expression reads anything but constants and means.
    fn copy(&mut self, module: &graph::Module, finish: &mut Function, id: NodeId) -> Option<NodeId> {
        if let Some(done) = self.done.get(&id) {
            return Some(*done);
        }
        let copied = match self.stops.get(&id) {
            Some((prefix, dtype, Gathered::Sums)) => quotient(module, finish, prefix, *dtype),
            Some((prefix, dtype, Gathered::Curve)) => Builder::new(module, finish).param(Param {
                name: format!("{prefix}.auc"),
                role: Role::Metric,
                ty: Type::scalar(*dtype),
            }),
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
