//! `dlc run`: one forward pass.

mod profile;
mod trace;

use crate::{
    arguments::TextOrJson,
    cx::Cx,
    fault::{Fault, InSession},
    memory::{MemoryArguments, sizes_of},
    output, parameters,
    watch::Code,
};
use abi::Role;
use base::Diagnostic;
use clap::Args;
use driver::Session;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tensor::{Tensor, npy, npz};

/// Values shown of a large result.
const SHOWN: usize = 64;

/// Run a model once
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc run digits.model --input images.npz --weights runs/digits/checkpoints/best.safetensors\n  dlc run linear.model --input x=x.npy --output y.npz\n  dlc run digits.model --input images.npz --trace\n  dlc run digits.model --input images.npz --nan\n  dlc run digits.model --input images.npz --profile"
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
    /// Show what every line of the source gives, computed by the reference interpreter
    #[arg(long, group = "told")]
    trace: bool,
    /// Show where the time of compiled code goes, kernel by kernel
    #[arg(long, group = "told", conflicts_with = "nan")]
    profile: bool,
    /// How --trace and --profile show it
    #[arg(long, value_enum, default_value_t = TextOrJson::Human, requires = "told")]
    format: TextOrJson,
    /// Stop at the line that makes the first NaN or infinity: compiled with a test of every value
    #[arg(long)]
    nan: bool,
    #[command(flatten)]
    memory: MemoryArguments,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let mut session = cx.session(&arguments.file)?;
    session.options.sema.write_out = arguments.trace || arguments.nan;
    session.options.profile = arguments.profile;
    let (built, warnings) = session.build(cx.model(), false).within(&session)?;
    cx.warn(&warnings, &session);
    let mut inputs = parameters::read_inputs(cx, &arguments.input)?;
    let sizes = sizes_of(&built.inputs, &inputs);
    session.options.max_memory = arguments.memory.limit(cx.dims().into_iter().chain(sizes).collect());
    let entries = parameters::entries("run", &built, arguments.weights.as_deref());
    let entries = Session::entries(&built, &entries);
    let code = Code::new(cx, &mut session, &built, &entries, arguments.nan)?;
    let pool = cx.pool()?;
    let entry = code.program.entry("run")?;
    let dims = parameters::dims_of(entry, &inputs, &cx.dims());
    parameters::fill_defaults(&session, &built, &dims, &mut inputs)?;
    let file = arguments.weights.as_deref();
    let weights = parameters::weights(cx, &session, &built, &code.program, &pool, file, &dims)?;
    if arguments.trace {
        trace::trace(cx, &session, &built, entry, (&inputs, &weights), arguments.format)?;
    }
    let results = parameters::call(cx, entry, &pool, &inputs, &weights, &dims)
        .map_err(|fault| code.explained(cx, &session, &pool, fault))?;
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
    if arguments.output.is_empty() && arguments.format == TextOrJson::Human {
        outputs.iter().try_for_each(|(name, tensor)| output::print(&shown(name, tensor)))?;
    }
    if arguments.profile {
        profile::profile(cx, &code, &pool, (&inputs, &weights), &dims, arguments.format)?;
    }
    Ok(())
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
