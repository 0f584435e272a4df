//! An entry point with everything it reads in place: calling it again costs the call and no more.

use abi::Role;
use base::Diagnostic;
use exec::{Arena, Dims, Entry, Pool, Program};
use std::{collections::BTreeMap, mem::swap};
use tensor::{DType, Tensor};

pub struct Bound {
    program: Program,
    entry: usize,
    pool: Pool,
    arena: Arena,
    args: Vec<Tensor>,
    results: Vec<Tensor>,
    /// Results that are the next call's arguments: what training changes.
    swaps: Vec<(usize, usize)>,
    /// The argument that counts the updates.
    step: Option<usize>,
}

impl Bound {
    /// `weights` holds weights, states and what the optimiser remembers, by the arguments' names.
    pub fn new(
        program: Program,
        entry: &str,
        pool: Pool,
        inputs: &BTreeMap<String, Tensor>,
        weights: &BTreeMap<String, Tensor>,
        seed: u64,
    ) -> Result<Bound, Diagnostic> {
        let lacks = || Diagnostic::error("E0805", format!("the code has no entry point `{entry}`"));
        let index = program.entries().iter().position(|it| it.name() == entry).ok_or_else(lacks)?;
        let found = &program.entries()[index];
        let args = args(found, inputs, weights, seed)?;
        let given: Vec<&Tensor> = args.iter().collect();
        let (_, shapes) = found.plan(&given, &Dims::new())?;
        let results = shapes.into_iter().enumerate();
        let results = results
            .map(|(result, shape)| Tensor::zeros(found.result_dtype(result), shape))
            .collect::<Result<Vec<_>, _>>()?;
        let changed = |role| matches!(role, Role::Weight | Role::State | Role::Optimizer);
        let of_results = found.info().results.iter().enumerate().filter(|(_, info)| changed(info.role));
        let swaps = of_results
            .filter_map(|(result, info)| Some((result, found.arg(info.role, &info.name)?)))
            .collect();
        let step = found.arg(Role::Control, "step");
        Ok(Bound { entry: index, arena: Arena::new(), args, results, swaps, step, program, pool })
    }

    pub fn call(&mut self) -> Result<(), Diagnostic> {
        let entry = &self.program.entries()[self.entry];
        let args: Vec<&Tensor> = self.args.iter().collect();
        let mut results: Vec<&mut Tensor> = self.results.iter_mut().collect();
        entry.call_into(&mut self.arena, &self.pool, &args, &mut results, &Dims::new())?;
        for (result, arg) in &self.swaps {
            swap(&mut self.results[*result], &mut self.args[*arg]);
        }
        let step = self.step.and_then(|step| self.args[step].as_mut_slice::<i64>());
        if let Some([step]) = step {
            *step += 1;
        }
        Ok(())
    }

    /// Outputs by name; of a step of training its `loss`.
    pub fn results(&self) -> BTreeMap<String, Tensor> {
        let infos = &self.program.entries()[self.entry].info().results;
        let told = infos.iter().zip(&self.results);
        told.filter(|(info, _)| matches!(info.role, Role::Output | Role::Loss))
            .map(|(info, tensor)| (info.name.clone(), tensor.clone()))
            .collect()
    }

    pub fn threads(&self) -> usize {
        self.pool.threads()
    }
}

fn args(
    entry: &Entry,
    inputs: &BTreeMap<String, Tensor>,
    weights: &BTreeMap<String, Tensor>,
    seed: u64,
) -> Result<Vec<Tensor>, Diagnostic> {
    let mut args = Vec::new();
    for (index, arg) in entry.info().args.iter().enumerate() {
        let dtype = entry.arg_dtype(index);
        let missing = |what| Diagnostic::error("E0822", format!("there is no {what} `{}`", arg.name));
        args.push(match arg.role {
            Role::Input => inputs.get(&arg.name).ok_or_else(|| missing("input"))?.convert(dtype)?,
            Role::Control => control(&arg.name, dtype, seed)?,
            Role::Weight | Role::State | Role::Optimizer => {
                let tensor = weights.get(&arg.name).ok_or_else(|| missing("weight"))?;
                train::fit_dtype(&arg.name, tensor, dtype, true)?
            }
            _ => {
                let message =
                    format!("an update from several batches is not measured: it takes `{}`", arg.name);
                return Err(Diagnostic::error("E0501", message));
            }
        });
    }
    Ok(args)
}

/// Steps of the run that schedules are made for.
const TOTAL_STEPS: i64 = 1_000_000;

fn control(name: &str, dtype: DType, seed: u64) -> Result<Tensor, Diagnostic> {
    let value = match name {
        "seed" => seed.cast_signed(),
        "total_steps" => TOTAL_STEPS,
        "share" | "lr_scale" => 1,
        _ => 0,
    };
    Tensor::from_vec([], [value])?.cast(dtype)
}
