//! What holds of every derivative: it agrees with finite differences, forwards and backwards, once and twice.

use autodiff::{grad, jvp, vjp};
use graph::{
    Array, Builder, DType, Function, Module, NodeId, Op, Role, Type,
    interp::{Options, run_function},
    parse::parse,
    print::print_function,
    verify::{verify, verify_function},
};
use kernel::Binary;
use std::collections::BTreeMap;

/// The functions before the last one, and that one.
pub fn split(text: &str) -> (Module, Function) {
    let module = parse(text).unwrap();
    let (last, others) = module.functions.values().split_last().unwrap();
    (Module { functions: others.iter().cloned().collect() }, last.clone())
}

/// Smooth pseudo-random values; integers count up.
pub fn inputs(function: &Function, seed: f64) -> Vec<Array> {
    let value = |param: usize, linear: usize| (seed + 1.7 * param as f64 + 2.3 * linear as f64).sin() * 1.2;
    let array = |(param, ty): (usize, &Type)| {
        let shape: Vec<usize> = ty.shape.as_consts().unwrap().iter().map(|n| *n as usize).collect();
        let mut linear = 0;
        Array::from_fn(ty.dtype, &shape, |_| {
            linear += 1;
            if ty.dtype.is_float() { value(param, linear) } else { (linear % 3) as f64 }
        })
    };
    function.params.iter().map(|param| &param.ty).enumerate().map(array).collect()
}

pub fn run(module: &Module, function: &Function, inputs: &[Array]) -> Vec<Array> {
    verify_function(module, function).unwrap_or_else(|e| panic!("{e}\n{}", print_function(function, module)));
    run_function(module, function, inputs, &BTreeMap::new(), Options::exact()).unwrap()
}

pub fn float_params(function: &Function) -> Vec<(usize, NodeId)> {
    let params = function.nodes.iter().filter_map(|(id, node)| match &node.op {
        Op::Parameter(parameter) if node.ty().dtype.is_float() => Some((parameter.index, id)),
        _ => None,
    });
    params.collect()
}

pub fn set_results(function: &mut Function, values: &[NodeId]) {
    function.results = values.iter().map(|value| ("r".into(), Role::Gradient, *value)).collect();
}

pub fn dot(a: &Array, b: &Array) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.values.iter().zip(b.values.iter()).map(|(x, y)| x * y).sum()
}

pub fn assert_close(a: f64, b: f64, tolerance: f64, what: &str) {
    assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}: {a} is not {b}");
}

/// `d/dt f(x + t·u)` for each float parameter alone, against ⟨grad, u⟩.
pub fn check_gradient(module: &Module, f: &Function, gradient: &Function, wrt: &[usize], tolerance: f64) {
    let at = inputs(f, 0.3);
    let grads = run(module, gradient, &at);
    for (param, grad) in wrt.iter().zip(&grads) {
        let direction = inputs(f, 5.1)[*param].clone();
        let step = 1e-5;
        let moved = |t: f64| {
            let mut at = at.clone();
            at[*param].values.zip_mut_with(&direction.values, |x, u| *x += t * u);
            run(module, f, &at)[0].values.sum()
        };
        let difference = (moved(step) - moved(-step)) / (2.0 * step);
        assert_close(dot(grad, &direction), difference, tolerance, &f.params[*param].name);
    }
}

pub fn check(text: &str) {
    let (mut module, f) = split(text);
    let cost = f.results[0].2;
    let (wrt, wrt_nodes): (Vec<usize>, Vec<NodeId>) = float_params(&f).into_iter().unzip();

    let mut first = f.clone();
    let grads = grad(&mut module, &mut first, cost, &wrt_nodes).unwrap();
    set_results(&mut first, &grads);
    check_gradient(&module, &f, &first, &wrt, 1e-7);

    // The derivative of Σ weight·gradient, against the differences of the gradient.
    let mut weighted = first.clone();
    let mut b = Builder::new(&module, &mut weighted);
    let mut total = b.scalar(DType::Float, 0.0);
    for (position, grad) in grads.iter().enumerate() {
        let scaled = b.binary_with(Binary::Mul, *grad, 0.5 + position as f64);
        let axes: Vec<usize> = (0..b.ty(scaled).rank()).collect();
        let sum = b.reduce(kernel::Combine::Sum, &axes, scaled);
        total = b.binary(Binary::Add, total, sum);
    }
    set_results(&mut weighted, &[total]);
    let mut second = weighted.clone();
    let grads = grad(&mut module, &mut second, total, &wrt_nodes).unwrap();
    set_results(&mut second, &grads);
    check_gradient(&module, &weighted, &second, &wrt, 1e-6);

    verify(&module).unwrap();
}

