//! Many small configurations of the library's functions (`bench-suite/references/sweeps`), against what PyTorch made of
//! them at f64: value, and the derivative of `sum(value · ct)` by every floating input and weight. Inputs are drawn on
//! both sides. A trial is one model that holds several configurations, by the definition and compiled, at f64 and f32.

use crate::{run::executors::tensor, text::told};
use driver::{NoCache, NoFiles, Options, Session, Trace};
use exec::{Arena, Dims, Pool};
use graph::{Array, Function, interp};
use kernel::DType;
use libtest_mimic::{Failed, Trial};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt::Write, fs, path::Path};
use tensor::{Limits, Tensor, philox::Stream, safetensors::Weights};

/// Configurations of one model.
const GROUP: usize = 30;
/// Bits of one draw.
const BITS: f64 = (1 << 24) as f64;

pub fn trials() -> Vec<Trial> {
    match groups() {
        Ok(groups) => groups
            .into_iter()
            .map(|(name, configurations)| Trial::test(name, move || check(&configurations)))
            .collect(),
        Err(failed) => vec![Trial::test("sweep", move || Err(failed))],
    }
}

/// The models of all sweeps.
pub fn sources() -> Result<Vec<String>, Failed> {
    let groups = groups()?;
    groups
        .iter()
        .map(|(_, configurations)| source(configurations).map_err(|fault| fault.to_string().into()))
        .collect()
}

/// Configurations that stand in one model, by the name of their trial.
fn groups() -> Result<Vec<(String, Vec<Configuration>)>, Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench-suite/references/sweeps");
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<_> = entries.collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut groups = Vec::new();
    for path in paths {
        let sweep = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let entries: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let stored = Weights::read(&path.with_extension("safetensors"), &Limits::default());
        let stored = stored.map_err(|fault| fault.message)?;
        let results = stored.tensors.get("results").ok_or("the sweep has no results")?.to_f64_vec();
        let mut rest = results.as_slice();
        for (number, entries) in entries.chunks(GROUP).enumerate() {
            let mut configurations = Vec::new();
            for entry in entries {
                configurations.push(Configuration::read(entry, &mut rest)?);
            }
            groups.push((format!("sweep::{sweep}::{}", number * GROUP), configurations));
        }
        if !rest.is_empty() {
            return Err(format!("{sweep} has {} results too many", rest.len()).into());
        }
    }
    Ok(groups)
}

/// An input or weight: its name, its shape, and how it is drawn.
struct Drawn {
    name: String,
    shape: Vec<usize>,
    /// Whole numbers below this, as i32.
    below: Option<f64>,
    range: (f64, f64),
}

impl Drawn {
    fn read(name: &str, entry: &Value) -> Result<Drawn, Failed> {
        let number = |key: &str| entry[key].as_f64();
        Ok(Drawn {
            name: name.into(),
            shape: shape(if entry.is_array() { entry } else { &entry["shape"] })?,
            below: number("below"),
            range: (number("low").unwrap_or(-1.0), number("high").unwrap_or(1.0)),
        })
    }

    fn list(entry: &Value) -> Result<Vec<Drawn>, Failed> {
        let empty = Map::new();
        entry.as_object().unwrap_or(&empty).iter().map(|(name, entry)| Drawn::read(name, entry)).collect()
    }

    fn ty(&self) -> String {
        ty(if self.below.is_some() { "i32" } else { "float" }, &self.shape)
    }

    fn array(&self, configuration: &str) -> Array {
        let stream = Stream::new(0, &format!("{configuration}/{}", self.name), 0);
        let mut place = 0;
        Array::from_fn(graph::DType::F64, &self.shape, |_| {
            let unit = f64::from(stream.words(place)[0] >> 8) / BITS;
            place += 1;
            let (low, high) = self.range;
            self.below.map_or(f64::from((low + (high - low) * unit) as f32), |below| (unit * below).floor())
        })
    }
}

