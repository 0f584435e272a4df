//! Derivatives and lanes of loops and branches, alone and in each other.

use crate::properties::{assert_close, check, check_duality, check_lanes, inputs, run, set_results, split};
use autodiff::grad;
use graph::{Function, Module, NodeId, Op};

/// A recurrent cell with weights, inputs over time and a call; what it gives at each step and at the end both count.
fn recurrent(reverse: bool, remat: bool) -> String {
    format!(
        r#"
fn @bend (%0: x: float[k] input) -> (y: output) {{
  %1: float[k] = tanh %0
  return %1
}}
fn @step (%0: h: float[k] input, %1: i: i32 input, %2: w: float[k, k] input, %3: x: float[k] input) -> (h: output, i: output, y: output, z: output) {{
  %4: float[k] = contract extents=[k, k] out=[0] lhs=[#1] rhs=[#1, #0] %0 %2
  %5: float[k] = add %4 %3
  %6: float[k] = call @bend %5
  %7: float[k] = get index=0 %6
  %8: i32 = const {{1}}
  %9: i32 = add %1 %8
  %10: float = cast to=float %9
  %11: float[k] = broadcast shape=[k] %10
  %12: float[k] = mul %7 %11
  %13: float = reduce sum axes=[0] %12
  %14: float[k] = mul %12 %0
  return %7, %9, %14, %13
}}
fn @f (%0: h: float[2] input, %1: w: float[2, 2] input, %2: x: float[3, 2] input) -> (c: loss) {{
  %3: i32 = const {{0}}
  %4: (float[2], i32, float[3, 2], float[3]) = scan @step count=(3) reverse={reverse} carried=2 fixed=1 stacked=1 tables=0 table_results=0 remat={remat} %0 %3 %1 %2
  %5: float[2] = get index=0 %4
  %6: float[3, 2] = get index=2 %4
  %7: float[3] = get index=3 %4
  %8: float = reduce sum axes=[0, 1] %6
  %9: float = reduce product axes=[0] %7
  %10: float[2] = mul %5 %5
  %11: float = reduce sum axes=[0] %10
  %12: float = add %8 %9
  %13: float = mul %12 %11
  return %13
}}
"#
    )
}

/// Each step has weights of its own, and something of it is kept apart.
const BLOCKS: &str = r#"
fn @block (%0: h: float[k] input, %1: s: float input, %2: w: float[k] input) -> (h: output, y: output) {
  %3: float[k] = broadcast shape=[k] %1
  %4: float[k] = mul %0 %2
  %5: float[k] = mul %4 %3
  %6: float[k] = sin %5
  %7: float = reduce sum axes=[0] %4
  return %6, %7
}
fn @f (%0: h: float[2] input, %1: s: float input, %2: a: float[2] input, %3: b: float[2] input, %4: c: float[2] input) -> (c: loss) {
  %5: (float[2], float, float, float) = scan @block count=(3) reverse=false carried=1 fixed=1 stacked=0 tables=1 table_results=1 remat=false %0 %1 %2 %3 %4
  %6: float[2] = get index=0 %5
  %7: float = get index=1 %5
  %8: float = get index=3 %5
  %9: float = reduce sum axes=[0] %6
  %10: float = mul %7 %8
  %11: float = add %9 %10
  return %11
}
"#;

/// A branch on a value.
const BRANCH: &str = r#"
fn @up (%0: x: float input, %1: y: float input) -> (a: output, b: output) {
  %2: float = mul %0 %1
  %3: float = sin %2
  return %3, %0
}
fn @down (%0: x: float input, %1: y: float input) -> (a: output, b: output) {
  %2: float = mul %0 %0
  return %2, %2
}
fn @f (%0: x: float input, %1: y: float input) -> (c: loss) {
  %2: bool = lt %0 %1
  %3: (float, float) = cond @up @down %2 %0 %1
  %4: float = get index=0 %3
  %5: float = get index=1 %3
  %6: float = mul %4 %5
  %7: bool = gt %0 %1
  %8: (float, float) = cond @up @down %7 %6 %1
  %9: float = get index=0 %8
  return %9
}
"#;

/// Doubles until it is large, at most seven times.
const UNTIL: &str = r#"
fn @small (%0: h: float input, %1: n: i32 input, %2: w: float input) -> (c: output) {
  %3: float = const {2.5}
  %4: float = abs %0
  %5: bool = lt %4 %3
  return %5
}
fn @grow (%0: h: float input, %1: n: i32 input, %2: w: float input) -> (h: output, n: output) {
  %3: float = mul %0 %2
  %4: float = add %0 %3
  %5: float = mul %4 %0
  %6: float = add %5 %4
  %7: i32 = const {1}
  %8: i32 = add %1 %7
  return %6, %8
}
fn @f (%0: h: float input, %1: w: float input) -> (c: loss) {
  %2: i32 = const {0}
  %3: (float, i32) = while @small @grow carried=2 limit=(7) %0 %2 %1
  %4: float = get index=0 %3
  %5: i32 = get index=1 %3
  %6: float = cast to=float %5
  %7: float = mul %6 %4
  return %7
}
"#;

/// A loop in a loop with a branch in it, in a function that is called twice.
const NESTED: &str = r#"
fn @neg (%0: x: float input) -> (y: output) {
  %1: float = neg %0
  %2: float = mul %1 %0
  return %2
}
fn @same (%0: x: float input) -> (y: output) {
  return %0
}
fn @inner (%0: a: float input, %1: w: float input, %2: x: float input) -> (a: output, y: output) {
  %3: float = mul %0 %1
  %4: float = add %3 %2
  %5: float = tanh %4
  %6: float = const {0.0}
  %7: bool = lt %5 %6
  %8: float = cond @neg @same %7 %5
  %9: float = get index=0 %8
  return %9, %5
}
fn @outer (%0: a: float input, %1: w: float input, %2: row: float[m] input) -> (a: output, y: output) {
  %3: (float, float[m]) = scan @inner count=(m) reverse=true carried=1 fixed=1 stacked=1 tables=0 table_results=0 remat=false %0 %1 %2
  %4: float = get index=0 %3
  %5: float[m] = get index=1 %3
  %6: float[m] = mul %5 %2
  return %4, %6
}
fn @layer (%0: w: float input, %1: x: float[n, m] input) -> (y: output, a: output) {
  %2: float = mul %0 %0
  %3: (float, float[n, m]) = scan @outer count=(n) reverse=false carried=1 fixed=1 stacked=1 tables=0 table_results=0 remat=false %2 %0 %1
  %4: float[n, m] = get index=1 %3
  %5: float = get index=0 %3
  return %4, %5
}
fn @f (%0: w: float input, %1: x: float[2, 3] input) -> (c: loss) {
  %2: (float[2, 3], float) = call @layer %0 %1
  %3: float[2, 3] = get index=0 %2
  %4: (float[2, 3], float) = call @layer %0 %3
  %5: float[2, 3] = get index=0 %4
  %6: float = get index=1 %4
  %7: float = reduce sum axes=[0, 1] %5
  %8: float = mul %6 %7
  return %8
}
"#;

#[test]
fn recurrences() {
    for (reverse, remat) in [(false, false), (true, false), (false, true), (true, true)] {
        check(&recurrent(reverse, remat));
    }
}

#[test]
fn blocks_with_weights_of_their_own() {
    check(BLOCKS);
}

#[test]
fn branches() {
    check(BRANCH);
}

#[test]
fn loops_with_a_condition() {
    check(UNTIL);
}

#[test]
fn loops_in_loops_in_calls() {
    check(NESTED);
}

#[test]
fn forward_and_reverse_agree() {
    check_duality(&recurrent(false, false), 5);
    check_duality(&recurrent(true, false), 6);
    check_duality(&recurrent(false, true), 13);
    check_duality(BLOCKS, 8);
    check_duality(BLOCKS, 11);
    check_duality(BRANCH, 9);
    check_duality(UNTIL, 7);
    check_duality(NESTED, 5);
    check_duality(NESTED, 8);
}

#[test]
fn lanes_of_recurrences() {
    for batched in [[true, true, true], [true, false, false], [false, false, true], [false, true, false]] {
        check_lanes(&recurrent(false, false), &batched);
        check_lanes(&recurrent(true, true), &batched);
    }
}

#[test]
fn lanes_of_blocks() {
    check_lanes(BLOCKS, &[true, false, false, false, false]);
    check_lanes(BLOCKS, &[false, true, false, true, false]);
}

#[test]
fn lanes_of_branches() {
    check_lanes(BRANCH, &[true, false]);
    check_lanes(BRANCH, &[true, true]);
}

#[test]
fn lanes_of_loops_with_a_condition() {
    check_lanes(UNTIL, &[true, false]);
    check_lanes(UNTIL, &[false, true]);
}

#[test]
fn lanes_of_loops_in_loops() {
    check_lanes(NESTED, &[true, false]);
    check_lanes(NESTED, &[false, true]);
}

fn gradient(text: &str, wrt: &[usize]) -> Result<(Module, Function, Function), Box<autodiff::NoDerivative>> {
    let (mut module, f) = split(text);
    let mut gradient = f.clone();
    let wrt: Vec<NodeId> = wrt.iter().copied().map(NodeId::new).collect();
    let grads = grad(&mut module, &mut gradient, f.results[0].2, &wrt)?;
    set_results(&mut gradient, &grads);
    Ok((module, f, gradient))
}

/// Without a step, what is carried comes back as it is.
#[test]
fn no_steps() {
    let none = BLOCKS
        .replace("tables=1 table_results=1", "tables=0 table_results=0")
        .replace("count=(3)", "count=(0)")
        .replace("%0 %1 %2 %3 %4\n  %6", "%0 %1 %12\n  %6")
        .replace("stacked=0", "stacked=1")
        .replace("  %5: (float[2], float, float, float)", "  %12: float[0, 2] = slice start=[0, 0] extent=[0, 2] stride=[1, 1] %13\n  %5: (float[2], float[0])")
        .replace("  %12: float[0", "  %13: float[1, 2] = reshape shape=[1, 2] %2\n  %12: float[0")
        .replace("  %7: float = get index=1 %5\n  %8: float = get index=3 %5\n", "  %7: float = const {0.0}\n  %8: float = const {0.0}\n");
    let (module, f, gradient) = gradient(&none, &[0, 1]).unwrap();
    let results = run(&module, &gradient, &inputs(&f, 0.2));
    assert!(results[0].values.iter().all(|value| *value == 1.0), "{results:?}");
    assert!(results[1].values.iter().all(|value| *value == 0.0), "{results:?}");
}

#[test]
fn a_loop_without_limit_has_no_reverse_derivative() {
    let text = UNTIL.replace("limit=(7)", "limit=none");
    let error = gradient(&text, &[0]).unwrap_err();
    assert!(error.reason.contains("without a limit"), "{error}");
    check_forward(&text);
    fn check_forward(text: &str) {
        let (mut module, f) = split(text);
        let mut forward = f.clone();
        let at = [1.2, 0.7].map(|value| graph::Array::scalar(graph::DType::Float, value)).to_vec();
        let param = graph::Param { name: "t".into(), ..f.params[0].clone() };
        let tangent = graph::Builder::new(&module, &mut forward).param(param);
        let given = [(NodeId::new(0), tangent)];
        let tangents = autodiff::jvp(&mut module, &mut forward, &[f.results[0].2], &given).unwrap();
        set_results(&mut forward, &tangents);
        let one = graph::Array::scalar(graph::DType::Float, 1.0);
        let tangent = run(&module, &forward, &[at[0].clone(), at[1].clone(), one])[0].at(&[]);
        let moved = |t: f64| {
            let mut at = at.clone();
            at[0].values += t;
            run(&module, &f, &at)[0].at(&[])
        };
        assert_close(tangent, (moved(1e-6) - moved(-1e-6)) / 2e-6, 1e-6, "tangent");
    }
}

#[test]
fn a_way_without_derivative_is_found_in_loops() {
    let text = recurrent(false, false)
        .replace(
            "  %4: float[k] = contract",
            "  %15: bool[k] = gt %0 %3\n  %16: float[k] = cast to=float %15\n  %4: float[k] = contract",
        )
        .replace("  %12: float[k] = mul %7 %11", "  %12: float[k] = mul %16 %11")
        .replace("return %7, %9", "return %16, %9");
    let error = gradient(&text, &[2]).unwrap_err();
    assert_eq!((error.reason.as_str(), error.function.as_str()), ("a comparison has no derivative", "step"));
    // The weights are not read on that way at all.
    assert!(gradient(&text, &[1]).is_ok());
}

/// What the backward loop reads is given by the forward one, which is there once.
#[test]
fn loops_run_once_forwards() {
    let (module, _, gradient) = gradient(NESTED, &[0, 1]).unwrap();
    let mut scans = Vec::new();
    count(&module, &gradient, &mut scans);
    // Two calls, an outer and an inner loop each, forwards and backwards.
    assert_eq!(scans.len(), 8, "{scans:?}");
    fn count(module: &Module, function: &Function, scans: &mut Vec<String>) {
        for node in function.nodes.values() {
            if let Op::Scan(scan) = &node.op {
                scans.push(module.functions[scan.body].name.clone());
            }
            for body in node.op.bodies() {
                count(module, &module.functions[body], scans);
            }
        }
    }
}

/// By default the results of the cell are kept; with `remat` only what it carries is.
#[test]
fn remat_keeps_carried_values_alone() {
    let stacked = |remat: bool| {
        let (_, _, gradient) = gradient(&recurrent(false, remat), &[0, 1, 2]).unwrap();
        let node = gradient.nodes.values().iter().find(|node| matches!(node.op, Op::Scan(_))).unwrap();
        node.types[4..].len()
    };
    assert_eq!(stacked(true), 2, "h and i");
    assert!(stacked(false) > 2);
}
