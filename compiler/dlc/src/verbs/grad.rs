//! `dlc grad`: the loss and the gradient of every weight for one batch.

use crate::{
    cx::Cx,
    dataset,
    fault::{Fault, InSession},
    output, parameters, training,
};
use abi::Role;
use base::Diagnostic;
use clap::Args;
use driver::{Session, Trace};
use std::{collections::BTreeMap, path::PathBuf};
use tensor::{Tensor, safetensors::Weights};

/// Loss and gradients for one batch, as training computes them
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc grad digits.model --input batch.npz --weights w.safetensors --output grads.safetensors"
)]
pub struct Arguments {
    file: PathBuf,
    /// The batch: in.npz with fields by name, NAME=file.npy, or `-`; without it, the first batch of the model's data
    #[arg(long, value_name = "SOURCE")]
    input: Vec<String>,
    /// Weights and states; without it they are initial ones from the seed
    #[arg(long, value_name = "W.safetensors")]
    weights: Option<PathBuf>,
    /// Where loss and gradients go; without it their sizes are printed
    #[arg(long, value_name = "GRADS.safetensors")]
    output: Option<PathBuf>,
    /// Where the data lie, for a batch from the model's data: PATH, or NAME=PATH for the field NAME
    #[arg(long, value_name = "[NAME=]PATH")]
    data: Vec<String>,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let session = cx.session(&arguments.file)?;
    let (built, warnings) = session.build(cx.model(), true).within(&session)?;
    cx.warn(&warnings, &session);
    let Some(train) = &built.train else { return Err(training::no_training(&built.name).into()) };
    let entries = Session::entries(&built, &["grad", "init"]);
    let compiled = session.compile(&built, &entries, &cx.cache, &mut Trace::default()).within(&session)?;
    let program = compiled.load().within(&session)?;
    let pool = cx.pool()?;
    let entry = program.entry("grad")?;
    let mut inputs = parameters::read_inputs(cx, &arguments.input)?;
    if inputs.is_empty() {
        let spec = training::spec(cx, &session, &built, train)?;
        let data = dataset::read(cx, &session, &arguments.file, train, &arguments.data, &BTreeMap::new())?;
        let order = data::Split::new(data.rows(), &spec.split, spec.seed)?.train.of_epoch(spec.seed, 0);
        let rows = order.range(0..order.len().min(spec.batch));
        let (fields, mut batch) = (data.fields(), Vec::new());
        data.gather(&(0..fields.len()).collect::<Vec<_>>(), &rows, Some(0), &mut batch)?;
        inputs = fields.into_iter().map(|field| field.name).zip(batch).collect();
    } else {
        dataset::fill_defaults(train, &mut inputs)?;
    }
    let dims = parameters::dims_of(entry, &inputs, &cx.dims());
    let file = arguments.weights.as_deref();
    let weights = parameters::weights(cx, &session, &built, &program, &pool, file, &dims)?;
    let results = parameters::call(cx, entry, &pool, &inputs, &weights, &dims)?;
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (info, tensor) in entry.info().results.iter().zip(results) {
        if matches!(info.role, Role::Loss | Role::Gradient) {
            tensors.insert(info.name.clone(), tensor);
        }
    }
    let loss = tensors.get("loss").map(Tensor::to_f64_vec).and_then(|values| values.first().copied());
    let loss = loss.ok_or_else(|| Diagnostic::error("E0812", "entry `grad` gives no loss"))?;
    if let Some(path) = &arguments.output {
        Weights { tensors, ..Weights::default() }.write(path)?;
        cx.say(&format!("loss {loss}"));
        return Ok(());
    }
    let mut rows = vec![vec!["gradient of".to_string(), "shape".into(), "norm".into(), "largest".into()]];
    for (name, tensor) in tensors.iter().filter(|(name, _)| *name != "loss") {
        let values = tensor.to_f64_vec();
        let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let shape = tensor::shape_text(tensor.shape());
        rows.push(vec![name.clone(), shape, format!("{norm:.6}"), format!("{largest:.6}")]);
    }
    output::print(&format!("loss {loss}\n\n{}", output::table(&rows, &[false, false, true, true])))
}
