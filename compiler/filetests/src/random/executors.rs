//! Everything that runs a forward model, against the graph's interpreter.

use super::{
    Verdict,
    margins::watch,
    subject::{Dims, Subject, options},
    tally::Tally,
};
use crate::run::executors::tensor;
use driver::{Session, Style, Trace};
use exec::{Arena, Pool, Program};
use generate::Model;
use graph::{Array, interp};
use kernel::{DType, interp::Order};
use llvm::{Jit, OptLevel};
use std::sync::Arc;
use tensor::Tensor;

/// A model with its kernels, ready to be compiled with others.
struct Prepared {
    model: Model,
    subject: Subject,
    kernels: kernel::Module,
    runs: Vec<Run>,
}

impl Prepared {
    fn named(&self) -> (String, &kernel::Module) {
        (self.model.name(), &self.kernels)
    }
}

/// One set of arguments, and what has to come of it.
struct Run {
    args: Vec<Array>,
    dims: Dims,
    results: Vec<Array>,
    /// Largest allowed difference, one a result.
    allowed: Vec<f64>,
}

/// Half of the models in f64, where rounding hides nothing, half in f32, which is what people run.
fn precision(model: &Model) -> DType {
    if model.seed.is_multiple_of(2) { DType::F64 } else { DType::F32 }
}

pub fn check(models: Vec<Model>, everything: bool, tally: &mut Tally) -> Vec<(Model, Verdict)> {
    let mut verdicts = Vec::new();
    let mut prepared = Vec::new();
    for (place, model) in models.into_iter().enumerate() {
        tally.models += 1;
        match prepare(&model, everything, tally) {
            Ok((subject, kernels, runs)) => {
                prepared.push((place, Prepared { model, subject, kernels, runs }))
            }
            Err(verdict) => verdicts.push((place, model, verdict)),
        }
    }
    let together: Vec<&Prepared> = prepared.iter().map(|(_, prepared)| prepared).collect();
    let found: Vec<Result<(), String>> = match everything {
        true => together.iter().map(|prepared| all_agree(prepared, tally)).collect(),
        false => compiled_agree(&together),
    };
    for ((place, prepared), found) in prepared.into_iter().zip(found) {
        let verdict = match found {
            Ok(()) => Verdict::Agrees,
            Err(why) => Verdict::Fails(why),
        };
        verdicts.push((place, prepared.model, verdict));
    }
    verdicts.sort_by_key(|(place, ..)| *place);
    for (.., verdict) in &verdicts {
        match verdict {
            Verdict::Agrees => tally.agreed += 1,
            Verdict::Rejected(why) => *tally.rejected.entry(why).or_default() += 1,
            Verdict::Fails(_) => {}
        }
    }
    verdicts.into_iter().map(|(_, model, verdict)| (model, verdict)).collect()
}

type Ready = (Subject, kernel::Module, Vec<Run>);

fn prepare(model: &Model, everything: bool, tally: &mut Tally) -> Result<Ready, Verdict> {
    let subject = Subject::new(model, precision(model), everything)?;
    let mut runs = Vec::new();
    for sizes in &model.sizes {
        runs.push(define(model, &subject, sizes)?);
    }
    let mut trace = Trace::default();
    let kernels = subject.session.lower(&subject.built, &subject.entries(), &mut trace);
    let kernels =
        kernels.map_err(|failure| Verdict::Fails(format!("lowering: {}", told(&subject, &failure))))?;
    tally.note(&subject.built.module, subject.entry);
    tally.fired(&trace.fired);
    Ok((subject, kernels, runs))
}

fn told(subject: &Subject, failure: &driver::Failure) -> String {
    crate::text::told(&subject.session, failure)
}

/// What the interpreter makes of the arguments, and how far other executors may be away from it.
fn define(model: &Model, subject: &Subject, sizes: &[i64; 2]) -> Result<Run, Verdict> {
    let (args, dims) = subject.arguments(model, sizes).map_err(Verdict::Fails)?;
    let (module, function) = (&subject.built.module, subject.function());
    let rounded = interp::Mode::Rounded { float: subject.precision };
    let watched = watch(module, function, &args, &dims, rounded);
    let results = watched.results.map_err(|why| Verdict::Fails(format!("the definition: {why}")))?;
    subject.shapes_agree(model, &results, sizes).map_err(Verdict::Fails)?;
    if !results.iter().all(|result| result.values.iter().all(|value| value.is_finite())) {
        return Err(Verdict::Rejected("not finite"));
    }
    let (nearest, tolerance, last_place) = match subject.precision {
        DType::F64 => (1e-9, 1e-12, f64::EPSILON),
        _ => (2e-4, 1e-5, f64::from(f32::EPSILON)),
    };
    if watched.margin < nearest {
        return Err(Verdict::Rejected("near a corner"));
    }
    // How much rounding moves the results says how much more of it may.
    let exact = match subject.precision {
        DType::F64 => None,
        _ => {
            let exact = interp::run(module, subject.entry, &args, &dims, interp::Options::exact());
            Some(exact.map_err(|error| Verdict::Fails(error.0))?)
        }
    };
    let mut allowed = Vec::new();
    for (place, (result, (_, _, value))) in results.iter().zip(&function.results).enumerate() {
        if !function.ty(*value).dtype.is_float() {
            allowed.push(0.0);
            continue;
        }
        let largest = result.values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        let moved = exact.as_ref().map_or(0.0, |exact| {
            let pairs = result.values.iter().zip(&exact[place].values);
            pairs.fold(0.0f64, |most, (a, b)| most.max((a - b).abs()))
        });
        if moved > 1e-2 * largest.max(1e-2) {
            return Err(Verdict::Rejected("loses its digits"));
        }
        // Sums of large numbers may cancel to small ones.
        let cancelled = 64.0 * last_place * watched.largest.max(1.0);
        allowed.push(tolerance * largest + cancelled + 16.0 * moved);
    }
    Ok(Run { args, dims, results, allowed })
}

