//! `dlc test`: the `test` items, run by the reference interpreter and by compiled code.

use crate::{
    cx::Cx,
    fault::{Fault, InSession},
    output,
};
use clap::Args;
use driver::{Session, Trace};
use exec::{Arena, Dims, Pool};
use graph::{Array, interp};
use sema::TestCase;
use std::{collections::BTreeMap, path::PathBuf, time::Instant};

/// Run the `test` items of model files, interpreted and compiled
#[derive(Args)]
#[command(after_help = "Examples:\n  dlc test linear.model\n  dlc test --all")]
pub struct Arguments {
    /// Model files
    #[arg(required_unless_present = "all")]
    files: Vec<PathBuf>,
    /// The standard library's tests too
    #[arg(long)]
    all: bool,
    /// Only tests whose title has this text in it
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let began = Instant::now();
    let mut sessions = Vec::new();
    for file in &arguments.files {
        sessions.push(cx.session(file)?);
    }
    if arguments.all {
        sessions.extend(Session::of_library(&cx.options()?));
    }
    let pool = cx.pool()?;
    let (mut passed, mut failed, mut left_out) = (0, 0, 0);
    for session in &sessions {
        let cases = session.test_cases().within(session)?;
        for case in &cases {
            if arguments.filter.as_ref().is_some_and(|text| !case.title.contains(text.as_str())) {
                left_out += 1;
                continue;
            }
            let name = format!("{} \"{}\"", session.source.name, case.title);
            let mut faults = interpreted(session, case);
            faults.extend(compiled(cx, session, case, &pool)?);
            if faults.is_empty() {
                passed += 1;
                if !cx.everywhere.quiet {
                    output::print(&format!("ok      {name}\n"))?;
                }
            } else {
                failed += 1;
                output::print(&format!("FAILED  {name}\n"))?;
                for fault in faults {
                    output::print(&format!("        {fault}\n"))?;
                }
            }
        }
    }
    let ended = began.elapsed().as_secs_f64();
    output::print(&format!(
        "\n{passed} passed, {failed} failed, {left_out} filtered out, in {ended:.2} s\n"
    ))?;
    if failed > 0 { Err(Fault::Told) } else { Ok(()) }
}

/// Runs the definition of every operator in f64.
fn interpreted(session: &Session, case: &TestCase) -> Vec<String> {
    let names = results(case);
    match interp::run(&case.module, case.entry, &controls(case), &BTreeMap::new(), interp::Options::exact()) {
        Ok(arrays) => {
            let values = arrays.iter().map(|array| array.values.iter().copied().collect());
            judge(session, case, &names.into_iter().zip(values).collect(), "interpreted")
        }
        Err(fault) => vec![format!("interpreted: {}", fault.0)],
    }
}

fn compiled(cx: &Cx, session: &Session, case: &TestCase, pool: &Pool) -> Result<Vec<String>, Fault> {
    let compiled = session
        .compile_function(&case.module, case.entry, "test", &cx.cache, &mut Trace::default())
        .within(session)?;
    let program = compiled.load().within(session)?;
    let entry = program.entry("run")?;
    let zero = tensor::Tensor::from_vec([], [0i64])?;
    let args = vec![&zero; entry.info().args.len()];
    Ok(match entry.call(&mut Arena::new(), pool, &args, &Dims::new()) {
        Ok(tensors) => {
            let values = tensors.iter().map(tensor::Tensor::to_f64_vec);
            judge(session, case, &results(case).into_iter().zip(values).collect(), "compiled")
        }
        Err(fault) => vec![format!("compiled: {}", fault.message)],
    })
}

fn results(case: &TestCase) -> Vec<String> {
    case.module.functions[case.entry].results.iter().map(|(name, ..)| name.clone()).collect()
}

/// Seed and step of random draws: 0.
fn controls(case: &TestCase) -> Vec<Array> {
    let params = &case.module.functions[case.entry].params;
    params.iter().map(|param| Array::scalar(param.ty.dtype, 0.0)).collect()
}

/// What does not hold, in words.
fn judge(session: &Session, case: &TestCase, values: &BTreeMap<String, Vec<f64>>, how: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let of = |number: usize, part: &str| values.get(&format!("{number}.{part}"));
    for (number, assert) in case.asserts.iter().enumerate() {
        let found = match (of(number, "left"), of(number, "right"), of(number, "holds")) {
            (Some(left), Some(right), _) if assert.near && left.len() == right.len() => {
                let apart = left.iter().zip(right).find(|(a, b)| !near(**a, **b, assert.within));
                apart.map(|(a, b)| format!("{a} is not within {} of {b}", assert.within))
            }
            (_, _, Some(holds)) if !assert.near && !holds.is_empty() => {
                holds.contains(&0.0).then(|| "does not hold".to_string())
            }
            _ => Some("gives no value".to_string()),
        };
        if let Some(found) = found {
            let message = assert.message.as_ref().map_or(String::new(), |message| format!(": {message}"));
            faults.push(format!("{} {how}: {found}{message}", session.place(assert.span)));
        }
    }
    faults
}

/// `~=`: equal infinities and two NaN are near each other.
fn near(a: f64, b: f64, within: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= within * b.abs().max(1.0)
}
