//! Whole training steps with dynamic dimensions: fusion, reductions, contractions and memory together.

use crate::{
    compare::{F32, F64, NODES, OPERATIONS, Setting, check, lowered},
    network::{Net, dims, fixed, inputs, shape},
};
use graph::{DType, Module, Op, Role, ops};
use kernel::{
    Binary, Combine, Expr, Unary,
    transform::{visit_expr, visit_stmts},
};
use shape::Dim;

fn everywhere(module: &Module, entry: graph::FuncId, sizes: &[&[(&str, i64)]], f32_tolerance: f64) {
    for size in sizes {
        let dims = dims(size);
        let inputs = inputs(module, entry, &dims);
        for setting in [F64, NODES, OPERATIONS, Setting { tolerance: f32_tolerance, ..F32 }] {
            if let Err(message) = check(module, entry, &inputs, &dims, setting) {
                panic!("{size:?}, {setting:?}: {message}");
            }
        }
    }
}

const BATCHES: [&[(&str, i64)]; 4] = [&[("n", 0)], &[("n", 1)], &[("n", 2)], &[("n", 7)]];

fn batch() -> Dim {
    Dim::symbol("n")
}

fn perceptron() -> (Module, graph::FuncId) {
    let mut net = Net::new();
    let x = net.input(DType::Float, shape(&[&batch(), &Dim::from(20i64)]));
    let label = net.input(DType::I32, shape(&[&batch()]));
    let h = net.dense(x, 33);
    let h = net.relu(h);
    let y = net.dense(h, 5);
    let p = net.softmax(y);
    let loss = net.cross_entropy(p, label);
    net.train(loss);
    net.finish()
}

#[test]
fn a_perceptron_learns() {
    let (module, entry) = perceptron();
    everywhere(&module, entry, &BATCHES[1..], 1e-4);
}

#[test]
fn convolutions_learn() {
    let mut net = Net::new();
    let x = net.input(DType::Float, shape(&[&batch(), &Dim::from(2i64), &Dim::from(6i64), &Dim::from(6i64)]));
    let h = net.conv(x, 5, 1);
    let h = net.batch_norm(h);
    let h = net.relu(h);
    let h = net.max_pool(h);
    let h = net.conv(h, 3, 2);
    let h = net.relu(h);
    let loss = net.mean_square(h);
    net.train(loss);
    let (module, entry) = net.finish();
    everywhere(&module, entry, &BATCHES[1..], 1e-3);
}

#[test]
fn an_embedding_learns() {
    let mut net = Net::new();
    let ids = net.input(DType::I32, shape(&[&batch(), &Dim::from(3i64)]));
    let table = net.weight(fixed(&[5, 19]));
    let rows = net.b().add(Op::from(ops::Gather { axis: 0, lanes: 0 }), &[table, ids]);
    let p = net.softmax(rows);
    let loss = net.mean_square(p);
    net.train(loss);
    let (module, entry) = net.finish();
    everywhere(&module, entry, &BATCHES, 1e-4);
}

#[test]
fn two_dynamic_dimensions_and_a_result_twice() {
    let mut net = Net::new();
    let (n, m) = (Dim::symbol("n"), Dim::symbol("m"));
    let x = net.input(DType::Float, shape(&[&n, &m, &Dim::from(3i64)]));
    let flat = net.b().reshape(x, &shape(&[&n, &(&m * 3)]));
    let e = net.b().unary(Unary::Exp, flat);
    let sum = net.b().reduce(Combine::Sum, &[0], e);
    let most = net.b().reduce(Combine::Max, &[0, 1], e);
    let most = net.b().broadcast(most, &shape(&[&(&m * 3)]));
    let scaled = net.b().binary(Binary::Div, sum, most);
    let turned = net.b().transpose(x, &[2, 0, 1]);
    let at = net.b().reduce(Combine::ArgMax, &[1], flat);
    for (name, id) in [("e", e), ("again", e), ("x", x), ("scaled", scaled), ("turned", turned), ("at", at)] {
        net.result(name, Role::Output, id);
    }
    let (module, entry) = net.finish();
    let sizes: [&[(&str, i64)]; 5] = [
        &[("n", 1), ("m", 1)],
        &[("n", 7), ("m", 5)],
        &[("n", 0), ("m", 2)],
        &[("n", 40), ("m", 3)],
        &[("n", 2), ("m", 23)],
    ];
    everywhere(&module, entry, &sizes, 1e-5);
}

