//! Functions that state their derivative, and those that compute their values again.

use crate::properties::{
    assert_close, check, check_duality, check_lanes, float_params, inputs, run, set_results, split,
};
use autodiff::{grad, jvp};
use graph::{Builder, Op, Param, print::print_function};

/// The derivative of x²y said to be three times what it is, so that it shows which one was taken.
const STATED: &str = r#"
fn @slope (%0: x: float[n] input, %1: y: float[n] input, %2: d_z: float[n] input, %3: d_w: float[n] input) -> (d_x: output, d_y: output) {
  %4: float = const {6.0}
  %5: float[n] = broadcast shape=[n] %4
  %6: float[n] = mul %5 %0
  %7: float[n] = mul %6 %1
  %8: float[n] = mul %7 %2
  %9: float[n] = mul %0 %0
  %10: float[n] = mul %9 %2
  %11: float[n] = add %10 %10
  %12: float[n] = add %10 %11
  %13: float[n] = add %12 %3
  return %8, %13
}
fn @area derivative @slope (%0: x: float[n] input, %1: y: float[n] input) -> (z: output, w: output) {
  %2: float[n] = mul %0 %0
  %3: float[n] = mul %2 %1
  return %3, %1
}
fn @f (%0: x: float[3] input, %1: y: float[3] input) -> (c: loss) {
  %2: (float[3], float[3]) = call @area %0 %1
  %3: float[3] = get index=0 %2
  %4: float = reduce sum axes=[0] %3
  return %4
}
"#;

#[test]
fn a_stated_derivative_is_taken() {
    let (mut module, f) = split(STATED);
    let at = inputs(&f, 0.4);
    let mut gradient = f.clone();
    let nodes: Vec<_> = float_params(&f).into_iter().map(|(_, node)| node).collect();
    let grads = grad(&mut module, &mut gradient, f.results[0].2, &nodes).unwrap();
    // And once more: the derivative of Σ 6xy is that of the stated one.
    let mut b = Builder::new(&module, &mut gradient);
    let total = b.reduce(kernel::Combine::Sum, &[0], grads[0]);
    let second = grad(&mut module, &mut gradient, total, &nodes[..1]).unwrap();
    set_results(&mut gradient, &[grads[0], grads[1], second[0]]);
    let results = run(&module, &gradient, &at);
    for (index, (x, y)) in at[0].values.iter().zip(&at[1].values).enumerate() {
        assert_close(results[0].at(&[index]), 6.0 * x * y, 1e-12, "by x");
        assert_close(results[1].at(&[index]), 3.0 * x * x, 1e-12, "by y");
        assert_close(results[2].at(&[index]), 6.0 * y, 1e-12, "by x twice");
    }
}

#[test]
fn a_stated_derivative_has_no_forward_one() {
    let (mut module, f) = split(STATED);
    let mut forward = f.clone();
    let (index, node) = float_params(&f)[0];
    let tangent = Param { name: "t".into(), ..f.params[index].clone() };
    let tangent = Builder::new(&module, &mut forward).param(tangent);
    let error = jvp(&mut module, &mut forward, &[f.results[0].2], &[(node, tangent)]).unwrap_err();
    assert_eq!(error.reason, "`area` states its derivative backwards, there is none forwards");
}

/// The true derivative, stated: all properties hold, lanes included.
#[test]
fn a_stated_derivative_is_mapped() {
    let true_one = STATED
        .replace("const {6.0}", "const {2.0}")
        .replace("%12: float[n] = add %10 %11\n  %13: float[n] = add %12 %3", "%13: float[n] = add %10 %3");
    check(&true_one);
    check_lanes(&true_one, &[true, false]);
    check_lanes(&true_one, &[true, true]);
}

const AGAIN: &str = r#"
fn @inner (%0: x: float[n] input) -> (y: output) {
  %1: float[n] = sin %0
  return %1
}
fn @block remat (%0: x: float[n] input, %1: w: float[n] input) -> (y: output) {
  %2: float[n] = mul %0 %1
  %3: float[n] = tanh %2
  %4: float[n] = call @inner %3
  %5: float[n] = get index=0 %4
  %6: float[n] = mul %5 %5
  return %6
}
fn @f (%0: x: float[3] input, %1: w: float[3] input) -> (c: loss) {
  %2: float[3] = call @block %0 %1
  %3: float[3] = get index=0 %2
  %4: float[3] = call @block %3 %1
  %5: float[3] = get index=0 %4
  %6: float = reduce sum axes=[0] %5
  return %6
}
"#;

#[test]
fn values_computed_again_are_the_same() {
    check(AGAIN);
    check_duality(AGAIN, 5);
    check_lanes(AGAIN, &[true, false]);
}

#[test]
fn what_is_computed_again_stands_behind_a_barrier() {
    let (mut module, f) = split(AGAIN);
    let wrt: Vec<_> = float_params(&f).into_iter().map(|(_, node)| node).collect();
    grad(&mut module, &mut f.clone(), f.results[0].2, &wrt).unwrap();
    let vjp = &module.functions[module.find("block.vjp").unwrap()];
    let mut barriers = 0;
    for (_, node) in vjp.nodes.iter() {
        if let Op::Barrier(_) = node.op {
            barriers += 1;
            continue;
        }
        let bare = node.inputs.iter().filter(|input| matches!(vjp.nodes[**input].op, Op::Parameter(_)));
        for input in bare {
            let Op::Parameter(parameter) = &vjp.nodes[*input].op else { unreachable!() };
            assert_eq!(vjp.params[parameter.index].name, "d_y", "{}", print_function(vjp, &module));
        }
    }
    assert_eq!(barriers, 2);
}
