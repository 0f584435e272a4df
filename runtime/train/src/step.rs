//! The compiled training step, with two sets of buffers: it reads one and writes the other.

use crate::{
    Context, Parameters,
    feed::{Controls, Feed, scalar, unknown},
};
use abi::Role;
use base::Diagnostic;
use data::Batches;
use exec::{Arena, Entry};
use tensor::Tensor;

/// Before the name of a weight: the sum of its gradients over the batches of an update so far.
const GRADIENT_PREFIX: &str = "gradient/";

pub(crate) struct Stepper<'a> {
    /// Takes every batch of an update but the last; `None` where an update has only one.
    accumulate: Option<Pass<'a>>,
    step: Pass<'a>,
    gradients: Vec<Tensor>,
    /// What a batch has to have, by the fields' numbers in the data.
    pub fields: Vec<usize>,
}

pub(crate) struct StepReport {
    pub loss: f64,
    pub lr: Option<f64>,
    pub metrics: Vec<(String, f64)>,
}

/// One of the two entries that take a batch.
struct Pass<'a> {
    entry: &'a Entry,
    feed: Feed,
    /// Every result's memory; empty before the first call, whose batch tells the shapes.
    results: Vec<Tensor>,
    /// Which result takes whose place.
    replaces: Vec<(usize, Place)>,
    loss: usize,
    /// Numbers beside the loss: the learning rate, the norm of the gradient.
    measured: Vec<(usize, String)>,
}

#[derive(Clone, Copy)]
enum Place {
    Parameter(usize),
    Gradient(usize),
}

impl<'a> Stepper<'a> {
    pub fn new(
        context: &Context<'a>,
        parameters: &Parameters,
        controls: &Controls,
    ) -> Result<Stepper<'a>, Diagnostic> {
        let entry = context.program.entry("step")?;
        let (mut names, mut gradients, mut fields) = (Vec::new(), Vec::new(), Vec::new());
        for (index, arg) in entry.info().args.iter().enumerate() {
            if arg.role == Role::Gradient {
                let weight = arg.name.strip_prefix(GRADIENT_PREFIX);
                let weight = weight.and_then(|weight| parameters.get(Role::Weight, weight));
                let weight = weight.ok_or_else(|| unknown(entry, "argument", &arg.name))?;
                gradients.push(Tensor::zeros(entry.arg_dtype(index), weight.shape().to_vec())?);
                names.push(arg.name.clone());
            }
        }
        let mut pass = |entry| Pass::new(context, entry, &mut fields, parameters, controls, &names);
        let accumulate = match context.spec.accumulate {
            0 | 1 => None,
            _ => Some(pass(context.program.entry("accumulate")?)?),
        };
        let step = pass(entry)?;
        Ok(Stepper { accumulate, step, gradients, fields })
    }

    /// One update from the next so many rows, which are one batch, or several where gradients are accumulated.
    pub fn run(
        &mut self,
        context: &Context,
        arena: &mut Arena,
        parameters: &mut Parameters,
        controls: &mut Controls,
        batches: &mut Batches,
        rows: usize,
    ) -> Result<StepReport, Diagnostic> {
        self.gradients.iter_mut().for_each(|sum| sum.bytes_mut().fill(0));
        let parts = rows.div_ceil(context.batch()?);
        let last = parts.saturating_sub(1);
        let mut loss = 0.0;
        for part in 0..parts {
            let Some(batch) = batches.next_batch()? else { break };
            // A short batch counts for as many rows as it has, so that an update is that of one large batch.
            let share = batch.rows as f64 / rows as f64;
            controls.set_part(part as u64, share);
            let pass = match &mut self.accumulate {
                Some(accumulate) if part < last => accumulate,
                _ => &mut self.step,
            };
            let report =
                pass.run(context, arena, parameters, controls, &mut self.gradients, &batch.fields)?;
            loss += share * report.loss;
            if part == last {
                return Ok(StepReport { loss, ..report });
            }
        }
        Err(Diagnostic::error("E0813", "an update of 0 rows trains nothing"))
    }
}

impl<'a> Pass<'a> {
    fn new(
        context: &Context<'a>,
        entry: &'a Entry,
        fields: &mut Vec<usize>,
        parameters: &Parameters,
        controls: &Controls,
        gradients: &[String],
    ) -> Result<Pass<'a>, Diagnostic> {
        let feed = Feed::training(entry, context.dataset, fields, parameters, controls, gradients)?;
        let (mut replaces, mut measured, mut loss) = (Vec::new(), Vec::new(), None);
        for (index, info) in entry.info().results.iter().enumerate() {
            let unknown = || unknown(entry, "result", &info.name);
            match info.role {
                Role::Weight | Role::State | Role::Optimizer => {
                    let target = parameters.index(info.role, &info.name).ok_or_else(unknown)?;
                    replaces.push((index, Place::Parameter(target)));
                }
                Role::Gradient => {
                    let target = gradients.iter().position(|name| *name == info.name).ok_or_else(unknown)?;
                    replaces.push((index, Place::Gradient(target)));
                }
                Role::Loss => loss = Some(index),
                Role::Metric => measured.push((index, info.name.clone())),
                _ => return Err(unknown()),
            }
        }
        let none = || Diagnostic::error("E0812", format!("entry `{}` gives no loss", entry.name()));
        Ok(Pass { entry, feed, results: Vec::new(), replaces, loss: loss.ok_or_else(none)?, measured })
    }

    /// Takes one batch. Where it fails, parameters and gradients stay what they were.
    fn run(
        &mut self,
        context: &Context,
        arena: &mut Arena,
        parameters: &mut Parameters,
        controls: &Controls,
        gradients: &mut [Tensor],
        batch: &[Tensor],
    ) -> Result<StepReport, Diagnostic> {
        let args = self.feed.args_with(batch, parameters, controls, gradients);
        let dims = &context.spec.dims;
        if self.results.is_empty() {
            let (_, shapes) = self.entry.plan(&args, dims)?;
            let typed = shapes.into_iter().enumerate();
            self.results = typed
                .map(|(index, shape)| Tensor::zeros(self.entry.result_dtype(index), shape))
                .collect::<Result<_, _>>()?;
        }
        let mut targets: Vec<&mut Tensor> = self.results.iter_mut().collect();
        self.entry.call_into(arena, context.pool, &args, &mut targets, dims)?;
        let number =
            |index: usize| scalar(self.entry, &self.entry.info().results[index].name, &self.results[index]);
        let loss = number(self.loss)?;
        if !loss.is_finite() {
            return Err(Diagnostic::error("E0810", format!("the loss became {loss}"))
                .help("lower the learning rate, clip gradients with `clip = global_norm(1.0)`, or look for the first NaN with `dlc run --nan`"));
        }
        let (mut lr, mut metrics) = (None, Vec::new());
        for (index, name) in &self.measured {
            match name.as_str() {
                "lr" => lr = Some(number(*index)?),
                _ => metrics.push((name.clone(), number(*index)?)),
            }
        }
        for (result, place) in &self.replaces {
            let target = match place {
                Place::Parameter(index) => parameters.at_mut(*index),
                Place::Gradient(index) => &mut gradients[*index],
            };
            std::mem::swap(&mut self.results[*result], target);
        }
        Ok(StepReport { loss, lr, metrics })
    }
}
