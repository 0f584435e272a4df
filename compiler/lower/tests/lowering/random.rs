//! Random graphs: whatever operators meet, in whatever order, fused or not, the results are the same.

use crate::{
    compare::{F64, NODES, OPERATIONS, Setting, check},
    network::{dims, inputs, shape},
};
use graph::{Builder, DType, FuncId, Function, Module, NodeId, Op, Param, Role, Type, ops};
use kernel::{Binary, Combine, Unary};
use shape::{Dim, Shape};

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % sides.max(1)
    }
}

/// A graph of `steps` operators over tensors with a dynamic leading dimension among others.
fn random_graph(seed: u64, steps: usize) -> (Module, FuncId) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9) ^ 0x1234_5678);
    let empty = Module::default();
    let mut function = Function::new("random");
    let n = Dim::symbol("n");
    function.facts.assume_ge(n.clone(), Dim::from(1i64));
    let mut b = Builder::new(&empty, &mut function);
    let shapes: Vec<Shape> = vec![
        shape(&[&n, &Dim::from(3i64), &Dim::from(4i64)]),
        shape(&[&n, &Dim::from(4i64)]),
        shape(&[&Dim::from(4i64), &Dim::from(5i64)]),
        shape(&[&Dim::from(4i64)]),
    ];
    let mut values: Vec<NodeId> = shapes
        .iter()
        .enumerate()
        .map(|(k, shape)| {
            let ty = Type::new(DType::Float, shape.clone());
            b.param(Param { name: format!("x{k}"), role: Role::Input, ty })
        })
        .collect();
    while values.len() < steps {
        let x = values[dice.roll(values.len())];
        let made = step(&mut b, &mut dice, x, &values);
        // Dynamic volumes stay small, and values finite.
        let ty = b.ty(made).clone();
        if ty.rank() <= 5 && ty.shape.elements().as_const().is_none_or(|elements| elements < 4000) {
            let calm = b.unary(Unary::Tanh, made);
            values.push(if dice.roll(3) == 0 { calm } else { made });
        }
    }
    let count = 1 + dice.roll(4);
    for k in 0..count {
        let at = values.len() - 1 - dice.roll(values.len() / 2);
        b.function.results.push((format!("y{k}"), Role::Output, values[at]));
    }
    let mut module = Module::default();
    let entry = module.functions.push(function);
    (module, entry)
}

fn step(b: &mut Builder<'_>, dice: &mut Dice, x: NodeId, values: &[NodeId]) -> NodeId {
    let full = b.ty(x).shape.clone();
    let rank = full.rank();
    let axis = dice.roll(rank);
    let same: Vec<NodeId> = values.iter().copied().filter(|other| b.ty(*other).shape == full).collect();
    let other = same[dice.roll(same.len())];
    let try_op = |b: &mut Builder<'_>, op: Op, operands: &[NodeId]| b.try_add(op, operands).unwrap_or(x);
    match dice.roll(16) {
        0 => b.unary([Unary::Tanh, Unary::Neg, Unary::Abs, Unary::Sin][dice.roll(4)], x),
        1 | 2 => b.binary([Binary::Add, Binary::Mul, Binary::Sub, Binary::Max][dice.roll(4)], x, other),
        3 => {
            let zero = b.zeros_like(x);
            let positive = b.binary(Binary::Gt, x, zero);
            b.select(positive, other, zero)
        }
        4 if rank > 0 => {
            let combine = [Combine::Sum, Combine::Max, Combine::Min][dice.roll(3)];
            let reduced = b.reduce(combine, &[axis], x);
            if dice.roll(2) == 0 { b.spread(reduced, &[axis], &full) } else { reduced }
        }
        5 if rank > 1 => b.move_axis(x, axis, 0),
        6 if rank > 1 => {
            let mut merged = full.to_vec();
            let last = merged.pop().unwrap_or_default();
            let before = merged.pop().unwrap_or_default();
            merged.push(before * last);
            b.reshape(x, &Shape(merged))
        }
        7 if rank > 0 => {
            let value = b.scalar(DType::Float, 0.5);
            let mut low = vec![Dim::from(0i64); rank];
            let mut interior = vec![0; rank];
            low[axis] = Dim::from(1i64);
            interior[axis] = dice.roll(2) as i64;
            let high = vec![Dim::from(dice.roll(2) as i64); rank];
            try_op(b, Op::from(ops::Pad { low, high, interior }), &[x, value])
        }
        8 if rank > 0 => b.reverse(x, axis),
        9 if rank > 0 => b.add(Op::from(ops::Concat { axis }), &[x, other]),
        10 if rank > 0 => {
            let window = ops::Window { axes: vec![axis], size: vec![2], stride: vec![1], dilation: vec![1] };
            try_op(b, Op::from(window), &[x])
        }
        11 if rank == 2 => {
            // x · xᵀ, or with a weight.
            let index = ops::Subscript::index;
            let extents = vec![full[0].clone(), full[0].clone(), full[1].clone()];
            let (lhs, rhs) = (vec![index(0), index(2)], vec![index(1), index(2)]);
            try_op(b, Op::from(ops::Contract { extents, out: vec![0, 1], lhs, rhs }), &[x, other])
        }
        12 if rank > 0 => {
            let places = ops::Constant {
                dtype: DType::I32,
                shape: vec![2],
                bits: vec![0f64.to_bits(), 0f64.to_bits()],
            };
            let places = b.add(Op::from(places), &[]);
            b.add(Op::from(ops::Gather { axis, lanes: 0 }), &[x, places])
        }
        13 => {
            let mut wider = vec![Dim::from(2i64)];
            wider.extend(full.iter().cloned());
            b.broadcast(x, &Shape(wider))
        }
        14 if rank > 0 => {
            let (reverse, leading) = (dice.roll(2) == 1, dice.roll(2) == 1);
            let factors = b.binary_with(Binary::Mul, other, 0.2);
            b.add(Op::from(ops::Cumulative { axis, reverse, leading }), &[factors, x])
        }
        15 if rank > 0 => {
            let order = b.add(Op::from(ops::Argsort { axis, descending: dice.roll(2) == 1 }), &[x]);
            let last = rank - 1;
            let (moved, order) = (b.move_axis(x, axis, last), b.move_axis(order, axis, last));
            let sorted = b.add(Op::from(ops::Gather { axis: last, lanes: last }), &[moved, order]);
            b.move_axis(sorted, last, axis)
        }
        _ => b.binary_with(Binary::Mul, x, 0.7),
    }
}

fn graphs(seeds: std::ops::Range<u64>, setting: Setting) {
    for seed in seeds {
        let (module, entry) = random_graph(seed, 14 + (seed % 12) as usize);
        for n in [1, 2, 5] {
            let dims = dims(&[("n", n)]);
            let inputs = inputs(&module, entry, &dims);
            if let Err(message) = check(&module, entry, &inputs, &dims, setting) {
                let message: String = message.chars().take(6000).collect();
                panic!("graph {seed}, n = {n}: {message}\n{}", graph::print::print(&module));
            }
        }
    }
}

#[test]
fn random_graphs_fused() {
    graphs(0..150, Setting { tolerance: 1e-9, ..F64 });
}

#[test]
fn random_graphs_node_by_node() {
    graphs(150..200, Setting { tolerance: 1e-9, ..NODES });
    graphs(150..200, Setting { tolerance: 1e-9, ..OPERATIONS });
}
