//! How near a run comes to where small changes make large ones: equal operands of comparisons, numbers about to be
//! rounded, neighbours in an order.

use graph::{Array, Function, Module, NodeId, Op, interp};
use kernel::{Binary, Combine, Unary};
use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// What a run in the interpreter gave.
pub struct Watched {
    pub results: Result<Vec<Array>, String>,
    /// The smallest distance to a corner, relative to the numbers there.
    pub margin: f64,
    /// Everything that was decided on the way: truth values, places, whole numbers.
    pub decided: Vec<f64>,
    /// The largest number that is not infinite.
    pub largest: f64,
}

/// Runs a function and watches every value.
pub fn watch(
    module: &Module,
    function: &Function,
    args: &[Array],
    dims: &super::subject::Dims,
    mode: interp::Mode,
) -> Watched {
    let mut watched =
        Watched { results: Ok(Vec::new()), margin: f64::INFINITY, decided: Vec::new(), largest: 0.0 };
    // Only looked up. A function's values are those of its latest call, whose operands come before what reads them.
    let main = std::ptr::from_ref(function);
    let mut known: HashMap<(*const Function, NodeId), Rc<Array>> = HashMap::new();
    // Values that every way of computing them gives to the last bit: where two of them are equal, they are so everywhere.
    let mut exact: HashSet<(*const Function, NodeId)> = HashSet::new();
    let mut see = |seen: interp::Seen<'_>| {
        let (function, id, array) = (seen.function, seen.node, seen.value);
        let node = &function.nodes[id];
        let operand =
            |index: usize| known.get(&(std::ptr::from_ref(function), *node.inputs.get(index)?)).cloned();
        let is_exact = |index: usize| {
            node.inputs.get(index).is_none_or(|id| exact.contains(&(std::ptr::from_ref(function), *id)))
        };
        let float = array.dtype.is_float();
        for value in &array.values {
            if value.is_finite() {
                watched.largest = watched.largest.max(value.abs());
            }
        }
        let mut near = |distance: f64| watched.margin = watched.margin.min(distance);
        match &node.op {
            Op::Binary(binary) if binary.op.is_comparison() || binary.op == Binary::Rem => {
                if let (Some(a), Some(b)) = (operand(0), operand(1))
                    && a.dtype.is_float()
                {
                    // Two values that are asked to be equal are copies of one, as a rule, unless one of them was written down.
                    let asks_equality = matches!(binary.op, Binary::Eq | Binary::Ne);
                    let certain = match (is_exact(0), is_exact(1)) {
                        (true, true) => true,
                        (false, false) => asks_equality || node.inputs[0] == node.inputs[1],
                        _ => false,
                    };
                    for (a, b) in a.values.iter().zip(&b.values) {
                        let a = if binary.op == Binary::Rem { a / b } else { *a };
                        let b = if binary.op == Binary::Rem { a.round() } else { *b };
                        // A mean of equal shares may be a little more than a share, or less, by the order of its sum.
                        if a == b && (certain || a == 0.0) {
                            continue;
                        }
                        if a.is_finite() && b.is_finite() {
                            near((a - b).abs() / a.abs().max(b.abs()).max(1.0));
                        }
                    }
                }
                watched.decided.extend(array.values.iter().filter(|_| !float));
            }
            Op::Unary(unary)
                if matches!(
                    unary.op,
                    Unary::Floor | Unary::Ceil | Unary::Round | Unary::Sign | Unary::Abs
                ) =>
            {
                let shift = if unary.op == Unary::Round { 0.5 } else { 0.0 };
                let to_zero = matches!(unary.op, Unary::Sign | Unary::Abs);
                for value in operand(0).iter().flat_map(|array| &array.values) {
                    let corner = if to_zero { 0.0 } else { (value - shift).round() + shift };
                    if *value != corner || !(is_exact(0) || *value == 0.0) {
                        near((value - corner).abs() / value.abs().max(1.0));
                    }
                }
                if !to_zero {
                    watched.decided.extend(&array.values);
                }
            }
            Op::Cast(_) if !float => {
                for value in
                    operand(0).iter().filter(|array| array.dtype.is_float()).flat_map(|array| &array.values)
                {
                    if *value != value.round() || !(is_exact(0) || *value == 0.0) {
                        near((value - value.round()).abs() / value.abs().max(1.0));
                    }
                }
                watched.decided.extend(&array.values);
            }
            Op::Reduce(reduce) if matches!(reduce.combine, Combine::ArgMax | Combine::ArgMin) => {
                if let Some(x) = operand(0).filter(|x| x.dtype.is_float()) {
                    neighbours(&x, reduce.axes.first().copied().unwrap_or(0), &mut near);
                }
                watched.decided.extend(&array.values);
            }
            Op::Argsort(sort) => {
                if let Some(x) = operand(0).filter(|x| x.dtype.is_float()) {
                    neighbours(&x, sort.axis, &mut near);
                }
                watched.decided.extend(&array.values);
            }
            _ => {}
        }
        // What is decided has a margin of its own.
        if !float
            || gives_exactly(
                &node.op,
                (0..node.inputs.len()).all(is_exact),
                main == std::ptr::from_ref(function),
            )
        {
            exact.insert((std::ptr::from_ref(function), id));
        }
        known.insert((std::ptr::from_ref(function), id), Rc::new(array.clone()));
    };
    let options =
        interp::Options { mode, trace: Some(&mut see), max_elements: 1 << 20, ..interp::Options::exact() };
    let results = interp::run_function(module, function, args, dims, options).map_err(|error| error.0);
    watched.results = results;
    watched
}

/// Whether an operator gives the same bits however it is computed, on operands that are `exact` or not. The parameters of
/// the function that is run are what they are; those of others may be anything.
fn gives_exactly(op: &Op, exact: bool, in_main: bool) -> bool {
    match op {
        Op::Parameter(_) => in_main,
        Op::Constant(_) | Op::Iota(_) | Op::Size(_) => true,
        Op::Unary(unary) if matches!(unary.op, Unary::Floor | Unary::Ceil | Unary::Round | Unary::Sign) => {
            true
        }
        Op::Unary(unary) => exact && matches!(unary.op, Unary::Neg | Unary::Abs),
        Op::Binary(binary) => exact && matches!(binary.op, Binary::Max | Binary::Min),
        Op::Reduce(reduce) => exact && !matches!(reduce.combine, Combine::Sum | Combine::Product),
        Op::Cast(_)
        | Op::Reshape(_)
        | Op::Broadcast(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Pad(_)
        | Op::Concat(_)
        | Op::Gather(_)
        | Op::Select(_)
        | Op::Window(_)
        | Op::StopGradient(_)
        | Op::Barrier(_) => exact,
        _ => false,
    }
}

/// Distances between elements that stand next to each other when sorted along an axis.
fn neighbours(x: &Array, axis: usize, near: &mut impl FnMut(f64)) {
    let Some(&length) = x.shape().get(axis) else { return };
    let inner: usize = x.shape()[axis + 1..].iter().product();
    let values: Vec<f64> = x.values.iter().copied().collect();
    for start in (0..values.len()).filter(|place| (place / inner.max(1)).is_multiple_of(length.max(1))) {
        let lane = (0..length).map(|step| values[start + step * inner]);
        let mut lane: Vec<f64> = lane.filter(|value| value.is_finite()).collect();
        lane.sort_by(f64::total_cmp);
        for pair in lane.windows(2) {
            if pair[0] != pair[1] {
                near((pair[1] - pair[0]) / pair[1].abs().max(1.0));
            }
        }
    }
}
