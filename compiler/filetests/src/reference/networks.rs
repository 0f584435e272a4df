//! Whole networks on the weights of the reference: outputs, loss, gradients and a curve of losses by compiled code.
//! Small ones lie in git. Those of full size are made by `make references`; where they are not, they count as ignored.
//! `DLC_FIGURES=1` prints how far each is off.

use super::{array, near, size, text};
use crate::{
    run::{executors::tensor, sizes},
    text::told,
};
use driver::{NoCache, NoFiles, Options, Session, Trace};
use exec::{Arena, Dims, Pool, Program};
use graph::{Array, Function, Role, interp};
use kernel::DType;
use libtest_mimic::{Completion, Failed, Trial};
use sema::Built;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};
use tensor::{Limits, Tensor, npz, safetensors::Weights};

type Tensors = BTreeMap<String, Tensor>;

/// What updates may carry on of roundings in the first steps at f64.
const FIRST_STEPS: usize = 10;
const CURVE: f64 = 1e-6;

pub fn trials(references: &Path) -> Result<Vec<Trial>, Failed> {
    let mut trials = Vec::new();
    for folder in folders(&references.join("models"))? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        trials.push(Trial::test(format!("reference::models::{name}"), move || check(&folder)));
    }
    let full: Value = serde_json::from_str(&fs::read_to_string(references.join("full.json"))?)?;
    for (name, network) in full.as_object().ok_or("full.json is no object")? {
        let (folder, stated) = (references.join("full").join(name), network.clone());
        trials.push(Trial::test(format!("reference::parameters::{name}"), move || same_parameters(&stated)));
        let made = folder.join("reference.json").is_file();
        trials.push(Trial::ignorable_test(format!("reference_full::{name}"), move || {
            if !made {
                return Ok(Completion::ignored_with("not made: `make references`"));
            }
            check(&folder).map(|()| Completion::Completed)
        }));
    }
    Ok(trials)
}

