//! What every arm is held to: the model in f64, and how much work it is.

use super::{Arrays, Job};
use crate::{
    cx::Cx,
    fault::{Fault, InSession},
    parameters,
    verbs::arm::{Bound, Fixed, build, options},
};
use base::Diagnostic;
use bench_suite::{Cell, Reference, Work};
use driver::{NoCache, Profile, Session, Trace};
use exec::{Dims, Pool};
use sema::Built;
use shape::Symbol;
use std::{collections::BTreeMap, path::Path};
use tensor::Tensor;

/// Steps of training whose losses are compared.
const STEPS: usize = 3;

pub struct Definition<'a> {
    cx: &'a Cx,
    job: &'a Job,
    source: &'a Path,
    settings: BTreeMap<String, String>,
    trains: bool,
    inputs: &'a Arrays,
}

impl<'a> Definition<'a> {
    pub fn new(
        cx: &'a Cx,
        job: &'a Job,
        source: &'a Path,
        cell: &Cell,
        inputs: &'a Arrays,
    ) -> Definition<'a> {
        let settings = job.model.settings_of(cell);
        Definition { cx, job, source, settings, trains: cell.mode.trains(), inputs }
    }

    fn built(&self, precision: &str) -> Result<(Session, Built), Fault> {
        self.built_with(options(self.cx, &self.settings, precision, "compiled")?)
    }

    fn built_with(&self, options: driver::Options) -> Result<(Session, Built), Fault> {
        let model = self.job.model.model.as_deref();
        build(self.cx, self.source, model, options, self.trains, self.inputs, Fixed::Yes)
    }

    fn entry(&self) -> &'static str {
        if self.trains { "step" } else { "run" }
    }

    /// Ready to be called in this precision, with the times of its kernels where they are asked for.
    fn bound(
        &self,
        precision: &str,
        weights: &Arrays,
        profile: bool,
        threads: usize,
    ) -> Result<(Bound, Profile), Fault> {
        let mut options = options(self.cx, &self.settings, precision, "compiled")?;
        options.profile = profile;
        let (session, built) = self.built_with(options)?;
        let entries = Session::entries(&built, &[self.entry(), "init", "reset"]);
        let compiled = session.compile(&built, &entries, &NoCache, &mut Trace::default()).within(&session)?;
        let (program, profile) = compiled.load_profiled().within(&session)?;
        let pool = Pool::new(threads)?;
        let mut all = weights.clone();
        for entry in ["init", "reset"] {
            if program.entry(entry).is_ok() {
                for (name, tensor) in
                    parameters::initial_values(entry, self.cx, &program, &pool, &Dims::new())?
                {
                    all.entry(name).or_insert(tensor);
                }
            }
        }
        let seed = parameters::seed(self.cx);
        Ok((Bound::new(program, self.entry(), pool, self.inputs, &all, seed)?, profile))
    }

    /// As the arm `dlc` runs it, but with a clock in every kernel call.
    pub fn profiled(&self, cell: &Cell, weights: &Arrays) -> Result<(Bound, Profile), Fault> {
        self.bound(&cell.precision, weights, true, cell.threads)
    }
}

impl Reference for Definition<'_> {
    type Fault = Fault;

    fn weights(&mut self) -> Result<Arrays, Fault> {
        let (session, built) = self.built("f32")?;
        let entries = Session::entries(&built, &["init"]);
        let compiled = session.compile(&built, &entries, &NoCache, &mut Trace::default()).within(&session)?;
        let program = compiled.load().within(&session)?;
        let pool = Pool::new(0)?;
        let all = parameters::initial_values("init", self.cx, &program, &pool, &Dims::new())?;
        let kept = built.weights.iter().chain(&built.states).chain(&built.training_weights);
        let names: Vec<&str> = kept.map(|info| info.name.as_str()).collect();
        Ok(all.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect())
    }

    fn results(&mut self, weights: &Arrays, _: &Arrays) -> Result<Arrays, Fault> {
        let (mut bound, _) = self.bound("f64", weights, false, 0)?;
        if !self.trains {
            bound.call()?;
            return Ok(bound.results());
        }
        let mut losses = Vec::new();
        for _ in 0..STEPS {
            bound.call()?;
            let loss = bound.results().remove("loss");
            let loss = loss.ok_or_else(|| Diagnostic::error("E0812", "entry `step` gives no loss"))?;
            losses.extend(loss.to_f64_vec());
        }
        Ok(BTreeMap::from([("loss".to_string(), Tensor::from_vec([losses.len()], losses)?)]))
    }

    fn work(&mut self, results: &Arrays) -> Result<Work, Fault> {
        let (session, built) = self.built("f32")?;
        let entries = Session::entries(&built, &[self.entry()]);
        let module = session.optimize(&built, &entries, &mut Trace::default()).within(&session)?;
        let account = entries.first().map(|(_, id)| driver::account(&module, *id, session.options.float));
        let none: BTreeMap<Symbol, i64> = BTreeMap::new();
        let flops = account.and_then(|account| account.total.total().eval(&none).ok());
        let mut bytes = 0;
        let of = if self.trains {
            &built.train.as_ref().map(|train| train.fields.clone()).unwrap_or_default()
        } else {
            &built.inputs
        };
        for field in of {
            bytes += self.inputs.get(&field.name).map_or(0, |tensor| tensor.bytes().len());
        }
        let weights = built.weights.iter().chain(&built.states);
        for info in weights {
            let count: Option<i64> = info.ty.shape.iter().map(|dim| dim.eval(&none).ok()).product();
            bytes += count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0) * 4;
        }
        // The reference is f64, what is measured f32.
        let found = results.values().filter(|_| !self.trains);
        let narrow = |tensor: &Tensor| if tensor.dtype() == tensor::DType::F64 { 2 } else { 1 };
        bytes += found.map(|tensor| tensor.bytes().len() / narrow(tensor)).sum::<usize>();
        Ok(Work { flops: flops.map(|flops| flops as f64), bytes: Some(bytes as f64) })
    }
}
