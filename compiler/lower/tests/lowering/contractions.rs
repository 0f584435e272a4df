//! Contractions that need every part of the tiled form: ragged tiles, long and dynamic sums, panels of each kind.

use crate::{
    compare::{F32, F64, Setting, check, lowered},
    network::{dims, inputs},
};
use graph::{Builder, DType, FuncId, Function, Module, Op, Param, Role, Type, ops::Contract, ops::Subscript};
use kernel::Space;
use shape::{Dim, Shape, Symbol};
use std::collections::BTreeMap;

/// `y[out] = Σ a[lhs] · b[rhs]`, then `max(y + y, 0)`; an axis is `index` or `stride·index + dilation·other`.
struct Case {
    extents: Vec<Dim>,
    out: Vec<usize>,
    lhs: Vec<Subscript>,
    rhs: Vec<Subscript>,
}

fn at(index: usize) -> Subscript {
    Subscript::index(index)
}

fn sliding(stride: i64, index: usize, within: usize) -> Subscript {
    let mut terms = vec![(stride, index), (1, within)];
    terms.sort_by_key(|(_, index)| *index);
    Subscript { terms, offset: Dim::from(0i64) }
}

fn module(case: &Case) -> (Module, FuncId) {
    let empty = Module::default();
    let mut function = Function::new("contract");
    for symbol in case.extents.iter().flat_map(Dim::symbols) {
        function.facts.assume_ge(Dim::from(symbol), Dim::from(1i64));
    }
    let mut b = Builder::new(&empty, &mut function);
    let operand = |subscripts: &[Subscript]| -> Shape {
        subscripts.iter().map(|subscript| subscript.bounds(&case.extents).1 + 1).collect()
    };
    let mut param = |name: &str, shape: Shape| {
        b.param(Param { name: name.into(), role: Role::Input, ty: Type::new(DType::Float, shape) })
    };
    let (x, w) = (param("x", operand(&case.lhs)), param("w", operand(&case.rhs)));
    let contract = Contract {
        extents: case.extents.clone(),
        out: case.out.clone(),
        lhs: case.lhs.clone(),
        rhs: case.rhs.clone(),
    };
    let y = b.add(Op::from(contract), &[x, w]);
    let twice = b.binary(kernel::Binary::Add, y, y);
    let positive = b.binary_with(kernel::Binary::Max, twice, 0.0);
    function.results.push(("y".into(), Role::Output, y));
    function.results.push(("positive".into(), Role::Output, positive));
    let mut module = Module::default();
    let entry = module.functions.push(function);
    (module, entry)
}

fn tiled(module: &Module, entry: FuncId, setting: Setting) -> bool {
    let lowered = lowered(module, entry, setting);
    lowered
        .kernels
        .iter()
        .any(|kernel| kernel.buffers.values().iter().any(|buffer| buffer.space == Space::Local))
}

fn verify(case: &Case, sizes: &[&[(&str, i64)]]) {
    let (module, entry) = module(case);
    verify_module(&module, entry, sizes);
}

fn verify_module(module: &Module, entry: FuncId, sizes: &[&[(&str, i64)]]) {
    for setting in
        [F64, Setting { tolerance: 1e-4, vector_bits: 512, ..F32 }, Setting { tolerance: 1e-4, ..F32 }]
    {
        assert!(tiled(module, entry, setting), "not in tiles");
        for size in sizes {
            let dims: BTreeMap<Symbol, i64> = dims(size);
            let inputs = inputs(module, entry, &dims);
            if let Err(message) = check(module, entry, &inputs, &dims, setting) {
                panic!("{size:?}, {setting:?}: {message}");
            }
        }
    }
}

fn fixed(extents: &[i64]) -> Vec<Dim> {
    extents.iter().map(|extent| Dim::from(*extent)).collect()
}

#[test]
fn matrix_products_of_ragged_sizes() {
    for [m, n, k] in [[4, 4, 1], [13, 10, 3], [7, 48, 5], [31, 65, 17], [150, 33, 9]] {
        let case = Case {
            extents: fixed(&[m, n, k]),
            out: vec![0, 1],
            lhs: vec![at(0), at(2)],
            rhs: vec![at(2), at(1)],
        };
        verify(&case, &[&[]]);
    }
}

#[test]
fn long_sums_are_cut_into_parts() {
    let case = Case {
        extents: fixed(&[9, 20, 2700]),
        out: vec![0, 1],
        lhs: vec![at(0), at(2)],
        rhs: vec![at(1), at(2)],
    };
    verify(&case, &[&[]]);
}

#[test]
fn dynamic_rows_columns_and_sums() {
    let [m, n, k] = ["m", "n", "k"].map(Dim::symbol);
    let sizes: [&[(&str, i64)]; 3] = [
        &[("m", 1), ("n", 1), ("k", 1)],
        &[("m", 5), ("n", 70), ("k", 3)],
        &[("m", 200), ("n", 17), ("k", 11)],
    ];
    for rhs in [vec![at(2), at(1)], vec![at(1), at(2)]] {
        let extents = vec![m.clone(), n.clone(), k.clone()];
        verify(&Case { extents, out: vec![0, 1], lhs: vec![at(0), at(2)], rhs }, &sizes);
    }
    let weight_gradient = Case {
        extents: vec![Dim::from(12i64), Dim::from(600i64), k],
        out: vec![0, 1],
        lhs: vec![at(2), at(0)],
        rhs: vec![at(2), at(1)],
    };
    verify(&weight_gradient, &[&[("k", 1)], &[("k", 7)]]);
}

