//! Whole pipelines on loops and branches and their derivatives: the values stay, and loops run once.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use graph::{
    Array, FuncId, Function, Module, NodeId, Op, Role,
    interp::{Options, run},
    parse::parse,
    print::print,
};
use passes::{pipeline, run_pipeline};
use std::collections::BTreeMap;

/// A recurrent layer used twice, in a function with names of its own, with a branch in its step; then blocks with weights
/// of their own, computed again, and a loop with a condition.
const MODEL: &str = r#"
fn @up (%0: x: float[b, k] input) -> (y: output) {
  %1: float[b, k] = tanh %0
  return %1
}
fn @down (%0: x: float[b, k] input) -> (y: output) {
  %1: float[b, k] = sin %0
  return %1
}
fn @step (%0: h: float[b, k] input, %1: w: float[k, k] input, %2: x: float[b, k] input) -> (h: output, y: output) {
  %3: float[b, k] = contract extents=[b, k, k] out=[0, 1] lhs=[#0, #2] rhs=[#2, #1] %0 %1
  %4: float[b, k] = add %3 %2
  %5: float = reduce sum axes=[0, 1] %4
  %6: float = const {0.0}
  %7: bool = gt %5 %6
  %8: float[b, k] = cond @up @down %7 %4
  %9: float[b, k] = get index=0 %8
  return %9, %9
}
fn @recurrent (%0: w: float[k, k] input, %1: x: float[t, b, k] input) -> (y: output) {
  %2: float = const {0.0}
  %3: float[b, k] = broadcast shape=[b, k] %2
  %4: (float[b, k], float[t, b, k]) = scan @step count=(t) reverse=false carried=1 fixed=1 stacked=1 tables=0 table_results=0 remat=false %3 %0 %1
  %5: float[t, b, k] = get index=1 %4
  return %5
}
fn @block remat (%0: x: float[n] input, %1: w: float[n] input) -> (y: output) {
  %2: float[n] = mul %0 %1
  %3: float[n] = tanh %2
  return %3
}
fn @of_blocks (%0: h: float[n] input, %1: w: float[n] input) -> (h: output) {
  %2: float[n] = call @block %0 %1
  %3: float[n] = get index=0 %2
  return %3
}
fn @small (%0: h: float[n] input, %1: w: float[n] input) -> (c: output) {
  %2: float = reduce sum axes=[0] %0
  %3: float = const {9.0}
  %4: bool = lt %2 %3
  return %4
}
fn @grow (%0: h: float[n] input, %1: w: float[n] input) -> (h: output) {
  %2: float[n] = mul %0 %1
  %3: float[n] = add %2 %0
  return %3
}
fn @main (%0: w: float[3, 3] weight, %1: x: float[5, batch, 3] input, %2: a: float[3] weight, %3: b: float[3] weight) -> (cost: loss) {
  %4: float[5, batch, 3] = call @recurrent %0 %1
  %5: float[5, batch, 3] = get index=0 %4
  %6: float[5, batch, 3] = call @recurrent %0 %5
  %7: float[5, batch, 3] = get index=0 %6
  %8: float[3] = reduce sum axes=[0, 1] %7
  %9: float[3] = scan @of_blocks count=(2) reverse=false carried=1 fixed=0 stacked=0 tables=1 table_results=0 remat=false %8 %2 %3
  %10: float[3] = get index=0 %9
  %11: float[3] = while @small @grow carried=1 limit=(6) %10 %2
  %12: float[3] = get index=0 %11
  %13: float = reduce sum axes=[0] %12
  return %13
}
"#;

fn trained(second: bool) -> (Module, FuncId) {
    let parsed = parse(MODEL).unwrap();
    let (main, others) = parsed.functions.values().split_last().unwrap();
    let mut module = Module { functions: others.iter().cloned().collect() };
    let mut main: Function = main.clone();
    let wrt = [NodeId::new(0), NodeId::new(2), NodeId::new(3)];
    let cost = main.results[0].2;
    let mut grads = autodiff::grad(&mut module, &mut main, cost, &wrt).unwrap();
    if second {
        let sum = {
            let mut b = graph::Builder::new(&module, &mut main);
            b.reduce(kernel::Combine::Sum, &[0, 1], grads[0])
        };
        grads.extend(autodiff::grad(&mut module, &mut main, sum, &wrt).unwrap());
    }
    main.results.extend(grads.into_iter().map(|grad| ("grad".into(), Role::Gradient, grad)));
    let entry = module.functions.push(main);
    (module, entry)
}

fn values(module: &Module, entry: FuncId) -> Vec<Array> {
    let function = &module.functions[entry];
    let mut count = 0.0f64;
    let inputs: Vec<Array> = function
        .params
        .iter()
        .map(|param| {
            let shape: Vec<usize> =
                param.ty.shape.iter().map(|dim| dim.as_const().unwrap_or(2) as usize).collect();
            Array::from_fn(graph::DType::Of(kernel::DType::F64), &shape, |_| {
                count += 1.0;
                (count * 1.3).sin()
            })
        })
        .collect();
    run(module, entry, &inputs, &BTreeMap::new(), Options::rounded(kernel::DType::F64)).unwrap()
}

fn loops(module: &Module, function: &Function) -> usize {
    let nodes = function.nodes.values().iter();
    nodes
        .map(|node| {
            let own = usize::from(matches!(node.op, Op::Scan(_) | Op::While(_)));
            let bodies = node.op.bodies();
            own + bodies.iter().map(|body| loops(module, &module.functions[*body])).sum::<usize>()
        })
        .sum()
}

#[test]
fn pipelines_keep_values() {
    for second in [false, true] {
        let (before, entry) = trained(second);
        let expected = values(&before, entry);
        for passes in [pipeline::COMPILED, pipeline::EAGER] {
            for strict in [false, true] {
                let mut after = before.clone();
                let options = passes::Options { strict, ..passes::Options::new(kernel::DType::F64) };
                run_pipeline(&mut after, &[entry], passes, options).unwrap_or_else(|e| panic!("{e}"));
                for (index, (old, new)) in expected.iter().zip(values(&after, entry)).enumerate() {
                    for (a, b) in old.values.iter().zip(&new.values) {
                        assert!(
                            (a - b).abs() <= 1e-9 * (1.0 + a.abs()),
                            "result {index} was {a}, is {b}\n{}",
                            print(&after)
                        );
                    }
                }
                let text = print(&after);
                assert_eq!(print(&parse(&text).unwrap()), text);
            }
        }
    }
}

/// Two recurrences, the blocks and the loop with a condition: each runs once forwards and once backwards.
#[test]
fn loops_run_once_forwards() {
    let (mut module, entry) = trained(false);
    run_pipeline(&mut module, &[entry], pipeline::COMPILED, passes::Options::new(kernel::DType::F32))
        .unwrap();
    assert_eq!(loops(&module, &module.functions[entry]), 8, "{}", print(&module));
}
