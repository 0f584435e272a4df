//! Compute what is known now: `exp(const {0.0})` becomes `const {1.0}`, `2 + 3` spread over `[n]` becomes `5` spread.
//! Values are the interpreter's, rounded to their dtype as the program would round them. Random draws are left alone.

use crate::{
    Changed, Pass, PassCx,
    rebuild::{each_function, rebuild},
};
use graph::{Array, Builder, EvalError, Module, Node, NodeId, Op, Type, interp::round, ops};
use shape::{Dim, Shape};
use std::collections::BTreeMap;

pub const PASS: Pass = Pass { name: "fold", summary: "compute what is known at compile time", run };

/// A constant of more elements costs more to keep than to compute.
const MAX_ELEMENTS: usize = 1 << 10;

fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    each_function(module, cx, |module, function| {
        rebuild(module, function, |b, node| Ok(fold(b, node, cx.float)))
    })
}

fn fold(b: &mut Builder<'_>, node: &Node, float: kernel::DType) -> Option<NodeId> {
    match &node.op {
        // Nothing to gain: indices and repeated values are computed where they are read.
        Op::Parameter(_) | Op::Constant(_) | Op::Call(_) | Op::Get(_) | Op::Random(_) | Op::Iota(_) => None,
        // A barrier is to be one.
        Op::Broadcast(_) | Op::Barrier(_) => None,
        op if op.is_tuple() => None,
        Op::Unary(_) | Op::Binary(_) | Op::Select(_) | Op::Cast(_) => {
            fold_splats(b, node, float).or_else(|| fold_constants(b, node, float))
        }
        _ => fold_constants(b, node, float),
    }
}

/// All operands are constants, and the result has few elements.
fn fold_constants(b: &mut Builder<'_>, node: &Node, float: kernel::DType) -> Option<NodeId> {
    let extents = node.ty().shape.as_consts()?;
    let elements = extents.iter().try_fold(1i64, |product, extent| product.checked_mul(*extent))?;
    if usize::try_from(elements).ok()? > MAX_ELEMENTS {
        return None;
    }
    let operands = node
        .inputs
        .iter()
        .map(|input| match &b.function.nodes[*input].op {
            Op::Constant(constant) => Array::new(
                constant.dtype,
                &constant.shape,
                constant.bits.iter().map(|bits| f64::from_bits(*bits)).collect(),
            ),
            _ => None,
        })
        .collect::<Option<Vec<Array>>>()?;
    let result = evaluate(&node.op, operands, node.ty(), float)?;
    Some(constant(b, node.ty(), result.values.iter().copied()))
}

/// All operands repeat one value: so does the result.
fn fold_splats(b: &mut Builder<'_>, node: &Node, float: kernel::DType) -> Option<NodeId> {
    let operands = node
        .inputs
        .iter()
        .map(|input| Some(Array::scalar(b.dtype(*input), splat(b, *input)?)))
        .collect::<Option<Vec<Array>>>()?;
    let scalar = Type::scalar(node.ty().dtype);
    let result = evaluate(&node.op, operands, &scalar, float)?;
    let value = constant(b, &scalar, result.values.iter().copied());
    Some(b.broadcast(value, &node.ty().shape))
}

/// The value that all elements have.
pub(crate) fn splat(b: &Builder<'_>, mut id: NodeId) -> Option<f64> {
    loop {
        let node = &b.function.nodes[id];
        match &node.op {
            Op::Broadcast(_) | Op::Reshape(_) | Op::Transpose(_) => id = node.inputs[0],
            Op::Constant(constant) => {
                let (first, rest) = constant.bits.split_first()?;
                return rest.iter().all(|bits| bits == first).then(|| f64::from_bits(*first));
            }
            _ => return None,
        }
    }
}

fn evaluate(op: &Op, mut operands: Vec<Array>, ty: &Type, float: kernel::DType) -> Option<Array> {
    for operand in &mut operands {
        let dtype = operand.dtype.concrete(float);
        operand.values.mapv_inplace(|value| round(value, dtype));
    }
    let dims = |dim: &Dim| dim.eval(&BTreeMap::new()).map_err(|e| EvalError(e.to_string()));
    let operands: Vec<&Array> = operands.iter().collect();
    // What fails now (an index out of bounds) fails again, and is told, when the program runs.
    let mut result = op.eval(&operands, ty, &dims).ok()?;
    result.values.mapv_inplace(|value| round(value, ty.dtype.concrete(float)));
    Some(result)
}

fn constant(b: &mut Builder<'_>, ty: &Type, values: impl Iterator<Item = f64>) -> NodeId {
    let shape: Vec<usize> =
        ty.shape.as_consts().iter().flatten().filter_map(|extent| usize::try_from(*extent).ok()).collect();
    let value = b.add(
        Op::from(ops::Constant { dtype: ty.dtype, shape, bits: values.map(f64::to_bits).collect() }),
        &[],
    );
    let shape: &Shape = &ty.shape;
    b.reshape(value, shape)
}
