//! Whole models, compiled once and called with several batch sizes and lengths of sequences: outputs and gradients
//! against the interpreter.

use crate::run::executors::tensor;
use driver::{NoCache, Options, Session, Trace};
use exec::{Arena, Dims, Pool, Program};
use graph::{Array, Function, Role, interp};
use libtest_mimic::{Failed, Trial};
use shape::Symbol;
use std::collections::BTreeMap;

const BATCHES: [i64; 3] = [1, 3, 17];
const LENGTHS: [i64; 2] = [5, 12];
/// As `semantics.md` has arrays agree, gradients against the largest of a call: what f32 sums of whole models allow.
const TOLERANCE: f64 = 1e-5;

/// A model in a size that the interpreter can bear.
#[derive(Clone, Copy)]
struct Sample {
    file: &'static str,
    model: Option<&'static str>,
    /// What `--set` gives, and what changes in the text.
    settings: &'static [(&'static str, &'static str)],
    replaced: &'static [(&'static str, &'static str)],
    batch: &'static str,
    length: Option<&'static str>,
    tolerance: f64,
}

const fn plain(file: &'static str, batch: &'static str) -> Sample {
    Sample { file, model: None, settings: &[], replaced: &[], batch, length: None, tolerance: TOLERANCE }
}

const SAMPLES: [Sample; 10] = [
    plain("linear", "batch"),
    plain("fraud", "batch"),
    plain("digits", "batch"),
    plain("heat_pinn", "n"),
    plain("vae", "b"),
    Sample {
        replaced: &[("3, 128, 256", "3, 16, 32"), ("64, 16, 32", "64, 2, 4"), ("4, 16, 32", "4, 2, 4")],
        ..plain("hydranet", "batch")
    },
    Sample {
        model: Some("ResNet50"),
        settings: &[("classes", "10"), ("width", "4"), ("side", "64"), ("depth", "[2, 1, 2, 1]")],
        // Roundings grow through twenty normalisations, which of a single row have few values.
        tolerance: 1e-4,
        replaced: &[("resize(224, 224)", "resize(64, 64)")],
        ..plain("resnet", "batch")
    },
    Sample { settings: &[("symbols", "12"), ("hidden", "9")], length: Some("t"), ..plain("char_lstm", "b") },
    Sample {
        settings: &[
            ("vocab", "12"),
            ("layers", "4"),
            ("d", "16"),
            ("heads", "4"),
            ("wide", "24"),
            ("positions", "12"),
        ],
        length: Some("s"),
        ..plain("minilm", "b")
    },
    Sample {
        settings: &[("vocab", "12"), ("layers", "4"), ("d", "16"), ("heads", "4"), ("context", "12")],
        length: Some("s"),
        ..plain("gpt2", "b")
    },
];

pub fn trials() -> Vec<Trial> {
    let one = |sample: Sample| Trial::test(format!("batches::{}", sample.file), move || model(&sample));
    SAMPLES.map(one).into()
}

/// A number for each dynamic dimension.
type Sizes = BTreeMap<Symbol, i64>;
type Values = BTreeMap<String, Vec<f64>>;

fn model(sample: &Sample) -> Result<(), Failed> {
    let path = crate::corpus::folder().join(format!("../../../models/{}.model", sample.file));
    let mut text = std::fs::read_to_string(path)?;
    for (from, to) in sample.replaced {
        if !text.contains(from) {
            return Err(format!("`{from}` stands nowhere in the text").into());
        }
        text = text.replace(from, to);
    }
    let mut options = Options::native();
    let settings = sample.settings.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    options.sema.set.extend(settings);
    let session = Session::new(sample.file, &text, &driver::NoFiles, options);
    let told = |failure: driver::Failure| Failed::from(crate::text::told(&session, &failure));
    let (built, _) = session.build(sample.model, true).map_err(told)?;
    let entries = Session::entries(&built, &["init", "reset", "run", "grad"]);
    let compiled = session.compile(&built, &entries, &NoCache, &mut Trace::default()).map_err(told)?;
    let program = compiled.load().map_err(|failure| failure.to_string())?;
    let function = |entry: &str| {
        let found = entries.iter().find(|(known, _)| *known == entry);
        found.map(|(_, id)| (*id, &built.module.functions[*id])).ok_or(format!("no entry {entry}"))
    };
    // The weights as the compiled code makes them of the seed, for both sides.
    let made = |entry: &str, sizes: &Sizes| -> Result<Values, Failed> {
        let (_, function) = function(entry)?;
        let made = call(&program, entry, function, &Values::new(), sizes)?;
        Ok(function.results.iter().map(|(name, ..)| name.clone()).zip(made).collect())
    };
    let weights = made("init", &Sizes::new())?;
    for batch in BATCHES {
        for length in LENGTHS.into_iter().take(if sample.length.is_some() { 2 } else { 1 }) {
            let mut sizes = Sizes::from([(Symbol::new(sample.batch), batch)]);
            sizes.extend(sample.length.map(|name| (Symbol::new(name), length)));
            let mut values = weights.clone();
            if function("reset").is_ok() {
                values.extend(made("reset", &sizes)?);
            }
            for entry in ["run", "grad"] {
                let (id, function) = function(entry)?;
                let args = arguments(function, &values, &sizes)?;
                let options = interp::Options::rounded(kernel::DType::F32);
                let expected =
                    interp::run(&built.module, id, &args, &sizes, options).map_err(|error| error.0)?;
                let found = call(&program, entry, function, &values, &sizes)?;
                agree(function, &expected, &found, sample.tolerance)
                    .map_err(|why| format!("{entry} of {batch} by {length}: {why}"))?;
            }
        }
    }
    Ok(())
}

