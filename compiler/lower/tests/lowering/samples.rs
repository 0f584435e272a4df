//! Every sample of every operator, in f64, f32 and kernel by kernel.

use crate::compare::{F32, F64, NODES, OPERATIONS, Setting, check};
use graph::{Builder, Function, Module, Op, Param, Role, Sample, Type};
use shape::Dim;
use std::collections::BTreeMap;

/// The sample with `float` for f32, so that a build may choose.
fn with_float(sample: &Sample) -> Sample {
    let mut sample = sample.clone();
    for input in &mut sample.inputs {
        if input.dtype == graph::DType::F32 {
            input.dtype = graph::DType::Float;
        }
    }
    sample
}

fn function_of(sample: &Sample) -> Module {
    let empty = Module::default();
    let mut function = Function::new("sample");
    let mut builder = Builder::new(&empty, &mut function);
    let inputs: Vec<_> = sample
        .inputs
        .iter()
        .enumerate()
        .map(|(index, array)| {
            let shape = array.shape().iter().map(|extent| Dim::from(*extent)).collect();
            let ty = Type::new(array.dtype, shape);
            builder.param(Param { name: format!("x{index}"), role: Role::Input, ty })
        })
        .collect();
    let result = builder.add(sample.op.clone(), &inputs);
    function.results.push(("y".into(), Role::Output, result));
    let mut module = Module::default();
    module.functions.push(function);
    module
}

fn all_samples(setting: Setting) {
    let (mut run, mut failures) = (0, Vec::new());
    for (name, samples) in Op::all_samples() {
        if matches!(name, "param" | "call" | "get") {
            continue;
        }
        for (number, sample) in samples.iter().enumerate() {
            let sample = with_float(sample);
            // An operator that names f32 itself does not mix with f64.
            let fits = |sample: &Sample| std::panic::catch_unwind(|| function_of(sample)).ok();
            let module = fits(&sample).unwrap_or_else(|| function_of(&samples[number]));
            let function = &module.functions.values()[0];
            let result = function.ty(function.results[0].2).dtype.concrete(setting.float);
            let exact = result == kernel::DType::F64 || !result.is_float();
            let tolerance = setting.tolerance.max(if exact { 0.0 } else { sample.tolerance.max(1e-5) });
            let setting = Setting { tolerance, ..setting };
            let entry = base::Id::new(0);
            if let Err(message) = check(&module, entry, &sample.inputs, &BTreeMap::new(), setting) {
                failures.push(format!("{name} {number} {:?}: {message}", sample.op));
            }
            run += 1;
        }
    }
    let shown: Vec<&str> = failures.iter().take(5).map(String::as_str).collect();
    assert!(failures.is_empty(), "{} of {run} samples fail:\n{}", failures.len(), shown.join("\n"));
    assert!(run > 100, "only {run} samples");
}

#[test]
fn samples_in_f64() {
    all_samples(F64);
}

#[test]
fn samples_in_f32() {
    all_samples(F32);
}

#[test]
fn samples_kernel_by_kernel() {
    all_samples(NODES);
    all_samples(OPERATIONS);
}
