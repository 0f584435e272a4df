//! Where a model's numbers come from: weights from a file or from the seed, inputs from arrays.

use crate::{cx::Cx, dataset, fault::Fault, weight_map};
use abi::{ArgInfo, Role};
use base::{Diagnostic, did_you_mean};
use driver::Session;
use exec::{Arena, Dims, Entry, Pool, Program};
use sema::Built;
use shape::{Dim, Symbol};
use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};
use tensor::{DType, Tensor, npy, npz, safetensors::Weights};
use train::{Description, Parameters};

/// Seed where neither the command line nor the model states one.
const DEFAULT_SEED: u64 = 0;

/// Reads arrays for inputs: an npz file, `NAME=file.npy`, or `-` for an npz file on standard input. Later ones win.
pub fn read_inputs(cx: &Cx, sources: &[String]) -> Result<BTreeMap<String, Tensor>, Fault> {
    let limits = cx.limits();
    let mut arrays = BTreeMap::new();
    for source in sources {
        if let Some((name, file)) = source.split_once('=') {
            arrays.insert(name.to_string(), npy::read(Path::new(file), &limits)?);
        } else if source == "-" {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().take(limits.file_bytes).read_to_end(&mut bytes);
            read.map_err(|fault| Diagnostic::error("E0821", format!("cannot read standard input: {fault}")))?;
            arrays.extend(npz::parse(&bytes, "<stdin>", &limits)?);
        } else {
            arrays.extend(npz::read(Path::new(source), &limits)?);
        }
    }
    Ok(arrays)
}

/// Sizes of the dimensions that the given inputs show: those whose axis is the bare dimension.
pub fn dims_of(entry: &Entry, inputs: &BTreeMap<String, Tensor>, fixed: &Dims) -> Dims {
    let mut dims = fixed.clone();
    for arg in &entry.info().args {
        let Some(tensor) = inputs.get(&arg.name).filter(|tensor| tensor.rank() == arg.rank) else { continue };
        for (formula, size) in arg.shape.iter().zip(tensor.shape()) {
            if entry.info().symbols.contains(formula) {
                dims.entry(formula.clone()).or_insert(*size as i64);
            }
        }
    }
    dims
}

/// Inputs of the model that have a default and were left out, where their sizes are known.
pub fn fill_defaults(
    session: &Session,
    built: &Built,
    dims: &Dims,
    inputs: &mut BTreeMap<String, Tensor>,
) -> Result<(), Fault> {
    let sizes: BTreeMap<Symbol, i64> = dims.iter().map(|(name, size)| (Symbol::new(name), *size)).collect();
    for wanted in &built.inputs {
        let (Some(value), false) = (wanted.default, inputs.contains_key(&wanted.name)) else { continue };
        let axis = |dim: &Dim| usize::try_from(dim.eval(&sizes).ok()?).ok();
        let Some(shape) = wanted.ty.shape.iter().map(axis).collect::<Option<Vec<usize>>>() else { continue };
        let count = tensor::element_count(&shape).unwrap_or(0);
        let filled = Tensor::from_vec(shape, vec![value; count])?;
        inputs.insert(wanted.name.clone(), filled.cast(dataset::dtype(session, &wanted.ty)?)?);
    }
    Ok(())
}

/// The entry points that reading weights needs beside the one that is called: `init` where there is no file, or where a
/// map may leave out states; `reset`, where the model has states that no file holds.
pub fn entries<'a>(entry: &'a str, built: &Built, file: Option<&Path>) -> Vec<&'a str> {
    if file.is_none() || !built.maps.is_empty() { vec![entry, "init", RESET] } else { vec![entry, RESET] }
}

/// Makes the states of a session.
const RESET: &str = "reset";

/// What a weights file or checkpoint holds, by the model's names.
pub struct ReadWeights {
    pub parameters: Parameters,
    pub description: Option<Description>,
    /// The names in the file are others, which a map of the model knew.
    pub mapped: bool,
}

