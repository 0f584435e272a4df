//! Operators that run functions: types, values, and what is said when they do not fit.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use graph::{
    Array, DType, Module,
    interp::{Options, run},
    parse::parse,
    verify::verify,
};
use shape::Symbol;
use std::collections::BTreeMap;

const BODIES: &str = r#"
fn @step (%0: h: float input, %1: w: float input, %2: x: float input) -> (h: output, y: output) {
  %3: float = mul %0 %1
  %4: float = add %3 %2
  %5: float = add %4 %4
  return %4, %5
}
fn @block (%0: h: float input, %1: w: float input) -> (h: output, y: output) {
  %2: float = mul %0 %1
  return %2, %0
}
fn @spread (%0: h: float input) -> (h: output, y: output) {
  %1: float[n] = broadcast shape=[n] %0
  return %0, %1
}
fn @twice (%0: h: float input, %1: top: float input) -> (h: output) {
  %2: float = add %0 %0
  return %2
}
fn @minus (%0: h: float input, %1: top: float input) -> (h: output) {
  %2: float = neg %0
  return %2
}
fn @below (%0: h: float input, %1: top: float input) -> (goes_on: output) {
  %2: bool = lt %0 %1
  return %2
}
fn @wide (%0: h: float[2] input, %1: top: float input) -> (h: output) {
  return %0
}
"#;

fn module(main: &str) -> Module {
    let module = parse(&format!("{BODIES}{main}")).unwrap_or_else(|e| panic!("{e}"));
    verify(&module).unwrap();
    module
}

fn scalar(value: f64) -> Array {
    Array::scalar(DType::Float, value)
}

fn vector(values: &[f64]) -> Array {
    Array::new(DType::Float, &[values.len()], values.to_vec()).unwrap()
}

fn values(main: &str, inputs: &[Array], dims: &[(&str, i64)]) -> Vec<Vec<f64>> {
    let module = module(main);
    let dims: BTreeMap<Symbol, i64> = dims.iter().map(|(name, value)| (Symbol::new(name), *value)).collect();
    let results = run(&module, module.find("main").unwrap(), inputs, &dims, Options::exact()).unwrap();
    results.iter().map(|array| array.values.iter().copied().collect()).collect()
}

/// `h' = h·w + x` over x.
fn recurrence(reverse: bool) -> String {
    format!(
        "fn @main (%0: h: float input, %1: w: float input, %2: x: float[t] input) -> (h: output, y: output) {{
  %3: (float, float[t]) = scan @step count=(t) reverse={reverse} carried=1 fixed=1 stacked=1 tables=0 table_results=0 remat=false %0 %1 %2
  %4: float = get index=0 %3
  %5: float[t] = get index=1 %3
  return %4, %5
}}"
    )
}

#[test]
fn a_scan_goes_from_step_to_step() {
    let inputs = [scalar(1.0), scalar(10.0), vector(&[2.0, 3.0, 4.0])];
    assert_eq!(values(&recurrence(false), &inputs, &[]), [vec![1234.0], vec![24.0, 246.0, 2468.0]]);
    assert_eq!(values(&recurrence(true), &inputs, &[]), [vec![1432.0], vec![2864.0, 286.0, 28.0]]);
}

#[test]
fn without_a_step_carried_values_pass_through() {
    let inputs = [scalar(1.0), scalar(10.0), vector(&[])];
    assert_eq!(values(&recurrence(false), &inputs, &[]), [vec![1.0], vec![]]);
}

#[test]
fn tables_give_each_step_its_own() {
    for (reverse, last, kept) in [("false", 30.0, [1.0, 2.0, 6.0]), ("true", 30.0, [15.0, 5.0, 1.0])] {
        let main = format!(
            "fn @main (%0: h: float input, %1: a: float input, %2: b: float input, %3: c: float input) -> (h: output, x: output, y: output, z: output) {{
  %4: (float, float, float, float) = scan @block count=(3) reverse={reverse} carried=1 fixed=0 stacked=0 tables=1 table_results=1 remat=false %0 %1 %2 %3
  %5: float = get index=0 %4
  %6: float = get index=1 %4
  %7: float = get index=2 %4
  %8: float = get index=3 %4
  return %5, %6, %7, %8
}}"
        );
        let inputs = [scalar(1.0), scalar(2.0), scalar(3.0), scalar(5.0)];
        let results: Vec<f64> = values(&main, &inputs, &[]).concat();
        assert_eq!(results[0], last, "reverse={reverse}");
        assert_eq!(results[1..], kept, "reverse={reverse}");
    }
}

/// A dimension that no operand gives is that of the function that runs the body.
#[test]
fn dimensions_of_the_caller_are_seen() {
    let main = "fn @main (%0: h: float input, %1: x: float[n] input) -> (y: output) {
  %2: (float, float[2, n]) = scan @spread count=(2) reverse=false carried=1 fixed=0 stacked=0 tables=0 table_results=0 remat=false %0
  %3: float[2, n] = get index=1 %2
  return %3
}";
    assert_eq!(values(main, &[scalar(7.0), vector(&[0.0; 3])], &[]), [vec![7.0; 6]]);
}

