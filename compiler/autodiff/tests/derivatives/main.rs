//! Derivatives of whole functions against finite differences, against each other, and twice over.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

mod control;
mod properties;
mod stated;

use autodiff::grad;
use graph::{Array, Builder, DType, NodeId};
use properties::{
    check, check_duality, check_gradient, check_lanes, float_params, inputs, run, set_results, split,
};

/// A softmax that is a composite, layers that call each other, and a loss over integer labels.
const CLASSIFIER: &str = r#"
fn @dense (%0: x: float[n, i] input, %1: w: float[i, o] weight, %2: b: float[o] weight) -> (y: output) {
  %3: float[n, o] = contract extents=[n, o, i] out=[0, 1] lhs=[#0, #2] rhs=[#2, #1] %0 %1
  %4: float[n, o] = broadcast shape=[n, o] %2
  %5: float[n, o] = add %3 %4
  return %5
}
fn @hidden (%0: x: float[n, i] input, %1: w: float[i, o] weight, %2: b: float[o] weight) -> (y: output, z: output) {
  %3: float[n, o] = call @dense %0 %1 %2
  %4: float[n, o] = get index=0 %3
  %5: float[n, o] = tanh %4
  return %5, %4
}
fn @softmax composite "softmax" (%0: x: float[n, c] input) -> (y: output) {
  %1: float[n] = reduce max axes=[1] %0
  %2: float[n, 1] = reshape shape=[n, 1] %1
  %3: float[n, c] = broadcast shape=[n, c] %2
  %4: float[n, c] = sub %0 %3
  %5: float[n, c] = exp %4
  %6: float[n] = reduce sum axes=[1] %5
  %7: float[n, 1] = reshape shape=[n, 1] %6
  %8: float[n, c] = broadcast shape=[n, c] %7
  %9: float[n, c] = div %5 %8
  return %9
}
fn @cost (%0: x: float[2, 3] input, %1: w1: float[3, 4] weight, %2: b1: float[4] weight, %3: w2: float[4, 4] weight, %4: label: i32[2] input) -> (cost: loss) {
  %5: (float[2, 4], float[2, 4]) = call @hidden %0 %1 %2
  %6: float[2, 4] = get index=0 %5
  %7: float[2, 4] = get index=1 %5
  %8: (float[2, 4], float[2, 4]) = call @hidden %6 %3 %2
  %9: float[2, 4] = get index=0 %8
  %10: float[2, 4] = add %9 %7
  %11: float[2, 4] = call @softmax %10
  %12: float[2, 4] = get index=0 %11
  %13: float[2, 4] = log %12
  %14: i32[2, 4] = iota shape=[2, 4] axis=1
  %15: i32[2, 1] = reshape shape=[2, 1] %4
  %16: i32[2, 4] = broadcast shape=[2, 4] %15
  %17: bool[2, 4] = eq %14 %16
  %18: float = const {0.0}
  %19: float[2, 4] = broadcast shape=[2, 4] %18
  %20: float[2, 4] = select %17 %13 %19
  %21: float = reduce sum axes=[0, 1] %20
  %22: float = neg %21
  return %22
}
"#;

/// Moves elements about: pads, slices, windows, concatenation, gathering, a strided convolution.
const MOVES: &str = r#"
fn @cost (%0: x: float[2, 7] input, %1: k: float[3] weight, %2: at: i32[4] input, %3: s: float[2, 2, 7] input) -> (cost: loss) {
  %4: float = const {0.5}
  %5: float[2, 10] = pad low=[0, 1] high=[0, 2] interior=[0, 0] %0 %4
  %6: float[2, 4] = contract extents=[2, 4, 3] out=[0, 1] lhs=[#0, 2*#1 + #2] rhs=[#2] %5 %1
  %7: float[4, 2] = transpose perm=[1, 0] %6
  %8: float[2, 4] = reshape shape=[2, 4] %7
  %9: float[2, 4] = gather axis=1 lanes=0 %0 %2
  %10: float[2, 8] = concat axis=1 %8 %9
  %11: float[2, 3, 4] = window axes=[1] size=[4] stride=[2] dilation=[1] %10
  %12: float[2, 3] = reduce max axes=[2] %11
  %13: float[2, 2] = slice start=[0, 2] extent=[2, 2] stride=[1, -1] %12
  %14: float[2, 2] = sin %13
  %15: float[2, 2] = mul %14 %13
  %16: float = reduce sum axes=[0, 1] %15
  %17: float[2, 7] = reduce product axes=[0] %3
  %18: float[2, 7] = atan2 %0 %17
  %19: bool[2, 7] = gt %0 %17
  %20: float[2, 7] = sin %17
  %21: float[2, 7] = select %19 %18 %20
  %22: i32[2, 7] = cast to=i32 %21
  %23: float[2, 7] = cast to=float %22
  %24: float[2, 7] = add %21 %23
  %25: float = reduce sum axes=[0, 1] %24
  %26: float = mul %16 %25
  return %26
}
"#;

#[test]
fn calls_and_composites() {
    check(CLASSIFIER);
}

#[test]
fn moves_of_elements() {
    check(MOVES);
}

#[test]
fn forward_and_reverse_agree() {
    check_duality(CLASSIFIER, 13);
    check_duality(CLASSIFIER, 9);
    check_duality(MOVES, 10);
    check_duality(MOVES, 24);
}

#[test]
fn a_derivative_is_made_once_and_keeps_the_composites_name() {
    let (mut module, f) = split(CLASSIFIER);
    let before = module.functions.len();
    let wrt: Vec<NodeId> = float_params(&f).into_iter().map(|(_, node)| node).collect();
    let mut first = f.clone();
    grad(&mut module, &mut first, f.results[0].2, &wrt).unwrap();
    let names: Vec<&str> = module.functions.values()[before..].iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["softmax.vjp", "dense.vjp", "hidden.vjp.of.0", "hidden.vjp"]);
    assert_eq!(module.functions.values()[before].composite.as_deref(), Some("softmax.vjp"));
    let made = module.functions.len();
    grad(&mut module, &mut f.clone(), f.results[0].2, &wrt).unwrap();
    assert_eq!(module.functions.len(), made);
}

/// The derivatives of the last function's first result by its first parameters.
fn gradient_of(text: &str, count: usize) -> Result<Vec<Array>, Box<autodiff::NoDerivative>> {
    let (mut module, f) = split(text);
    let mut g = f.clone();
    let wrt: Vec<NodeId> = (0..count).map(NodeId::new).collect();
    let grads = grad(&mut module, &mut g, f.results[0].2, &wrt)?;
    set_results(&mut g, &grads);
    Ok(run(&module, &g, &inputs(&f, 0.1)))
}

#[test]
fn what_does_not_matter_has_the_derivative_zero() {
    let text = "fn @f (%0: x: float[3] input, %1: y: float[2] input) -> (c: loss) {\n  %2: float[3] = mul %0 %0\n  %3: float[3] = floor %2\n  %4: float = reduce sum axes=[0] %3\n  return %4\n}\n";
    for zeros in gradient_of(text, 2).unwrap() {
        assert!(zeros.values.iter().all(|value| *value == 0.0));
    }
}

#[test]
fn a_way_without_derivative_is_an_error_and_no_zero() {
    let blocked = |body: &str| {
        let text = format!("fn @f (%0: x: float[3] input) -> (c: loss) {{\n{body}}}\n");
        gradient_of(&text, 1).map_err(|error| (error.reason.clone(), error.node.index()))
    };
    let sum = "  %4: float = reduce sum axes=[0] %3\n  return %4\n";
    let error = blocked(&format!(
        "  %1: bool[3] = gt %0 %0\n  %2: i32[3] = cast to=i32 %1\n  %3: float[3] = cast to=float %2\n{sum}"
    ));
    assert_eq!(error.unwrap_err(), ("a comparison has no derivative".into(), 1));
    let error =
        blocked("  %1: i32 = reduce argmax axes=[0] %0\n  %2: float = cast to=float %1\n  return %2\n");
    assert_eq!(error.unwrap_err(), ("a position has no derivative".into(), 1));
    let error = blocked(&format!(
        "  %1: i32[3] = cast to=i32 %0\n  %2: float[3] = stop_gradient %0\n  %3: float[3] = gather axis=0 lanes=0 %2 %1\n{sum}"
    ));
    assert_eq!(error.unwrap_err().1, 1);
    // What is meant to be constant is: a condition, a stopped value; and another way is enough.
    for fine in [
        "  %1: bool[3] = gt %0 %0\n  %2: float[3] = const {1.0, 2.0, 3.0}\n  %3: float[3] = select %1 %2 %2\n",
        "  %1: float[3] = stop_gradient %0\n  %2: i32[3] = cast to=i32 %1\n  %3: float[3] = cast to=float %2\n",
        "  %1: bool[3] = gt %0 %0\n  %2: float[3] = cast to=float %1\n  %3: float[3] = mul %0 %2\n",
    ] {
        assert!(blocked(&format!("{fine}{sum}")).is_ok(), "{fine}");
    }
}

#[test]
fn a_way_without_derivative_is_found_in_called_functions() {
    let inner = "fn @inner (%0: x: float[3] input, %1: y: float[3] input) -> (a: output, b: output) {\n  %2: bool[3] = gt %0 %1\n  %3: float[3] = cast to=float %2\n  return %3, %1\n}\n";
    let outer = |result: usize| {
        format!(
            "{inner}fn @f (%0: x: float[3] input, %1: y: float[3] input) -> (c: loss) {{\n  %2: (float[3], float[3]) = call @inner %0 %1\n  %3: float[3] = get index={result} %2\n  %4: float = reduce sum axes=[0] %3\n  return %4\n}}\n"
        )
    };
    let error = gradient_of(&outer(0), 2).unwrap_err();
    assert_eq!((error.function.as_str(), error.node.index(), error.calls.len()), ("inner", 2, 1));
    assert_eq!(error.by, Some(NodeId::new(0)));
    assert!(gradient_of(&outer(1), 2).is_ok());
}

/// The derivative of a maximum is made of comparisons; those of its derivative are constants.
#[test]
fn second_derivatives_of_extrema_are_zero_and_no_error() {
    let text = "fn @f (%0: x: float[3] input) -> (c: loss) {\n  %1: float = reduce max axes=[0] %0\n  return %1\n}\n";
    let (mut module, f) = split(text);
    let mut g = f.clone();
    let first = grad(&mut module, &mut g, f.results[0].2, &[NodeId::new(0)]).unwrap();
    let mut b = Builder::new(&module, &mut g);
    let total = b.reduce(kernel::Combine::Sum, &[0], first[0]);
    let second = grad(&mut module, &mut g, total, &[NodeId::new(0)]).unwrap();
    set_results(&mut g, &second);
    assert!(run(&module, &g, &inputs(&f, 0.1))[0].values.iter().all(|value| *value == 0.0));
}

#[test]
fn a_stopped_gradient_is_a_constant() {
    let text = "fn @f (%0: x: float input) -> (c: loss) {\n  %1: float = stop_gradient %0\n  %2: float = mul %0 %1\n  return %2\n}\n";
    let (mut module, f) = split(text);
    let mut g = f.clone();
    let grads = grad(&mut module, &mut g, f.results[0].2, &[NodeId::new(0)]).unwrap();
    set_results(&mut g, &grads);
    assert_eq!(run(&module, &g, &[Array::scalar(DType::Float, 3.0)])[0].at(&[]), 3.0);
}

#[test]
fn what_cannot_be_differentiated_says_why() {
    let (mut module, f) = split(CLASSIFIER);
    let cost = f.results[0].2;
    let error = grad(&mut module, &mut f.clone(), cost, &[NodeId::new(4)]).unwrap_err();
    assert!(error.reason.contains("i32[2]"), "{error}");
    let error = grad(&mut module, &mut f.clone(), NodeId::new(13), &[NodeId::new(0)]).unwrap_err();
    assert!(error.reason.contains("float scalar"), "{error}");
}

#[test]
fn a_blocked_way_is_an_error_of_the_called_function_too() {
    // Σ_i x[i + j] · k[i + j]: both operands are read at sums of the same indices.
    let text = "fn @inner (%0: x: float[5] input, %1: k: float[5] input) -> (y: output) {\n  %2: float[3] = contract extents=[3, 2] out=[0] lhs=[#0 + #1] rhs=[#0 + #1] %0 %1\n  return %2\n}\nfn @f (%0: x: float[5] input) -> (c: loss) {\n  %1: float[3] = call @inner %0 %0\n  %2: float[3] = get index=0 %1\n  %3: float = reduce sum axes=[0] %2\n  return %3\n}\n";
    let (mut module, f) = split(text);
    let mut g = f.clone();
    match grad(&mut module, &mut g, f.results[0].2, &[NodeId::new(0)]) {
        Err(error) => {
            assert_eq!((error.function.as_str(), error.node), ("inner.vjp", NodeId::new(2)));
            assert_eq!(error.calls.len(), 1);
        }
        Ok(grads) => {
            // The operator may learn to solve this; then the answer has to be right.
            set_results(&mut g, &grads);
            check_gradient(&module, &f, &g, &[0], 1e-7);
        }
    }
}

#[test]
fn a_mapped_function_is_the_function_of_each_lane() {
    check_lanes(CLASSIFIER, &[true, false, true, false, true]);
}
