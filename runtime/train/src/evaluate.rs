//! Loss and metrics over a whole split: sums of every batch first, then the outer expressions, once.

use crate::{
    Context, Parameters, SplitName,
    feed::{Controls, Feed, concatenate, scalar, unknown},
    roc_auc,
};
use abi::Role;
use base::Diagnostic;
use data::{Loader, Rows, in_order};
use exec::{Arena, Entry};
use std::collections::BTreeMap;
use tensor::{DType, Tensor};

/// What a split measures.
#[derive(Clone, PartialEq, Debug)]
pub struct Evaluation {
    pub split: SplitName,
    pub rows: usize,
    pub loss: f64,
    /// In the order of the source.
    pub metrics: Vec<(String, f64)>,
}

impl Evaluation {
    /// `loss`, or a metric by its name.
    pub fn value(&self, name: &str) -> Option<f64> {
        if name == "loss" {
            return Some(self.loss);
        }
        self.metrics.iter().find(|(metric, _)| metric == name).map(|(_, value)| *value)
    }
}

/// What the batches leave behind, by the name of the result.
#[derive(Default)]
struct Accumulators {
    /// `*.sum`: added up in f64.
    sums: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    /// `*.keep`: one after the other.
    kept: BTreeMap<String, Vec<Tensor>>,
}

/// Measures `parameters` on a split.
pub fn evaluate(
    context: &Context,
    parameters: &Parameters,
    split: SplitName,
) -> Result<Evaluation, Diagnostic> {
    let rows = context.rows(split)?;
    let controls = Controls::new(context.spec.seed, 0)?;
    measure(context, &mut Arena::new(), parameters, &controls, split, &rows)
}

pub(crate) fn measure(
    context: &Context,
    arena: &mut Arena,
    parameters: &Parameters,
    controls: &Controls,
    split: SplitName,
    rows: &Rows,
) -> Result<Evaluation, Diagnostic> {
    let (batch, dims) = (context.batch()?, &context.spec.dims);
    let entry = context.program.entry("eval")?;
    let mut fields = Vec::new();
    let feed = Feed::new(entry, context.dataset, &mut fields, parameters, controls)?;
    let mut accumulators = Accumulators::default();
    Loader::new(context.dataset, fields).load(in_order(rows, batch), |batches| {
        while let Some(batch) = batches.next_batch()? {
            let args = feed.args(&batch.fields, parameters, controls);
            accumulators.add(entry, entry.call(arena, context.pool, &args, dims)?)?;
        }
        Ok(())
    })?;
    let accumulated = accumulators.finish()?;
    let finish = context.program.entry("eval_finish")?;
    let args: Vec<Tensor> = finish
        .info()
        .args
        .iter()
        .enumerate()
        .map(|(index, arg)| {
            let dtype = finish.arg_dtype(index);
            let found = accumulated.get(&arg.name).map(|tensor| tensor.cast(dtype)).or_else(|| {
                let area = auc(arg.name.strip_suffix(".auc")?, &accumulated)?;
                Some(Tensor::from_vec([], [area]).and_then(|area| area.cast(dtype)))
            });
            let other =
                || parameters.get(arg.role, &arg.name).or_else(|| controls.get(&arg.name)).cloned().map(Ok);
            found.or_else(other).unwrap_or_else(|| Err(unknown(finish, "argument", &arg.name)))
        })
        .collect::<Result<_, Diagnostic>>()?;
    let results = finish.call(arena, context.pool, &args.iter().collect::<Vec<_>>(), dims)?;
    let mut values = BTreeMap::new();
    let mut loss = None;
    for (info, result) in finish.info().results.iter().zip(&results) {
        let value = scalar(finish, &info.name, result)?;
        match info.role {
            Role::Loss => loss = Some(value),
            Role::Metric => drop(values.insert(info.name.as_str(), value)),
            _ => return Err(unknown(finish, "result", &info.name)),
        }
    }
    let metrics = context.spec.metrics.iter().map(|metric| {
        let value = values.get(metric.name.as_str()).copied().or_else(|| auc(&metric.name, &accumulated));
        let missing = || {
            Diagnostic::error(
                "E0812",
                format!(
                    "the code of `{}` does not compute the metric `{}`",
                    context.program.model(),
                    metric.name
                ),
            )
        };
        Ok((metric.name.clone(), value.ok_or_else(missing)?))
    });
    Ok(Evaluation {
        split,
        rows: rows.len(),
        loss: loss.ok_or_else(|| Diagnostic::error("E0812", "entry `eval_finish` gives no loss"))?,
        metrics: metrics.collect::<Result<_, Diagnostic>>()?,
    })
}

impl Accumulators {
    fn add(&mut self, entry: &Entry, results: Vec<Tensor>) -> Result<(), Diagnostic> {
        for (info, result) in entry.info().results.iter().zip(results) {
            if info.name.ends_with(".keep") {
                self.kept.entry(info.name.clone()).or_default().push(result);
            } else if info.name.ends_with(".sum") {
                self.add_sum(&info.name, &result)?;
            } else {
                return Err(unknown(entry, "result", &info.name));
            }
        }
        Ok(())
    }

    fn add_sum(&mut self, name: &str, result: &Tensor) -> Result<(), Diagnostic> {
        let (shape, sums) = self
            .sums
            .entry(name.to_string())
            .or_insert_with(|| (result.shape().to_vec(), vec![0.0; result.len()]));
        if shape != result.shape() {
            return Err(Diagnostic::error(
                "E0812",
                format!("`{name}` changes its shape from batch to batch"),
            ));
        }
        sums.iter_mut().zip(result.to_f64_vec()).for_each(|(sum, value)| *sum += value);
        Ok(())
    }

    fn finish(self) -> Result<BTreeMap<String, Tensor>, Diagnostic> {
        let sums =
            self.sums.into_iter().map(|(name, (shape, sums))| Ok((name, Tensor::from_vec(shape, sums)?)));
        let kept = self.kept.into_iter().map(|(name, parts)| {
            let whole = concatenate(&name, &parts)?;
            Ok((name, whole))
        });
        sums.chain(kept).collect()
    }
}

/// The exact area under the ROC curve, where the batches kept its scores and labels.
fn auc(metric: &str, accumulated: &BTreeMap<String, Tensor>) -> Option<f64> {
    let scores = accumulated.get(&format!("{metric}.scores.keep"))?.to_f64_vec();
    let labels = accumulated.get(&format!("{metric}.labels.keep"))?;
    let positive: Vec<bool> = match labels.dtype() {
        DType::Bool => labels.to_bool_vec()?,
        _ => labels.to_f64_vec().into_iter().map(|label| label > 0.5).collect(),
    };
    (scores.len() == positive.len()).then(|| roc_auc(&scores, &positive))
}
