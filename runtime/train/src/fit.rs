//! Fitting `standardize` layers: mean and standard deviation of their inputs over the training split.

use crate::{
    Context, Fit, Parameters,
    feed::{Controls, Feed, scalar},
};
use abi::Role;
use base::Diagnostic;
use data::{Loader, Rows, ascending};
use exec::{Arena, Entry};
use tensor::Tensor;

/// Relative error to expect of sums that compiled code makes in f32.
const ROUNDING: f64 = 1e-6;

/// Count, sum and sum of squares of one layer's input, each value minus the layer's present mean.
struct Moments {
    count: f64,
    total: Vec<f64>,
    squares: Vec<f64>,
}

/// Sets the states of all fits. The means start at those of the first batch, so that sums of squares stay small beside
/// what they are sums of, whatever the values' offset.
pub(crate) fn fit(
    context: &Context,
    arena: &mut Arena,
    parameters: &mut Parameters,
    controls: &Controls,
    rows: &Rows,
) -> Result<(), Diagnostic> {
    let passes = context.spec.fits.iter().map(|fit| fit.pass).max().map_or(0, |last| last + 1);
    for pass in 0..passes {
        let fits: Vec<&Fit> = context.spec.fits.iter().filter(|fit| fit.pass == pass).collect();
        let first = rows.first(context.batch()?);
        for (fit, moments) in fits.iter().zip(sweep(context, arena, parameters, controls, &first, &fits)?) {
            write_mean(parameters, fit, &moments)?;
        }
        for (fit, moments) in fits.iter().zip(sweep(context, arena, parameters, controls, rows, &fits)?) {
            write_std(parameters, fit, &moments)?;
            write_mean(parameters, fit, &moments)?;
        }
    }
    Ok(())
}

fn sweep(
    context: &Context,
    arena: &mut Arena,
    parameters: &Parameters,
    controls: &Controls,
    rows: &Rows,
    fits: &[&Fit],
) -> Result<Vec<Moments>, Diagnostic> {
    let entry = context.program.entry("fit")?;
    let mut fields = Vec::new();
    let feed = Feed::new(entry, context.dataset, &mut fields, parameters, controls)?;
    let mut all: Vec<Option<Moments>> = fits.iter().map(|_| None).collect();
    let plan = ascending(rows, context.batch()?);
    Loader::new(context.dataset, fields).load(plan, |batches| {
        while let Some(batch) = batches.next_batch()? {
            let args = feed.args(&batch.fields, parameters, controls);
            let results = entry.call(arena, context.pool, &args, &context.spec.dims)?;
            for (fit, sum) in fits.iter().zip(&mut all) {
                let batch = Moments::of(entry, fit, &results)?;
                match sum {
                    Some(sum) => sum.add(&batch),
                    None => *sum = Some(batch),
                }
            }
        }
        Ok(())
    })?;
    let nothing = || Diagnostic::error("E0633", "there are no rows to fit `standardize` on");
    all.into_iter().map(|moments| moments.ok_or_else(nothing)).collect()
}

impl Moments {
    fn of(entry: &Entry, fit: &Fit, results: &[Tensor]) -> Result<Moments, Diagnostic> {
        let find = |part: &str| {
            let name = format!("{}.{part}.sum", fit.name);
            let index = entry.info().results.iter().position(|result| result.name == name);
            let tensor = index.map(|index| &results[index]);
            tensor.ok_or_else(|| Diagnostic::error("E0812", format!("entry `fit` does not give `{name}`")))
        };
        let count = scalar(entry, "count", find("count")?)?;
        let (total, squares) = (find("total")?.to_f64_vec(), find("squares")?.to_f64_vec());
        if total.len() != squares.len() {
            return Err(Diagnostic::error("E0812", format!("the sums of `{}` differ in size", fit.name)));
        }
        Ok(Moments { count, total, squares })
    }

    fn add(&mut self, other: &Moments) {
        self.count += other.count;
        for (mine, theirs) in [(&mut self.total, &other.total), (&mut self.squares, &other.squares)] {
            mine.iter_mut().zip(theirs).for_each(|(sum, value)| *sum += value);
        }
    }
}

/// Moves the state by the mean of what was measured relative to it.
fn write_mean(parameters: &mut Parameters, fit: &Fit, moments: &Moments) -> Result<(), Diagnostic> {
    let count = moments.count.max(1.0);
    change(parameters, &fit.mean, &moments.total, |old, total| old + total / count)
}

/// Biased, around the true mean; a constant column keeps its scale.
fn write_std(parameters: &mut Parameters, fit: &Fit, moments: &Moments) -> Result<(), Diagnostic> {
    let count = moments.count.max(1.0);
    let deviations: Vec<f64> = moments
        .total
        .iter()
        .zip(&moments.squares)
        .map(|(total, squares)| deviation(total / count, squares / count))
        .collect();
    change(parameters, &fit.std, &deviations, |_, deviation| if deviation == 0.0 { 1.0 } else { deviation })
}

/// From the first two moments. All but equal squares mean equal values: what is left of the difference is rounding, and
/// dividing by it would blow the rounding up.
fn deviation(mean: f64, mean_square: f64) -> f64 {
    let variance = mean_square - mean * mean;
    if variance <= mean_square * ROUNDING { 0.0 } else { variance.sqrt() }
}

fn change(
    parameters: &mut Parameters,
    state: &str,
    values: &[f64],
    rule: impl Fn(f64, f64) -> f64,
) -> Result<(), Diagnostic> {
    let index = parameters.require(Role::State, state)?;
    let old = parameters.at(index);
    if old.len() != values.len() {
        return Err(Diagnostic::error(
            "E0812",
            format!("the state `{state}` has {} elements, its fit {}", old.len(), values.len()),
        ));
    }
    let new: Vec<f64> =
        old.to_f64_vec().into_iter().zip(values).map(|(old, value)| rule(old, *value)).collect();
    let new = Tensor::from_vec(old.shape().to_vec(), new)?.cast(old.dtype())?;
    *parameters.at_mut(index) = new;
    Ok(())
}
