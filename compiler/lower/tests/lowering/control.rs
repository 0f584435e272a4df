//! Scans, conditions and loops: bodies become steps of the plan, however their operands come and whoever reads results.

use crate::{
    compare::{F32, F64, NODES, OPERATIONS, check, lowered},
    network::{dims, inputs},
};
use graph::{Array, DType, Module, parse::parse, verify::verify};
use kernel::{
    BufferRef, Step,
    interp::{Failure, run_plan},
};

/// A cell with a product of matrices, one that shifts rows, a block with its own weights, and what decides.
const BODIES: &str = "
fn @cell (%0: h: float[b, 3] input, %1: w: float[3, 3] input, %2: x: float[b, 3] input) -> (h: output, y: output, s: output) {
  %3: float[b, 3] = contract extents=[b, 3, 3] out=[0, 1] lhs=[#0, #2] rhs=[#2, #1] %0 %1
  %4: float[b, 3] = add %3 %2
  %5: float[b, 3] = tanh %4
  %6: float[b] = reduce sum axes=[1] %5
  %7: float[b, 3] = mul %5 %0
  return %5, %7, %6
}
fn @block (%0: h: float[b, 3] input, %1: m: float[b] input, %2: w: float[3, 3] input, %3: c: float[3] input) -> (h: output, y: output) {
  %4: float[b, 3] = contract extents=[b, 3, 3] out=[0, 1] lhs=[#0, #2] rhs=[#2, #1] %0 %2
  %5: float[b, 3] = broadcast shape=[b, 3] %3
  %6: float[b, 3] = add %4 %5
  %7: float[b, 3] = tanh %6
  %8: float[b, 1] = reshape shape=[b, 1] %1
  %9: float[b, 3] = broadcast shape=[b, 3] %8
  %10: float[b, 3] = mul %7 %9
  %11: float[3] = reduce sum axes=[0] %7
  return %10, %11
}
fn @pass (%0: h: float[b] input, %1: x: float[b] input) -> (h: output, y: output) {
  return %1, %0
}
fn @halve (%0: h: float[b] input, %1: top: float input) -> (h: output) {
  %2: float = const {0.5}
  %3: float[b] = broadcast shape=[b] %2
  %4: float[b] = mul %0 %3
  return %4
}
fn @grow (%0: h: float[b] input, %1: top: float input) -> (h: output) {
  %2: float[b] = broadcast shape=[b] %1
  %3: float[b] = add %0 %2
  return %3
}
fn @large (%0: h: float[b] input, %1: top: float input) -> (goes_on: output) {
  %2: float[b] = abs %0
  %3: float = reduce sum axes=[0] %2
  %4: bool = lt %1 %3
  return %4
}
fn @chosen (%0: h: float[b] input, %1: top: float input) -> (h: output, y: output) {
  %2: float[b] = abs %0
  %3: float = reduce sum axes=[0] %2
  %4: bool = lt %1 %3
  %5: float[b] = cond @halve @grow %4 %0 %1
  %6: float[b] = get index=0 %5
  %7: float[b] = while @large @halve carried=1 limit=(5) %6 %1
  %8: float[b] = get index=0 %7
  return %6, %8
}
fn @table (%0: h: float[4] input, %1: t: float[n, 4] input, %2: i: i32[2] input) -> (h: output) {
  %3: float[2, 4] = gather axis=0 lanes=0 %1 %2
  %4: float[4] = reduce sum axes=[0] %3
  %5: float[4] = add %0 %4
  return %5
}
";

fn module(main: &str) -> (Module, graph::FuncId) {
    let module = parse(&format!("{BODIES}{main}")).unwrap_or_else(|e| panic!("{e}"));
    verify(&module).unwrap();
    let entry = module.find("main").unwrap();
    (module, entry)
}

fn everywhere(main: &str, sizes: &[&[(&str, i64)]]) {
    let (module, entry) = module(main);
    for size in sizes {
        let dims = dims(size);
        let inputs = inputs(&module, entry, &dims);
        for setting in [F64, NODES, OPERATIONS, F32] {
            if let Err(message) = check(&module, entry, &inputs, &dims, setting) {
                panic!("{size:?}, {setting:?}: {message}");
            }
        }
    }
}

/// The initial value is computed, the weight a transposed view, what is scanned a slice.
fn recurrence(count: &str, reverse: bool) -> String {
    format!(
        "fn @main (%0: h: float[b, 3] input, %1: w: float[3, 3] input, %2: x: float[{count} + 1, b, 3] input) -> (h: output, y: output, z: output, s: output) {{
  %3: float[b, 3] = neg %0
  %4: float[3, 3] = transpose perm=[1, 0] %1
  %5: float[{count}, b, 3] = slice start=[1, 0, 0] extent=[{count}, b, 3] stride=[1, 1, 1] %2
  %6: (float[b, 3], float[{count}, b, 3], float[{count}, b]) = scan @cell count=({count}) reverse={reverse} carried=1 fixed=1 stacked=1 tables=0 table_results=0 remat=false %3 %4 %5
  %7: float[b, 3] = get index=0 %6
  %8: float[{count}, b, 3] = get index=1 %6
  %9: float[{count}, b, 3] = exp %8
  %10: float[{count}, b] = get index=2 %6
  return %7, %8, %9, %10
}}"
    )
}

