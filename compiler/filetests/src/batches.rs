//! Whole models, compiled once and called with several batch sizes: outputs and gradients against the interpreter.

use crate::run::executors::tensor;
use driver::{NoCache, Options, Session, Trace};
use exec::{Arena, Dims, Pool, Program};
use graph::{Array, Function, Role, interp};
use libtest_mimic::{Failed, Trial};
use shape::Symbol;
use std::collections::BTreeMap;

const BATCHES: [i64; 3] = [1, 3, 17];
/// As `semantics.md` has arrays agree, gradients against the largest of a call: what f32 sums of whole models allow.
const TOLERANCE: f64 = 1e-5;

pub fn trials() -> Vec<Trial> {
    let one = |name: &'static str| Trial::test(format!("batches::{name}"), move || model(name));
    ["linear", "fraud", "digits"].map(one).into()
}

fn model(name: &str) -> Result<(), Failed> {
    let path = crate::corpus::folder().join(format!("../../../models/{name}.model"));
    let text = std::fs::read_to_string(path)?;
    let session = Session::new(name, &text, &driver::NoFiles, Options::native());
    let told = |failure: driver::Failure| Failed::from(crate::text::told(&session, &failure));
    let (built, _) = session.build(None, true).map_err(told)?;
    let entries = Session::entries(&built, &["init", "run", "grad"]);
    let compiled = session.compile(&built, &entries, &NoCache, &mut Trace::default()).map_err(told)?;
    let program = compiled.load().map_err(|failure| failure.to_string())?;
    let function = |entry: &str| {
        let found = entries.iter().find(|(known, _)| *known == entry);
        found.map(|(_, id)| (*id, &built.module.functions[*id])).ok_or(format!("no entry {entry}"))
    };
    // The weights as the compiled code makes them of the seed, for both sides.
    let (_, init) = function("init")?;
    let made = call(&program, "init", init, &BTreeMap::new(), 0)?;
    let weights: BTreeMap<String, Vec<f64>> =
        init.results.iter().map(|(name, ..)| name.clone()).zip(made).collect();
    for batch in BATCHES {
        for entry in ["run", "grad"] {
            let (id, function) = function(entry)?;
            let args = arguments(function, &weights, batch)?;
            let dims = BTreeMap::from([(Symbol::new("batch"), batch)]);
            let options = interp::Options::rounded(kernel::DType::F32);
            let expected = interp::run(&built.module, id, &args, &dims, options).map_err(|error| error.0)?;
            let found = call(&program, entry, function, &weights, batch)?;
            agree(function, &expected, &found).map_err(|why| format!("{entry} of {batch}: {why}"))?;
        }
    }
    Ok(())
}

/// One value for each parameter: weights by name, the seed, and inputs that vary with the place.
fn arguments(
    function: &Function,
    weights: &BTreeMap<String, Vec<f64>>,
    batch: i64,
) -> Result<Vec<Array>, Failed> {
    let dims = BTreeMap::from([(Symbol::new("batch"), batch)]);
    let mut arguments = Vec::new();
    for param in &function.params {
        let sizes: Result<Vec<usize>, _> =
            param.ty.shape.iter().map(|dim| dim.eval(&dims).map(|n| n as usize)).collect();
        let sizes = sizes.map_err(|error| error.to_string())?;
        let count = sizes.iter().product();
        let values: Vec<f64> = match (param.role, weights.get(&param.name)) {
            (_, Some(values)) => values.clone(),
            (Role::Control, None) => vec![3.0; count],
            // Labels are small whole numbers, targets of a probability 0 or 1, the rest spreads around 0.
            (_, None) if param.ty.dtype.is_int() => (0..count).map(|at| (at * 7 % 10) as f64).collect(),
            (_, None) if param.name == "target" => (0..count).map(|at| (at % 2) as f64).collect(),
            (_, None) => (0..count).map(|at| (at * 37 % 64) as f64 / 16.0 - 2.0).collect(),
        };
        arguments.push(Array::new(param.ty.dtype, &sizes, values).ok_or("a weight has another shape")?);
    }
    Ok(arguments)
}

fn call(
    program: &Program,
    entry: &str,
    function: &Function,
    weights: &BTreeMap<String, Vec<f64>>,
    batch: i64,
) -> Result<Vec<Vec<f64>>, Failed> {
    let entry = program.entry(entry).map_err(|fault| fault.message)?;
    let arrays = arguments(function, weights, batch)?;
    let mut tensors = Vec::new();
    for (index, array) in arrays.iter().enumerate() {
        tensors.push(tensor(array, entry.arg_dtype(index))?);
    }
    let args: Vec<&tensor::Tensor> = tensors.iter().collect();
    let pool = Pool::new(2).map_err(|fault| fault.message)?;
    let results = entry.call(&mut Arena::new(), &pool, &args, &Dims::new()).map_err(|fault| fault.message)?;
    Ok(results.iter().map(tensor::Tensor::to_f64_vec).collect())
}

fn agree(function: &Function, expected: &[Array], found: &[Vec<f64>]) -> Result<(), String> {
    let largest = |array: &Array| array.values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let gradients = function.results.iter().zip(expected).filter(|((_, role, _), _)| *role == Role::Gradient);
    let largest_gradient = gradients.fold(0.0f64, |most, (_, array)| most.max(largest(array)));
    for ((name, role, _), (expected, found)) in function.results.iter().zip(expected.iter().zip(found)) {
        let scale = if *role == Role::Gradient { largest_gradient } else { largest(expected) };
        for (at, (a, b)) in found.iter().zip(&expected.values).enumerate() {
            if (a - b).abs() > TOLERANCE * scale || a.is_nan() != b.is_nan() {
                return Err(format!("`{name}`, element {at}: {a} instead of {b} (largest {scale})"));
            }
        }
    }
    Ok(())
}
