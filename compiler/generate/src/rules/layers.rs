//! Layers of the library, with their weights.

use super::{Rule, discrete, layer, rule};
use crate::{
    dim::Dim,
    draft::{DType, Draft, Id},
    range::Range,
};

pub const RULES: &[Rule] = &[
    layer("dense", 8, dense),
    layer("chain", 2, chain),
    layer("repeat", 3, repeat),
    layer("normalisation", 6, norm),
    layer("batch_norm", 2, batch_norm),
    layer("prelu", 1, prelu),
    layer("cells", 4, cell),
    layer("cells over time", 3, over_time),
    layer("attention", 3, attention),
    layer("encoder block", 1, block),
    rule("rope", 1, rope),
    rule("losses", 4, loss),
    Rule { name: "embedding", weight: 3, smooth: true, in_function: false, make: embedding },
    Rule { name: "dropout", weight: 1, smooth: true, in_function: false, make: dropout },
    discrete("cross_entropy", 3, cross_entropy),
    discrete("metrics", 2, metric),
    discrete("quantisation", 1, quantised),
];

/// A value whose last axis is known.
fn rows(d: &mut Draft, rank: usize) -> Option<Id> {
    d.pick(move |value| {
        value.dtype == DType::Float
            && value.shape.len() >= rank
            && value.shape.last().is_some_and(|dim| dim.known().is_some())
    })
}

fn with_last(shape: &[Dim], last: i64) -> Vec<Dim> {
    let mut shape = shape.to_vec();
    if let Some(dim) = shape.last_mut() {
        *dim = Dim::from(last);
    }
    shape
}

fn last(shape: &[Dim]) -> i64 {
    shape.last().and_then(Dim::known).unwrap_or(1)
}

fn dense(d: &mut Draft) -> Option<()> {
    let x = rows(d, 1)?;
    let shape = d.shape(x);
    let units = d.rng.between(1, 6);
    let range = Range::around(d.range(x).size() * 2.0 * (last(&shape) as f64).sqrt());
    let bias = if d.rng.once_in(3) { ", bias: false" } else { "" };
    let x = d.read(x);
    let text = if d.rng.once_in(4) {
        format!("{x} |> weight_norm(dense({units}{bias}))")
    } else {
        format!("{x} |> dense({units}{bias})")
    };
    d.emit(text, DType::Float, with_last(&shape, units), range).map(drop)
}

fn chain(d: &mut Draft) -> Option<()> {
    let x = rows(d, 2)?;
    let shape = d.shape(x);
    let units = d.rng.between(1, 4);
    let between = ["tanh", "relu", "sigmoid", "softmax", "gelu"][d.rng.below(5)];
    let x = d.read(x);
    let text = match d.rng.below(2) {
        0 => format!("chain(dense(3), {between}, dense({units}))({x})"),
        _ => format!("{x} |> chain(dense(3), {between}, dense({units}))"),
    };
    d.emit(text, DType::Float, with_last(&shape, units), Range::around(8.0)).map(drop)
}