fn folders(of: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut found = Vec::new();
    for entry in fs::read_dir(of)? {
        let path = entry?.path();
        if path.join("reference.json").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// As many parameters as the network that the reference is made by.
fn same_parameters(stated: &Value) -> Result<(), Failed> {
    let session = session(stated, DType::F32)?;
    let (built, _) = session.build(stated["model"].as_str(), false).map_err(|f| told(&session, &f))?;
    let mut found = 0u64;
    for weight in &built.weights {
        let sizes: Option<Vec<i64>> = weight.ty.shape.iter().map(|dim| dim.as_const()).collect();
        found += sizes.ok_or("a weight of unknown size")?.iter().product::<i64>() as u64;
    }
    let wanted = stated["parameters"].as_u64().ok_or("no number of parameters")?;
    if found == wanted { Ok(()) } else { Err(format!("{found} parameters instead of {wanted}").into()) }
}

/// The network as `entry` asks for it. At f64 nothing is rounded to what the text states as f32.
fn session(entry: &Value, precision: DType) -> Result<Session, Failed> {
    let file = text(&entry["file"])?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(file);
    let mut source = fs::read_to_string(path)?;
    for (old, new) in entry["replace"].as_object().into_iter().flatten() {
        if !source.contains(old) {
            return Err(format!("{file} holds no `{old}`").into());
        }
        source = source.replace(old, text(new)?);
    }
    let mut options = Options { float: precision, ..Options::native() };
    for (name, value) in entry["settings"].as_object().into_iter().flatten() {
        options.sema.set.insert(name.clone(), text(value)?.to_string());
    }
    Ok(Session::new(file, &source.replace("f32", precision.name()), &NoFiles, options))
}

fn check(folder: &Path) -> Result<(), Failed> {
    let reference = Reference::read(folder)?;
    for precision in [DType::F64, DType::F32] {
        if reference.list("precisions")?.contains(&precision.name()) {
            let at = |failed: Failed| {
                Failed::from(format!("at {}: {}", precision.name(), failed.message().unwrap_or_default()))
            };
            reference.check(precision).map_err(at)?;
        }
    }
    Ok(())
}

struct Reference {
    name: String,
    entry: Value,
    weights: Tensors,
    arrays: Tensors,
    gradients: Tensors,
}

impl Reference {
    fn read(folder: &Path) -> Result<Reference, Failed> {
        let limits = Limits { file_bytes: 1 << 31, expanded_bytes: 1 << 31, ..Limits::default() };
        let weights = |name: &str| -> Result<Tensors, Failed> {
            Ok(Weights::read(&folder.join(name), &limits).map_err(|fault| fault.message)?.tensors)
        };
        Ok(Reference {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            entry: serde_json::from_str(&fs::read_to_string(folder.join("reference.json"))?)?,
            weights: weights("weights.safetensors")?,
            arrays: npz::read(&folder.join("arrays.npz"), &limits).map_err(|fault| fault.message)?,
            gradients: weights("gradients.safetensors")?,
        })
    }

    fn list(&self, key: &str) -> Result<Vec<&str>, Failed> {
        self.entry[key].as_array().ok_or(format!("no {key}"))?.iter().map(text).collect()
    }

    fn numbers(&self, value: &Value) -> Result<Vec<f64>, Failed> {
        let numbers = value.as_array().ok_or("no list of numbers")?.iter().map(Value::as_f64);
        Ok(numbers.collect::<Option<_>>().ok_or("no list of numbers")?)
    }

    /// How far the reference's own f32 is from its f64, at worst.
    fn spread(&self) -> Result<f64, Failed> {
        Ok(self.numbers(&self.entry["spread"])?.into_iter().fold(0.0, f64::max))
    }

    fn check(&self, precision: DType) -> Result<(), Failed> {
        let session = session(&self.entry, precision)?;
        let (built, _) = session.build(self.entry["model"].as_str(), true).map_err(|f| told(&session, &f))?;
        let entries = Session::entries(&built, &["init", "reset", "run", "grad", "step"]);
        let compiled = session.compile(&built, &entries, &NoCache, &mut Trace::default());
        let compiled = compiled.map_err(|failure| told(&session, &failure))?;
        let program = compiled.load().map_err(|failure| failure.to_string())?;
        let mut network = Network::new(self, &built, program)?;
        network.begin_session()?;

        let (mut figures, mut seconds) = (Vec::new(), 0.0);
        for entry in ["run", "grad"] {
            let found = network.call(entry, Moment::default())?;
            let off = self.compare(network.function(entry)?, &found, precision)?;
            figures.push(format!("{entry} {off:.1e}"));
            // The definition is slow, so only where the reference says that it is bearable.
            if precision == DType::F64 && self.entry["interpret"] == true {
                let begin = Instant::now();
                let defined = network.interpret(entry)?;
                seconds += begin.elapsed().as_secs_f64();
                self.compare(network.function(entry)?, &defined, precision)
                    .map_err(|failed| format!("the definition: {}", failed.message().unwrap_or_default()))?;
            }
        }
        let off = self.curve(&mut network, precision)?;
        figures.push(format!("curve {off}"));
        if env::var_os("DLC_FIGURES").is_some() {
            figures.push(format!("interpreted in {seconds:.1} s"));
            eprintln!("{} at {}: {}", self.name, precision.name(), figures.join(", "));
        }
        Ok(())
    }

    /// Outputs, or the loss and the gradients; how far the worst is off, by the size of what it belongs to.
    fn compare(&self, function: &Function, found: &[Tensor], precision: DType) -> Result<f64, Failed> {
        let tolerance = if precision == DType::F64 { 1e-9 } else { 1e-4 };
        let largest_gradient = self.gradients.values().map(|x| size(&array(x))).fold(0.0, f64::max);
        let (mut worst, mut n_gradients) = (0.0f64, 0);
        for ((name, role, _), found) in function.results.iter().zip(found) {
            let found = array(found);
            let wanted = match role {
                Role::Output => array(self.arrays.get(&format!("f64.{name}")).ok_or("no such output")?),
                Role::Gradient => {
                    n_gradients += 1;
                    array(self.gradients.get(name).ok_or(format!("no gradient of `{name}`"))?)
                }
                Role::Loss => {
                    let loss = self.entry["loss"]["f64"].as_f64().ok_or("no loss")?;
                    Array::scalar(graph::DType::F64, loss)
                }
                _ => continue,
            };
            let scale = if *role == Role::Gradient { largest_gradient } else { size(&wanted) };
            near(&format!("`{name}`"), &found, &wanted, tolerance * scale)?;
            let off = found.values.iter().zip(&wanted.values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            worst = worst.max(off / scale);
        }
        if n_gradients != 0 && n_gradients != self.gradients.len() {
            return Err(format!("{n_gradients} gradients instead of {}", self.gradients.len()).into());
        }
        Ok(worst)
    }

    /// In f64 the first steps agree; in f32 all are at most twice as far off as the reference's own f32.
    fn curve(&self, network: &mut Network<'_>, precision: DType) -> Result<String, Failed> {
        let exact = self.numbers(&self.entry["curve"]["f64"])?;
        let mut found = Vec::new();
        for step in 0..exact.len() {
            let batch = step % self.entry["batches"].as_u64().ok_or("no batches")? as usize;
            found.push(network.update(Moment { step, steps: exact.len(), batch })?);
        }
        let scale = exact.iter().fold(0.0f64, |largest, loss| largest.max(loss.abs()));
        let (count, allowed) = match precision {
            DType::F64 => (FIRST_STEPS.min(exact.len()), CURVE * scale),
            _ => {
                let spread = self.spread()?;
                (exact.len(), 2.0 * spread + 8.0 * f64::from(f32::EPSILON) * scale)
            }
        };
        let mut worst = 0.0f64;
        for (step, (found, wanted)) in found.iter().zip(&exact).take(count).enumerate() {
            let off = (found - wanted).abs();
            if off.is_nan() || off > allowed {
                return Err(format!(
                    "the loss of step {step} is {found} instead of {wanted}, allowed is {allowed:e}"
                )
                .into());
            }
            worst = worst.max(off);
        }
        Ok(format!("{worst:.1e} of {allowed:.1e}"))
    }
}

/// The place of a call in training, and which batch it sees.
#[derive(Clone, Copy, Default)]
struct Moment {
    step: usize,
    steps: usize,
    batch: usize,
}

struct Network<'a> {
    reference: &'a Reference,
    built: &'a Built,
    program: Program,
    pool: Pool,
    arena: Arena,
    /// Weights, states and what the optimiser keeps.
    state: Tensors,
}

impl<'a> Network<'a> {
    /// What `init` makes, with the reference's weights and states in place of its own: all of them.
    fn new(reference: &'a Reference, built: &'a Built, program: Program) -> Result<Network<'a>, Failed> {
        let pool = Pool::new(2).map_err(|fault| fault.message)?;
        let mut network =
            Network { reference, built, program, pool, arena: Arena::new(), state: Tensors::new() };
        let made = network.call("init", Moment::default())?;
        let mut unknown: Vec<&String> = reference.weights.keys().collect();
        for ((name, role, _), made) in network.function("init")?.results.iter().zip(made) {
            let tensor = match (reference.weights.get(name), role) {
                (Some(given), _) => {
                    unknown.retain(|known| *known != name);
                    if given.shape() != made.shape() {
                        return Err(format!("`{name}` is {:?}, not {:?}", made.shape(), given.shape()).into());
                    }
                    given.cast(made.dtype()).map_err(|fault| fault.message)?
                }
                (None, Role::Weight) => return Err(format!("the reference lacks `{name}`").into()),
                (None, _) => made,
            };
            network.state.insert(name.clone(), tensor);
        }
        if unknown.is_empty() { Ok(network) } else { Err(format!("there is no {unknown:?}").into()) }
    }

    fn function(&self, entry: &str) -> Result<&'a Function, Failed> {
        let entries = Session::entries(self.built, &[entry]);
        let [(_, id)] = entries[..] else { return Err(format!("no entry point `{entry}`").into()) };
        Ok(&self.built.module.functions[id])
    }

    /// States whose size goes with the batch.
    fn begin_session(&mut self) -> Result<(), Failed> {
        if !self.built.entries.iter().any(|(name, _)| *name == "reset") {
            return Ok(());
        }
        let params = &self.function("run")?.params;
        let arrays = &self.reference.arrays;
        let told = params.iter().filter_map(|param| Some((param, arrays.get(&param.name)?.shape())));
        let dims = sizes(told).into_iter().map(|(symbol, size)| (symbol.to_string(), size)).collect();
        let made = self.call_at("reset", Moment::default(), &dims)?;
        for ((name, ..), made) in self.function("reset")?.results.iter().zip(made) {
            self.state.insert(name.clone(), made);
        }
        Ok(())
    }

    fn call(&mut self, entry: &str, at: Moment) -> Result<Vec<Tensor>, Failed> {
        self.call_at(entry, at, &Dims::new())
    }

    fn call_at(&mut self, entry: &str, at: Moment, dims: &Dims) -> Result<Vec<Tensor>, Failed> {
        let args = self.arguments(entry, at)?;
        let args: Vec<&Tensor> = args.iter().collect();
        let compiled = self.program.entry(entry).map_err(|fault| fault.message)?;
        let results = compiled.call(&mut self.arena, &self.pool, &args, dims);
        Ok(results.map_err(|fault| fault.message)?)
    }

    fn interpret(&self, entry: &str) -> Result<Vec<Tensor>, Failed> {
        let entries = Session::entries(self.built, &[entry]);
        let [(_, id)] = entries[..] else { return Err(format!("no entry point `{entry}`").into()) };
        let function = &self.built.module.functions[id];
        let tensors = self.arguments(entry, Moment::default())?;
        let dims = sizes(function.params.iter().zip(tensors.iter().map(Tensor::shape)));
        let args = function.params.iter().zip(&tensors);
        let args: Vec<Array> = args
            .map(|(param, tensor)| Array { dtype: param.ty.dtype, values: array(tensor).values })
            .collect();
        let options = interp::Options::rounded(DType::F64);
        let results = interp::run(&self.built.module, id, &args, &dims, options).map_err(|error| error.0)?;
        results.iter().map(|result| tensor(result, tensor::DType::F64)).collect()
    }

    fn arguments(&self, entry: &str, at: Moment) -> Result<Vec<Tensor>, Failed> {
        let function = self.function(entry)?;
        let compiled = self.program.entry(entry).map_err(|fault| fault.message)?;
        let mut args = Vec::new();
        for (index, param) in function.params.iter().enumerate() {
            let name = &param.name;
            let tensor = match param.role {
                Role::Control => {
                    let value = match name.as_str() {
                        "step" => at.step,
                        "total_steps" => at.steps,
                        _ => 0,
                    };
                    Some(Tensor::from_vec(Vec::new(), vec![value as i64]).map_err(|fault| fault.message)?)
                }
                Role::Input => {
                    let key = if at.batch == 0 { name.clone() } else { format!("{name}.{}", at.batch) };
                    self.reference.arrays.get(&key).cloned()
                }
                _ => self.state.get(name).cloned(),
            };
            let tensor = tensor.ok_or(format!("`{name}` is not in the reference"))?;
            args.push(tensor.cast(compiled.arg_dtype(index)).map_err(|fault| fault.message)?);
        }
        Ok(args)
    }

    /// One step of training; its loss.
    fn update(&mut self, at: Moment) -> Result<f64, Failed> {
        let results = self.call("step", at)?;
        let mut loss = None;
        for ((name, role, _), tensor) in self.function("step")?.results.iter().zip(results) {
            match role {
                Role::Loss => loss = tensor.to_f64_vec().first().copied(),
                Role::Weight | Role::State | Role::Optimizer => {
                    self.state.insert(name.clone(), tensor);
                }
                _ => {}
            }
        }
        loss.ok_or("the step has no loss".into())
    }
}
