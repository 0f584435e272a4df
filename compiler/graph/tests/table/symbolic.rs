//! Derivatives and batches of operators whose sizes are symbols: every type must be proved, and the values right.

use crate::functions::{assert_close, dot, noise, parameters, reverse, run_with};
use graph::{Array, Builder, DType, Function, Module, NodeId, Op, Type, ops};
use kernel::Combine;
use shape::{Dim, Facts, Shape};

fn shape(text: &str) -> Shape {
    text.split_whitespace().map(|dim| dim.parse().expect("a dimension")).collect()
}

fn array(ty: &Type, dims: &[(&str, i64)], seed: u64) -> Array {
    let env = dims.iter().map(|(name, value)| (shape::Symbol::new(name), *value)).collect();
    let extents: Vec<usize> = ty.shape.iter().map(|dim| dim.eval(&env).expect("bound") as usize).collect();
    noise(&Array::from_fn(ty.dtype, &extents, |_| 0.0), seed)
}

/// Builds `op` on operands of these shapes, differentiates twice, and compares the first derivative with differences.
fn check(
    facts: &Facts,
    shapes: &[&str],
    dims: &[(&str, i64)],
    build: impl Fn(&mut Builder<'_>, &[NodeId]) -> NodeId,
) {
    let types: Vec<Type> = shapes.iter().map(|text| Type::new(DType::F64, shape(text))).collect();
    let module = Module::default();
    let mut function = Function::new("symbolic");
    function.facts = facts.clone();
    let mut b = Builder::new(&module, &mut function);
    let operands = parameters(&mut b, &types);
    let output = build(&mut b, &operands);
    let squared = b.binary(kernel::Binary::Mul, output, output);
    let all: Vec<usize> = (0..b.ty(squared).rank()).collect();
    let cost = b.reduce(Combine::Sum, &all, squared);
    let one = b.full_like(cost, 1.0);
    let mut results = reverse(&mut b, &[(cost, one)], &operands);
    // ⟨gradient, gradient⟩ and its derivative.
    let seeds: Vec<(NodeId, NodeId)> = results.iter().map(|gradient| (*gradient, *gradient)).collect();
    let second = reverse(&mut b, &seeds, &operands);
    results.push(cost);
    results.extend(second);
    let inputs: Vec<Array> = types.iter().enumerate().map(|(k, ty)| array(ty, dims, k as u64 + 1)).collect();
    let n = inputs.len();
    let values = run_with(&function, &results, &inputs, dims);
    const H: f64 = 1e-5;
    for operand in 0..n {
        let direction = noise(&inputs[operand], 17);
        let at = |by: f64| {
            let mut moved = inputs.clone();
            moved[operand].values = &moved[operand].values + &(&direction.values * by);
            run_with(&function, &results, &moved, dims)
        };
        let (above, below) = (at(H), at(-H));
        let difference = (above[n].at(&[]) - below[n].at(&[])) / (2.0 * H);
        assert_close(
            dot(&values[operand], &direction),
            difference,
            1e-6,
            &format!("operand {operand} of {shapes:?}"),
        );
        // The seed was held fixed, so the second derivative of ⟨gradient, gradient⟩ is half of the difference.
        let square = |values: &[Array]| values[..n].iter().map(|x| dot(x, x)).sum::<f64>();
        let difference = (square(&above) - square(&below)) / (4.0 * H);
        let what = format!("second derivative by operand {operand} of {shapes:?}");
        assert_close(dot(&values[n + 1 + operand], &direction), difference, 1e-5, &what);
    }
}

#[test]
fn products_and_convolutions() {
    let none = Facts::default();
    for batch in [0, 1, 3] {
        let dims = [("batch", batch), ("h", 5), ("w", 7)];
        check(&none, &["batch 4", "4 3"], &dims, |b, x| {
            let d = |n: i64| vec![Dim::from(n)];
            let dot = ops::Contract::dot(&[], &[Dim::symbol("batch")], &d(3), &d(4));
            b.add(dot.into(), x)
        });
        for (stride, dilation) in [([1, 1], [1, 1]), ([2, 1], [1, 1]), ([2, 3], [1, 2])] {
            let mut facts = Facts::default();
            facts.assume_ge(Dim::symbol("h"), Dim::from(3i64));
            facts.assume_ge(Dim::symbol("w"), Dim::from(5i64));
            check(&facts, &["batch 2 h w", "2 2 3 3"], &dims, |b, x| {
                let (image, kernel) = (b.ty(x[0]).shape.clone(), b.ty(x[1]).shape.clone());
                let conv = ops::Contract::conv(&image, &kernel, &stride, &dilation, b.facts());
                b.add(conv.unwrap_or_else(|fault| panic!("{}", fault.message)).into(), x)
            });
        }
    }
}

#[test]
fn grouped_and_pointwise_convolutions() {
    let dims = [("batch", 2), ("g", 3), ("h", 6)];
    let mut facts = Facts::default();
    facts.assume_ge(Dim::symbol("h"), Dim::from(3i64));
    for taps in ["1", "3"] {
        check(&facts, &["batch g 2 h", &format!("g 2 2 {taps}")], &dims, |b, x| {
            let (image, kernel) = (b.ty(x[0]).shape.clone(), b.ty(x[1]).shape.clone());
            let conv = ops::Contract::grouped_conv(&image, &kernel, &[2], &[1], b.facts());
            b.add(conv.unwrap_or_else(|fault| panic!("{}", fault.message)).into(), x)
        });
    }
}

#[test]
fn padded_convolution() {
    let dims = [("batch", 2), ("h", 4)];
    check(&Facts::default(), &["batch 1 h", "2 1 3"], &dims, |b, x| {
        let zero = b.scalar(DType::F64, 0.0);
        let widths = || vec![Dim::from(0i64), Dim::from(0i64), Dim::from(1i64)];
        let pad = ops::Pad { low: widths(), high: widths(), interior: vec![0; 3] };
        let padded = b.add(pad.into(), &[x[0], zero]);
        let (image, kernel) = (b.ty(padded).shape.clone(), b.ty(x[1]).shape.clone());
        let conv = ops::Contract::conv(&image, &kernel, &[2], &[1], b.facts()).unwrap();
        b.add(conv.into(), &[padded, x[1]])
    });
}

#[test]
fn movement() {
    let dims = [("n", 5), ("m", 3)];
    let none = Facts::default();
    let zero = Dim::default();
    check(&none, &["n m"], &dims, |b, x| b.reduce(Combine::Sum, &[0], x[0]));
    check(&none, &["n m"], &dims, |b, x| b.reduce(Combine::Product, &[1], x[0]));
    check(&none, &["n m"], &dims, |b, x| b.reduce(Combine::Max, &[1], x[0]));
    check(&none, &["n m"], &dims, |b, x| b.reverse(x[0], 0));
    check(&none, &["m"], &dims, |b, x| b.broadcast(x[0], &shape("n m")));
    check(&none, &["n m"], &dims, |b, x| b.reshape(x[0], &shape("n*m")));
    check(&none, &["n m", "n 2"], &dims, |b, x| b.add(ops::Concat { axis: 1 }.into(), x));
    check(&none, &["n m"], &dims, |b, x| {
        let half = Dim::symbol("n").ceil_div(&Dim::from(2i64));
        b.slice_axis(x[0], 0, &zero, &half, 2)
    });
    check(&none, &["n"], &dims, |b, x| {
        let window = ops::Window { axes: vec![0], size: vec![2], stride: vec![2], dilation: vec![1] };
        let windows = b.add(window.into(), x);
        b.reduce(Combine::Max, &[1], windows)
    });
    // Rows picked by the numbers of the axis itself, some twice.
    check(&none, &["n m"], &dims, |b, x| {
        let rows = b.iota(DType::I32, &shape("n"), 0);
        let two = b.full_like(rows, 2.0);
        let rows = b.binary(kernel::Binary::Div, rows, two);
        b.add(ops::Gather { axis: 0, lanes: 0 }.into(), &[x[0], rows])
    });
    check(&none, &["n m", "m n"], &dims, |b, x| {
        let rows = b.iota(DType::I32, &shape("m"), 0);
        let updates = b.transpose(x[1], &[1, 0]);
        b.add(ops::ScatterAdd { axis: 1, lanes: 0 }.into(), &[x[0], rows, updates])
    });
    let mut facts = Facts::default();
    facts.assume_ge(Dim::symbol("n"), Dim::from(1i64));
    check(&facts, &["n m"], &dims, |b, x| {
        let last = Dim::symbol("n") - 1;
        b.slice_axis(x[0], 0, &last, &Dim::from(1i64), 1)
    });
}

/// A contraction that is not supported says so; it does not panic and is no zero.
#[test]
fn unsolvable_subscripts_are_refused() {
    // y = Σ_ij x[i + j, i − j + 3]: which i and j belong to a place is no matter of one axis.
    let sum = |c: i64, offset: i64| ops::Subscript { terms: vec![(1, 0), (c, 1)], offset: Dim::from(offset) };
    let contract = Op::from(ops::Contract {
        extents: vec![Dim::from(3i64), Dim::from(4i64)],
        out: vec![],
        lhs: vec![sum(1, 0), sum(-1, 3)],
        rhs: vec![],
    });
    let module = Module::default();
    let mut function = Function::new("refused");
    let mut b = Builder::new(&module, &mut function);
    let x = parameters(&mut b, &[Type::new(DType::F64, shape("6 6")), Type::scalar(DType::F64)]);
    let y = b.add(contract.clone(), &x);
    let one = b.full_like(y, 1.0);
    let grads = contract.vjp(&mut b, &x, y, one);
    assert!(matches!(grads[0], graph::Grad::None(_)));
    assert!(matches!(grads[1], graph::Grad::Value(_)));
}
