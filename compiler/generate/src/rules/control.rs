//! Loops and branches that run as such, and derivatives of one's own.

use super::{
    Rule, discrete,
    functions::{Body, Inside, body, indent, push},
    rule,
};
use crate::{
    dim::{Dim, list_text},
    draft::{DType, Draft, Id},
    range::Range,
};

pub const RULES: &[Rule] = &[
    rule("scan", 6, scan),
    Rule { in_function: false, ..rule("scan_gradient", 3, scan_gradient) },
    rule("loop", 4, repeated),
    rule("if", 5, branch),
    rule("remat", 2, remat),
    discrete("custom_grad", 2, custom),
];

fn inside(d: &mut Draft) -> Inside {
    let wanted = d.rng.between(1, 4) as usize;
    Inside { wanted, smooth: false, in_function: true, captures: true, scalar: false }
}

/// What is carried on, made of what was carried and of what came up: of the same shape and never large.
fn next(d: &Draft, body: &Body, carried: &str, shape: &[Dim]) -> String {
    let name = &body.name;
    let result = d.shape(body.result);
    if result == shape || result.is_empty() {
        format!("tanh({name} + 0.5 * {carried})")
    } else {
        format!("tanh(mean({name}) + 0.5 * {carried})")
    }
}

fn scan(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let carry = d.pick(|value| value.dtype == DType::Float && value.shape.len() <= 2)?;
    let shape = d.shape(x);
    let axis = d.rng.below(shape.len());
    let mut inner = shape.clone();
    let steps = inner.remove(axis);
    let (step, a, h) = (d.fresh("g"), d.fresh("a"), d.fresh("h"));
    let carried = d.range(carry).hull(Range::around(1.0));
    let carry_shape = d.shape(carry);
    let inside = inside(d);
    let params = [(a.clone(), inner, d.range(x)), (h.clone(), carry_shape.clone(), carried)];
    let (body, _) = body(d, &params, inside)?;
    let next = next(d, &body, &h, &carry_shape);
    let mut result = d.shape(body.result);
    result.insert(axis.min(result.len()), steps);
    let range = d.range(body.result);
    let (x, carry) = (d.read(x), d.read(carry));
    let (ys, last) = (d.fresh("v"), d.fresh("v"));
    let reverse = if d.rng.once_in(3) { ", reverse: true" } else { "" };
    let remat = if d.rng.once_in(4) { ", remat: true" } else { "" };
    let pad = indent(d);
    let text = format!(
        "fn {step}({a}, {h}) {{\n{}{pad}    ({}, {next})\n{pad}}}\n{pad}{ys}, {last} = scan({step}, {x}, {carry}, axis: {axis}{reverse}{remat})",
        body.lines, body.name
    );
    push(d, text, vec![(ys, result, range), (last, carry_shape, carried)], &body.captured)
}

/// The gradient of what all steps multiply by: a sum of products over the steps.
fn scan_gradient(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| {
        let shape = &value.shape;
        value.dtype == DType::Float && shape.len() == 2 && shape[1].known().is_some()
    })?;
    let (steps, inner) = (d.shape(x)[0].clone(), d.shape(x)[1].clone());
    let width = d.static_size();
    let (w, u) =
        (d.weight(vec![inner.clone(), width.clone()])?, d.weight(vec![width.clone(), width.clone()])?);
    let wrt = if d.rng.once_in(2) { w } else { u };
    let shape = d.shape(wrt);
    let (x, w, u, wrt) = (d.read(x), d.read(w), d.read(u), d.read(wrt));
    let (step, a, h, r) = (d.fresh("g"), d.fresh("a"), d.fresh("h"), d.fresh("v"));
    let (ys, last, v) = (d.fresh("v"), d.fresh("v"), d.fresh("v"));
    let reverse = if d.rng.once_in(3) { ", reverse: true" } else { "" };
    let pad = indent(d);
    let carry = format!("full({}, 0.25)", list_text(std::slice::from_ref(&width)));
    let text = format!(
        "fn {step}({a}, {h}) {{\n{pad}    {r} = tanh({a} @ {w} + {h} @ {u})\n{pad}    ({r}, {r})\n{pad}}}\n{pad}{ys}, {last} = scan({step}, {x}, {carry}, axis: 0{reverse})\n{pad}{v} = tanh(grad(sum({ys} * {last}), wrt: {wrt}))"
    );
    let unit = Range::around(1.0);
    push(
        d,
        text,
        vec![(ys, vec![steps, width.clone()], unit), (last, vec![width], unit), (v, shape, unit)],
        &[],
    )
}