struct Configuration {
    name: String,
    expr: String,
    unit: Option<String>,
    inputs: Vec<Drawn>,
    weights: Vec<Drawn>,
    /// What the derivative is asked with; absent where the value has none.
    ct: Option<Drawn>,
    /// The value, then derivatives, each with its dtype.
    results: Vec<(String, &'static str, Array)>,
}

impl Configuration {
    fn read(entry: &Value, rest: &mut &[f64]) -> Result<Configuration, Failed> {
        let (inputs, weights) = (Drawn::list(&entry["in"])?, Drawn::list(&entry["weights"])?);
        let expr = entry["expr"].as_str().ok_or("a configuration has an expression")?.to_string();
        let unit = entry["unit"].as_str().map(String::from);
        let shapes: Vec<String> = inputs
            .iter()
            .map(|input| input.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x"))
            .map(|shape| if shape.is_empty() { "scalar".into() } else { shape })
            .collect();
        let name = format!("{} of {}", unit.as_ref().unwrap_or(&expr), shapes.join(" "));
        let value = shape(&entry["y"])?;
        let dtype = match entry["dtype"].as_str() {
            None => "float",
            Some("bool") => "bool",
            Some(_) => "i32",
        };
        let ct = (dtype == "float").then(|| Drawn {
            name: "ct".into(),
            shape: value.clone(),
            below: None,
            range: (-1.0, 1.0),
        });
        let mut results = vec![("y".to_string(), dtype, take(rest, &value)?)];
        let leaves = inputs.iter().chain(&weights).filter(|leaf| leaf.below.is_none() && ct.is_some());
        for leaf in leaves {
            results.push((format!("d_{}", leaf.name.replace('.', "_")), "float", take(rest, &leaf.shape)?));
        }
        Ok(Configuration { name, expr, unit, inputs, weights, ct, results })
    }

    /// A layer that gives all results.
    fn layer(&self, number: usize, text: &mut String) -> std::fmt::Result {
        let inputs: Vec<String> =
            self.inputs.iter().chain(&self.ct).map(|x| format!("{}: {}", x.name, x.ty())).collect();
        writeln!(text, "layer case{number}({}) {{", inputs.join(", "))?;
        if let Some(unit) = &self.unit {
            writeln!(text, "    unit = {unit}")?;
        }
        writeln!(text, "    y = {}", self.expr)?;
        let mut results = vec!["y".to_string()];
        if let Some(ct) = &self.ct {
            writeln!(text, "    cost = {}", if ct.shape.is_empty() { "y * ct" } else { "sum(y * ct)" })?;
            let floats = |list: &[Drawn]| -> Vec<String> {
                list.iter().filter(|x| x.below.is_none()).map(|x| x.name.clone()).collect()
            };
            results.extend(floats(&self.inputs).iter().map(|name| format!("grad(cost, wrt: {name})")));
            results.extend(floats(&self.weights).iter().map(|name| format!("grad(cost, wrt: unit.{name})")));
        }
        match &results[..] {
            [one] => writeln!(text, "    {one}\n}}\n"),
            several => writeln!(text, "    ({})\n}}\n", several.join(", ")),
        }
    }
}

fn source(configurations: &[Configuration]) -> Result<String, std::fmt::Error> {
    let (mut text, mut inputs, mut outputs, mut body) =
        (String::new(), Vec::new(), Vec::new(), String::new());
    for (number, configuration) in configurations.iter().enumerate() {
        configuration.layer(number, &mut text)?;
        let own: Vec<String> = configuration
            .inputs
            .iter()
            .chain(&configuration.ct)
            .map(|x| format!("{}_{number}", x.name))
            .collect();
        inputs.extend(
            own.iter()
                .zip(configuration.inputs.iter().chain(&configuration.ct))
                .map(|(name, x)| format!("{name}: {}", x.ty())),
        );
        let results: Vec<String> =
            configuration.results.iter().map(|(name, ..)| format!("{name}_{number}")).collect();
        outputs.extend(
            results
                .iter()
                .zip(&configuration.results)
                .map(|(name, (_, dtype, array))| format!("{name}: {}", ty(dtype, array.shape()))),
        );
        writeln!(body, "    {} = case{number}({})", results.join(", "), own.join(", "))?;
    }
    write!(text, "model Sweep({}) -> ({}) {{\n{body}}}\n", inputs.join(", "), outputs.join(", "))?;
    Ok(text)
}

fn check(configurations: &[Configuration]) -> Result<(), Failed> {
    let text = source(configurations).map_err(|fault| fault.to_string())?;
    for (precision, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
        let options = Options { float: precision, ..Options::native() };
        let session = Session::new("sweep.model", &text, &NoFiles, options);
        let (built, _) = session.build(None, false).map_err(|failure| told(&session, &failure))?;
        let entries = Session::entries(&built, &["run"]);
        let [(_, id)] = entries[..] else { return Err("no entry point `run`".into()) };
        let function = &built.module.functions[id];
        let args = arguments(configurations, function)?;
        let options = interp::Options::rounded(precision);
        let defined =
            interp::run(&built.module, id, &args, &BTreeMap::new(), options).map_err(|error| error.0)?;
        let defined: Vec<Vec<f64>> =
            defined.into_iter().map(|array| array.values.into_iter().collect()).collect();
        agree(configurations, function, &defined, tolerance)
            .map_err(|why| format!("the definition at {}: {why}", precision.name()))?;
        let compiled = session.compile(&built, &entries, &NoCache, &mut Trace::default());
        let program = compiled
            .map_err(|failure| told(&session, &failure))?
            .load()
            .map_err(|failure| failure.to_string())?;
        let pool = Pool::new(1).map_err(|fault| fault.message)?;
        let entry = program.entries().first().ok_or("the program has no entry point")?;
        let tensors: Vec<Tensor> = args
            .iter()
            .enumerate()
            .map(|(index, arg)| tensor(arg, entry.arg_dtype(index)))
            .collect::<Result<_, _>>()?;
        let tensors: Vec<&Tensor> = tensors.iter().collect();
        let found =
            entry.call(&mut Arena::new(), &pool, &tensors, &Dims::new()).map_err(|fault| fault.message)?;
        let found: Vec<Vec<f64>> = found.iter().map(Tensor::to_f64_vec).collect();
        agree(configurations, function, &found, tolerance)
            .map_err(|why| format!("compiled code at {}: {why}", precision.name()))?;
    }
    Ok(())
}

/// Parameters are called `x_3`, weights `case3.unit.w`.
fn arguments(configurations: &[Configuration], function: &Function) -> Result<Vec<Array>, Failed> {
    let mut known = BTreeMap::new();
    for (number, configuration) in configurations.iter().enumerate() {
        for input in configuration.inputs.iter().chain(&configuration.ct) {
            known.insert(format!("{}_{number}", input.name), input.array(&configuration.name));
        }
        for weight in &configuration.weights {
            known.insert(format!("case{number}.unit.{}", weight.name), weight.array(&configuration.name));
        }
    }
    let argument = |param: &graph::Param| {
        let array = known.remove(&param.name).ok_or(format!("nothing is drawn for `{}`", param.name))?;
        let sizes = param.ty.shape.as_consts().ok_or(format!("`{}` has dynamic sizes", param.name))?;
        if sizes.iter().map(|size| *size as usize).ne(array.shape().iter().copied()) {
            return Err(format!("`{}` is {}, not {:?}", param.name, param.ty, array.shape()).into());
        }
        Ok(Array { dtype: param.ty.dtype, values: array.values })
    };
    function.params.iter().map(argument).collect()
}

fn agree(
    configurations: &[Configuration],
    function: &Function,
    found: &[Vec<f64>],
    tolerance: f64,
) -> Result<(), String> {
    let place = |name: &str| function.results.iter().position(|(known, ..)| known == name);
    for (number, configuration) in configurations.iter().enumerate() {
        // Derivatives are held against the largest of them, as gradients are everywhere: some are 0 but for rounding.
        let derivatives = configuration.results.iter().skip(1);
        let steepest = derivatives.fold(0.0f64, |most, (.., array)| most.max(size(array)));
        for (position, (name, dtype, wanted)) in configuration.results.iter().enumerate() {
            let found = place(&format!("{name}_{number}"))
                .and_then(|place| found.get(place))
                .ok_or("a result is missing")?;
            let largest = if position == 0 { size(wanted) } else { steepest };
            let allowed = if *dtype == "float" { tolerance * largest } else { 0.0 };
            if found.len() != wanted.values.len() {
                return Err(format!(
                    "{}: `{name}` has {} elements, not {}",
                    configuration.name,
                    found.len(),
                    wanted.values.len()
                ));
            }
            for (at, (a, b)) in found.iter().zip(&wanted.values).enumerate() {
                if a != b && ((a - b).abs() > allowed || a.is_nan()) {
                    return Err(format!(
                        "{}: `{name}`, element {at}: {a} instead of {b}, allowed is {allowed:e}",
                        configuration.name
                    ));
                }
            }
        }
    }
    Ok(())
}

fn size(array: &Array) -> f64 {
    array.values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

fn take(rest: &mut &[f64], shape: &[usize]) -> Result<Array, Failed> {
    let (own, after) =
        rest.split_at_checked(shape.iter().product()).ok_or("the sweep has too few results")?;
    *rest = after;
    Ok(Array::new(graph::DType::F64, shape, own.to_vec()).ok_or("a result has another shape")?)
}

fn shape(entry: &Value) -> Result<Vec<usize>, Failed> {
    let sizes = entry.as_array().ok_or("a shape is a list")?.iter();
    let sizes: Option<Vec<usize>> = sizes.map(|size| size.as_u64().map(|size| size as usize)).collect();
    Ok(sizes.ok_or("a shape is a list of whole numbers")?)
}

fn ty(dtype: &str, shape: &[usize]) -> String {
    match shape {
        [] => dtype.to_string(),
        shape => format!("{dtype}{shape:?}"),
    }
}