fn agree(name: &str, prepared: &Prepared, run: &Run, found: &[Vec<f64>]) -> Result<(), String> {
    let function = prepared.subject.function();
    if found.len() != run.results.len() {
        return Err(format!("{name}: {} results instead of {}", found.len(), run.results.len()));
    }
    for (place, (result, ..)) in function.results.iter().enumerate() {
        let (wanted, found) = (&run.results[place], &found[place]);
        if found.len() != wanted.values.len() {
            return Err(format!("{name}: `{result}` has {} elements", found.len()));
        }
        for (at, (a, b)) in found.iter().zip(&wanted.values).enumerate() {
            let off = (a - b).abs();
            if off.is_nan() || off > run.allowed[place] {
                return Err(format!(
                    "{name} at {}, {:?}: `{result}`, element {at}: {a} instead of {b}, allowed is {:e}",
                    prepared.subject.precision.name(),
                    run.dims,
                    run.allowed[place]
                ));
            }
        }
    }
    Ok(())
}

/// One object, one loading for all of them: most of the time of small code goes there.
fn compiled_agree(together: &[&Prepared]) -> Vec<Result<(), String>> {
    // Optimising takes six times as long. Where there is time for everything, the two are held against each other.
    let level = match together.first() {
        Some(first) if first.model.seed / 32 % 16 == 0 => OptLevel::O3,
        _ => OptLevel::O0,
    };
    let named: Vec<_> = together.iter().map(|prepared| prepared.named()).collect();
    match linked(&named, level) {
        Ok(programs) => {
            let pool = match Pool::new(1) {
                Ok(pool) => pool,
                Err(fault) => return together.iter().map(|_| Err(fault.message.clone())).collect(),
            };
            together
                .iter()
                .zip(programs)
                .map(|(prepared, program)| {
                    let results = call(prepared, &program, &pool)?;
                    for (run, found) in prepared.runs.iter().zip(&results) {
                        let found: Vec<Vec<f64>> = found.iter().map(Tensor::to_f64_vec).collect();
                        agree("compiled code", prepared, run, &found)?;
                    }
                    Ok(())
                })
                .collect()
        }
        // Which of them it was is found by compiling each by itself.
        Err(why) if together.len() == 1 => vec![Err(why)],
        Err(_) => together.iter().flat_map(|prepared| compiled_agree(&[prepared])).collect(),
    }
}

/// The programs of several models, made as one.
pub fn linked(together: &[(String, &kernel::Module)], level: OptLevel) -> Result<Vec<Program>, String> {
    let mut lowered = Vec::new();
    let mut manifests = Vec::new();
    for (name, module) in together {
        for plan in &module.plans {
            let kernels = module.kernels.values().to_vec();
            lowered.push(lower::Lowered { kernels, plan: plan.clone() });
        }
        manifests.push(driver::manifest(name, &["run"], &module.plans));
    }
    let module = lower::link(lowered);
    let options = options(DType::F32, level);
    let options = llvm::Options { target: options.target, opt_level: level, jobs: 1 };
    let object = llvm::compile_together(&module, &options).map_err(|error| error.to_string())?;
    let jit = Arc::new(Jit::load(&object).map_err(|error| error.to_string())?);
    let program = |manifest| {
        let found = jit.clone();
        let lookup = move |name: &str| found.lookup(name);
        Program::from_addresses(manifest, lookup, jit.clone()).map_err(|fault| fault.message)
    };
    manifests.iter().map(program).collect()
}