/// ⟨v, J u⟩ = ⟨Jᵀ v, u⟩ for one value of the function, with respect to all float parameters.
pub fn check_duality(text: &str, output: usize) {
    let (mut module, f) = split(text);
    let output = NodeId::new(output);
    let params = float_params(&f);
    let mut forward = f.clone();
    let mut reverse = f.clone();
    let mut given = Vec::new();
    for (index, node) in &params {
        let tangent = graph::Param { name: "t".into(), ..f.params[*index].clone() };
        given.push((*node, Builder::new(&module, &mut forward).param(tangent)));
    }
    let cotangent = graph::Param { name: "v".into(), role: Role::Input, ty: f.ty(output).clone() };
    let seed = Builder::new(&module, &mut reverse).param(cotangent);
    let tangents = jvp(&mut module, &mut forward, &[output], &given).unwrap();
    set_results(&mut forward, &tangents);
    let wrt: Vec<NodeId> = params.iter().map(|(_, node)| *node).collect();
    let cotangents = vjp(&mut module, &mut reverse, &[(output, seed)], &wrt).unwrap();
    set_results(&mut reverse, &cotangents);
    let at = inputs(&f, 0.3);
    let directions: Vec<Array> = params.iter().map(|(index, _)| inputs(&f, 2.2)[*index].clone()).collect();
    let with = |more: &[Array]| at.iter().chain(more).cloned().collect::<Vec<Array>>();
    let v = inputs(&reverse, 4.4).last().unwrap().clone();
    let pushed = run(&module, &forward, &with(&directions));
    let pulled = run(&module, &reverse, &with(std::slice::from_ref(&v)));
    let right: f64 = pulled.iter().zip(&directions).map(|(a, b)| dot(a, b)).sum();
    assert!(right.abs() > 1e-6, "the value does not vary");
    assert_close(dot(&v, &pushed[0]), right, 1e-12, "⟨v, J u⟩");
    verify(&module).unwrap();
}

/// The last function mapped over the chosen parameters gives in each lane what it gives alone; and so does its gradient.
pub fn check_lanes(text: &str, batched: &[bool]) {
    let (mut module, f) = split(text);
    lanes_agree(&mut module, &f, batched);
    let (wrt, wrt_nodes): (Vec<usize>, Vec<NodeId>) = float_params(&f).into_iter().unzip();
    let mut gradient = f.clone();
    gradient.name = "gradient".into();
    let grads = grad(&mut module, &mut gradient, f.results[0].2, &wrt_nodes).unwrap();
    set_results(&mut gradient, &grads);
    lanes_agree(&mut module, &gradient, batched);
    // The other way about: the gradient of the sum of all lanes.
    let callee = module.find(&f.name).unwrap();
    let mapped =
        autodiff::vmap_function(&mut module, callee, batched, &shape::Dim::from(LANES as i64)).unwrap();
    let mut total = Function::new("total");
    total.params = module.functions[mapped].params.clone();
    let operands: Vec<NodeId> = {
        let params = std::mem::take(&mut total.params);
        let mut b = Builder::new(&module, &mut total);
        params.into_iter().map(|param| b.param(param)).collect()
    };
    let mut b = Builder::new(&module, &mut total);
    let costs = b.call(mapped, &operands).unwrap()[0];
    let cost = b.reduce(kernel::Combine::Sum, &[0], costs);
    set_results(&mut total, &[cost]);
    let mut gradient = total.clone();
    let wrt_nodes: Vec<NodeId> = wrt.iter().map(|index| operands[*index]).collect();
    let grads = grad(&mut module, &mut gradient, cost, &wrt_nodes).unwrap();
    set_results(&mut gradient, &grads);
    check_gradient(&module, &total, &gradient, &wrt, 1e-6);
    verify(&module).unwrap();
}

const LANES: usize = 3;

fn lanes_agree(module: &mut Module, f: &Function, batched: &[bool]) {
    let id = module.functions.push(f.clone());
    let mapped = autodiff::vmap_function(module, id, batched, &shape::Dim::symbol("k"))
        .unwrap_or_else(|e| panic!("{e}\n{}", print_function(f, module)));
    verify(module).unwrap();
    let again = autodiff::vmap_function(module, id, batched, &shape::Dim::symbol("k")).unwrap();
    assert_eq!(again, mapped, "made once");
    let at: Vec<Vec<Array>> = (0..LANES).map(|lane| inputs(f, lane as f64)).collect();
    let stacked: Vec<Array> = (0..batched.len())
        .map(|param| {
            let one = &at[0][param];
            if !batched[param] {
                return one.clone();
            }
            let values = at.iter().flat_map(|lane| lane[param].values.iter().copied()).collect();
            Array::new(one.dtype, &[&[LANES], one.shape()].concat(), values).unwrap()
        })
        .collect();
    let results = graph::interp::run(module, mapped, &stacked, &BTreeMap::new(), Options::exact()).unwrap();
    for (lane, mut inputs) in at.into_iter().enumerate() {
        for (param, input) in inputs.iter_mut().enumerate().filter(|(param, _)| !batched[*param]) {
            input.clone_from(&stacked[param]);
        }
        for (result, alone) in results.iter().zip(run(module, f, &inputs)) {
            let of_lane = result.values.iter().skip(lane * alone.values.len());
            for (mapped, alone) in of_lane.zip(&alone.values) {
                assert_close(*mapped, *alone, 1e-12, &format!("lane {lane}"));
            }
        }
    }
}
