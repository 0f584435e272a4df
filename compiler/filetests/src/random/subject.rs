//! A random model after the checker: its entry point, and arguments for it.

use super::Verdict;
use crate::text::told;
use driver::{Failure, NoFiles, Options, Session};
use generate::Model;
use graph::{Array, FuncId, Function, Role, interp};
use kernel::DType;
use llvm::{OptLevel, Target};
use sema::Built;
use shape::Symbol;
use std::{collections::BTreeMap, sync::OnceLock};

pub struct Subject {
    pub session: Session,
    pub built: Built,
    pub entry: FuncId,
    pub precision: DType,
    initial: BTreeMap<String, Array>,
}

/// Values of the dynamic dimensions.
pub type Dims = BTreeMap<Symbol, i64>;

pub fn options(float: DType, opt_level: OptLevel) -> Options {
    static TARGET: OnceLock<Target> = OnceLock::new();
    let target = TARGET.get_or_init(Target::native).clone();
    Options {
        sema: sema::Options::default(),
        float,
        style: driver::Style::Compiled,
        profile: false,
        strict: false,
        target,
        opt_level,
        jobs: 1,
        verify: false,
        max_memory: None,
    }
}

impl Subject {
    pub fn new(model: &Model, precision: DType, verify: bool) -> Result<Subject, Verdict> {
        let options = Options { verify, ..options(precision, OptLevel::O3) };
        let session = Session::new("random.model", &model.source(), &NoFiles, options);
        let built = match session.build(None, false) {
            Ok((built, _)) => built,
            Err(failure) => return Err(refused(&session, &failure)),
        };
        let Some((_, entry)) = Session::entries(&built, &["run"]).first().copied() else {
            return Err(Verdict::Fails("no entry point `run`".into()));
        };
        let initial = initial(&built).map_err(Verdict::Fails)?;
        Ok(Subject { session, built, entry, precision, initial })
    }

    pub fn function(&self) -> &Function {
        &self.built.module.functions[self.entry]
    }

    pub fn entries(&self) -> [(&'static str, FuncId); 1] {
        [("run", self.entry)]
    }

    /// A value for each parameter, rounded to the build's dtype, and the dimensions.
    pub fn arguments(&self, model: &Model, sizes: &[i64; 2]) -> Result<(Vec<Array>, Dims), String> {
        let dims: Dims = Model::symbols(sizes).map(|(name, value)| (Symbol::new(name), value)).collect();
        let mut args = Vec::new();
        for param in &self.function().params {
            let array = match param.role {
                Role::Control => Array::scalar(param.ty.dtype, if param.name == "seed" { 7.0 } else { 0.0 }),
                Role::Weight | Role::State => {
                    self.initial.get(&param.name).cloned().ok_or(format!("no weight `{}`", param.name))?
                }
                _ => {
                    let input = model.inputs.iter().find(|input| input.name == param.name);
                    let input =
                        input.ok_or(format!("an input `{}` that the model does not have", param.name))?;
                    let shape: Vec<usize> = input.shape.iter().map(|dim| dim.at(sizes) as usize).collect();
                    Array::new(param.ty.dtype, &shape, model.values_of(input, sizes))
                        .ok_or("values do not fit their shape")?
                }
            };
            let dtype = array.dtype.concrete(self.precision);
            let values = array.values.mapv(|value| interp::round(value, dtype));
            args.push(Array { values, dtype: array.dtype });
        }
        Ok((args, dims))
    }

    /// Results have the names, dtypes and shapes that the generator says.
    pub fn shapes_agree(&self, model: &Model, results: &[Array], sizes: &[i64; 2]) -> Result<(), String> {
        let function = self.function();
        for output in &model.outputs {
            let place = function.results.iter().position(|(name, ..)| *name == output.name);
            let place = place.ok_or(format!("there is no result `{}`", output.name))?;
            let ty = function.ty(function.results[place].2);
            let wanted: Vec<usize> = output.shape.iter().map(|dim| dim.at(sizes) as usize).collect();
            let dims: Dims = Model::symbols(sizes).map(|(name, value)| (Symbol::new(name), value)).collect();
            let checked: Vec<usize> =
                ty.shape.iter().map(|dim| dim.eval(&dims).unwrap_or(-1) as usize).collect();
            let found = results[place].shape();
            if found != wanted || checked != wanted {
                return Err(format!(
                    "`{}` has the shape {found:?}, by the checker {checked:?} ({ty}), needed is {wanted:?}",
                    output.name
                ));
            }
        }
        Ok(())
    }
}

/// Models may ask for derivatives that do not exist, and for more than limits allow; all else should be accepted.
fn refused(session: &Session, failure: &Failure) -> Verdict {
    if let Failure::Faults(faults) = failure {
        let errors = || faults.iter().filter(|fault| fault.severity == base::Severity::Error);
        if errors().all(|fault| fault.code == "E0315") {
            return Verdict::Rejected("no derivative");
        }
        if errors().all(|fault| matches!(fault.code, "E0315" | "E0501" | "E0502")) {
            return Verdict::Rejected("not supported yet");
        }
        if errors().all(|fault| matches!(fault.code, "E0403" | "E0420")) {
            return Verdict::Rejected("limit");
        }
    }
    Verdict::Fails(told(session, failure))
}

/// What `init` makes, by name.
fn initial(built: &Built) -> Result<BTreeMap<String, Array>, String> {
    let entries = Session::entries(built, &["init"]);
    let [(_, init)] = entries[..] else { return Err("the model has no `init`".into()) };
    let function = &built.module.functions[init];
    if function.results.is_empty() {
        return Ok(BTreeMap::new());
    }
    let args: Vec<Array> = function.params.iter().map(|param| Array::scalar(param.ty.dtype, 0.0)).collect();
    let made = interp::run(&built.module, init, &args, &BTreeMap::new(), interp::Options::exact());
    let made = made.map_err(|error| error.0)?;
    Ok(function.results.iter().map(|(name, ..)| name.clone()).zip(made).collect())
}