/// One value for each parameter: weights by name, the seed, and inputs that vary with the place.
fn arguments(function: &Function, weights: &Values, dims: &Sizes) -> Result<Vec<Array>, Failed> {
    let mut arguments = Vec::new();
    for param in &function.params {
        let sizes: Result<Vec<usize>, _> =
            param.ty.shape.iter().map(|dim| dim.eval(dims).map(|n| n as usize)).collect();
        let sizes = sizes.map_err(|error| error.to_string())?;
        let count = sizes.iter().product();
        let values: Vec<f64> = match (param.role, weights.get(&param.name)) {
            (_, Some(values)) => values.clone(),
            (Role::Control, None) => vec![3.0; count],
            (_, None) if param.ty.dtype.is_bool() => (0..count).map(|at| f64::from(at % 3 != 2)).collect(),
            // Labels are small whole numbers, targets of a probability 0 or 1, the rest spreads around 0, each row anew.
            (_, None) if param.ty.dtype.is_int() => (0..count).map(|at| (at * 7 % 10) as f64).collect(),
            (_, None) if param.name == "target" => (0..count).map(|at| (at % 2) as f64).collect(),
            (_, None) => (0..count).map(|at| (at * 37 % 101) as f64 / 25.0 - 2.0).collect(),
        };
        arguments.push(Array::new(param.ty.dtype, &sizes, values).ok_or("a weight has another shape")?);
    }
    Ok(arguments)
}

fn call(
    program: &Program,
    entry: &str,
    function: &Function,
    weights: &Values,
    sizes: &Sizes,
) -> Result<Vec<Vec<f64>>, Failed> {
    let entry = program.entry(entry).map_err(|fault| fault.message)?;
    let arrays = arguments(function, weights, sizes)?;
    let mut tensors = Vec::new();
    for (index, array) in arrays.iter().enumerate() {
        tensors.push(tensor(array, entry.arg_dtype(index))?);
    }
    let args: Vec<&tensor::Tensor> = tensors.iter().collect();
    let pool = Pool::new(2).map_err(|fault| fault.message)?;
    let dims: Dims = sizes.iter().map(|(name, size)| (name.to_string(), *size)).collect();
    let results = entry.call(&mut Arena::new(), &pool, &args, &dims).map_err(|fault| fault.message)?;
    Ok(results.iter().map(tensor::Tensor::to_f64_vec).collect())
}

fn agree(function: &Function, expected: &[Array], found: &[Vec<f64>], tolerance: f64) -> Result<(), String> {
    let largest = |array: &Array| array.values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let gradients = function.results.iter().zip(expected).filter(|((_, role, _), _)| *role == Role::Gradient);
    let largest_gradient = gradients.fold(0.0f64, |most, (_, array)| most.max(largest(array)));
    for ((name, role, _), (expected, found)) in function.results.iter().zip(expected.iter().zip(found)) {
        let scale = if *role == Role::Gradient { largest_gradient } else { largest(expected) };
        for (at, (a, b)) in found.iter().zip(&expected.values).enumerate() {
            if (a - b).abs() > tolerance * scale || a.is_nan() != b.is_nan() {
                return Err(format!("`{name}`, element {at}: {a} instead of {b} (largest {scale})"));
            }
        }
    }
    Ok(())
}
