//! The same elements in another shape, parts of them, and several of them together.

use super::{Rule, rule};
use crate::{
    dim::{Dim, list_text},
    draft::{DType, Draft, Id, Value},
    range::Range,
};

pub const RULES: &[Rule] = &[
    rule("transpose", 5, transpose),
    rule("reshape", 6, reshape),
    rule("axes of 1", 4, ones),
    rule("concat", 5, concat),
    rule("stack", 3, stack),
    rule("split", 3, split),
    rule("pad", 4, pad),
    rule("index", 9, index),
    rule("flip, roll, tile", 4, moved),
    rule("broadcast", 3, broadcast),
    rule("triangle", 2, triangle),
    rule("new tensor", 2, new),
];

/// Any value; mostly floating ones.
fn any(d: &mut Draft, rank: usize) -> Option<Id> {
    let float = d.smooth || !d.rng.once_in(4);
    d.pick(move |value| value.shape.len() >= rank && (!float || value.dtype == DType::Float))
}

fn put(d: &mut Draft, like: Id, text: String, shape: Vec<Dim>) -> Option<()> {
    let (dtype, range) = (d.value(like).dtype, d.range(like));
    d.emit(text, dtype, shape, range).map(drop)
}

fn transpose(d: &mut Draft) -> Option<()> {
    let x = any(d, 2)?;
    let shape = d.shape(x);
    let mut axes: Vec<usize> = (0..shape.len()).collect();
    d.rng.shuffle(&mut axes);
    let name = d.read(x);
    let text = match shape.len() {
        2 if d.rng.once_in(2) => {
            axes = vec![1, 0];
            format!("transpose({name})")
        }
        _ => format!("transpose({name}, {axes:?})"),
    };
    put(d, x, text, axes.iter().map(|axis| shape[*axis].clone()).collect())
}

fn reshape(d: &mut Draft) -> Option<()> {
    let x = any(d, 1)?;
    let shape = d.shape(x);
    let name = d.read(x);
    let axis = d.rng.below(shape.len());
    let mut to = shape.clone();
    match d.rng.below(4) {
        0 => return put(d, x, format!("flatten({name})"), flattened(&shape)),
        1 if axis + 1 < shape.len() => {
            let merged = to.remove(axis).times(&to[axis]);
            to[axis] = merged;
        }
        2 => to = vec![Dim::product(&shape)],
        _ => {
            let extent = shape[axis].known()?;
            let factor = (2..=extent).find(|factor| extent % factor == 0)?;
            to[axis] = Dim::from(factor);
            to.insert(axis + 1, Dim::from(extent / factor));
        }
    }
    put(d, x, format!("reshape({name}, {})", list_text(&to)), to)
}

/// All but the first axis as one.
fn flattened(shape: &[Dim]) -> Vec<Dim> {
    vec![shape[0].clone(), Dim::product(&shape[1..])]
}

fn ones(d: &mut Draft) -> Option<()> {
    let x = any(d, 0)?;
    let mut shape = d.shape(x);
    let name = d.read(x);
    let squeezed = shape.iter().position(|dim| dim.known() == Some(1));
    match squeezed {
        Some(axis) if d.rng.once_in(2) => {
            shape.remove(axis);
            put(d, x, format!("squeeze({name}, {axis})"), shape)
        }
        _ if shape.len() < 4 => {
            let axis = d.rng.below(shape.len() + 1);
            shape.insert(axis, Dim::from(1));
            put(d, x, format!("unsqueeze({name}, {axis})"), shape)
        }
        _ => None,
    }
}

fn concat(d: &mut Draft) -> Option<()> {
    let a = any(d, 1)?;
    let (shape, dtype) = (d.shape(a), d.value(a).dtype);
    let axis = d.rng.below(shape.len());
    let like = shape.clone();
    let fits = move |value: &Value| {
        let others = |shape: &[Dim]| [&shape[..axis], &shape[axis + 1..]].concat();
        value.dtype == dtype && value.shape.len() == like.len() && others(&value.shape) == others(&like)
    };
    let mut parts = vec![a];
    for _ in 0..d.rng.between(1, 2) {
        parts.push(d.pick(&fits)?);
    }
    let mut to = shape.clone();
    to[axis] =
        parts.iter().map(|part| d.shape(*part)[axis].clone()).fold(Dim::from(0), |sum, dim| sum.plus(&dim));
    let range = parts.iter().map(|part| d.range(*part)).fold(d.range(a), Range::hull);
    let names: Vec<String> = parts.iter().map(|part| d.read(*part)).collect();
    let axis = if axis + 1 == shape.len() && d.rng.once_in(2) { "-1".into() } else { axis.to_string() };
    d.emit(format!("concat([{}], axis: {axis})", names.join(", ")), dtype, to, range).map(drop)
}

fn stack(d: &mut Draft) -> Option<()> {
    let a = any(d, 0)?;
    let (mut shape, dtype) = (d.shape(a), d.value(a).dtype);
    let like = shape.clone();
    let b = d.pick(move |value| value.dtype == dtype && value.shape == like)?;
    if shape.len() > 3 {
        return None;
    }
    let axis = d.rng.below(shape.len() + 1);
    shape.insert(axis, Dim::from(2));
    let range = d.range(a).hull(d.range(b));
    let (a, b) = (d.read(a), d.read(b));
    d.emit(format!("stack([{a}, {b}], axis: {axis})"), dtype, shape, range).map(drop)
}

