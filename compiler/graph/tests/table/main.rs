//! The table tests: what every operator says of itself must agree, on the samples that it gives.

mod derivatives;
mod elements;
mod functions;
mod lanes;
mod scalar;
mod symbolic;

use functions::{assert_close, evaluate, type_of};
use graph::{Module, Op};
use shape::Facts;

/// Every operator that has a value of its own has samples.
#[test]
fn every_operator_has_samples() {
    for (name, samples) in Op::all_samples() {
        let structural = matches!(name, "param" | "call" | "scan" | "cond" | "while" | "get");
        assert_eq!(samples.is_empty(), structural, "{name} has {} samples", samples.len());
    }
}

/// The definition gives as many values as inference says, in its dtype.
#[test]
fn inferred_shapes_are_those_of_values() {
    let module = Module::default();
    for (name, samples) in Op::all_samples() {
        for sample in samples {
            let types: Vec<_> = sample.inputs.iter().map(type_of).collect();
            let inputs: Vec<_> = types.iter().collect();
            let inferred = sample.op.infer_in(&module, &Facts::default(), &inputs);
            let inferred =
                inferred.unwrap_or_else(|fault| panic!("{name}: {:?}: {}", sample.op, fault.message));
            let value = evaluate(&sample.op, &sample.inputs);
            assert_eq!(inferred, vec![type_of(&value)], "{name}: {:?}", sample.op);
        }
    }
}

/// Operators that take no operands of the wrong number say so instead of failing.
#[test]
fn wrong_numbers_of_operands_are_faults() {
    let module = Module::default();
    for (name, samples) in Op::all_samples() {
        for sample in samples.iter().take(1) {
            let types: Vec<_> = sample.inputs.iter().map(type_of).collect();
            let mut inputs: Vec<_> = types.iter().collect();
            let one = graph::Type::scalar(graph::DType::BOOL);
            inputs.push(&one);
            let fault = sample.op.infer_in(&module, &Facts::default(), &inputs);
            assert!(fault.is_err(), "{name} takes one operand too many");
            assert!(
                types.is_empty() || sample.op.infer_in(&module, &Facts::default(), &[]).is_err(),
                "{name} takes no operands"
            );
        }
    }
}

/// What the rest of the tests compares with is right where mathematics is known.
#[test]
fn known_values() {
    let of = |op: kernel::Unary, x: f64| {
        let x = graph::Array::scalar(graph::DType::F64, x);
        evaluate(&Op::from(graph::ops::Unary { op }), &[x]).at(&[])
    };
    assert_close(of(kernel::Unary::Erf, 0.5), 0.520_499_877_813_046_5, 1e-15, "erf 0.5");
    // The two formulas meet here.
    assert_close(of(kernel::Unary::Erf, 2.5), 0.999_593_047_982_555, 1e-15, "erf 2.5");
    assert_close(of(kernel::Unary::Erf, 2.5f64.next_down()), 0.999_593_047_982_555, 1e-15, "erf below 2.5");
    assert_close(of(kernel::Unary::Erf, -3.0), -0.999_977_909_503_001_4, 1e-15, "erf -3");
    assert_close(of(kernel::Unary::Sigmoid, -3.0), 0.047_425_873_177_566_78, 1e-16, "sigmoid -3");
    assert_close(of(kernel::Unary::Sigmoid, -745.0), (-745f64).exp(), 0.0, "sigmoid -745");
    assert_close(of(kernel::Unary::Sigmoid, f64::INFINITY), 1.0, 0.0, "sigmoid of infinity");
    assert_close(of(kernel::Unary::Round, 2.5), 2.0, 0.0, "round 2.5");
}
