//! Small functions around one operator, and how to run and differentiate them.

use graph::{Array, Builder, Function, Grad, Module, NodeId, Op, Param, Role, Type, interp};
use shape::{Dim, Facts};
use std::collections::BTreeMap;

pub fn type_of(array: &Array) -> Type {
    Type::new(array.dtype, array.shape().iter().map(|extent| Dim::from(*extent)).collect())
}

/// The operator's own definition.
pub fn evaluate(op: &Op, inputs: &[Array]) -> Array {
    let types: Vec<Type> = inputs.iter().map(type_of).collect();
    let output = op.infer_in(&Module::default(), &Facts::default(), &types.iter().collect::<Vec<_>>());
    let output = output.unwrap_or_else(|fault| panic!("{op:?}: {}", fault.message)).remove(0);
    let inputs: Vec<&Array> = inputs.iter().collect();
    let dims = |dim: &Dim| dim.eval(&BTreeMap::new()).map_err(|e| graph::EvalError(e.to_string()));
    let mut value = op.eval(&inputs, &output, &dims).unwrap_or_else(|e| panic!("{op:?}: {}", e.0));
    if let graph::DType::Of(dtype) = output.dtype
        && !dtype.is_float()
    {
        value.values.mapv_inplace(|value| interp::round(value, dtype));
    }
    value
}

pub fn parameters(b: &mut Builder<'_>, types: &[Type]) -> Vec<NodeId> {
    types
        .iter()
        .enumerate()
        .map(|(k, ty)| b.param(Param { name: format!("p{k}"), role: Role::Input, ty: ty.clone() }))
        .collect()
}

pub fn run(function: &Function, results: &[NodeId], inputs: &[Array]) -> Vec<Array> {
    run_with(function, results, inputs, &[])
}

pub fn run_with(
    function: &Function,
    results: &[NodeId],
    inputs: &[Array],
    dims: &[(&str, i64)],
) -> Vec<Array> {
    let mut function = function.clone();
    function.results =
        results.iter().enumerate().map(|(k, id)| (format!("r{k}"), Role::Output, *id)).collect();
    let dims = dims.iter().map(|(name, value)| (shape::Symbol::new(name), *value)).collect();
    let results =
        interp::run_function(&Module::default(), &function, inputs, &dims, interp::Options::exact());
    results.unwrap_or_else(|e| panic!("{}", e.0))
}

/// Reverse pass from `from` (with cotangent `seed`) to `wrt`, node by node; zeros where nothing arrives.
pub fn reverse(b: &mut Builder<'_>, from: &[(NodeId, NodeId)], wrt: &[NodeId]) -> Vec<NodeId> {
    let mut cotangents: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for (node, seed) in from {
        add(b, &mut cotangents, *node, *seed);
    }
    let last = from.iter().map(|(node, _)| node.index() + 1).max().unwrap_or(0);
    for id in (0..last).rev().map(NodeId::new) {
        let node = b.function.nodes[id].clone();
        let Some(dout) = cotangents.get(&id).copied() else { continue };
        if node.inputs.is_empty() {
            continue;
        }
        let grads = node.op.vjp(b, &node.inputs, id, dout);
        assert_eq!(grads.len(), node.inputs.len(), "{}: one derivative an operand", node.op.name());
        for (input, grad) in node.inputs.iter().zip(grads) {
            match grad {
                Grad::Value(value) => {
                    assert_eq!(b.ty(value), b.ty(*input), "{}: type of a derivative", node.op.name());
                    add(b, &mut cotangents, *input, value);
                }
                Grad::Zero => {}
                Grad::None(why) => {
                    assert!(!b.dtype(*input).is_float(), "{}: {why}", node.op.name());
                }
            }
        }
    }
    wrt.iter().map(|id| cotangents.get(id).copied().unwrap_or_else(|| b.zeros_like(*id))).collect()
}

/// Forward pass: the tangent of `of`, given those of some nodes.
pub fn forward(b: &mut Builder<'_>, seeds: &[(NodeId, NodeId)], of: NodeId) -> NodeId {
    let mut tangents: BTreeMap<NodeId, NodeId> = seeds.iter().copied().collect();
    for id in b.function.nodes.ids().take(of.index() + 1).collect::<Vec<_>>() {
        let node = b.function.nodes[id].clone();
        let inputs: Vec<Option<NodeId>> =
            node.inputs.iter().map(|input| tangents.get(input).copied()).collect();
        if inputs.iter().all(Option::is_none) {
            continue;
        }
        let tangent = node.op.jvp(b, &node.inputs, id, &inputs);
        let tangent = tangent.unwrap_or_else(|why| panic!("{}: {why}", node.op.name()));
        if let Some(tangent) = tangent {
            assert_eq!(b.ty(tangent), b.ty(id), "{}: type of a tangent", node.op.name());
            tangents.insert(id, tangent);
        }
    }
    tangents.get(&of).copied().unwrap_or_else(|| b.zeros_like(of))
}

/// Deterministic directions and cotangents.
pub fn noise(like: &Array, seed: u64) -> Array {
    let mut state = seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(99);
    Array::from_fn(like.dtype, like.shape(), |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1u32 << 23) - 1.0
    })
}

pub fn dot(a: &Array, b: &Array) -> f64 {
    a.values.iter().zip(b.values.iter()).map(|(x, y)| x * y).sum()
}

pub fn assert_close(a: f64, b: f64, tolerance: f64, what: &str) {
    let equal = a == b || a.is_nan() && b.is_nan();
    assert!(equal || (a - b).abs() <= tolerance * b.abs().max(1.0), "{what}: {a} but expected {b}");
}

pub fn assert_same(a: &Array, b: &Array, tolerance: f64, what: &str) {
    assert_eq!(type_of(a), type_of(b), "{what}");
    for (x, y) in a.values.iter().zip(b.values.iter()) {
        assert_close(*x, *y, tolerance, what);
    }
}

fn add(b: &mut Builder<'_>, sums: &mut BTreeMap<NodeId, NodeId>, id: NodeId, part: NodeId) {
    let sum = match sums.get(&id) {
        Some(sum) => b.binary(kernel::Binary::Add, *sum, part),
        None => part,
    };
    sums.insert(id, sum);
}
