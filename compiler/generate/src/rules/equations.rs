//! Tensors by their elements.

use super::{Rule, discrete, elementwise::bounded, rule};
use crate::{
    dim::Dim,
    draft::{DType, Draft, Id},
    range::Range,
};

pub const RULES: &[Rule] = &[
    rule("equation of a product", 7, product),
    rule("equation by elements", 5, elements),
    rule("equation over windows", 4, windows),
    rule("equation of a softmax", 2, softmax),
    rule("equation that picks", 3, picks),
    rule("equation back to front", 3, reversed),
    discrete("equation with positions", 2, positions),
];

const NAMES: [&str; 6] = ["i", "j", "k", "l", "m", "n"];

fn access(name: &str, indices: &[&str]) -> String {
    if indices.is_empty() { name.to_string() } else { format!("{name}[{}]", indices.join(", ")) }
}

/// One index an axis of a value that has at least so many.
fn indexed(d: &mut Draft, rank: usize) -> Option<(Id, Vec<(&'static str, Dim)>)> {
    let x = d.pick(move |value| {
        value.dtype == DType::Float && value.shape.len() >= rank && value.shape.len() <= 4
    })?;
    Some((x, NAMES.into_iter().zip(d.shape(x)).collect()))
}

fn names(indices: &[(&'static str, Dim)]) -> Vec<&'static str> {
    indices.iter().map(|(name, _)| *name).collect()
}

fn dims(indices: &[(&'static str, Dim)]) -> Vec<Dim> {
    indices.iter().map(|(_, dim)| dim.clone()).collect()
}

/// `v[i, l] = sum[j] a[i, j] * b[j, l]`
fn product(d: &mut Draft) -> Option<()> {
    let (a, mut indices) = indexed(d, 1)?;
    let of_a = names(&indices);
    let mut of_b: Vec<(&'static str, Dim)> = indices.iter().filter(|_| !d.rng.once_in(3)).cloned().collect();
    if d.rng.once_in(2) || of_b.is_empty() {
        let new = (NAMES[5], d.static_size());
        of_b.push(new.clone());
        indices.push(new);
    }
    d.rng.shuffle(&mut of_b);
    let b = d.like(&dims(&of_b))?;
    let mut left: Vec<(&'static str, Dim)> = indices.iter().filter(|_| !d.rng.once_in(3)).cloned().collect();
    d.rng.shuffle(&mut left);
    if left.is_empty() {
        left.push(indices[0].clone());
    }
    let summed: Vec<(&'static str, Dim)> =
        indices.iter().filter(|(name, _)| !left.iter().any(|(kept, _)| kept == name)).cloned().collect();
    let count = d.largest(&Dim::product(summed.iter().map(|(_, dim)| dim))) as f64;
    let range = Range::around(d.range(a).size() * d.range(b).size() * count);
    let (a, b) = (d.read(a), d.read(b));
    let (a, b) = (access(&a, &of_a), access(&b, &names(&of_b)));
    let factors = match d.rng.below(4) {
        0 => format!("{b} * 0.5 * {a}"),
        1 => format!("{a} * tanh({b})"),
        _ => format!("{a} * {b}"),
    };
    let text =
        if summed.is_empty() { factors } else { format!("sum[{}] {factors}", names(&summed).join(", ")) };
    d.emit_indexed(&access("", &names(&left)), text, "", DType::Float, dims(&left), range).map(drop)
}

/// `v[j, i] = a[i, j] * 2 - b[j]`
fn elements(d: &mut Draft) -> Option<()> {
    let (a, indices) = indexed(d, 1)?;
    let of_a = names(&indices);
    let mut left = indices.clone();
    d.rng.shuffle(&mut left);
    let mut of_b: Vec<(&'static str, Dim)> = indices.iter().filter(|_| d.rng.once_in(2)).cloned().collect();
    d.rng.shuffle(&mut of_b);
    let b = d.like(&dims(&of_b))?;
    let (x, y) = (d.range(a), d.range(b));
    let (a, b) = (d.read(a), d.read(b));
    let (a, b) = (access(&a, &of_a), access(&b, &names(&of_b)));
    let (text, range) = match d.rng.below(5) {
        0 => (format!("{a} * 2 - {b}"), Range::around(2.0 * x.size() + y.size())),
        1 => (format!("select({b} > 0.25, {a}, 0.5)"), x.hull(Range::new(0.5, 0.5))),
        2 => (format!("max({a}, {b})"), x.hull(y)),
        3 => (format!("sigmoid({b}) * sin({a})"), Range::around(1.0)),
        _ => (format!("{a} / (1 + {b} * {b})"), Range::around(x.size())),
    };
    d.emit_indexed(&access("", &names(&left)), text, "", DType::Float, dims(&left), range).map(drop)
}

/// `v[i, j] = sum[m] x[i, 2 * j + m] * w[m]`, over the last axis.
fn windows(d: &mut Draft) -> Option<()> {
    let (x, mut indices) = indexed(d, 1)?;
    let (last, extent) = indices.pop()?;
    let extent = extent.known()?;
    let (kernel, stride, dilation) = (d.rng.between(1, 3), d.rng.between(1, 2), d.rng.between(1, 2));
    let reach = dilation * (kernel - 1) + 1;
    if extent < reach {
        return None;
    }
    let w = d.like(&[Dim::from(kernel)])?;
    let range = Range::around(d.range(x).size() * d.range(w).size() * kernel as f64);
    let (x, w) = (d.read(x), d.read(w));
    let times = |factor: i64, index: &str| {
        if factor == 1 { index.to_string() } else { format!("{factor} * {index}") }
    };
    let subscript = format!("{} + {}", times(stride, last), times(dilation, NAMES[4]));
    let mut of_x = names(&indices);
    of_x.push(&subscript);
    let reduction = ["sum", "max", "mean"][d.rng.below(3)];
    let text = format!("{reduction}[{}] {} * {w}[{}]", NAMES[4], access(&x, &of_x), NAMES[4]);
    let mut left = names(&indices);
    left.push(last);
    let mut shape = dims(&indices);
    shape.push(Dim::from((extent - reach) / stride + 1));
    d.emit_indexed(&access("", &left), text, "", DType::Float, shape, range).map(drop)
}

/// `v[i, j] = exp(x[i, j] - logsumexp[l] x[i, l])`
fn softmax(d: &mut Draft) -> Option<()> {
    let (x, indices) = indexed(d, 1)?;
    let all = names(&indices);
    let mut inner = all.clone();
    *inner.last_mut()? = NAMES[5];
    let x = d.read(x);
    let text = format!("exp({} - logsumexp[{}] {})", access(&x, &all), NAMES[5], access(&x, &inner));
    d.emit_indexed(&access("", &all), text, "", DType::Float, dims(&indices), Range::new(0.0, 1.0)).map(drop)
}

/// `v[i, j] = x[cast([2, 0], i32)[i], j]`, or by a tensor of positions.
fn picks(d: &mut Draft) -> Option<()> {
    let (x, mut indices) = indexed(d, 1)?;
    let room = d.smallest(&indices[0].1);
    let known = d.pick(move |value| {
        value.dtype == DType::I32
            && value.shape.len() == 1
            && value.range.low >= 0.0
            && value.range.high < room as f64
    });
    let places = match known {
        Some(id) => id,
        None => {
            let size = d.size();
            d.input(DType::I32, vec![size], Range::new(0.0, room as f64 - 1.0))?
        }
    };
    indices[0].1 = d.shape(places)[0].clone();
    let (range, x, places) = (d.range(x), d.read(x), d.read(places));
    let picked = format!("{places}[{}]", indices[0].0);
    let mut of_x = names(&indices);
    of_x[0] = &picked;
    let text = access(&x, &of_x);
    d.emit_indexed(&access("", &names(&indices)), text, "", DType::Float, dims(&indices), range).map(drop)
}

/// `v[i] = x[n - 1 - i]`
fn reversed(d: &mut Draft) -> Option<()> {
    let (x, indices) = indexed(d, 1)?;
    let axis = d.rng.below(indices.len());
    let (text, range) = bounded(d, x, 20.0);
    let x = if text.contains('(') { return None } else { text };
    let subscript = match indices[axis].1.known() {
        Some(extent) => format!("{} - {}", extent - 1, indices[axis].0),
        None => format!("{} - 1 - {}", indices[axis].1, indices[axis].0),
    };
    let mut of_x = names(&indices);
    of_x[axis] = &subscript;
    let text = access(&x, &of_x);
    d.emit_indexed(&access("", &names(&indices)), text, "", DType::Float, dims(&indices), range).map(drop)
}

/// An index as a number, and a mask of positions.
fn positions(d: &mut Draft) -> Option<()> {
    let (x, indices) = indexed(d, 2)?;
    let all = names(&indices);
    let last = indices.len() - 1;
    let most = d.largest(&indices[0].1) as f64;
    let (range, x) = (d.range(x), d.read(x));
    let x = access(&x, &all);
    let (text, range) = match d.rng.below(3) {
        0 => (format!("{x} + cos({} * 0.5)", all[0]), range.plus(Range::around(1.0))),
        1 => (format!("select({} <= {}, {x}, 0)", all[last], all[0]), range.hull(Range::around(0.0))),
        _ => (format!("{x} * {} / 4", all[0]), Range::around(range.size() * most)),
    };
    d.emit_indexed(&access("", &all), text, "", DType::Float, dims(&indices), range).map(drop)
}
