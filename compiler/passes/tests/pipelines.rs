//! What whole pipelines make of a function and its derivative.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use graph::{Function, Module, NodeId, Op, Role, parse::parse, print::print};
use passes::{Changed, Observer, Options, Pass, PassError, pipeline, run_pipeline};
use std::collections::{BTreeMap, BTreeSet};

/// Two layers, a composite and a cost.
const TRAINED: &str = r#"
fn @dense (%0: x: float[n, i] input, %1: w: float[i, o] weight) -> (y: output) {
  %2: float[n, o] = contract extents=[n, o, i] out=[0, 1] lhs=[#0, #2] rhs=[#2, #1] %0 %1
  %3: float[n, o] = tanh %2
  return %3
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
fn @main (%0: x: float[batch, 8] input, %1: w1: float[8, 16] weight, %2: w2: float[16, 10] weight) -> (y: output, cost: loss) {
  %3: float[batch, 16] = call @dense %0 %1
  %4: float[batch, 16] = get index=0 %3
  %5: float[batch, 10] = call @dense %4 %2
  %6: float[batch, 10] = get index=0 %5
  %7: float[batch, 10] = call @softmax %6
  %8: float[batch, 10] = get index=0 %7
  %9: float[batch, 10] = mul %8 %8
  %10: float = reduce sum axes=[0, 1] %9
  return %8, %10
}
"#;

/// The functions with the derivative added to `main`.
fn trained() -> (Module, graph::FuncId) {
    let parsed = parse(TRAINED).unwrap();
    let (main, others) = parsed.functions.values().split_last().unwrap();
    let mut module = Module { functions: others.iter().cloned().collect() };
    let mut main: Function = main.clone();
    let wrt = [NodeId::new(1), NodeId::new(2)];
    let grads = autodiff::grad(&mut module, &mut main, NodeId::new(10), &wrt).unwrap();
    main.results.extend(grads.into_iter().map(|grad| ("grad".into(), Role::Gradient, grad)));
    let entry = module.functions.push(main);
    (module, entry)
}

fn count(function: &Function) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for node in function.nodes.values() {
        let name = match &node.op {
            Op::Unary(unary) => graph::unary_name(unary.op),
            op => op.name(),
        };
        *counts.entry(name.to_string()).or_default() += 1;
    }
    counts
}

#[test]
fn the_forward_computation_is_shared_with_the_derivative() {
    let (mut module, entry) = trained();
    run_pipeline(&mut module, &[entry], pipeline::COMPILED, Options::new(kernel::DType::F32)).unwrap();
    let counts = count(&module.functions[entry]);
    let of = |name: &str| counts.get(name).copied().unwrap_or(0);
    // Two products forward; one for each weight and one for the hidden layer backward.
    assert_eq!((of("contract"), of("tanh"), of("exp"), of("call")), (5, 2, 1, 0), "{}", print(&module));
}

#[test]
fn composites_with_a_kernel_stay_and_so_do_their_derivatives() {
    let (mut module, entry) = trained();
    let keep_composites = BTreeSet::from(["softmax".to_string(), "softmax.vjp".to_string()]);
    let options = Options { keep_composites, ..Options::new(kernel::DType::F32) };
    run_pipeline(&mut module, &[entry], pipeline::COMPILED, options).unwrap();
    let callees: Vec<&str> = module.functions[entry]
        .nodes
        .values()
        .iter()
        .filter_map(|node| module.functions[node.op.callee()?].composite.as_deref())
        .collect();
    assert_eq!(callees, ["softmax", "softmax.vjp"]);
}

#[test]
fn the_observer_sees_each_pass() {
    #[derive(Default)]
    struct Names(Vec<(&'static str, bool)>);
    impl Observer for Names {
        fn before(&mut self, pass: &Pass, _: &Module) {
            self.0.push((pass.name, false));
        }
        fn after(&mut self, pass: &Pass, changed: Changed, _: &Module) {
            assert_eq!(self.0.last(), Some(&(pass.name, false)));
            self.0.pop();
            self.0.push((pass.name, changed == Changed::Yes));
        }
    }
    let (mut module, entry) = trained();
    let mut names = Names::default();
    let options = Options { observer: Some(&mut names), ..Options::new(kernel::DType::F32) };
    run_pipeline(&mut module, &[entry], pipeline::EAGER, options).unwrap();
    let expected = ["precision", "inline", "tape", "expand_composites", "tape"].map(|name| (name, true));
    assert_eq!(names.0, expected);
}

#[test]
fn a_bad_pass_is_named() {
    let pass = Pass {
        name: "breaks",
        summary: "",
        run: |module, cx| {
            module.functions[cx.entries[0]].nodes[NodeId::new(9)].types.clear();
            Ok(Changed::Yes)
        },
    };
    let (mut module, entry) = trained();
    let before = print(&module);
    match run_pipeline(&mut module, &[entry], &[pass], Options::new(kernel::DType::F32)) {
        Err(PassError::Bug(bug)) => assert_eq!((bug.pass, bug.before), ("breaks", before)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn calls_that_double_again_and_again_are_refused() {
    let mut text = String::from("fn @f0 (%0: x: f32[1] input) -> (y: output) {\n  return %0\n}\n");
    for n in 1..60 {
        let callee = n - 1;
        text += &format!(
            "fn @f{n} (%0: x: f32[1] input) -> (y: output) {{\n  %1: f32[1] = call @f{callee} %0\n  %2: f32[1] = get index=0 %1\n  %3: f32[1] = call @f{callee} %2\n  %4: f32[1] = get index=0 %3\n  return %4\n}}\n"
        );
    }
    let mut module = parse(&text).unwrap();
    let small = module.find("f8").unwrap();
    run_pipeline(&mut module, &[small], pipeline::COMPILED, Options::new(kernel::DType::F32)).unwrap();
    let large = module.find("f59").unwrap();
    match run_pipeline(&mut module, &[large], pipeline::COMPILED, Options::new(kernel::DType::F32)) {
        Err(PassError::TooLarge { function, .. }) => assert_eq!(function, "f59"),
        other => panic!("{other:?}"),
    }
}
