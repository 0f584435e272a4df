//! `dlc run`: one forward pass.

use crate::{
    cx::Cx,
    fault::{Fault, InSession},
    output, parameters,
};
use abi::Role;
use base::Diagnostic;
use clap::Args;
use driver::{Session, Trace};
use graph::{Array, interp};
use sema::Built;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tensor::{Tensor, npy, npz};

/// Elements of one value that the interpreter still takes.
const MAX_TRACED: usize = 1 << 26;

/// Values shown of a large result.
const SHOWN: usize = 64;

/// Run a model once
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc run digits.model --input images.npz --weights runs/digits/checkpoints/best.safetensors\n  dlc run linear.model --input x=x.npy --output y.npz"
)]
pub struct Arguments {
    file: PathBuf,
    /// Inputs: in.npz with fields by name, NAME=file.npy, or `-` for npz on standard input
    #[arg(long, value_name = "SOURCE")]
    input: Vec<String>,
    /// Weights and states; without it they are initial ones from the seed
    #[arg(long, value_name = "W.safetensors")]
    weights: Option<PathBuf>,
    /// Where the outputs go: out.npz, NAME=file.npy, or `-` for npz on standard output; without it they are printed
    #[arg(long, value_name = "PLACE")]
    output: Vec<String>,
    /// Show the value of every line of the source, computed by the reference interpreter
    #[arg(long)]
    trace: bool,
    /// Stop at the line that makes the first NaN or infinity, by the reference interpreter
    #[arg(long)]
    nan: bool,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let session = cx.session(&arguments.file)?;
    let (built, warnings) = session.build(cx.model(), false).within(&session)?;
    cx.warn(&warnings, &session);
    let entries = parameters::entries("run", &built, arguments.weights.as_deref());
    let entries = Session::entries(&built, &entries);
    let compiled = session.compile(&built, &entries, &cx.cache, &mut Trace::default()).within(&session)?;
    let program = compiled.load().within(&session)?;
    let pool = cx.pool()?;
    let entry = program.entry("run")?;
    let mut inputs = parameters::read_inputs(cx, &arguments.input)?;
    let dims = parameters::dims_of(entry, &inputs, &cx.dims());
    parameters::fill_defaults(&session, &built, &dims, &mut inputs)?;
    let file = arguments.weights.as_deref();
    let weights = parameters::weights(cx, &session, &built, &program, &pool, file, &dims)?;
    if arguments.trace || arguments.nan {
        trace(&session, &built, entry, &inputs, &weights, arguments.nan)?;
    }
    let results = parameters::call(cx, entry, &pool, &inputs, &weights, &dims)?;
    let outputs: BTreeMap<String, Tensor> = entry
        .info()
        .results
        .iter()
        .zip(results)
        .filter(|(info, _)| info.role == Role::Output)
        .map(|(info, tensor)| (info.name.clone(), tensor))
        .collect();
    for place in &arguments.output {
        if place == "-" {
            output::write(&npz::to_bytes(&outputs, npz::Compression::Store)?)?;
        } else if let Some((name, file)) = place.split_once('=') {
            let Some(tensor) = outputs.get(name) else {
                let near = base::did_you_mean(name, outputs.keys().map(String::as_str));
                return Err(Diagnostic::error("E0822", format!("the model has no output `{name}`"))
                    .maybe_help(near.map(|near| format!("did you mean `{near}`?")))
                    .into());
            };
            npy::write(Path::new(file), tensor)?;
        } else {
            npz::write(Path::new(place), &outputs, npz::Compression::Store)?;
        }
    }
    if arguments.output.is_empty() {
        outputs.iter().try_for_each(|(name, tensor)| output::print(&shown(name, tensor)))?;
    }
    Ok(())
}

/// Interprets the model and tells what each line gives, or only the first that is not finite.
fn trace(
    session: &Session,
    built: &Built,
    entry: &exec::Entry,
    inputs: &BTreeMap<String, Tensor>,
    weights: &BTreeMap<String, Tensor>,
    only_first_bad: bool,
) -> Result<(), Fault> {
    let Some((_, function)) = built.entries.iter().find(|(name, _)| *name == "run") else { return Ok(()) };
    let mut arrays = Vec::new();
    for param in &built.module.functions[*function].params {
        let known = if param.role == graph::Role::Input { inputs } else { weights };
        arrays.push(match known.get(&param.name) {
            Some(tensor) => {
                let array = Array::new(param.ty.dtype, tensor.shape(), tensor.to_f64_vec());
                array.ok_or_else(|| parameters::not_given(entry, &param.name))?
            }
            None if param.role == graph::Role::Control => Array::scalar(param.ty.dtype, 0.0),
            None => return Err(parameters::not_given(entry, &param.name).into()),
        });
    }
    let mut lines: Vec<String> = Vec::new();
    let mut bad = None;
    let mut see = |function: &graph::Function, id: graph::NodeId, array: &Array| {
        let Some(span) = function.nodes[id].span else { return };
        let place = session.place(span);
        let source = session.sources.text(span).split_whitespace().collect::<Vec<_>>().join(" ");
        let first = array.values.iter().position(|value| !value.is_finite());
        if let (Some(position), None, true) = (first, &bad, array.dtype.is_float()) {
            let value = array.values.iter().nth(position).copied().unwrap_or(f64::NAN);
            bad = Some(format!(
                "{place}: `{source}` gives {value} at element {position} of {:?}",
                array.shape()
            ));
        }
        let extent = array.values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
        lines.push(format!(
            "{place}: {}{:?} from {:.6} to {:.6}  {source}\n",
            array.dtype,
            array.shape(),
            extent.0,
            extent.1
        ));
    };
    let mode = interp::Mode::Rounded { float: session.options.float };
    let options =
        interp::Options { mode, trace: Some(&mut see), max_elements: MAX_TRACED, ..interp::Options::exact() };
    let ran = interp::run(&built.module, *function, &arrays, &BTreeMap::new(), options);
    if !only_first_bad {
        lines.dedup();
        output::print(&lines.concat())?;
    }
    ran.map_err(|fault| {
        Diagnostic::error("E0828", format!("the reference interpreter stopped: {}", fault.0))
    })?;
    match bad.filter(|_| only_first_bad) {
        Some(bad) => Err(Diagnostic::error("E0829", bad).into()),
        None => Ok(()),
    }
}

/// `y: f32[2, 1]` and the values, one row of the last axis a line.
pub fn shown(name: &str, tensor: &Tensor) -> String {
    let mut text = format!("{name}: {}{}\n", tensor.dtype(), tensor::shape_text(tensor.shape()));
    let values = tensor.to_f64_vec();
    let width = tensor.shape().last().copied().unwrap_or(1).max(1);
    for row in values[..values.len().min(SHOWN)].chunks(width) {
        let cells: Vec<String> = row.iter().map(|value| format!("{value:>12.6}")).collect();
        text += &cells.join(" ");
        text.push('\n');
    }
    if values.len() > SHOWN {
        text += &format!("    … {} values more; `--output out.npz` writes all\n", values.len() - SHOWN);
    }
    text
}