#[test]
fn a_branch_is_taken() {
    let main = "fn @main (%0: c: bool input, %1: h: float input) -> (y: output) {
  %2: float = cond @twice @minus %0 %1 %1
  %3: float = get index=0 %2
  return %3
}";
    let truth = |value| Array::scalar(DType::BOOL, value);
    assert_eq!(values(main, &[truth(1.0), scalar(3.0)], &[]), [[6.0]]);
    assert_eq!(values(main, &[truth(0.0), scalar(3.0)], &[]), [[-3.0]]);
}

fn doubling(limit: &str) -> String {
    format!(
        "fn @main (%0: h: float input, %1: top: float input, %2: x: float[n] input) -> (y: output) {{
  %3: float = while @below @twice carried=1 limit={limit} %0 %1
  %4: float = get index=0 %3
  return %4
}}"
    )
}

#[test]
fn a_while_ends_by_its_condition_or_its_limit() {
    let inputs = [scalar(1.0), scalar(100.0), vector(&[0.0; 3])];
    assert_eq!(values(&doubling("none"), &inputs, &[]), [[128.0]]);
    assert_eq!(values(&doubling("(n)"), &inputs, &[]), [[8.0]]);
    assert_eq!(values(&doubling("(0)"), &inputs, &[]), [[1.0]]);
}

#[test]
fn what_does_not_end_is_an_error() {
    let module = module(&doubling("none"));
    let inputs = [scalar(0.0), scalar(1.0), vector(&[])];
    let options = Options { max_steps: 1000, ..Options::exact() };
    let error = run(&module, module.find("main").unwrap(), &inputs, &BTreeMap::new(), options).unwrap_err();
    assert_eq!(error.0, "a loop of more than 1000 steps is over the limit of this run");
}

#[test]
fn what_does_not_fit_is_a_fault() {
    let scan = |attributes: &str, operands: &str| {
        format!("%9: (float, float[2]) = scan @step {attributes} table_results=0 remat=false {operands}")
    };
    let plain = "reverse=false carried=1 fixed=1 stacked=1 tables=0";
    let cases = [
        (
            scan(&format!("count=(3) {plain}"), "%0 %0 %1"),
            "runs over axis 0 of float[2]: its size and the number of steps differ: 2 ≠ 3",
        ),
        (
            scan(&format!("count=(n - 2) {plain}"), "%0 %0 %1"),
            "the count n - 2 of `scan` is not known to be at least 0",
        ),
        (
            scan(&format!("count=(2) {plain}"), "%0 %0 %0"),
            "what a `scan` runs over has an axis, this is float",
        ),
        (scan(&format!("count=(2) {plain}"), "%0 %0"), "`scan` of `step` does not take 2 operands"),
        (scan(&format!("count=(2) {plain}"), "%1 %0 %1"), "`step` takes float as `h`, but got float[2]"),
        (
            scan("count=(0) reverse=false carried=1 fixed=1 stacked=0 tables=1", "%0 %0"),
            "a `scan` with tables has a number of steps, not 0",
        ),
        (
            scan("count=(2) reverse=false carried=1 fixed=1 stacked=0 tables=1", "%0 %0 %0 %1"),
            "table 0 of `scan` holds float and float[2] at 1",
        ),
        (
            "%9: float = cond @twice @minus %0 %0 %0".into(),
            "the condition of `cond` is a bool, this is float",
        ),
        (
            "%9: float = cond @twice @minus %3 %0 %0".into(),
            "the condition of `cond` is a scalar, this is bool[2]",
        ),
        ("%9: float = cond @twice @below %2 %0 %0".into(), "`below` gives bool as result 0, which is float"),
        ("%9: float = cond @twice @step %2 %0 %0".into(), "`step` takes 3 operands, but got 2"),
        (
            "%9: float[2] = while @below @wide carried=1 limit=none %1 %0".into(),
            "`below` takes float as `h`, but got float[2]",
        ),
        (
            "%9: float = while @twice @twice carried=1 limit=none %0 %0".into(),
            "what the condition of `while` gives is a bool, this is float",
        ),
        (
            "%9: float = while @below @below carried=1 limit=none %0 %0".into(),
            "`below` gives bool as carried value 0, which is float",
        ),
        (
            "%9: float = while @below @twice carried=3 limit=none %0 %0".into(),
            "`while` carries 3 values, but got 2",
        ),
        (
            "%9: float = while @below @twice carried=1 limit=(-1) %0 %0".into(),
            "the limit -1 of `while` is not known to be at least 0",
        ),
    ];
    for (line, message) in cases {
        let text = format!(
            "{BODIES}fn @main (%0: a: float input, %1: b: float[2] input, %2: c: bool input, %3: d: bool[2] input) -> () {{\n  {line}\n  return\n}}"
        );
        let error = parse(&text).map(|_| ()).unwrap_err();
        assert!(error.message.ends_with(message), "{line}\n{error}");
    }
}