/// Everything in a weights file; a map of the model translates names that are not the model's.
pub fn read_weights(cx: &Cx, session: &Session, built: &Built, file: &Path) -> Result<ReadWeights, Fault> {
    let (parameters, description) = train::read_weights(file)?;
    let has = |name: &str| parameters.get(Role::Weight, name).is_some();
    if description.is_some() || !weight_map::is_foreign(built, has) {
        return Ok(ReadWeights { parameters, description, mapped: false });
    }
    let tensors = parameters.into_tensors();
    let shown = file.display().to_string();
    let mapped = weight_map::arrange(session, built, &shown, &tensors)?;
    if let Some(report) = mapped.report(&shown) {
        cx.say(&report);
    }
    let weights = Weights { tensors: mapped.into_tensors(), ..Weights::default() };
    Ok(ReadWeights { parameters: Parameters::from_weights(weights), description: None, mapped: true })
}

/// Weights and states by name: from a file, else initial ones from the seed.
pub fn weights(
    cx: &Cx,
    session: &Session,
    built: &Built,
    program: &Program,
    pool: &Pool,
    file: Option<&Path>,
    dims: &Dims,
) -> Result<BTreeMap<String, Tensor>, Fault> {
    let mut tensors = stored_or_initial(cx, session, built, program, pool, file, dims)?;
    if program.entry(RESET).is_ok() {
        tensors.extend(initial_values(RESET, cx, program, pool, dims)?);
    }
    Ok(tensors)
}

/// What the file holds, or without one what `init` gives.
fn stored_or_initial(
    cx: &Cx,
    session: &Session,
    built: &Built,
    program: &Program,
    pool: &Pool,
    file: Option<&Path>,
    dims: &Dims,
) -> Result<BTreeMap<String, Tensor>, Fault> {
    if let Some(file) = file {
        // A run that keeps running averages of its weights was measured by them.
        let read = read_weights(cx, session, built, file)?;
        let mut tensors = read.parameters.averaged().into_tensors();
        // States that a map leaves out begin as without a file.
        if read.mapped && built.states.iter().any(|state| !tensors.contains_key(&state.name)) {
            for (name, tensor) in initial_values("init", cx, program, pool, dims)? {
                tensors.entry(name).or_insert(tensor);
            }
        }
        return Ok(tensors);
    }
    initial_values("init", cx, program, pool, dims)
}

/// What `init` or `reset` gives.
pub fn initial_values(
    entry: &str,
    cx: &Cx,
    program: &Program,
    pool: &Pool,
    dims: &Dims,
) -> Result<BTreeMap<String, Tensor>, Fault> {
    let init = program.entry(entry)?;
    let seed = scalar(seed(cx))?;
    let zero = scalar(0)?;
    let args: Vec<&Tensor> =
        init.info().args.iter().map(|arg| if arg.name == "seed" { &seed } else { &zero }).collect();
    let results = init.call(&mut Arena::new(), pool, &args, dims)?;
    Ok(init.info().results.iter().map(|info| info.name.clone()).zip(results).collect())
}

pub fn seed(cx: &Cx) -> u64 {
    cx.everywhere.seed.unwrap_or(DEFAULT_SEED)
}

fn scalar(value: u64) -> Result<Tensor, Diagnostic> {
    Tensor::from_vec([], [value.cast_signed()])
}

/// Calls an entry point with everything found by name.
pub fn call(
    cx: &Cx,
    entry: &Entry,
    pool: &Pool,
    inputs: &BTreeMap<String, Tensor>,
    weights: &BTreeMap<String, Tensor>,
    dims: &Dims,
) -> Result<Vec<Tensor>, Fault> {
    let owned = arguments(cx, entry, inputs, weights)?;
    let args: Vec<&Tensor> = owned.iter().collect();
    Ok(entry.call(&mut Arena::new(), pool, &args, dims)?)
}

