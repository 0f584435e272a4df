//! Values of another framework (`bench-suite/references`): the outer oracle. Each case is a source with inputs, weights and
//! what the other framework made of them at f64; it is held against the definition at f64 and against compiled code at f32.
//! What is not supported yet is counted as ignored, with the reason.

mod networks;

use crate::{run::executors::tensor, text::told};
use driver::{Failure, NoCache, NoFiles, Options, Session, Trace};
use exec::{Arena, Dims, Pool, Program};
use graph::{Array, FuncId, Function, Role, interp};
use kernel::DType;
use libtest_mimic::{Completion, Failed, Trial};
use sema::Built;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};
use tensor::{Limits, Tensor, safetensors::Weights};

type Arrays = BTreeMap<String, Array>;

/// Runs a function on its arguments.
type Executor<'a> = &'a dyn Fn(&[Array]) -> Result<Vec<Array>, Failed>;

/// Cases by PyTorch, and by JAX.
const INDICES: [&str; 2] = ["index.json", "transforms.json"];

pub fn trials() -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench-suite/references");
    let all = read(&folder).and_then(|mut trials| {
        trials.extend(networks::trials(&folder)?);
        Ok(trials)
    });
    match all {
        Ok(trials) => trials,
        Err(failed) => vec![Trial::test("reference", move || Err(failed))],
    }
}

fn read(folder: &Path) -> Result<Vec<Trial>, Failed> {
    let mut trials = Vec::new();
    for index in INDICES {
        let index: Value = serde_json::from_str(&fs::read_to_string(folder.join(index))?)?;
        for (family, cases) in index["families"].as_object().ok_or("the index has no families")? {
            let file = folder.join(family).with_extension("safetensors");
            for case in cases.as_array().ok_or("a family is a list")? {
                let name = format!("reference::{family}::{}", text(&case["name"])?);
                let (case, file) = (case.clone(), file.clone());
                trials.push(Trial::ignorable_test(name, move || check(&case, &file)));
            }
        }
    }
    Ok(trials)
}

fn check(case: &Value, file: &Path) -> Result<Completion, Failed> {
    let stored = Weights::read(file, &Limits::default()).map_err(|fault| fault.message)?;
    let name = text(&case["name"])?;
    let group = |kind: &str| -> Arrays {
        let prefix = format!("{name}/{kind}/");
        let own =
            stored.tensors.iter().filter_map(|(key, tensor)| Some((key.strip_prefix(&prefix)?, tensor)));
        own.map(|(key, tensor)| (key.to_string(), array(tensor))).collect()
    };
    let (inputs, weights, expected) = (group("in"), group("weight"), group("f64"));
    if expected.is_empty() {
        return Err("the reference holds no results".into());
    }
    for (precision, default) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
        let tolerance = case["tolerance"][precision.name()].as_f64().unwrap_or(default);
        let options = Options { float: precision, ..Options::native() };
        let session = Session::new("case.model", text(&case["source"])?, &NoFiles, options);
        let kind = text(&case["kind"])?;
        let built = match session.build(None, kind != "run") {
            Ok((built, _)) => built,
            Err(Failure::Faults(faults)) if faults.iter().all(|fault| fault.code.starts_with("E05")) => {
                return Ok(Completion::ignored_with(faults[0].message.clone()));
            }
            Err(failure) => return Err(told(&session, &failure).into()),
        };
        let subject = Subject { built: &built, inputs: &inputs, weights: &weights, precision };
        let found = match kind {
            "train" => subject.train(&session, case["steps"].as_u64().ok_or("no number of steps")?)?,
            kind => subject.once(&session, kind)?,
        };
        let largest = expected
            .iter()
            .filter(|(name, _)| *name != "loss")
            .map(|(_, array)| size(array))
            .fold(0.0, f64::max);
        for (name, wanted) in &expected {
            let found = found.get(name).ok_or(format!("there is no result `{name}`"))?;
            let scale = if kind == "grad" { largest } else { size(wanted) };
            let at = format!("at {}: `{name}`", precision.name());
            near(&at, found, wanted, tolerance * scale)?;
        }
    }
    Ok(Completion::Completed)
}

struct Subject<'a> {
    built: &'a Built,
    inputs: &'a Arrays,
    weights: &'a Arrays,
    precision: DType,
}