fn repeat(d: &mut Draft) -> Option<()> {
    let x = rows(d, 2)?;
    let shape = d.shape(x);
    let (width, times) = (last(&shape), d.rng.between(1, 3));
    let name = d.fresh("b");
    let x = d.read(x);
    let (text, range) = match d.rng.below(2) {
        0 => (
            format!("{x} |> repeat({times}) as {name} {{ chain(dense({width}), tanh) }}"),
            Range::around(1.0),
        ),
        _ => (
            format!(
                "{x} |> repeat({times}) as {name} {{ chain(layer_norm(eps: 0.1), dense({width}), sin) }}"
            ),
            Range::around(1.0),
        ),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn norm(d: &mut Draft) -> Option<()> {
    let x = rows(d, 1)?;
    let shape = d.shape(x);
    let channels = shape.get(1).and_then(Dim::known);
    let x = d.read(x);
    let text = match (d.rng.below(4), shape.len(), channels) {
        (0, 2..=5, Some(channels)) => {
            let groups = (1..=channels).rev().find(|groups| channels % groups == 0 && *groups <= 2)?;
            format!("{x} |> group_norm({groups}, eps: 0.1)")
        }
        (1, 3..=5, Some(_)) => format!("{x} |> instance_norm(eps: 0.1)"),
        (2, ..) => format!("{x} |> rms_norm(eps: 0.1)"),
        _ => format!("{x} |> layer_norm(eps: 0.1)"),
    };
    d.emit(text, DType::Float, shape, Range::around(12.0)).map(drop)
}

fn batch_norm(d: &mut Draft) -> Option<()> {
    if d.smooth || d.depth > 0 {
        return None;
    }
    let x = d.pick(|value| {
        value.dtype == DType::Float
            && (2..=5).contains(&value.shape.len())
            && value.shape[1].known().is_some()
    })?;
    let (shape, range) = (d.shape(x), d.range(x).times(Range::new(0.0, 2.0)));
    let x = d.read(x);
    d.emit(format!("{x} |> batch_norm"), DType::Float, shape, range).map(drop)
}

fn prelu(d: &mut Draft) -> Option<()> {
    let x = rows(d, 2)?;
    let (shape, range) = (d.shape(x), Range::around(d.range(x).size()));
    shape[1].known()?;
    let x = d.read(x);
    d.emit(format!("{x} |> prelu"), DType::Float, shape, range).map(drop)
}

fn cell(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| {
        value.dtype == DType::Float && value.shape.len() == 2 && value.shape[1].known().is_some()
    })?;
    let hidden = d.rng.between(1, 3);
    let shape = with_last(&d.shape(x), hidden);
    let h = d.like(&shape)?;
    let range = d.range(h).hull(Range::around(1.0));
    match d.rng.below(3) {
        0 => {
            let (x, h) = (d.read(x), d.read(h));
            d.emit(format!("rnn_cell({hidden})({x}, {h})"), DType::Float, shape, range).map(drop)
        }
        1 => {
            let (x, h) = (d.read(x), d.read(h));
            d.emit(format!("gru_cell({hidden})({x}, {h})"), DType::Float, shape, range).map(drop)
        }
        _ => {
            let c = d.like(&shape)?;
            let cells = Range::around(d.range(c).size() + 1.0);
            let (x, h, c) = (d.read(x), d.read(h), d.read(c));
            let results =
                vec![(DType::Float, shape.clone(), Range::around(1.0)), (DType::Float, shape, cells)];
            d.emit_all(format!("lstm_cell({hidden})({x}, {h}, {c})"), results).map(drop)
        }
    }
}

fn over_time(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| {
        value.dtype == DType::Float && value.shape.len() == 3 && value.shape[2].known().is_some()
    })?;
    let hidden = d.rng.between(1, 3);
    let shape = d.shape(x);
    let x = d.read(x);
    let name = ["rnn", "gru", "lstm"][d.rng.below(3)];
    let (text, width) = match d.rng.below(4) {
        0 => (format!("{x} |> bidirectional({name}({hidden}))"), 2 * hidden),
        _ => (format!("{x} |> {name}({hidden})"), hidden),
    };
    d.emit(text, DType::Float, with_last(&shape, width), Range::around(1.0)).map(drop)
}

/// Rank 3 with a width of 2 or 4.
fn sequence(d: &mut Draft) -> Option<Id> {
    let fits = |value: &crate::draft::Value| {
        value.dtype == DType::Float
            && value.shape.len() == 3
            && value.shape[2].known().is_some_and(|width| width == 2 || width == 4)
    };
    match d.pick(fits) {
        Some(id) => Some(id),
        None => {
            let width = Dim::from(d.rng.between(1, 2) * 2);
            let time = d.size();
            d.input(DType::Float, vec![Dim::symbol(0), time, width], Range::around(2.0))
        }
    }
}

