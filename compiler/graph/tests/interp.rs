//! The interpreter and the verifier on functions given as text.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use graph::{
    Array, DType, FuncId, Module, NodeId, Op,
    interp::{Options, run},
    ops,
    parse::parse,
    verify::verify,
};
use shape::Symbol;
use std::collections::BTreeMap;

fn floats(shape: &[usize], values: &[f64]) -> Array {
    Array::new(DType::F32, shape, values.to_vec()).unwrap()
}

fn main_of(module: &Module) -> FuncId {
    module.find("main").unwrap()
}

fn run_main(
    text: &str,
    inputs: &[Array],
    dims: &[(&str, i64)],
    options: Options<'_>,
) -> Result<Vec<Array>, String> {
    let module = parse(text).unwrap();
    verify(&module).unwrap();
    let dims: BTreeMap<Symbol, i64> = dims.iter().map(|(name, value)| (Symbol::new(name), *value)).collect();
    run(&module, main_of(&module), inputs, &dims, options).map_err(|e| e.0)
}

const HALVES: &str = r#"
fn @half (%0: x: f32[2*k] input) -> (y: output, z: output) {
  require k >= 1 "something to halve"
  %1: f32[k] = slice start=[0] extent=[k] stride=[1] %0
  %2: f32[k] = slice start=[k] extent=[k] stride=[1] %0
  return %1, %2
}
fn @main (%0: x: f32[2*k, 1] input) -> (y: output, k: output) {
  %1: f32[2*k] = reshape shape=[2*k] %0
  %2: (f32[k], f32[k]) = call @half %1
  %3: f32[k] = get index=1 %2
  %4: f32 = size dim=(k) dtype=f32
  return %3, %4
}
"#;

#[test]
fn dimensions_follow_from_the_inputs() {
    let x = floats(&[4, 1], &[1.0, 2.0, 3.0, 4.0]);
    let results = run_main(HALVES, std::slice::from_ref(&x), &[], Options::exact()).unwrap();
    assert_eq!(results[0], floats(&[2], &[3.0, 4.0]));
    assert_eq!(results[1].at(&[]), 2.0);
    let results = run_main(HALVES, &[x], &[("k", 2)], Options::exact()).unwrap();
    assert_eq!(results[1].at(&[]), 2.0);
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    let error = |inputs: &[Array], dims: &[(&str, i64)]| {
        run_main(HALVES, inputs, dims, Options::exact()).unwrap_err()
    };
    let even = floats(&[4, 1], &[1.0, 2.0, 3.0, 4.0]);
    assert!(error(&[floats(&[3, 1], &[1.0, 2.0, 3.0])], &[]).contains("dimension `k` has no value"));
    assert!(error(std::slice::from_ref(&even), &[("k", 3)]).contains("2*k = 6"));
    assert!(error(&[floats(&[2, 2], &[1.0; 4])], &[]).contains("1 = 1"));
    assert!(error(&[floats(&[4], &[1.0; 4])], &[]).contains("f32[2*k, 1]"));
    assert!(error(&[], &[]).contains("takes 1 inputs"));
    assert!(error(&[floats(&[0, 1], &[])], &[]).contains("something to halve"));
    let integers = Array::new(DType::I32, &[4, 1], vec![0.0; 4]).unwrap();
    assert!(error(&[integers], &[]).contains("here is i32"));
}

#[test]
fn a_huge_value_is_an_error() {
    let text = "fn @main (%0: x: f32 input) -> (y: output) {\n  %1: f32[n, n, n, n] = broadcast shape=[n, n, n, n] %0\n  return %1\n}\n";
    let x = [Array::scalar(DType::F32, 1.0)];
    for n in [1 << 10, 1 << 31] {
        assert!(run_main(text, &x, &[("n", n)], Options::exact()).unwrap_err().contains("over the limit"));
    }
    assert!(run_main(text, &x, &[("n", -1)], Options::exact()).unwrap_err().contains("negative extent"));
}

#[test]
fn rounding_happens_after_each_operation() {
    let text = "fn @main (%0: x: float[1] input, %1: i: i8[1] input) -> (y: output, z: output) {\n  %2: float = const {0.1}\n  %3: float[1] = broadcast shape=[1] %2\n  %4: float[1] = add %0 %3\n  %5: i8[1] = add %1 %1\n  return %4, %5\n}\n";
    let inputs = [floats(&[1], &[1.0]), Array::new(DType::Of(kernel::DType::I8), &[1], vec![100.0]).unwrap()];
    let exact = run_main(text, &inputs, &[], Options::exact()).unwrap();
    assert_eq!((exact[0].at(&[0]), exact[1].at(&[0])), (1.1, -56.0));
    let rounded = run_main(text, &inputs, &[], Options::rounded(kernel::DType::F32)).unwrap();
    assert_eq!(rounded[0].at(&[0]), f64::from(1.0f32 + 0.1f32));
    let half = run_main(text, &inputs, &[], Options::rounded(kernel::DType::BF16)).unwrap();
    assert_eq!(half[0].at(&[0]), 1.1015625);
}

#[test]
fn the_trace_sees_what_is_computed_and_no_more() {
    let text = "fn @main (%0: x: f32[1] input) -> (y: output) {\n  %1: f32[1] = exp %0\n  %2: f32[1] = neg %0\n  return %2\n}\n";
    let module = parse(text).unwrap();
    let mut seen = Vec::new();
    let mut trace = |now: graph::interp::Seen<'_>| seen.push((now.node.index(), now.value.at(&[0])));
    let options = Options { trace: Some(&mut trace), ..Options::exact() };
    run(&module, main_of(&module), &[floats(&[1], &[2.0])], &BTreeMap::new(), options).unwrap();
    assert_eq!(seen, [(0, 2.0), (2, -2.0)]);
}

#[test]
fn the_verifier_finds_broken_modules() {
    let good = parse(HALVES).unwrap();
    let (half, main) = (good.find("half").unwrap(), main_of(&good));
    type Break = fn(&mut Module, FuncId, FuncId);
    let breaks: [(Break, &str); 8] = [
        (
            |m, _, main| m.functions[main].nodes[NodeId::new(1)].inputs[0] = NodeId::new(3),
            "does not come before",
        ),
        (|m, half, _| m.functions[half].nodes[NodeId::new(1)].types[0].dtype = DType::I32, "inferred"),
        (|m, half, _| m.functions[half].params.clear(), "no parameter"),
        (
            |m, _, main| m.functions[main].nodes[NodeId::new(3)].op = ops::Get { index: 2 }.into(),
            "no such result",
        ),
        (
            |m, _, main| m.functions[main].nodes[NodeId::new(3)].inputs[0] = NodeId::new(1),
            "does not read what runs functions",
        ),
        (|m, _, main| m.functions[main].results[0].2 = NodeId::new(2), "is not a value"),
        (|m, half, _| m.functions[half].name = "main".into(), "two functions"),
        (
            |m, half, main| m.functions[half].nodes[NodeId::new(1)].op = Op::from(ops::Call { callee: main }),
            "runs itself",
        ),
    ];
    for (damage, message) in breaks {
        let mut module = good.clone();
        damage(&mut module, half, main);
        let error = verify(&module).unwrap_err();
        assert!(error.contains(message), "{error} does not tell of: {message}");
    }
    verify(&good).unwrap();
}
