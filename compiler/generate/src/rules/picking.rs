//! By position: rows picked and added, order, running sums.

use super::{Rule, discrete, rule};
use crate::{
    dim::Dim,
    draft::{DType, Draft, Id},
    range::Range,
};

pub const RULES: &[Rule] = &[
    rule("gather", 5, gather),
    rule("indexed by a tensor", 3, indexed),
    rule("take_along", 3, take_along),
    rule("scatter_add", 4, scatter),
    rule("write", 4, write),
    rule("sort", 4, sort),
    rule("top_k", 3, top_k),
    rule("cumsum, cumprod", 5, running),
    discrete("argsort", 2, argsort),
    discrete("one_hot", 3, one_hot),
    discrete("nonzero", 1, nonzero),
    discrete("iota", 1, iota),
];

/// Whole numbers that all are positions on an axis: their text and shape.
fn places(d: &mut Draft, extent: &Dim) -> Option<(String, Vec<Dim>)> {
    let room = d.smallest(extent);
    let known = d.pick(move |value| {
        value.dtype == DType::I32
            && value.range.low >= 0.0
            && value.range.high < room as f64
            && value.shape.len() < 3
    });
    if let Some(id) = known
        && d.rng.once_in(2)
    {
        return Some((d.read(id), d.shape(id)));
    }
    if d.rng.once_in(2) {
        let shape = vec![d.size()];
        let shape = if d.rng.once_in(3) { [shape, vec![d.size()]].concat() } else { shape };
        let input = d.input(DType::I32, shape, Range::new(0.0, room as f64 - 1.0))?;
        return Some((d.read(input), d.shape(input)));
    }
    let count = d.rng.between(1, 3);
    let listed: Vec<String> = (0..count).map(|_| d.rng.between(0, room - 1).to_string()).collect();
    Some((format!("cast([{}], i32)", listed.join(", ")), vec![Dim::from(count)]))
}

fn gather(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let (places, along) = places(d, &shape[axis])?;
    let to = [&shape[..axis], &along, &shape[axis + 1..]].concat();
    let (range, x) = (d.range(x), d.read(x));
    let text = if axis == 0 && d.rng.once_in(2) {
        format!("take({x}, {places})")
    } else {
        format!("gather({x}, {places}, axis: {axis})")
    };
    d.emit(text, DType::Float, to, range).map(drop)
}

fn indexed(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let (places, along) = places(d, &shape[0])?;
    let to = [&along, &shape[1..]].concat();
    let (range, x) = (d.range(x), d.read(x));
    d.emit(format!("{x}[{places}]"), DType::Float, to, range).map(drop)
}

/// Order stands still under small changes, and derivatives go through what is picked.
fn held(d: &mut Draft, x: Id) -> String {
    let name = d.read(x);
    format!("stop_gradient({name})")
}

fn take_along(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let y = d.like(&shape)?;
    let key = held(d, y);
    let descending = d.rng.once_in(2);
    let (range, x) = (d.range(x), d.read(x));
    let text =
        format!("take_along({x}, argsort({key}, axis: {axis}, descending: {descending}), axis: {axis})");
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn scatter(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let (places, along) = places(d, &shape[0])?;
    let to = [&along, &shape[1..]].concat();
    let y = d.like(&to)?;
    let count = d.largest(&Dim::product(&along)) as f64;
    let range = Range::around(d.range(x).size() + count * d.range(y).size());
    let (x, y) = (d.read(x), d.read(y));
    d.emit(format!("scatter_add({x}, {places}, {y})"), DType::Float, shape, range).map(drop)
}

fn write(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let extent = shape[axis].known()?;
    let mut part = shape.clone();
    let length = d.rng.between(1, extent);
    part[axis] = Dim::from(length);
    let y = d.like(&part)?;
    let range = d.range(x).hull(d.range(y));
    let (at, room) = (d.rng.between(0, extent - length), extent - length);
    let scalar = d.pick(move |value| {
        value.dtype == DType::I32
            && value.shape.is_empty()
            && value.range.low >= 0.0
            && value.range.high <= room as f64
    });
    let at = match scalar {
        Some(id) => d.read(id),
        None => at.to_string(),
    };
    let (x, y) = (d.read(x), d.read(y));
    d.emit(format!("write({x}, {y}, at: {at}, axis: {axis})"), DType::Float, shape, range).map(drop)
}

fn sort(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let (range, x) = (d.range(x), d.read(x));
    let text = match d.rng.below(3) {
        0 => format!("sort({x}, axis: {axis})"),
        1 => format!("sort({x}, axis: {axis}, descending: true)"),
        _ => format!("sort({x}, axis: {})", axis as i64 - shape.len() as i64),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn top_k(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let mut shape = d.shape(x);
    let last = shape.pop()?.known()?;
    let k = d.rng.between(1, last);
    shape.push(Dim::from(k));
    let (range, x) = (d.range(x), d.read(x));
    let text = format!("top_k({x}, {k})");
    if d.smooth {
        let value = d.fresh("v");
        let id = d.add(value.clone(), DType::Float, shape, range);
        let reads = d.take_reads();
        d.lines.push(crate::draft::Line { text: format!("{value}, _ = {text}"), makes: vec![id], reads });
        d.visible.push(id);
        return Some(());
    }
    let places = Range::new(0.0, last as f64 - 1.0);
    d.emit_all(text, vec![(DType::Float, shape.clone(), range), (DType::I32, shape, places)]).map(drop)
}

fn running(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let length = d.largest(&shape[axis]) as f64;
    let reverse = d.rng.once_in(2);
    let (function, argument, range) = if d.rng.once_in(3) {
        let (text, range) = super::elementwise::bounded(d, x, 1.25);
        ("cumprod", text, Range::around(range.size().max(1.0).powf(length)))
    } else {
        ("cumsum", d.read(x), Range::around(d.range(x).size() * length))
    };
    d.emit(format!("{function}({argument}, axis: {axis}, reverse: {reverse})"), DType::Float, shape, range)
        .map(drop)
}

fn argsort(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let range = Range::new(0.0, d.largest(&shape[axis]) as f64 - 1.0);
    let x = d.read(x);
    let descending = d.rng.once_in(2);
    let text = format!("argsort({x}, axis: {axis}, descending: {descending})");
    d.emit(text, DType::I32, shape, range).map(drop)
}

fn one_hot(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| value.dtype == DType::I32 && value.shape.len() < 3)?;
    let mut shape = d.shape(x);
    let n = d.rng.between(1, 4);
    shape.push(Dim::from(n));
    let x = d.read(x);
    d.emit(format!("one_hot({x}, {n})"), DType::Float, shape, Range::new(0.0, 1.0)).map(drop)
}

fn nonzero(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| value.dtype == DType::Bool && !value.shape.is_empty())?;
    let rank = d.shape(x).len() as i64;
    let most = d.rng.between(1, 4);
    let x = d.read(x);
    let places = vec![Dim::from(most), Dim::from(rank)];
    let results =
        vec![(DType::I32, places, Range::new(-1.0, 19.0)), (DType::I32, Vec::new(), Range::new(0.0, 20.0))];
    d.emit_all(format!("nonzero({x}, {most})"), results).map(drop)
}

fn iota(d: &mut Draft) -> Option<()> {
    let extent = d.size();
    // The name of a dimension is known where an input has it.
    if !d.visible.iter().any(|id| extent.known().is_some() || d.value(*id).shape.contains(&extent)) {
        return None;
    }
    let range = Range::new(0.0, d.largest(&extent) as f64 - 1.0);
    d.emit(format!("iota({extent})"), DType::I32, vec![extent], range).map(drop)
}
