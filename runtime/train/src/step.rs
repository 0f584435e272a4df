//! The compiled training step, with two sets of buffers: it reads one and writes the other.

use crate::{
    Context, Parameters,
    feed::{Controls, Feed, scalar, unknown},
};
use abi::Role;
use base::Diagnostic;
use exec::{Arena, Entry};
use tensor::Tensor;

pub(crate) struct Stepper<'a> {
    entry: &'a Entry,
    feed: Feed,
    /// Every result's memory; empty before the first step, whose batch tells the shapes.
    results: Vec<Tensor>,
    /// Which result takes the place of which parameter.
    replaces: Vec<(usize, usize)>,
    loss: usize,
    /// Numbers beside the loss: the learning rate, the norm of the gradient.
    measured: Vec<(usize, String)>,
}

pub(crate) struct StepReport {
    pub loss: f64,
    pub lr: Option<f64>,
    pub metrics: Vec<(String, f64)>,
}

impl<'a> Stepper<'a> {
    pub fn new(
        context: &Context<'a>,
        parameters: &Parameters,
        controls: &Controls,
    ) -> Result<Stepper<'a>, Diagnostic> {
        let entry = context.program.entry("step")?;
        let feed = Feed::new(entry, context.dataset, parameters, controls)?;
        let (mut replaces, mut measured, mut loss) = (Vec::new(), Vec::new(), None);
        for (index, info) in entry.info().results.iter().enumerate() {
            match info.role {
                Role::Weight | Role::State | Role::Optimizer => {
                    let target = parameters.index(info.role, &info.name);
                    replaces.push((index, target.ok_or_else(|| unknown(entry, "result", &info.name))?));
                }
                Role::Loss => loss = Some(index),
                Role::Metric => measured.push((index, info.name.clone())),
                _ => return Err(unknown(entry, "result", &info.name)),
            }
        }
        let loss = loss.ok_or_else(|| Diagnostic::error("E0812", "entry `step` gives no loss"))?;
        Ok(Stepper { entry, feed, results: Vec::new(), replaces, loss, measured })
    }

    /// One update from these rows. Where it fails, the parameters stay what they were.
    pub fn run(
        &mut self,
        context: &Context,
        arena: &mut Arena,
        parameters: &mut Parameters,
        controls: &Controls,
        rows: &[usize],
    ) -> Result<StepReport, Diagnostic> {
        let batch = self.feed.gather(context.dataset, rows);
        let args = self.feed.args(&batch, parameters, controls);
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
        for (result, parameter) in &self.replaces {
            std::mem::swap(&mut self.results[*result], parameters.at_mut(*parameter));
        }
        Ok(StepReport { loss, lr, metrics })
    }
}
