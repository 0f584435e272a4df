//! `dlc grad`: the loss and the gradient of every weight for one batch.

mod check;

use crate::{
    arguments::TextOrJson,
    cx::Cx,
    dataset,
    fault::{Fault, InSession},
    memory::{MemoryArguments, sizes_of},
    output, parameters, training,
    watch::Code,
};
use abi::Role;
use base::Diagnostic;
use clap::Args;
use driver::Session;
use sema::{Built, TrainSpec};
use std::{collections::BTreeMap, path::PathBuf};
use tensor::{Tensor, safetensors::Weights};

/// Loss and gradients for one batch, as training computes them
#[derive(Args)]
#[command(after_help = "Examples:
  dlc grad digits.model --input batch.npz --weights w.safetensors --output grads.safetensors
  dlc grad digits.model --check
  dlc grad digits.model --check --samples 100 --format json
  dlc grad digits.model --nan

--check compares the derivatives of all weights and inputs with differences of the loss that the reference interpreter
computes in f64. Where the loss has a corner, as relu has at 0, no difference is right: such places are counted, and are
no failure. The exit code is 1 where a derivative disagrees.")]
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
    /// Compare with finite differences instead
    #[arg(long, conflicts_with_all = ["output", "nan"])]
    check: bool,
    /// Elements that --check tests of one array, and all of smaller ones
    #[arg(long, value_name = "N", default_value_t = 16, requires = "check")]
    samples: usize,
    /// How --check shows what it found
    #[arg(long, value_enum, default_value_t = TextOrJson::Human, requires = "check")]
    format: TextOrJson,
    /// Stop at the line that makes the first NaN or infinity, forward or backward: compiled with a test of every value
    #[arg(long)]
    nan: bool,
    #[command(flatten)]
    memory: MemoryArguments,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let mut session = cx.session(&arguments.file)?;
    session.options.sema.write_out = arguments.nan;
    let (built, warnings) = session.build(cx.model(), true).within(&session)?;
    cx.warn(&warnings, &session);
    let Some(train) = &built.train else { return Err(training::no_training(&built.name).into()) };
    let inputs = batch(cx, &session, &built, train, &arguments)?;
    let sizes = sizes_of(&train.fields, &inputs);
    session.options.max_memory = arguments.memory.limit(cx.dims().into_iter().chain(sizes).collect());
    let entries = Session::entries(&built, &["grad", "init"]);
    let code = Code::new(cx, &mut session, &built, &entries, arguments.nan)?;
    let pool = cx.pool()?;
    let entry = code.program.entry("grad")?;
    let dims = parameters::dims_of(entry, &inputs, &cx.dims());
    let file = arguments.weights.as_deref();
    let weights = parameters::weights(cx, &session, &built, &code.program, &pool, file, &dims)?;
    let results = parameters::call(cx, entry, &pool, &inputs, &weights, &dims)
        .map_err(|fault| code.explained(cx, &session, &pool, fault))?;
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (info, tensor) in entry.info().results.iter().zip(results) {
        if matches!(info.role, Role::Loss | Role::Gradient) {
            tensors.insert(info.name.clone(), tensor);
        }
    }
    if arguments.check {
        let given = check::Given { entry, inputs: &inputs, weights: &weights, compiled: &tensors };
        return check::check(cx, &session, &built, &given, arguments.samples, arguments.format);
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

/// The fields given, or the first batch of the data.
fn batch(
    cx: &Cx,
    session: &Session,
    built: &Built,
    train: &TrainSpec,
    arguments: &Arguments,
) -> Result<BTreeMap<String, Tensor>, Fault> {
    let mut inputs = parameters::read_inputs(cx, &arguments.input)?;
    if !inputs.is_empty() {
        dataset::fill_defaults(train, &mut inputs)?;
        return Ok(inputs);
    }
    let spec = training::spec(cx, session, built, train)?;
    let data = dataset::read(cx, session, &arguments.file, train, &arguments.data, &BTreeMap::new())?;
    let order = data::Split::new(data.rows(), &spec.split, spec.seed)?.train.of_epoch(spec.seed, 0);
    let rows = order.range(0..order.len().min(spec.batch));
    let (fields, mut batch) = (data.fields(), Vec::new());
    data.gather(&(0..fields.len()).collect::<Vec<_>>(), &rows, Some(0), &mut batch)?;
    Ok(fields.into_iter().map(|field| field.name).zip(batch).collect())
}