/// Results of each run.
fn call(prepared: &Prepared, program: &Program, pool: &Pool) -> Result<Vec<Vec<Tensor>>, String> {
    let entry = program.entries().first().ok_or("the program has no entry point")?;
    let mut all = Vec::new();
    for run in &prepared.runs {
        let mut args = Vec::new();
        for (index, array) in run.args.iter().enumerate() {
            let made = tensor(array, entry.arg_dtype(index));
            args.push(made.map_err(|failed| failed.message().unwrap_or_default().to_string())?);
        }
        let args: Vec<&Tensor> = args.iter().collect();
        let dims: exec::Dims =
            run.dims.iter().map(|(symbol, value)| (symbol.name().to_string(), *value)).collect();
        let known = entry.info().symbols.clone();
        let dims = dims.into_iter().filter(|(name, _)| known.contains(name)).collect();
        let found = entry.call(&mut Arena::new(), pool, &args, &dims);
        all.push(
            found.map_err(|fault| format!("compiled code fails with {}: {}", fault.code, fault.message))?,
        );
    }
    Ok(all)
}

/// Both interpreters of kernels, both levels of optimisation, threads, a shared library, the other styles.
fn all_agree(prepared: &Prepared, tally: &mut Tally) -> Result<(), String> {
    for (name, order) in [("kernels", Order::Ascending), ("kernels, blocks in reverse", Order::Descending)] {
        for run in &prepared.runs {
            let args: Vec<Vec<f64>> =
                run.args.iter().map(|array| array.values.iter().copied().collect()).collect();
            let plan = &prepared.kernels.plans[0];
            let found = kernel::interp::run_plan(&prepared.kernels, plan, &args, &run.dims, order);
            agree(name, prepared, run, &found.map_err(|failure| format!("{name}: {failure}"))?)?;
        }
    }
    let one = Pool::new(1).map_err(|fault| fault.message)?;
    let two = Pool::new(2).map_err(|fault| fault.message)?;
    let optimised = linked(&[prepared.named()], OptLevel::O3)?;
    let program = optimised.first().ok_or("nothing was compiled")?;
    let results = call(prepared, program, &one)?;
    for (run, found) in prepared.runs.iter().zip(&results) {
        let found: Vec<Vec<f64>> = found.iter().map(Tensor::to_f64_vec).collect();
        agree("compiled code", prepared, run, &found)?;
    }
    let plain = linked(&[prepared.named()], OptLevel::O0)?;
    let plain = plain.first().ok_or("nothing was compiled")?;
    same_bits("two threads", &results, &call(prepared, program, &two)?)?;
    same_bits("no optimisation", &results, &call(prepared, plain, &one)?)?;
    if prepared.model.seed.is_multiple_of(8) {
        same_bits("a shared library", &results, &call(prepared, &shared(prepared)?, &one)?)?;
    }
    for style in [Style::Graph, Style::Eager] {
        let session = &prepared.subject.session;
        let options = driver::Options { style, ..session.options.clone() };
        let session = Session::new("random.model", &session.source.text, &driver::NoFiles, options);
        let mut trace = Trace::default();
        let kernels = session.lower(&prepared.subject.built, &prepared.subject.entries(), &mut trace);
        tally.fired(&trace.fired);
        let kernels = kernels.map_err(|failure| format!("{}: {failure}", style.name()))?;
        for run in &prepared.runs {
            let args: Vec<Vec<f64>> =
                run.args.iter().map(|array| array.values.iter().copied().collect()).collect();
            let found =
                kernel::interp::run_plan(&kernels, &kernels.plans[0], &args, &run.dims, Order::Ascending);
            agree(
                style.name(),
                prepared,
                run,
                &found.map_err(|failure| format!("{}: {failure}", style.name()))?,
            )?;
        }
        let name = format!("{}, compiled", style.name());
        let programs = linked(&[(prepared.model.name(), &kernels)], OptLevel::O0)?;
        let results = call(prepared, programs.first().ok_or("nothing was compiled")?, &one)?;
        for (run, found) in prepared.runs.iter().zip(&results) {
            let found: Vec<Vec<f64>> = found.iter().map(Tensor::to_f64_vec).collect();
            agree(&name, prepared, run, &found)?;
        }
    }
    Ok(())
}

fn shared(prepared: &Prepared) -> Result<Program, String> {
    let session = &prepared.subject.session;
    let built = &prepared.subject.built;
    let compiled =
        session.compile(built, &prepared.subject.entries(), &driver::NoCache, &mut Trace::default());
    let compiled = compiled.map_err(|failure| failure.to_string())?;
    let folder = tempfile::tempdir().map_err(|fault| fault.to_string())?;
    let path = folder.path().join("random.so");
    let bytes = compiled.object.shared_library().map_err(|error| error.to_string())?;
    std::fs::write(&path, bytes).map_err(|fault| fault.to_string())?;
    Program::open_shared(&path, &compiled.manifest).map_err(|fault| fault.message)
}

fn same_bits(name: &str, wanted: &[Vec<Tensor>], found: &[Vec<Tensor>]) -> Result<(), String> {
    for (a, b) in wanted.iter().flatten().zip(found.iter().flatten()) {
        if a.bytes() != b.bytes() {
            return Err(format!("{name}: other bits: {:?} and {:?}", a.to_f64_vec(), b.to_f64_vec()));
        }
    }
    Ok(())
}