fn split(d: &mut Draft) -> Option<()> {
    let x = any(d, 1)?;
    let mut shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let extent = shape[axis].known()?;
    let parts = (2..=extent).find(|parts| extent % parts == 0)?;
    shape[axis] = Dim::from(extent / parts);
    let (dtype, range) = (d.value(x).dtype, d.range(x));
    let name = d.read(x);
    let results = (0..parts).map(|_| (dtype, shape.clone(), range)).collect();
    d.emit_all(format!("split({name}, {parts}, axis: {axis})"), results).map(drop)
}

fn pad(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let mut shape = d.shape(x);
    let (range, name) = (d.range(x), d.read(x));
    let mode = ["constant", "value", "reflect", "edge"][d.rng.below(4)];
    let mut widths = Vec::new();
    for dim in &mut shape {
        let most = match (mode, dim.known()) {
            (_, Some(extent)) => 2.min(if mode == "reflect" { extent - 1 } else { 2 }),
            ("constant" | "value", None) => 2,
            _ => 0,
        };
        let (before, after) = (d.rng.between(0, most), d.rng.between(0, most));
        widths.push(format!("[{before}, {after}]"));
        *dim = dim.plus(&Dim::from(before + after));
    }
    let (option, range) = match mode {
        "constant" => ("", range.hull(Range::around(0.0))),
        "value" => (", value: 0.75", range.hull(Range::new(0.75, 0.75))),
        "reflect" => (", mode: \"reflect\"", range),
        _ => (", mode: \"edge\"", range),
    };
    d.emit(format!("pad({name}, [{}]{option})", widths.join(", ")), DType::Float, shape, range).map(drop)
}

/// `x[:, 1:3, -1, ::2]`
fn index(d: &mut Draft) -> Option<()> {
    let x = any(d, 1)?;
    let name = d.read(x);
    let (mut shape, mut text) = (Vec::new(), Vec::new());
    for dim in d.shape(x) {
        let Some(extent) = dim.known() else {
            if d.rng.once_in(4) && d.at_least_one(&dim).is_some() {
                text.push(["0", "-1"][d.rng.below(2)].to_string());
                continue;
            }
            text.push(":".to_string());
            shape.push(dim);
            continue;
        };
        match d.rng.below(6) {
            0 => text.push(d.rng.between(-extent, extent - 1).to_string()),
            1 => {
                let low = d.rng.between(0, extent - 1);
                let high = d.rng.between(low + 1, extent);
                text.push(format!("{low}:{high}"));
                shape.push(Dim::from(high - low));
            }
            2 => {
                text.push("::2".into());
                shape.push(Dim::from((extent + 1) / 2));
            }
            3 if extent > 1 => {
                text.push("1:".into());
                shape.push(Dim::from(extent - 1));
            }
            4 if extent > 1 => {
                text.push(":-1".into());
                shape.push(Dim::from(extent - 1));
            }
            _ => {
                text.push(":".into());
                shape.push(Dim::from(extent));
            }
        }
    }
    let whole = text.iter().take_while(|part| *part == ":").count();
    if whole > 0 && whole < text.len() && d.rng.once_in(2) {
        text.drain(..whole);
        text.insert(0, "..".into());
    }
    put(d, x, format!("{name}[{}]", text.join(", ")), shape)
}

fn moved(d: &mut Draft) -> Option<()> {
    let x = any(d, 1)?;
    let mut shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let name = d.read(x);
    let text = match d.rng.below(3) {
        0 => format!("flip({name}, axis: {axis})"),
        1 => format!("roll({name}, {}, axis: {axis})", d.rng.between(-2, 2)),
        _ => {
            let counts: Vec<i64> = shape.iter().map(|_| d.rng.between(1, 2)).collect();
            for (dim, count) in shape.iter_mut().zip(&counts) {
                *dim = dim.times(&Dim::from(*count));
            }
            format!("tile({name}, {counts:?})")
        }
    };
    put(d, x, text, shape)
}

fn broadcast(d: &mut Draft) -> Option<()> {
    let x = any(d, 0)?;
    let mut shape = d.shape(x);
    for dim in &mut shape {
        if dim.known() == Some(1) {
            *dim = d.static_size();
        }
    }
    if shape.len() < 4 {
        let dim = d.static_size();
        shape.insert(0, dim);
    }
    let name = d.read(x);
    put(d, x, format!("broadcast({name}, {})", list_text(&shape)), shape)
}

fn triangle(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(2)?;
    let (shape, range) = (d.shape(x), d.range(x).hull(Range::around(0.0)));
    let function = ["tril", "triu"][d.rng.below(2)];
    let k = d.rng.between(-1, 1);
    let name = d.read(x);
    d.emit(format!("{function}({name}, k: {k})"), DType::Float, shape, range).map(drop)
}

/// Something that nothing else goes into, times a value, so that it takes part.
fn new(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let last = shape[shape.len() - 1].clone();
    let most = d.largest(&last) as f64;
    let (text, range) = match d.rng.below(5) {
        0 => (format!("cast(iota({last}), float)"), Range::new(0.0, most)),
        1 => (format!("linspace(-1, 1, {last})"), Range::around(1.0)),
        2 => (format!("full([{last}], 0.5)"), Range::new(0.5, 0.5)),
        3 => (format!("sum(tril(eye({last})), axis: 0)"), Range::new(0.0, 1.0)),
        _ => (format!("ones([{last}])"), Range::new(1.0, 1.0)),
    };
    let range = range.plus(d.range(x));
    let name = d.read(x);
    d.emit(format!("{name} + {text}"), DType::Float, shape, range).map(drop)
}