/// A value for each argument, in order.
pub fn arguments(
    cx: &Cx,
    entry: &Entry,
    inputs: &BTreeMap<String, Tensor>,
    weights: &BTreeMap<String, Tensor>,
) -> Result<Vec<Tensor>, Fault> {
    let info = entry.info();
    let wanted: Vec<&str> =
        info.args.iter().filter(|arg| arg.role == Role::Input).map(|arg| arg.name.as_str()).collect();
    for name in inputs.keys().filter(|name| !wanted.contains(&name.as_str())) {
        let near = did_you_mean(name, wanted.iter().copied());
        // A name that is nearly right is a slip; any other is data for something else.
        if let Some(near) = near.filter(|near| !inputs.contains_key(*near)) {
            return Err(Diagnostic::error("E0822", format!("the model has no input `{name}`"))
                .help(format!("did you mean `{near}`?"))
                .into());
        }
    }
    let mut owned: Vec<Tensor> = Vec::with_capacity(info.args.len());
    for (index, arg) in info.args.iter().enumerate() {
        let dtype = entry.arg_dtype(index);
        owned.push(match arg.role {
            Role::Input => input(arg, dtype, inputs, &wanted)?,
            Role::Control if arg.name == "seed" => scalar(seed(cx))?,
            Role::Control => scalar(0)?,
            _ => weight(arg, dtype, cx.rounds(), weights)?,
        });
    }
    Ok(owned)
}

fn input(
    arg: &ArgInfo,
    dtype: DType,
    inputs: &BTreeMap<String, Tensor>,
    wanted: &[&str],
) -> Result<Tensor, Fault> {
    let Some(tensor) = inputs.get(&arg.name) else {
        let given: Vec<&str> = inputs.keys().map(String::as_str).collect();
        let shape = arg.shape.join(", ");
        return Err(Diagnostic::error(
            "E0822",
            format!("the input `{}` ({}[{shape}]) is not given", arg.name, arg.dtype),
        )
        .note(format!("the model takes: {}", wanted.join(", ")))
        .note(if given.is_empty() {
            "nothing was given".into()
        } else {
            format!("given: {}", given.join(", "))
        })
        .help(format!("`--input file.npz` with an array of that name, or `--input {}=file.npy`", arg.name))
        .into());
    };
    Ok(tensor.convert(dtype).map_err(|fault| fault.note(format!("in the input `{}`", arg.name)))?)
}

/// What the reference interpreter is given for a function of the module: everything found by name.
pub fn arrays(
    cx: &Cx,
    built: &Built,
    function: graph::FuncId,
    entry: &Entry,
    inputs: &BTreeMap<String, Tensor>,
    weights: &BTreeMap<String, Tensor>,
) -> Result<Vec<graph::Array>, Fault> {
    let mut arrays = Vec::new();
    for param in &built.module.functions[function].params {
        let known = if param.role == graph::Role::Input { inputs } else { weights };
        arrays.push(match known.get(&param.name) {
            Some(tensor) => {
                let array = graph::Array::new(param.ty.dtype, tensor.shape(), tensor.to_f64_vec());
                array.ok_or_else(|| not_given(entry, &param.name))?
            }
            None if param.role == graph::Role::Control => {
                let value = if param.name == "seed" { seed(cx) as f64 } else { 0.0 };
                graph::Array::scalar(param.ty.dtype, value)
            }
            None => return Err(not_given(entry, &param.name).into()),
        });
    }
    Ok(arrays)
}

/// The interpreter lacks an array, or has one of another shape; compiled code says the same with more detail.
fn not_given(entry: &Entry, name: &str) -> Diagnostic {
    Diagnostic::error("E0822", format!("`{name}` is not given as `{}` of the model needs it", entry.name()))
}

fn weight(
    arg: &ArgInfo,
    dtype: DType,
    rounds: bool,
    weights: &BTreeMap<String, Tensor>,
) -> Result<Tensor, Fault> {
    let Some(tensor) = weights.get(&arg.name) else {
        let near = did_you_mean(&arg.name, weights.keys().map(String::as_str));
        return Err(Diagnostic::error(
            "E0705",
            format!("the weights lack `{}`, which the model has", arg.name),
        )
        .maybe_help(near.map(|near| format!("they have `{near}`")))
        .into());
    };
    Ok(train::fit_dtype(&arg.name, tensor, dtype, rounds)?)
}

/// The folder of a model's file: where its data are looked for first.
pub fn folder_of(file: &Path) -> PathBuf {
    file.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or(PathBuf::from("."), Path::to_path_buf)
}