#[test]
fn an_index_out_of_bounds_ends_the_run() {
    let mut net = Net::new();
    let ids = net.input(DType::I32, fixed(&[4]));
    let table = net.input(DType::Float, fixed(&[3, 2]));
    let rows = net.b().add(Op::from(ops::Gather { axis: 0, lanes: 0 }), &[table, ids]);
    net.result("rows", Role::Output, rows);
    let (module, entry) = net.finish();
    let lowered = lower::link(vec![lowered(&module, entry, F64)]);
    let run = |ids: [f64; 4]| {
        let args = [ids.to_vec(), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]];
        kernel::interp::run_plan(&lowered, &lowered.plans[0], &args, &dims(&[]), Default::default())
    };
    assert_eq!(run([0.0, 2.0, 1.0, 0.0]), Ok(vec![vec![1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 1.0, 2.0]]));
    for bad in [3.0, -1.0] {
        assert_eq!(run([0.0, 2.0, bad, 0.0]), Err(kernel::interp::Failure::Check(0)));
    }
}

#[test]
fn element_chains_are_one_kernel() {
    let (module, entry) = perceptron();
    let fused = lowered(&module, entry, F64).kernels.len();
    let single = lowered(&module, entry, NODES).kernels.len();
    assert!(fused <= 24 && single > 2 * fused, "{fused} kernels fused, {single} node by node");
}

/// How often kernels take an exponential, in the text.
fn exponentials(kernels: &[kernel::Kernel]) -> usize {
    let mut count = 0;
    for kernel in kernels {
        visit_stmts(&kernel.body, &mut |expr| {
            visit_expr(expr, &mut |e| count += usize::from(matches!(e, Expr::Unary(Unary::Exp, _))));
        });
    }
    count
}

#[test]
fn exponentials_of_a_row_are_kept() {
    for (columns, count) in [(1024, 1), (100_000, 2)] {
        let mut net = Net::new();
        let x = net.input(DType::Float, shape(&[&Dim::from(20i64), &Dim::from(columns)]));
        let p = net.softmax(x);
        net.result("p", Role::Output, p);
        let (module, entry) = net.finish();
        let kernels = lowered(&module, entry, F32).kernels;
        assert_eq!(kernels.len(), 1, "{columns} columns");
        assert_eq!(exponentials(&kernels), count, "{columns} columns");
        if columns == 1024 {
            everywhere(&module, entry, &[&[]], 1e-5);
        }
    }
}

/// The root of each row's variance stands between two kernels that have the row.
#[test]
fn a_normalisation_is_one_kernel() {
    let mut net = Net::new();
    let full = shape(&[&Dim::from(20i64), &Dim::from(96i64)]);
    let x = net.input(DType::Float, full.clone());
    let mut b = net.b();
    let sum = b.reduce(Combine::Sum, &[1], x);
    let count = b.full_like(sum, 96.0);
    let mean = b.binary(Binary::Div, sum, count);
    let mean = b.spread(mean, &[1], &full);
    let centred = b.binary(Binary::Sub, x, mean);
    let squares = b.binary(Binary::Mul, centred, centred);
    let squares = b.reduce(Combine::Sum, &[1], squares);
    let column = b.reshape(squares, &shape(&[&Dim::from(20i64), &Dim::from(1i64)]));
    let root = b.unary(Unary::Sqrt, column);
    let root = b.broadcast(root, &full);
    let y = b.binary(Binary::Div, centred, root);
    net.result("y", Role::Output, y);
    let (module, entry) = net.finish();
    assert_eq!(lowered(&module, entry, F32).kernels.len(), 1);
    everywhere(&module, entry, &[&[]], 1e-5);
}

