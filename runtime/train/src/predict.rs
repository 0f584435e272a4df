//! The model's outputs for every row of a split.

use crate::{
    Context, Parameters, SplitName,
    feed::{Controls, Feed, concatenate},
};
use abi::Role;
use base::Diagnostic;
use data::{Loader, in_order};
use exec::Arena;
use tensor::Tensor;

/// The outputs of entry `run` by name, one row for each of [`Context::rows`], in that order.
pub fn predict(
    context: &Context,
    parameters: &Parameters,
    split: SplitName,
) -> Result<Vec<(String, Tensor)>, Diagnostic> {
    let rows = context.rows(split)?;
    let controls = Controls::new(context.spec.seed, 0)?;
    let entry = context.program.entry("run")?;
    let mut fields = Vec::new();
    let feed = Feed::new(entry, context.dataset, &mut fields, parameters, &controls)?;
    let mut arena = Arena::new();
    let mut outputs: Vec<(usize, Vec<Tensor>)> = Vec::new();
    for (index, info) in entry.info().results.iter().enumerate() {
        if info.role == Role::Output {
            outputs.push((index, Vec::new()));
        }
    }
    let plan = in_order(&rows, context.batch()?);
    Loader::new(context.dataset, fields).load(plan, |batches| {
        while let Some(batch) = batches.next_batch()? {
            let args = feed.args(&batch.fields, parameters, &controls);
            let results = entry.call(&mut arena, context.pool, &args, &context.spec.dims)?;
            for (index, parts) in &mut outputs {
                let result = &results[*index];
                if result.row_count() != batch.rows {
                    let name = &entry.info().results[*index].name;
                    return Err(Diagnostic::error(
                        "E0812",
                        format!("the output `{name}` does not have one row for each row of the batch"),
                    )
                    .help("run the model on one input instead of a split"));
                }
                parts.push(result.clone());
            }
        }
        Ok(())
    })?;
    let named = outputs.into_iter().map(|(index, parts)| {
        let name = entry.info().results[index].name.clone();
        let whole = concatenate(&name, &parts)?;
        Ok((name, whole))
    });
    named.collect()
}