fn attention(d: &mut Draft) -> Option<()> {
    let x = sequence(d)?;
    let (shape, range) = (d.shape(x), d.range(x));
    let x = d.read(x);
    let heads = d.rng.between(1, 2);
    let causal = d.rng.once_in(2);
    let (text, range) = match d.rng.below(3) {
        0 => (format!("attention({x}, {x}, {x}, heads: {heads}, causal: {causal})"), range),
        1 => {
            let y = d.like(&shape)?;
            let both = range.hull(d.range(y));
            let y = d.read(y);
            (format!("attention({x}, {y}, {y}, heads: {heads}, causal: {causal})"), both)
        }
        _ => {
            let text = format!("multi_head_attention({heads}, causal: {causal})({x}, {x}, {x})");
            if d.in_function {
                return None;
            }
            (text, Range::around(15.0))
        }
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn block(d: &mut Draft) -> Option<()> {
    let x = sequence(d)?;
    let shape = d.shape(x);
    let x = d.read(x);
    d.emit(format!("{x} |> transformer_encoder_block(2, 3)"), DType::Float, shape, Range::around(20.0))
        .map(drop)
}

fn rope(d: &mut Draft) -> Option<()> {
    let x = sequence(d)?;
    let (shape, range) = (d.shape(x), Range::around(2.0 * d.range(x).size()));
    let x = d.read(x);
    d.emit(format!("rope({x})"), DType::Float, shape, range).map(drop)
}

fn loss(d: &mut Draft) -> Option<()> {
    let a = d.pick_ranked(1)?;
    let shape = d.shape(a);
    let b = d.like(&shape)?;
    let size = d.range(a).size() + d.range(b).size() + 1.0;
    let (a, b) = (d.read(a), d.read(b));
    let reduce = ["", ", reduce: \"sum\""][d.rng.below(2)];
    let (text, range) = match d.rng.below(6) {
        0 => (format!("mse({a}, {b}{reduce})"), Range::new(0.0, size * size * 160.0)),
        1 => (format!("mae({a}, {b}{reduce})"), Range::new(0.0, size * 160.0)),
        2 => (format!("huber({a}, {b}{reduce})"), Range::new(0.0, size * 160.0)),
        3 => (format!("binary_cross_entropy_logits({a}, sigmoid({b}){reduce})"), Range::around(size * 160.0)),
        4 => (format!("hinge({a}, tanh({b}){reduce})"), Range::new(0.0, size * 160.0)),
        _ => {
            (format!("binary_cross_entropy(sigmoid({a}), sigmoid({b}){reduce})"), Range::around(size * 160.0))
        }
    };
    d.emit(text, DType::Float, Vec::new(), range).map(drop)
}

fn embedding(d: &mut Draft) -> Option<()> {
    let known = d.pick(|value| {
        value.dtype == DType::I32 && value.range.low >= 0.0 && value.range.high < 9.0 && value.shape.len() < 3
    });
    let index = match known {
        Some(id) => id,
        None => {
            let shape = vec![d.size(), d.size()];
            d.input(DType::I32, shape, Range::new(0.0, 3.0))?
        }
    };
    let width = d.rng.between(1, 4);
    let rows = d.range(index).high as i64 + 1;
    let shape = [d.shape(index), vec![Dim::from(width)]].concat();
    let index = d.read(index);
    d.emit(format!("{index} |> embedding({rows}, {width})"), DType::Float, shape, Range::around(0.2))
        .map(drop)
}

/// Outside of training they let everything pass.
fn dropout(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let (shape, range, x) = (d.shape(x), d.range(x), d.read(x));
    let name = ["dropout(0.5)", "drop_path(0.25)", "gaussian_noise(0.1)"][d.rng.below(3)];
    d.emit(format!("{x} |> {name}"), DType::Float, shape, range).map(drop)
}

/// Labels for the last axis of logits.
fn labels(d: &mut Draft, logits: Id) -> Option<Id> {
    let mut shape = d.shape(logits);
    let classes = shape.pop()?.known()? as f64;
    let wanted = shape.clone();
    let known = d.pick(move |value| {
        value.dtype == DType::I32
            && value.shape == wanted
            && value.range.low >= 0.0
            && value.range.high < classes
    });
    known.or_else(|| d.input(DType::I32, shape, Range::new(0.0, classes - 1.0)))
}

fn cross_entropy(d: &mut Draft) -> Option<()> {
    let x = rows(d, 2)?;
    let label = labels(d, x)?;
    let size = 2.0 * d.range(x).size() + 3.0;
    let (x, label) = (d.read(x), d.read(label));
    let (text, size) = match d.rng.below(4) {
        0 => (format!("cross_entropy({x}, {label}, smoothing: 0.1)"), size),
        1 => (format!("nll(log_softmax({x}), {label})"), size),
        2 => (format!("cross_entropy({x}, {label}, ignore: 0, reduce: \"sum\")"), size * 160.0),
        _ => (format!("cross_entropy({x}, {label})"), size),
    };
    d.emit(text, DType::Float, Vec::new(), Range::around(size)).map(drop)
}

fn metric(d: &mut Draft) -> Option<()> {
    let x = rows(d, 2)?;
    let label = labels(d, x)?;
    let (x, label) = (d.read(x), d.read(label));
    let text = match d.rng.below(2) {
        0 => format!("accuracy({x}, {label})"),
        _ => format!("top_k_accuracy({x}, {label}, k: 1)"),
    };
    d.emit(text, DType::Float, Vec::new(), Range::new(0.0, 1.0)).map(drop)
}

fn quantised(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let (shape, range, x) = (d.shape(x), d.range(x), d.read(x));
    let text = match d.rng.below(2) {
        0 => format!("dequantize(quantize({x}, 0.125), 0.125)"),
        _ => format!("fake_quant({x}, 0.125)"),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}
