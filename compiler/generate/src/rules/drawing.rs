//! Random numbers and states.

use super::{Rule, discrete};
use crate::{
    dim::{Dim, list_text},
    draft::{DType, Draft, Line},
    range::Range,
};

pub const RULES: &[Rule] = &[
    discrete("uniform, bernoulli", 4, draw),
    Rule { name: "state", weight: 3, smooth: false, in_function: false, make: state },
];

/// Joined to a value, so that shapes depend on it.
fn draw(d: &mut Draft) -> Option<()> {
    if d.depth > 0 {
        return None;
    }
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let dims = list_text(&shape);
    let range = d.range(x);
    let x = d.read(x);
    let (text, range) = match d.rng.below(4) {
        0 => (format!("{x} + uniform({dims}, -1, 1)"), range.plus(Range::around(1.0))),
        1 => (format!("{x} * uniform({dims}, 0.5, 1.5)"), range.times(Range::new(0.5, 1.5))),
        2 => (format!("{x} + 0.5 * normal({dims})"), range.plus(Range::around(3.0))),
        _ => (format!("select(bernoulli({dims}, 0.5), {x}, 0)"), range.hull(Range::around(0.0))),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

/// A running average that is read and written.
fn state(d: &mut Draft) -> Option<()> {
    if d.depth > 0 {
        return None;
    }
    let x = d.pick_ranked(2)?;
    let shape = d.shape(x);
    let last: Dim = shape[shape.len() - 1].clone();
    let width = last.known()?;
    let axes: Vec<usize> = (0..shape.len() - 1).collect();
    let name = d.fresh("s");
    let range = d.range(x);
    let x = d.read(x);
    let mean = format!("mean({x}, axis: {axes:?})");
    let value = d.fresh("v");
    let made = d.add(value.clone(), DType::Float, shape, range.plus(Range::around(20.0)));
    let reads = d.take_reads();
    let text = format!(
        "state {name}: float[{width}] = ones()\n    {name} <- 0.75 * {name} + 0.25 * {mean}\n    {value} = {x} - {name}"
    );
    d.lines.push(Line { text, makes: vec![made], reads });
    d.visible.push(made);
    Some(())
}