/// Until it is small, or for so many rounds.
fn repeated(d: &mut Draft) -> Option<()> {
    let x = d.pick_float()?;
    let (shape, range) = (d.shape(x), d.range(x).hull(Range::around(1.0)));
    let (test, round, h) = (d.fresh("g"), d.fresh("g"), d.fresh("h"));
    let inside = inside(d);
    let (body, _) = body(d, &[(h.clone(), shape.clone(), range)], inside)?;
    let next = next(d, &body, &h, &shape);
    let x = d.read(x);
    let v = d.fresh("v");
    let most = d.rng.between(1, 4);
    let size = if shape.is_empty() { format!("{h} * {h}") } else { format!("mean({h} * {h})") };
    let pad = indent(d);
    let text = format!(
        "fn {test}({h}) = {size} > 0.0625\n{pad}fn {round}({h}) {{\n{}{pad}    {next}\n{pad}}}\n{pad}{v} = loop({test}, {round}, {x}, max: {most})",
        body.lines
    );
    push(d, text, vec![(v, shape, range)], &body.captured)
}

/// What is told only when it runs, as a bool.
fn condition(d: &mut Draft) -> Option<String> {
    let x = d.pick_float()?;
    let shape = d.shape(x);
    if d.rng.once_in(4)
        && let Some(dim) = shape.iter().find(|dim| dim.known().is_none())
    {
        return Some(format!("{dim} > 2"));
    }
    let name = d.read(x);
    let (number, _) = d.literal();
    let sign = [">", "<"][d.rng.below(2)];
    Some(if shape.is_empty() {
        format!("{name} {sign} {number}")
    } else {
        format!("mean({name}) {sign} {number}")
    })
}

fn branch(d: &mut Draft) -> Option<()> {
    let condition = condition(d)?;
    let reads = d.take_reads();
    let inside = inside(d);
    let (body, _) = body(d, &[], inside)?;
    let (shape, mut range) = (d.shape(body.result), d.range(body.result));
    let wanted = shape.clone();
    let other = d.pick(move |value| value.dtype == DType::Float && value.shape == wanted);
    let other = match other {
        Some(id) => {
            range = range.hull(d.range(id));
            d.read(id)
        }
        None if shape.is_empty() => "0.25".into(),
        None => format!("full({}, 0.25)", list_text(&shape)),
    };
    range = range.hull(Range::new(0.0, 0.25));
    let v = d.fresh("v");
    let pad = indent(d);
    let swapped = d.rng.once_in(2);
    let text = if swapped {
        format!("{v} = if {condition} {{ {other} }} else {{\n{}{pad}}}", body.text)
    } else {
        format!("{v} = if {condition} {{\n{}{pad}}} else {{ {other} }}", body.text)
    };
    let captured: Vec<Id> = body.captured.iter().copied().chain(reads).collect();
    push(d, text, vec![(v, shape, range)], &captured)
}

fn remat(d: &mut Draft) -> Option<()> {
    let inside = inside(d);
    let (body, _) = body(d, &[], inside)?;
    let (shape, range) = (d.shape(body.result), d.range(body.result));
    let v = d.fresh("v");
    let pad = indent(d);
    push(d, format!("{v} = remat {{\n{}{pad}}}", body.text), vec![(v, shape, range)], &body.captured)
}

/// The derivative that it has anyway, or one of its own.
fn custom(d: &mut Draft) -> Option<()> {
    let x = d.pick_float()?;
    let shape = d.shape(x);
    let (forward, backward, f) = (d.fresh("g"), d.fresh("g"), d.fresh("g"));
    let x = d.read(x);
    let v = d.fresh("v");
    let pad = indent(d);
    let slope = ["2 * a * dy", "min(max(dy, -1), 1)"][d.rng.below(2)];
    let text = format!(
        "fn {forward}(a) = a * a\n{pad}fn {backward}(a, dy) = {slope}\n{pad}{f} = custom_grad({forward}, {backward})\n{pad}{v} = tanh({f}({x}))"
    );
    push(d, text, vec![(v, shape, Range::around(1.0))], &[])
}
