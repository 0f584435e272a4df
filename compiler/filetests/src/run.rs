//! Cases that run. One function goes through every executor, at f32 and at f64:
//!
//! the graph's interpreter (exact: the definition), the kernels' interpreter, compiled code without and with
//! optimisation (bit for bit the same, on one thread and on two), and the same code as a shared library.
//!
//! ```text
//! // input x: f32[2, 2] = [[0, 0], [1, 3]]      or `random`, `random(lo, hi)`, `ramp`
//! // output y = [[0.5, 0.5], [0.1192, 0.8808]] tol=1e-4
//! // weight dense.w = [[1, 2]]                  the others come from `init` with `// seed 0`
//! // gradient dx of y by x                      central differences of the sum of `y`
//! // entry grad                                 of a model with a `train` block; held against differences of the loss
//! // structure { kernel 1 }
//! // fails E0803                                a run-time condition that does not hold
//! // within 1e-4                                for functions that lose digits at f32
//! ```
//!
//! At f64 every `f32` of the text reads `f64`.

mod differences;
pub mod executors;
mod values;

use crate::{corpus::Case, text::told};
use driver::{Options, Session, Trace};
use graph::{Array, FuncId, Function, Role, interp};
use kernel::DType;
use libtest_mimic::Failed;
use sema::Built;
use shape::Symbol;
use std::collections::BTreeMap;

pub fn run(case: &Case) -> Result<(), Failed> {
    let float = |float| Options { float, ..Options::native() };
    let precisions = match case.directive("precision") {
        None => vec![DType::F32, DType::F64],
        Some(name) => {
            vec![DType::parse(name).filter(|dtype| dtype.is_float()).ok_or("`// precision f32` or f64")?]
        }
    };
    for precision in precisions {
        let text = case.text.replace("f32", precision.name());
        let case = Case { path: case.path.clone(), text };
        let session = case.session(float(precision))?;
        let at = |failed: Failed| {
            Failed::from(format!("at {}: {}", precision.name(), failed.message().unwrap_or_default()))
        };
        one_precision(&case, &session, precision).map_err(at)?;
    }
    Ok(())
}

fn one_precision(case: &Case, session: &Session, precision: DType) -> Result<(), Failed> {
    let wanted = case.directive("entry").unwrap_or("run");
    let (built, _) = session.build(None, wanted != "run").map_err(|failure| told(session, &failure))?;
    let entries = Session::entries(&built, &[wanted]);
    let [(_, entry)] = entries[..] else {
        return Err(format!("the model has no entry point `{wanted}`").into());
    };
    let function = &built.module.functions[entry];
    let mut args = Vec::new();
    for array in arguments(case, &built, function)? {
        let dtype = array.dtype.concrete(precision);
        args.push(Array {
            values: array.values.mapv(|value| interp::round(value, dtype)),
            dtype: array.dtype,
        });
    }
    let dims = sizes(function.params.iter().zip(args.iter().map(Array::shape)));
    // Exact values; but draws are those of the precision, and at f64 rounding changes nothing else.
    let options = || match precision {
        DType::F64 => interp::Options::rounded(DType::F64),
        _ => interp::Options::exact(),
    };
    let exact = |args: &[Array]| interp::run(&built.module, entry, args, &dims, options());
    let definition = exact(&args);

    let kernels =
        session.lower(&built, &entries, &mut Trace::default()).map_err(|failure| told(session, &failure))?;
    structure(case, &kernels)?;
    let subject = executors::Subject {
        session,
        built: &built,
        entries: &entries,
        kernels: &kernels,
        args: &args,
        dims: &dims,
    };
    if let Some(code) = case.directive("fails") {
        return match definition {
            Ok(_) => Err("the definition does not fail".into()),
            Err(_) => executors::all_fail(&subject, code),
        };
    }
    let definition = definition.map_err(|error| error.0)?;
    shape_claims(function, &definition, &dims)?;
    expectations(case, function, &definition)?;
    if wanted == "grad" {
        differences::of_loss(function, &args, &definition, &exact)?;
    }
    for directive in case.directives("gradient") {
        differences::of_output(directive, function, &args, &definition, &exact)?;
    }
    let tolerance = match (precision, case.directive("within")) {
        (DType::F64, _) => 1e-12,
        (_, Some(within)) => within.parse().map_err(|_| "`// within 1e-4`")?,
        _ => 1e-5,
    };
    executors::all_agree(&subject, function, &definition, tolerance)
}