/// Only of rows that come from memory and are worked on in the cache.
#[test]
fn the_next_row_is_asked_for() {
    for (rows, columns, lines) in [(1024, 4096, 4), (20, 4096, 0), (4096, 1024, 0)] {
        let mut net = Net::new();
        let x = net.input(DType::Float, shape(&[&Dim::from(rows), &Dim::from(columns)]));
        let p = net.softmax(x);
        net.result("p", Role::Output, p);
        let (module, entry) = net.finish();
        let setting = Setting { vector_bits: 512, ..F32 };
        let text: String =
            lowered(&module, entry, setting).kernels.iter().map(kernel::print::kernel).collect();
        assert_eq!(text.matches("prefetch").count(), lines, "{rows} rows of {columns}: {text}");
    }
}

/// What is read must be what was kept: the second exponential is of a row that was written in between.
#[test]
fn what_was_written_since_is_worked_out_again() {
    let mut net = Net::new();
    let full = shape(&[&Dim::from(20i64), &Dim::from(64i64)]);
    let x = net.input(DType::Float, full);
    let p = net.softmax(x);
    let q = net.softmax(p);
    net.result("q", Role::Output, q);
    let (module, entry) = net.finish();
    assert_eq!(exponentials(&lowered(&module, entry, F32).kernels), 2);
    everywhere(&module, entry, &[&[]], 1e-5);
}

#[test]
fn long_sums_to_few_outputs_are_done_in_parts() {
    let mut net = Net::new();
    let x = net.input(DType::Float, shape(&[&batch(), &Dim::from(2i64), &Dim::from(1000i64)]));
    let loss = net.mean_square(x);
    let most = net.b().reduce(Combine::Max, &[0, 2], x);
    net.result("loss", Role::Loss, loss);
    net.result("most", Role::Output, most);
    let (module, entry) = net.finish();
    assert!(
        lowered(&module, entry, F64).kernels.iter().any(|kernel| kernel
            .buffers
            .values()
            .iter()
            .any(|b| b.name == "slots"))
    );
    everywhere(&module, entry, &[&[("n", 1)], &[("n", 40)]], 1e-4);
}

#[test]
fn equal_kernels_are_kept_once() {
    let mut net = Net::new();
    let full = shape(&[&batch(), &Dim::from(24i64)]);
    let (mut x, mut y) = (net.input(DType::Float, full.clone()), net.input(DType::Float, full));
    for _ in 0..2 {
        (x, y) = (net.softmax(x), net.softmax(y));
    }
    net.result("x", Role::Output, x);
    net.result("y", Role::Output, y);
    let (module, entry) = net.finish();
    let lowered = lowered(&module, entry, NODES);
    let calls = lowered.kernels.len();
    let linked = lower::link(vec![lowered]);
    assert!(linked.kernels.len() * 4 <= calls, "{} kernels for {calls} calls", linked.kernels.len());
    everywhere(&module, entry, &BATCHES, 1e-5);
}

#[test]
fn temporaries_share_memory() {
    let mut net = Net::new();
    let full = shape(&[&batch(), &Dim::from(100i64)]);
    let mut x = net.input(DType::Float, full);
    for _ in 0..8 {
        x = net.b().unary(Unary::Tanh, x);
    }
    net.result("x", Role::Output, x);
    let (module, entry) = net.finish();
    let lowered = lowered(&module, entry, NODES);
    assert_eq!(lowered.plan.steps.len(), 8);
    // Two take turns; each is rounded up to cache lines.
    assert_eq!(lowered.plan.workspace, batch() * (2 * 832));
    everywhere(&module, entry, &BATCHES, 1e-5);
}