/// Heads `[n, h, s, d]` read as rows `[n, s, h·d]`: an operand's columns, its rows or what is summed are two axes in
/// memory.
#[test]
fn heads_that_a_reshape_has_merged() {
    const HEADS: i64 = 3;
    const WIDTH: i64 = 8;
    let (n, s) = (Dim::symbol("n"), Dim::from(10i64));
    let all = Dim::from(HEADS * WIDTH);
    let cases = [
        // The sum runs over the heads: `y[n, s, o] = Σ x[n, s, k] · w[k, o]`.
        (vec![n.clone(), s.clone(), Dim::from(20i64), all.clone()], vec![0, 1, 2], vec![3, 2]),
        // The heads are columns: `y[o, k] = Σ x[n, s, k] · w[n, s, o]`; and rows.
        (vec![n.clone(), s.clone(), Dim::from(20i64), all.clone()], vec![2, 3], vec![0, 1, 2]),
        (vec![n.clone(), s.clone(), Dim::from(20i64), all.clone()], vec![3, 2], vec![0, 1, 2]),
    ];
    for (extents, out, rhs) in cases {
        let empty = Module::default();
        let mut function = Function::new("heads");
        function.facts.assume_ge(n.clone(), Dim::from(1i64));
        let mut b = Builder::new(&empty, &mut function);
        let mut param = |name: &str, shape: Vec<Dim>| {
            b.param(Param { name: name.into(), role: Role::Input, ty: Type::new(DType::Float, shape.into()) })
        };
        let x = param("x", vec![n.clone(), Dim::from(HEADS), s.clone(), Dim::from(WIDTH)]);
        let w = param("w", rhs.iter().map(|index| extents[*index].clone()).collect());
        let rows = b.transpose(x, &[0, 2, 1, 3]);
        let merged = b.reshape(rows, &vec![n.clone(), s.clone(), all.clone()].into());
        let lhs = vec![at(0), at(1), at(3)];
        let rhs = rhs.iter().map(|index| at(*index)).collect();
        let y = b.add(Op::from(Contract { extents, out, lhs, rhs }), &[merged, w]);
        function.results.push(("y".into(), Role::Output, y));
        let mut module = Module::default();
        let entry = module.functions.push(function);
        verify_module(&module, entry, &[&[("n", 1)], &[("n", 3)]]);
    }
}

#[test]
fn batched_products_with_either_operand_in_vectors() {
    let b = Dim::symbol("b");
    let extents = vec![b, Dim::from(6i64), Dim::from(21i64), Dim::from(8i64)];
    let lhs = vec![at(0), at(1), at(3)];
    let rhs = vec![at(0), at(2), at(3)];
    let sizes: [&[(&str, i64)]; 2] = [&[("b", 1)], &[("b", 3)]];
    verify(
        &Case { extents: extents.clone(), out: vec![0, 1, 2], lhs: lhs.clone(), rhs: rhs.clone() },
        &sizes,
    );
    verify(&Case { extents, out: vec![0, 2, 1], lhs, rhs }, &sizes);
}

/// Images `[n, c, h, w]`, kernels `[o, c, u, v]`: the value, and what its derivatives look like.
#[test]
fn convolutions_forward_and_backward() {
    let n = Dim::symbol("n");
    let sizes: [&[(&str, i64)]; 2] = [&[("n", 1)], &[("n", 3)]];
    for [o, c, h, w, k, stride] in
        [[16, 3, 8, 8, 3, 1], [5, 2, 7, 5, 3, 1], [8, 4, 4, 9, 1, 1], [6, 2, 5, 6, 3, 2]]
    {
        let forward = Case {
            extents: [n.clone()].into_iter().chain(fixed(&[o, h, w, c, k, k])).collect(),
            out: vec![0, 1, 2, 3],
            lhs: vec![at(0), at(4), sliding(stride, 2, 5), sliding(stride, 3, 6)],
            rhs: vec![at(1), at(4), at(5), at(6)],
        };
        verify(&forward, &sizes);
        let weights = Case {
            extents: fixed(&[o, c, k, k]).into_iter().chain([n.clone()]).chain(fixed(&[h, w])).collect(),
            out: vec![0, 1, 2, 3],
            lhs: vec![at(4), at(0), at(5), at(6)],
            rhs: vec![at(4), at(1), sliding(stride, 5, 2), sliding(stride, 6, 3)],
        };
        verify(&weights, &sizes);
    }
}

/// Weight gradients of large images: a dynamic batch around panels that hold only part of an image.
#[test]
fn sums_over_several_axes_are_cut_within() {
    let [n, h] = ["n", "h"].map(Dim::symbol);
    for height in [Dim::from(40i64), h] {
        let case = Case {
            extents: fixed(&[5, 2, 3, 3]).into_iter().chain([n.clone(), height, Dim::from(33i64)]).collect(),
            out: vec![0, 1, 2, 3],
            lhs: vec![at(4), at(0), at(5), at(6)],
            rhs: vec![at(4), at(1), sliding(1, 5, 2), sliding(1, 6, 3)],
        };
        verify(&case, &[&[("n", 1), ("h", 3)], &[("n", 2), ("h", 11)]]);
    }
}