/// A value for each parameter, in order.
fn arguments(case: &Case, built: &Built, function: &Function) -> Result<Vec<Array>, Failed> {
    let number = |word: &str, default: f64| {
        case.directive(word).map_or(Ok(default), |text| text.parse().map_err(|_| format!("`// {word} N`")))
    };
    let seed = number("seed", 0.0)?;
    let mut given = BTreeMap::new();
    for directive in case.directives("input") {
        let (name, array) = values::input(directive)?;
        given.insert(name, array);
    }
    let told = function.params.iter().filter_map(|param| Some((param, given.get(&param.name)?.shape())));
    let sizes = sizes(told);
    let mut initial = initial(built, seed, &sizes)?;
    for word in ["weight", "state"] {
        for directive in case.directives(word) {
            let (name, value) = values::named(directive)?;
            let array = initial.get_mut(&name).ok_or(format!("there is no {word} `{name}`"))?;
            *array = values::shaped(array.dtype, array.shape(), &value)?;
        }
    }
    let mut args = Vec::new();
    for param in &function.params {
        let array = match param.role {
            Role::Control => Some(Array::scalar(
                param.ty.dtype,
                match param.name.as_str() {
                    "seed" => seed,
                    "total_steps" => number("total_steps", 100.0)?,
                    _ => number("step", 0.0)?,
                },
            )),
            Role::Weight | Role::State | Role::Optimizer => initial.get(&param.name).cloned(),
            _ => given.get(&param.name).cloned(),
        };
        args.push(array.ok_or(format!("`{}` is given by no directive", param.name))?);
    }
    Ok(args)
}

/// What `init` and `reset` make, by name, for inputs of these sizes.
fn initial(
    built: &Built,
    seed: f64,
    sizes: &BTreeMap<Symbol, i64>,
) -> Result<BTreeMap<String, Array>, Failed> {
    let mut initial = BTreeMap::new();
    for (_, entry) in Session::entries(built, &["init", "reset"]) {
        let function = &built.module.functions[entry];
        let args: Vec<Array> =
            function.params.iter().map(|param| Array::scalar(param.ty.dtype, seed)).collect();
        let made = interp::run(&built.module, entry, &args, sizes, interp::Options::exact());
        let names = function.results.iter().map(|(name, ..)| name.clone());
        initial.extend(names.zip(made.map_err(|error| error.0)?));
    }
    Ok(initial)
}

/// The dimensions that the shapes of arrays tell, each with the parameter that it is for.
pub fn sizes<'a>(shapes: impl Iterator<Item = (&'a graph::Param, &'a [usize])>) -> BTreeMap<Symbol, i64> {
    let axes = shapes.flat_map(|(param, shape)| param.ty.shape.iter().zip(shape));
    axes.filter_map(|(dim, size)| Some((dim.as_symbol()?, *size as i64))).collect()
}

/// The shapes that the checker proved, at these sizes, against those that results have.
pub(crate) fn shape_claims(
    function: &Function,
    found: &[Array],
    dims: &BTreeMap<Symbol, i64>,
) -> Result<(), Failed> {
    for ((name, _, value), array) in function.results.iter().zip(found) {
        let claimed = &function.ty(*value).shape;
        let sizes: Option<Vec<i64>> = claimed.iter().map(|dim| dim.eval(dims).ok()).collect();
        let real: Vec<i64> = array.shape().iter().map(|size| *size as i64).collect();
        if sizes.as_ref() != Some(&real) {
            return Err(format!("`{name}` is {claimed} by the checker, {sizes:?} here, but {real:?}").into());
        }
    }
    Ok(())
}

/// `// output y = […] tol=1e-4` against the definition.
fn expectations(case: &Case, function: &Function, found: &[Array]) -> Result<(), Failed> {
    for directive in case.directives("output") {
        let (directive, tolerance) = match directive.split_once(" tol=") {
            Some((rest, tolerance)) => (rest, tolerance.parse().map_err(|_| "`tol=1e-4`")?),
            None => (directive, 1e-6),
        };
        let (name, value) = values::named(directive)?;
        let index = result_index(function, &name).ok_or(format!("there is no result `{name}`"))?;
        let expected = values::shaped(found[index].dtype, found[index].shape(), &value)?;
        for (at, (a, b)) in found[index].values.iter().zip(&expected.values).enumerate() {
            if !(a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= tolerance * b.abs().max(1.0)) {
                return Err(format!(
                    "`{name}`, element {at}: {a} instead of {b}; all of it is {}",
                    found[index].values
                )
                .into());
            }
        }
    }
    Ok(())
}

fn result_index(function: &Function, name: &str) -> Option<usize> {
    function.results.iter().position(|(result, ..)| result == name)
}

/// `// structure { kernel 1 }`: how many kernels the plan calls.
fn structure(case: &Case, kernels: &kernel::Module) -> Result<(), Failed> {
    let Some(text) = case.directive("structure") else { return Ok(()) };
    let wanted = text
        .trim_start_matches('{')
        .trim_end_matches('}')
        .trim()
        .strip_prefix("kernel ")
        .and_then(|n| n.parse::<usize>().ok());
    let wanted = wanted.ok_or("`// structure { kernel 1 }`")?;
    let found: usize = kernels.plans.iter().map(|plan| plan.calls().len()).sum();
    if found == wanted { Ok(()) } else { Err(format!("{found} kernels instead of {wanted}").into()) }
}

type Exact<'a> = &'a dyn Fn(&[Array]) -> Result<Vec<Array>, graph::EvalError>;

/// An entry point by its compiler's name.
type Entries<'a> = &'a [(&'static str, FuncId)];