#[test]
fn recurrences_of_any_length() {
    for reverse in [false, true] {
        let sizes = [(0, 2), (1, 2), (2, 1), (5, 3), (6, 0)];
        for (t, b) in sizes {
            everywhere(&recurrence("t", reverse), &[&[("t", t), ("b", b)]]);
        }
        for count in ["0", "1", "2", "5"] {
            let main = recurrence(count, reverse).replace("0 + 1", "1").replace("1 + 1", "2");
            let main = main.replace("2 + 1", "3").replace("5 + 1", "6");
            everywhere(&main, &[&[("b", 2)]]);
        }
    }
}

fn blocks(results: &str) -> String {
    format!(
        "fn @main (%0: x: float[n, 3] input, %1: m: float[n] input, %2: w0: float[3, 3] input, %3: c0: float[3] input, %4: w1: float[3, 3] input, %5: c1: float[3] input, %6: w2: float[3, 3] input, %7: c2: float[3] input) -> ({results}) {{
  %8: (float[n, 3], float[3], float[3], float[3]) = scan @block count=(3) reverse=false carried=1 fixed=1 stacked=0 tables=2 table_results=1 remat=false %0 %1 %2 %4 %6 %3 %5 %7
  %9: float[n, 3] = get index=0 %8
  %10: float[3] = get index=1 %8
  %11: float[3] = get index=2 %8
  %12: float[3] = get index=3 %8
  %13: float[3] = get index=2 %8
"
    )
}

/// A second reader of a result, one of the table unread, and a result that goes on to a kernel.
#[test]
fn tables_of_weights_and_results() {
    let sizes: [&[(&str, i64)]; 3] = [&[("n", 0)], &[("n", 1)], &[("n", 4)]];
    let all = blocks("y: output, a: output, b: output, c: output, d: output");
    everywhere(&format!("{all}  return %9, %10, %11, %12, %13\n}}"), &sizes);
    let some = blocks("y: output, a: output, d: output");
    let rest = "  %14: float[n, 3] = mul %9 %9\n  %15: float[3] = add %13 %10\n  return %14, %10, %15\n}";
    everywhere(&format!("{some}{rest}"), &sizes);
}

/// The code of a body stands once, however often it runs.
#[test]
fn one_kernel_for_all_steps() {
    let calls = |count: i64| {
        let main = recurrence("t", false).replace("t + 1", &(count + 1).to_string());
        let (module, entry) =
            module(&main.replace("[t,", &format!("[{count},")).replace("(t)", &format!("({count})")));
        lowered(&module, entry, F32).plan.calls().len()
    };
    assert_eq!(calls(10), calls(1000));
    let main = blocks("y: output") + "  return %9\n}";
    let (module, entry) = module(&main);
    let plan = lowered(&module, entry, F32).plan;
    let [Step::Loop { body, .. }] = plan.steps.as_slice() else { panic!("{:?}", plan.steps) };
    let tables = body.iter().map(|step| match step {
        Step::Call(call) => {
            call.buffers.iter().filter(|place| matches!(place, BufferRef::Table { .. })).count()
        }
        _ => 0,
    });
    assert!(tables.sum::<usize>() >= 3);
}

/// A step gives what it got: nothing is computed, all is moved.
#[test]
fn values_that_pass_through() {
    everywhere(
        "fn @main (%0: h: float[m] input, %1: x: float[t, m] input) -> (h: output, y: output) {
  %2: (float[m], float[t, m]) = scan @pass count=(t) reverse=false carried=1 fixed=0 stacked=1 tables=0 table_results=0 remat=false %0 %1
  %3: float[m] = get index=0 %2
  %4: float[t, m] = get index=1 %2
  return %3, %4
}",
        &[&[("t", 0), ("m", 3)], &[("t", 3), ("m", 5)], &[("t", 4), ("m", 17)]],
    );
}

/// A branch and a loop inside of a scan, given constants.
#[test]
fn bodies_within_bodies() {
    everywhere(
        "fn @main (%0: h: float[m] input) -> (h: output, y: output) {
  %1: float = const {0.75}
  %2: (float[m], float[4, m]) = scan @chosen count=(4) reverse=false carried=1 fixed=1 stacked=0 tables=0 table_results=0 remat=false %0 %1
  %3: float[m] = get index=0 %2
  %4: float[4, m] = get index=1 %2
  return %3, %4
}",
        &[&[("m", 0)], &[("m", 1)], &[("m", 40)]],
    );
}

/// An index that only the third step reads ends the call.
#[test]
fn checks_inside_of_bodies() {
    let (module, entry) = module(
        "fn @main (%0: h: float[4] input, %1: t: float[5, 4] input, %2: i: i32[3, 2] input) -> (h: output) {
  %3: float[4] = scan @table count=(3) reverse=false carried=1 fixed=1 stacked=1 tables=0 table_results=0 remat=false %0 %1 %2
  %4: float[4] = get index=0 %3
  return %4
}",
    );
    let float = |extents: &[usize]| Array::from_fn(DType::Float, extents, |at| at[0] as f64);
    for (last, fails) in [(4.0, false), (5.0, true), (-1.0, true)] {
        let index = Array::from_fn(DType::I32, &[3, 2], |at| if at[0] == 2 { last } else { 1.0 });
        let inputs = [float(&[4]), float(&[5, 4]), index];
        for setting in [F64, NODES, OPERATIONS] {
            if let Err(message) = check(&module, entry, &inputs, &dims(&[]), setting) {
                panic!("{last}: {message}");
            }
            let linked = lower::link(vec![lowered(&module, entry, setting)]);
            let args: Vec<Vec<f64>> =
                inputs.iter().map(|input| input.values.iter().copied().collect()).collect();
            let found = run_plan(&linked, &linked.plans[0], &args, &dims(&[]), setting.order);
            assert_eq!(matches!(found, Err(Failure::Check(0))), fails, "{found:?}");
        }
    }
}
