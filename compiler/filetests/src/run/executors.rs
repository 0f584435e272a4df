//! Everything that can run an entry point, held against the definition.

use super::Entries;
use crate::random::executors::linked;
use crate::text::told;
use driver::{Compiled, NoCache, Options, Session, Style, Trace};
use exec::{Arena, Dims, Pool, Program};
use graph::{Array, Function, Role, interp};
use kernel::{DType, interp::Order};
use libtest_mimic::Failed;
use llvm::OptLevel;
use sema::Built;
use shape::Symbol;
use std::collections::BTreeMap;
use tensor::Tensor;

#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub session: &'a Session,
    pub built: &'a Built,
    pub entries: Entries<'a>,
    pub kernels: &'a kernel::Module,
    pub args: &'a [Array],
    pub dims: &'a BTreeMap<Symbol, i64>,
}

/// Results of compiled code: one tensor each, or the code of the fault.
type Outcome = Result<Vec<Tensor>, String>;

pub fn all_agree(
    subject: &Subject<'_>,
    function: &Function,
    definition: &[Array],
    tolerance: f64,
) -> Result<(), Failed> {
    for (name, order) in [("kernels", Order::Ascending), ("kernels, blocks in reverse", Order::Descending)] {
        let found = subject.interpret(order).map_err(|failure| format!("{name}: {failure}"))?;
        compare(name, function, definition, &found, tolerance)?;
    }
    let optimised = subject.compile(OptLevel::O3)?;
    let plain = subject.compile(OptLevel::O0)?;
    let results =
        subject.call(&load(&optimised)?, 1)?.map_err(|code| format!("compiled code fails with {code}"))?;
    let values: Vec<Vec<f64>> = results.iter().map(Tensor::to_f64_vec).collect();
    compare("compiled code", function, definition, &values, tolerance)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("case.so");
    std::fs::write(&path, optimised.object.shared_library().map_err(|error| error.to_string())?)?;
    let shared = Program::open_shared(&path, &optimised.manifest).map_err(|fault| fault.message)?;
    let again = [
        ("two threads", subject.call(&load(&optimised)?, 2)?),
        ("no optimisation", subject.call(&load(&plain)?, 1)?),
        ("a shared library", subject.call(&shared, 1)?),
    ];
    for (name, found) in again {
        let found = found.map_err(|code| format!("{name}: fails with {code}"))?;
        for ((result, ..), (a, b)) in function.results.iter().zip(results.iter().zip(&found)) {
            if a.bytes() != b.bytes() {
                return Err(format!(
                    "{name}: `{result}` has other bits: {:?} and {:?}",
                    a.to_f64_vec(),
                    b.to_f64_vec()
                )
                .into());
            }
        }
    }
    for style in STYLES {
        let session = subject.session_with(Options { style, ..subject.session.options.clone() });
        let name = |what: &str| format!("{what} in the style `{}`", style.name());
        let lowered = session.lower(subject.built, subject.entries, &mut Trace::default());
        let kernels = lowered.map_err(|failure| told(subject.session, &failure))?;
        let found = Subject { kernels: &kernels, session: &session, ..*subject }.interpret(Order::Descending);
        let found = found.map_err(|failure| format!("{}: {failure}", name("kernels")))?;
        compare(&name("kernels"), function, definition, &found, tolerance)?;
        let programs = linked(&[(subject.built.name.clone(), &kernels)], OptLevel::O0)?;
        let found = subject.call(programs.first().ok_or("nothing was compiled")?, 1)?;
        let found = found.map_err(|code| format!("{}: fails with {code}", name("compiled code")))?;
        let found: Vec<Vec<f64>> = found.iter().map(Tensor::to_f64_vec).collect();
        compare(&name("compiled code"), function, definition, &found, tolerance)?;
    }
    Ok(())
}

/// What is compared with the style that is the default.
const STYLES: [Style; 2] = [Style::Graph, Style::Eager];

/// A condition that does not hold ends every executor, compiled code with this fault.
pub fn all_fail(subject: &Subject<'_>, code: &str) -> Result<(), Failed> {
    match subject.interpret(Order::Ascending) {
        Err(kernel::interp::Failure::Check(_)) => {}
        other => return Err(format!("kernels: {other:?} instead of a failed check").into()),
    }
    let styles = STYLES.map(|style| (style, OptLevel::O0));
    for (style, level) in
        [(Style::Compiled, OptLevel::O3), (Style::Compiled, OptLevel::O0)].into_iter().chain(styles)
    {
        match subject.call(&load(&subject.compile_as(style, level)?)?, 1)? {
            Err(found) if found == code => {}
            other => return Err(format!("compiled code: {other:?} instead of {code}").into()),
        }
    }
    Ok(())
}

