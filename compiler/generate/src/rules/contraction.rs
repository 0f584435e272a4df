//! Sums of products: matrices, `einsum`, outer products.

use super::{Rule, layer, rule};
use crate::{
    dim::Dim,
    draft::{DType, Draft},
    range::Range,
};

pub const RULES: &[Rule] = &[
    rule("product with its transpose", 3, gram),
    layer("matrix product", 8, product),
    layer("batched product", 4, batched),
    layer("einsum", 8, einsum),
    rule("outer, trace", 2, outer),
    rule("small matrices", 2, small),
];

fn product(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(2)?;
    let mut shape = d.shape(x);
    let inner = shape.pop()?;
    let columns = d.static_size();
    let w = d.like(&[inner.clone(), columns.clone()])?;
    let size = d.range(x).size() * d.range(w).size() * d.largest(&inner) as f64;
    shape.push(columns);
    let (x, w) = (d.read(x), d.read(w));
    d.emit(format!("{x} @ {w}"), DType::Float, shape, Range::around(size)).map(drop)
}

fn gram(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(2)?;
    let mut shape = d.shape(x);
    let rank = shape.len();
    let size = d.range(x).size();
    let x = d.read(x);
    let mut axes: Vec<usize> = (0..rank).collect();
    axes.swap(rank - 1, rank - 2);
    let (text, inner) = if d.rng.once_in(2) {
        let other = shape[rank - 2].clone();
        let inner = std::mem::replace(&mut shape[rank - 1], other);
        (format!("{x} @ transpose({x}, {axes:?})"), inner)
    } else {
        let other = shape[rank - 1].clone();
        let inner = std::mem::replace(&mut shape[rank - 2], other);
        (format!("transpose({x}, {axes:?}) @ {x}"), inner)
    };
    let range = Range::around(size * size * d.largest(&inner) as f64);
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn batched(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(3)?;
    let mut shape = d.shape(x);
    let inner = shape.pop()?;
    let columns = d.static_size();
    let mut other = shape[..shape.len() - 1].to_vec();
    if d.rng.once_in(3) && other[0].known().is_some() {
        other[0] = Dim::from(1);
    }
    other.extend([inner.clone(), columns.clone()]);
    let w = d.like(&other)?;
    let size = d.range(x).size() * d.range(w).size() * d.largest(&inner) as f64;
    shape.push(columns);
    let (x, w) = (d.read(x), d.read(w));
    d.emit(format!("{x} @ {w}"), DType::Float, shape, Range::around(size)).map(drop)
}

fn einsum(d: &mut Draft) -> Option<()> {
    let a = d.pick(|value| value.dtype == DType::Float && (1..=4).contains(&value.shape.len()))?;
    let mut sizes: Vec<(char, Dim)> = "abcd".chars().zip(d.shape(a)).collect();
    let left: String = sizes.iter().map(|(letter, _)| *letter).collect();
    let mut right: Vec<char> = left.chars().filter(|_| !d.rng.once_in(3)).collect();
    if d.rng.once_in(2) || right.is_empty() {
        let size = d.static_size();
        sizes.push(('n', size));
        right.push('n');
    }
    d.rng.shuffle(&mut right);
    let size_of = |letter: char| sizes.iter().find(|(known, _)| *known == letter).map(|(_, dim)| dim.clone());
    let shape: Vec<Dim> = right.iter().filter_map(|letter| size_of(*letter)).collect();
    let b = d.like(&shape)?;
    let mut result: Vec<char> =
        sizes.iter().map(|(letter, _)| *letter).filter(|_| !d.rng.once_in(3)).collect();
    d.rng.shuffle(&mut result);
    let summed =
        Dim::product(sizes.iter().filter(|(letter, _)| !result.contains(letter)).map(|(_, dim)| dim));
    let range = Range::around(d.range(a).size() * d.range(b).size() * d.largest(&summed) as f64);
    let shape: Vec<Dim> = result.iter().filter_map(|letter| size_of(*letter)).collect();
    let (right, result): (String, String) = (right.iter().collect(), result.iter().collect());
    let (a, b) = (d.read(a), d.read(b));
    d.emit(format!("einsum(\"{left},{right}->{result}\", {a}, {b})"), DType::Float, shape, range).map(drop)
}

fn outer(d: &mut Draft) -> Option<()> {
    if d.rng.once_in(2) {
        let x = d.pick(|value| {
            let rank = value.shape.len();
            value.dtype == DType::Float && rank >= 2 && value.shape[rank - 1] == value.shape[rank - 2]
        })?;
        let mut shape = d.shape(x);
        shape.pop();
        let side = shape.pop()?;
        let range = Range::around(d.range(x).size() * d.largest(&side) as f64);
        let x = d.read(x);
        return d.emit(format!("trace({x})"), DType::Float, shape, range).map(drop);
    }
    let vector = |value: &crate::draft::Value| value.dtype == DType::Float && value.shape.len() == 1;
    let (a, b) = (d.pick(vector)?, d.pick(vector)?);
    let shape = [d.shape(a), d.shape(b)].concat();
    let range = d.range(a).times(d.range(b));
    let (a, b) = (d.read(a), d.read(b));
    d.emit(format!("outer({a}, {b})"), DType::Float, shape, range).map(drop)
}

/// `inverse`, `det`, `cholesky`, `solve_triangular` of a matrix with a heavy diagonal.
fn small(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| {
        let rank = value.shape.len();
        value.dtype == DType::Float
            && rank >= 2
            && value.shape[rank - 1] == value.shape[rank - 2]
            && value.shape[rank - 1].known().is_some_and(|side| side <= 3)
    })?;
    let shape = d.shape(x);
    let rank = shape.len();
    let side = shape[rank - 1].known()?;
    let x = d.read(x);
    let heavy = format!("(tanh({x}) + {} * eye({side}))", side + 1);
    let axes: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
    match d.rng.below(4) {
        0 => d.emit(format!("inverse({heavy})"), DType::Float, shape, Range::around(1.5)),
        1 => {
            let range = Range::around((2.0 * side as f64 + 1.0).powi(side as i32));
            d.emit(format!("det({heavy})"), DType::Float, shape[..rank - 2].to_vec(), range)
        }
        2 => {
            let text = format!("cholesky({heavy} @ transpose({heavy}, {axes:?}))");
            d.emit(text, DType::Float, shape, Range::around(2.0 * side as f64 + 3.0))
        }
        _ => {
            let b = d.like(&shape)?;
            let range = Range::around(4.0 * d.range(b).size());
            let b = d.read(b);
            let lower = d.rng.once_in(2);
            let text = format!("solve_triangular({heavy}, {b}, lower: {lower})");
            d.emit(text, DType::Float, shape, range)
        }
    }
    .map(drop)
}
