//! Reductions along some axes.

use super::{Rule, discrete, elementwise::bounded, rule};
use crate::{
    dim::Dim,
    draft::{DType, Draft, Id},
    range::Range,
};

pub const RULES: &[Rule] = &[
    rule("sum, mean", 10, total),
    rule("max, min", 5, extremum),
    rule("prod", 2, product),
    rule("logsumexp", 2, logsumexp),
    rule("var, std, norm", 3, spread),
    rule("softmax", 5, softmax),
    discrete("argmax", 3, place),
    discrete("any, all", 16, flags),
    discrete("sum of whole numbers", 2, whole),
];

/// Axes to reduce: what is written, what is left, and how many elements come together at least and at most.
struct Axes {
    text: String,
    shape: Vec<Dim>,
    fewest: f64,
    most: f64,
}

fn axes(d: &mut Draft, x: Id) -> Axes {
    let shape = d.shape(x);
    let rank = shape.len();
    let mut chosen: Vec<bool> = (0..rank).map(|_| d.rng.once_in(2)).collect();
    if !chosen.contains(&true) && rank > 0 {
        chosen[d.rng.below(rank)] = true;
    }
    let keep = rank > 0 && d.rng.once_in(3);
    let all = !chosen.contains(&false) && d.rng.once_in(2);
    let reduced = Dim::product(shape.iter().zip(&chosen).filter(|(_, chosen)| **chosen).map(|(dim, _)| dim));
    let mut text = String::new();
    if !all {
        let list: Vec<String> = (0..rank)
            .filter(|axis| chosen[*axis])
            .map(|axis| if d.rng.once_in(3) { axis as i64 - rank as i64 } else { axis as i64 })
            .map(|axis| axis.to_string())
            .collect();
        text = match &list[..] {
            [one] => format!(", axis: {one}"),
            several => format!(", axis: [{}]", several.join(", ")),
        };
    }
    if keep {
        text.push_str(", keep: true");
    }
    let left = shape.iter().zip(&chosen).filter_map(|(dim, chosen)| match (chosen, keep) {
        (false, _) => Some(dim.clone()),
        (true, true) => Some(Dim::from(1)),
        (true, false) => None,
    });
    Axes {
        text,
        shape: left.collect(),
        fewest: d.smallest(&reduced) as f64,
        most: d.largest(&reduced) as f64,
    }
}

fn total(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let axes = axes(d, x);
    let (range, x) = (d.range(x), d.read(x));
    let (function, range) = match d.rng.below(2) {
        0 => ("sum", Range::around(range.size() * axes.most)),
        _ => ("mean", range),
    };
    d.emit(format!("{function}({x}{})", axes.text), DType::Float, axes.shape, range).map(drop)
}

fn extremum(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let axes = axes(d, x);
    let (range, x) = (d.range(x), d.read(x));
    let function = ["max", "min"][d.rng.below(2)];
    d.emit(format!("{function}({x}{})", axes.text), DType::Float, axes.shape, range).map(drop)
}

fn product(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let axes = axes(d, x);
    let (text, range) = bounded(d, x, 1.5);
    let range = Range::around(range.size().max(1.0).powf(axes.most));
    if range.size() > 1e6 {
        return None;
    }
    d.emit(format!("prod({text}{})", axes.text), DType::Float, axes.shape, range).map(drop)
}

fn logsumexp(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let axes = axes(d, x);
    let (range, x) = (d.range(x), d.read(x));
    let range = range.plus(Range::new(0.0, axes.most.ln()));
    d.emit(format!("logsumexp({x}{})", axes.text), DType::Float, axes.shape, range).map(drop)
}

/// The square roots of a sum of one would be a corner.
fn spread(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let axes = axes(d, x);
    let (size, x) = (d.range(x).size(), d.read(x));
    let (function, range) = match d.rng.below(3) {
        0 => ("var", Range::new(0.0, size * size)),
        1 if axes.fewest > 1.0 => ("std", Range::new(0.0, size)),
        _ if axes.fewest > 1.0 => ("norm", Range::new(0.0, size * axes.most.sqrt())),
        _ => return None,
    };
    d.emit(format!("{function}({x}{})", axes.text), DType::Float, axes.shape, range).map(drop)
}

fn softmax(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let (range, x) = (d.range(x), d.read(x));
    let most = d.largest(&shape[axis]) as f64;
    let axis = if axis + 1 == shape.len() { String::new() } else { format!(", axis: {axis}") };
    let (function, range) = match d.rng.below(2) {
        0 => ("softmax", Range::new(0.0, 1.0)),
        _ => ("log_softmax", Range::new(range.low - range.high - most.ln(), 0.0)),
    };
    d.emit(format!("{function}({x}{axis})"), DType::Float, shape, range).map(drop)
}

fn place(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let mut shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let extent = shape.remove(axis);
    let range = Range::new(0.0, d.largest(&extent) as f64 - 1.0);
    let x = d.read(x);
    let function = ["argmax", "argmin"][d.rng.below(2)];
    d.emit(format!("cast({function}({x}, axis: {axis}), i32)"), DType::I32, shape, range).map(drop)
}

fn flags(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| value.dtype == DType::Bool && !value.shape.is_empty())?;
    let axes = axes(d, x);
    let x = d.read(x);
    let function = ["any", "all"][d.rng.below(2)];
    d.emit(format!("{function}({x}{})", axes.text), DType::Bool, axes.shape, Range::new(0.0, 1.0)).map(drop)
}

fn whole(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| value.dtype == DType::I32 && !value.shape.is_empty())?;
    let axes = axes(d, x);
    let (range, x) = (d.range(x), d.read(x));
    let (function, range) = match d.rng.below(3) {
        0 => ("sum", Range::around(range.size() * axes.most)),
        1 => ("max", range),
        _ => ("min", range),
    };
    if range.size() > 1e6 {
        return None;
    }
    d.emit(format!("{function}({x}{})", axes.text), DType::I32, axes.shape, range).map(drop)
}