impl Subject<'_> {
    fn interpret(&self, order: Order) -> Result<Vec<Vec<f64>>, kernel::interp::Failure> {
        let args: Vec<Vec<f64>> =
            self.args.iter().map(|array| array.values.iter().copied().collect()).collect();
        kernel::interp::run_plan(self.kernels, &self.kernels.plans[0], &args, self.dims, order)
    }

    /// The same source and built model with other options.
    fn session_with(&self, options: Options) -> Session {
        Session::new(&self.session.source.name, &self.session.source.text, &driver::NoFiles, options)
    }

    fn compile(&self, opt_level: OptLevel) -> Result<Compiled, Failed> {
        self.compile_as(Style::Compiled, opt_level)
    }

    fn compile_as(&self, style: Style, opt_level: OptLevel) -> Result<Compiled, Failed> {
        let session = self.session_with(Options { style, opt_level, ..self.session.options.clone() });
        let compiled = session.compile(self.built, self.entries, &NoCache, &mut Trace::default());
        compiled.map_err(|failure| told(self.session, &failure).into())
    }

    fn call(&self, program: &Program, threads: usize) -> Result<Outcome, Failed> {
        let pool = Pool::new(threads).map_err(|fault| fault.message)?;
        let entry = program.entries().first().ok_or("the program has no entry point")?;
        let mut args = Vec::new();
        for (index, array) in self.args.iter().enumerate() {
            args.push(tensor(array, entry.arg_dtype(index))?);
        }
        let args: Vec<&Tensor> = args.iter().collect();
        let dims: Dims =
            self.dims.iter().map(|(symbol, value)| (symbol.name().to_string(), *value)).collect();
        Ok(entry.call(&mut Arena::new(), &pool, &args, &dims).map_err(|fault| fault.code.to_string()))
    }
}

fn load(compiled: &Compiled) -> Result<Program, Failed> {
    compiled.load().map_err(|failure| failure.to_string().into())
}

pub fn tensor(array: &Array, dtype: tensor::DType) -> Result<Tensor, Failed> {
    let values: Vec<f64> = array.values.iter().copied().collect();
    let tensor = Tensor::from_vec(array.shape().to_vec(), values).and_then(|tensor| tensor.cast(dtype));
    tensor.map_err(|fault| fault.message.into())
}

/// max |a − b| ≤ tolerance · max |b|, gradients against the largest of all of them, and the same places infinite or not a number.
fn compare(
    name: &str,
    function: &Function,
    definition: &[Array],
    found: &[Vec<f64>],
    tolerance: f64,
) -> Result<(), Failed> {
    if found.len() != definition.len() {
        return Err(format!("{name}: {} results instead of {}", found.len(), definition.len()).into());
    }
    let largest_of = |array: &Array| {
        let finite = array.values.iter().filter(|value| value.is_finite());
        finite.fold(0.0f64, |largest, value| largest.max(value.abs()))
    };
    let gradients =
        function.results.iter().zip(definition).filter(|((_, role, _), _)| *role == Role::Gradient);
    let largest_gradient = gradients.fold(0.0f64, |largest, (_, array)| largest.max(largest_of(array)));
    for ((result, role, value), (expected, found)) in
        function.results.iter().zip(definition.iter().zip(found))
    {
        let largest = if *role == Role::Gradient { largest_gradient } else { largest_of(expected) };
        let is_float = function.ty(*value).dtype.is_float();
        let allowed = if is_float { tolerance * if largest == 0.0 { 1.0 } else { largest } } else { 0.0 };
        if found.len() != expected.values.len() {
            return Err(format!(
                "{name}: `{result}` has {} elements instead of {}",
                found.len(),
                expected.values.len()
            )
            .into());
        }
        for (at, (a, b)) in found.iter().zip(&expected.values).enumerate() {
            // Beyond the dtype's range the exact value is finite still.
            let overflow = a.is_infinite() && interp::round(*b, DType::F32) == *a;
            if !(a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= allowed || overflow) {
                return Err(format!("{name}: `{result}`, element {at}: {a} instead of {b}").into());
            }
        }
    }
    Ok(())
}
