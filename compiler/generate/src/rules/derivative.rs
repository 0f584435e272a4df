//! `grad` among the other statements.

use super::{Rule, functions::needed, rule};
use crate::{
    draft::{DType, Draft},
    range::Range,
};
use std::collections::BTreeSet;

pub const RULES: &[Rule] = &[Rule { in_function: false, ..rule("grad", 9, grad) }];

/// The derivative of a sum by something that it was made of, through statements that have derivatives.
fn grad(d: &mut Draft) -> Option<()> {
    let cost = d.pick_float()?;
    let on_the_way = needed(&d.lines, cost);
    // What goes through order or whole numbers alone has no derivative, which is an error.
    let floats = |id: &usize| d.value(*id).dtype == DType::Float;
    let direct: BTreeSet<usize> = on_the_way
        .iter()
        .filter(|line| line.makes.iter().all(floats) && line.reads.iter().all(floats))
        .flat_map(|line| line.reads.iter().copied())
        .collect();
    let direct: Vec<usize> = direct.into_iter().filter(|id| d.visible.contains(id)).collect();
    let wrt = *d.rng.choose(&direct)?;
    let shape = d.shape(wrt);
    let scalar = d.shape(cost).is_empty();
    let (cost, wrt) = (d.read(cost), d.read(wrt));
    let text = match (scalar, d.rng.below(2)) {
        (true, _) => format!("tanh(grad({cost}, wrt: {wrt}))"),
        (_, 0) => format!("tanh(grad(sum({cost}), wrt: {wrt}))"),
        _ => format!("sin(grad(mean({cost} * {cost}), wrt: {wrt}))"),
    };
    d.emit(text, DType::Float, shape, Range::around(1.0)).map(drop)
}
