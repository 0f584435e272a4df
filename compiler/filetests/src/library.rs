//! The standard library's own tests: each holds in the reference interpreter and in compiled code.

use driver::{NoCache, Options, Session, Trace, library};
use exec::{Arena, Dims, Pool};
use graph::interp;
use libtest_mimic::{Failed, Trial};
use llvm::OptLevel;
use sema::TestCase;
use std::{collections::BTreeMap, sync::Arc};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    if !library().faults.is_empty() {
        return vec![Trial::test("library", || Err("the library does not parse".into()))];
    }
    // At f64 the tolerance of an assertion is about the function, not about rounding.
    let options = Options { float: kernel::DType::F64, opt_level: OptLevel::O0, ..Options::native() };
    for session in Session::of_library(&options) {
        let file = session.source.name.trim_start_matches("std/").trim_end_matches(".model").to_string();
        let session = Arc::new(session);
        match session.test_cases() {
            Err(failure) => {
                let text = crate::text::told(&session, &failure);
                trials.push(Trial::test(format!("library::{file}"), move || Err(text.into())));
            }
            Ok(cases) => {
                for case in cases {
                    let session = session.clone();
                    let name = format!("library::{file}::{}", case.title.replace(' ', "_"));
                    trials.push(Trial::test(name, move || holds(&session, &case)));
                }
            }
        }
    }
    trials
}

fn holds(session: &Session, case: &TestCase) -> Result<(), Failed> {
    let exact = interp::run(&case.module, case.entry, &[], &BTreeMap::new(), interp::Options::exact());
    let exact: Vec<Vec<f64>> =
        exact.map_err(|error| error.0)?.into_iter().map(|array| array.values.into_iter().collect()).collect();
    judge(session, case, &exact, "the interpreter")?;
    let trace = &mut Trace::default();
    let compiled = session
        .compile_function(&case.module, case.entry, "library", &NoCache, trace)
        .map_err(|failure| failure.to_string())?;
    let program = compiled.load().map_err(|failure| failure.to_string())?;
    let pool = Pool::new(1).map_err(|fault| fault.message)?;
    let entry = program.entry("run").map_err(|fault| fault.message)?;
    let results = entry.call(&mut Arena::new(), &pool, &[], &Dims::new()).map_err(|fault| fault.message)?;
    let compiled: Vec<Vec<f64>> = results.iter().map(tensor::Tensor::to_f64_vec).collect();
    judge(session, case, &compiled, "compiled code")
}

fn judge(session: &Session, case: &TestCase, values: &[Vec<f64>], by: &str) -> Result<(), Failed> {
    let function = &case.module.functions[case.entry];
    let value = |name: String| {
        let position = function.results.iter().position(|(result, ..)| *result == name);
        position.and_then(|position| values.get(position)).ok_or(format!("no result {name}"))
    };
    if case.asserts.is_empty() {
        return Err("asserts nothing".into());
    }
    for (number, assert) in case.asserts.iter().enumerate() {
        let held = if assert.near {
            let (left, right) = (value(format!("{number}.left"))?, value(format!("{number}.right"))?);
            let near = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= assert.within * b.abs().max(1.0);
            if left.len() == right.len() && left.iter().zip(right).all(near) {
                None
            } else {
                Some(format!("{left:?} is not {right:?}"))
            }
        } else if value(format!("{number}.holds"))?.iter().all(|held| *held != 0.0) {
            None
        } else {
            Some("it is false".into())
        };
        if let Some(why) = held {
            return Err(format!("{}: by {by} {why}", session.place(assert.span)).into());
        }
    }
    Ok(())
}