impl Subject<'_> {
    fn once(&self, session: &Session, entry: &str) -> Result<Arrays, Failed> {
        let initial = self.initial()?;
        self.with_executor(session, entry, |function, executor| {
            let results = executor(&self.arguments(function, &initial, 0, 0)?)?;
            Ok(function.results.iter().map(|(name, ..)| name.clone()).zip(results).collect())
        })
    }

    /// Steps one after the other; `loss` becomes the list of all losses.
    fn train(&self, session: &Session, steps: u64) -> Result<Arrays, Failed> {
        let mut state = self.initial()?;
        self.with_executor(session, "step", |function, executor| {
            let mut losses = Vec::new();
            for step in 0..steps {
                let results = executor(&self.arguments(function, &state, step, steps)?)?;
                for ((name, role, _), array) in function.results.iter().zip(results) {
                    match role {
                        Role::Loss => losses.extend(array.values),
                        Role::Weight | Role::State | Role::Optimizer => {
                            drop(state.insert(name.clone(), array))
                        }
                        _ => {}
                    }
                }
            }
            let losses =
                Array::new(graph::DType::Float, &[losses.len()], losses).ok_or("a list of losses")?;
            state.insert("loss".into(), losses);
            Ok(state)
        })
    }

    fn with_executor(
        &self,
        session: &Session,
        entry: &str,
        work: impl FnOnce(&Function, Executor<'_>) -> Result<Arrays, Failed>,
    ) -> Result<Arrays, Failed> {
        let entries = Session::entries(self.built, &[entry]);
        let [(_, id)] = entries[..] else { return Err(format!("no entry point `{entry}`").into()) };
        let function = &self.built.module.functions[id];
        if self.precision == DType::F64 {
            return work(function, &|args| self.interpret(id, args));
        }
        let compiled = session.compile(self.built, &entries, &NoCache, &mut Trace::default());
        let compiled = compiled.map_err(|failure| told(session, &failure))?;
        let program = compiled.load().map_err(|failure| failure.to_string())?;
        work(function, &|args| call(&program, args))
    }

    fn interpret(&self, id: FuncId, args: &[Array]) -> Result<Vec<Array>, Failed> {
        let options = interp::Options::rounded(self.precision);
        interp::run(&self.built.module, id, args, &BTreeMap::new(), options).map_err(|error| error.0.into())
    }

    /// What `init` makes, with the reference's weights and states in place of its own.
    fn initial(&self) -> Result<Arrays, Failed> {
        let entries = Session::entries(self.built, &["init"]);
        let [(_, init)] = entries[..] else { return Err("no entry point `init`".into()) };
        let function = &self.built.module.functions[init];
        let args: Vec<Array> =
            function.params.iter().map(|param| Array::scalar(param.ty.dtype, 0.0)).collect();
        let made = self.interpret(init, &args)?;
        let mut initial: Arrays = function.results.iter().map(|(name, ..)| name.clone()).zip(made).collect();
        for (name, array) in self.weights {
            let slot = initial.get_mut(name).ok_or(format!("there is no weight `{name}`"))?;
            *slot = array.clone();
        }
        Ok(initial)
    }

    fn arguments(
        &self,
        function: &Function,
        state: &Arrays,
        step: u64,
        steps: u64,
    ) -> Result<Vec<Array>, Failed> {
        let mut args = Vec::new();
        for param in &function.params {
            let found = match (param.role, param.name.as_str()) {
                (Role::Control, "step") => Some(Array::scalar(param.ty.dtype, step as f64)),
                (Role::Control, "total_steps") => Some(Array::scalar(param.ty.dtype, steps as f64)),
                (Role::Control, _) => Some(Array::scalar(param.ty.dtype, 0.0)),
                (Role::Input, name) => self.inputs.get(name).cloned(),
                (_, name) => state.get(name).cloned(),
            };
            let found = found.ok_or(format!("`{}` is not in the reference", param.name))?;
            let dtype = param.ty.dtype.concrete(self.precision);
            let values = found.values.mapv(|value| interp::round(value, dtype));
            args.push(Array { dtype: param.ty.dtype, values });
        }
        Ok(args)
    }
}

fn call(program: &Program, args: &[Array]) -> Result<Vec<Array>, Failed> {
    let pool = Pool::new(1).map_err(|fault| fault.message)?;
    let entry = program.entries().first().ok_or("the program has no entry point")?;
    let mut tensors = Vec::new();
    for (index, arg) in args.iter().enumerate() {
        tensors.push(tensor(arg, entry.arg_dtype(index))?);
    }
    let tensors: Vec<&Tensor> = tensors.iter().collect();
    let results =
        entry.call(&mut Arena::new(), &pool, &tensors, &Dims::new()).map_err(|fault| fault.message)?;
    Ok(results.iter().map(array).collect())
}

fn array(tensor: &Tensor) -> Array {
    let mut values = tensor.to_f64_vec().into_iter();
    Array::from_fn(graph::DType::F64, tensor.shape(), |_| values.next().unwrap_or(f64::NAN))
}

fn near(at: &str, found: &Array, wanted: &Array, allowed: f64) -> Result<(), Failed> {
    if found.shape() != wanted.shape() {
        return Err(format!("{at} has shape {:?} instead of {:?}", found.shape(), wanted.shape()).into());
    }
    for (index, (a, b)) in found.values.iter().zip(&wanted.values).enumerate() {
        let off = (a - b).abs();
        if a != b && (off.is_nan() || off > allowed) {
            return Err(format!("{at}, element {index}: {a} instead of {b}, allowed is {allowed:e}").into());
        }
    }
    Ok(())
}

fn size(array: &Array) -> f64 {
    array.values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

fn text(value: &Value) -> Result<&str, Failed> {
    value.as_str().ok_or_else(|| "the index holds something else than a text".into())
}
