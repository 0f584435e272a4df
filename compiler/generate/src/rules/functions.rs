//! Statements gathered in functions and layers, and functions of functions.

use super::{Rule, fill, rule};
use crate::{
    dim::{Dim, shape_text},
    draft::{DType, Draft, Id, Line},
    range::Range,
};

pub const RULES: &[Rule] = &[
    rule("fn", 4, function),
    rule("vmap", 4, vmap),
    Rule { name: "layer", weight: 4, smooth: true, in_function: false, make: layer },
    Rule { name: "vjp, jvp", weight: 4, smooth: true, in_function: true, make: directional },
    rule("vjp of remat", 8, computed_again),
    Rule { name: "jacobian, hessian", weight: 3, smooth: true, in_function: true, make: matrices },
];

/// Functions inside functions.
const MAX_DEPTH: usize = 2;

/// The body of a function.
pub struct Body {
    /// Its statements, indented, and what its result is called.
    pub lines: String,
    pub name: String,
    /// Both together.
    pub text: String,
    pub result: Id,
    /// What it sees from outside.
    pub captured: Vec<Id>,
}

/// What is inside while a body is written.
pub struct Inside {
    pub wanted: usize,
    pub smooth: bool,
    pub in_function: bool,
    /// Whether it sees what is in scope.
    pub captures: bool,
    /// Whether the result has to be a scalar.
    pub scalar: bool,
}

/// Writes a body over parameters of these types, and gives what it makes of them.
pub fn body(d: &mut Draft, params: &[(String, Vec<Dim>, Range)], inside: Inside) -> Option<(Body, Vec<Id>)> {
    if d.depth >= MAX_DEPTH {
        return None;
    }
    let outer = (d.visible.clone(), std::mem::take(&mut d.lines), d.smooth, d.in_function, d.in_layer);
    let reads = d.take_reads();
    let first_own = d.values.len();
    let params: Vec<Id> = params
        .iter()
        .map(|(name, shape, range)| d.add(name.clone(), DType::Float, shape.clone(), *range))
        .collect();
    if !inside.captures {
        d.visible.clear();
    }
    d.visible.extend(&params);
    d.smooth |= inside.smooth;
    d.in_function = inside.in_function;
    d.in_layer |= !inside.captures || inside.in_function;
    d.depth += 1;
    fill(d, inside.wanted);
    let mut made: Vec<Id> = d.lines.iter().flat_map(|line| line.makes.iter().copied()).collect();
    made.retain(|id| d.values[*id].dtype == DType::Float && !d.values[*id].name.starts_with('w'));
    let mut result = made.last().copied();
    if let Some(id) = result
        && inside.scalar
        && !d.value(id).shape.is_empty()
    {
        let (range, shape) = (d.range(id), d.shape(id));
        let name = d.read(id);
        let count = d.largest(&Dim::product(&shape)) as f64;
        result =
            d.emit(format!("sum({name})"), DType::Float, Vec::new(), Range::around(range.size() * count));
    }
    d.depth -= 1;
    let lines = std::mem::replace(&mut d.lines, outer.1);
    (d.visible, d.smooth, d.in_function, d.in_layer) = (outer.0, outer.2, outer.3, outer.4);
    let result = result?;
    let lines = needed(&lines, result);
    let mut captured: Vec<Id> = lines.iter().flat_map(|line| line.reads.iter().copied()).collect();
    captured.retain(|id| *id < first_own);
    let indent = "    ".repeat(d.depth + 2);
    let mut text = String::new();
    for line in &lines {
        text.push_str(&format!("{indent}{}\n", line.text));
    }
    let name = d.value(result).name.clone();
    for id in reads {
        d.read(id);
    }
    Some((
        Body { lines: text.clone(), text: format!("{text}{indent}{name}\n"), name, result, captured },
        params,
    ))
}

/// The statements that a value comes of.
pub fn needed(lines: &[Line], result: Id) -> Vec<Line> {
    let mut wanted = vec![result];
    let mut kept: Vec<Line> = Vec::new();
    for line in lines.iter().rev() {
        if line.makes.is_empty() || line.makes.iter().any(|id| wanted.contains(id)) {
            wanted.extend(&line.reads);
            kept.push(line.clone());
        }
    }
    kept.reverse();
    kept
}

/// Puts a statement of several lines at the end.
pub fn push(
    d: &mut Draft,
    text: String,
    results: Vec<(String, Vec<Dim>, Range)>,
    captured: &[Id],
) -> Option<()> {
    if !results.iter().all(|(_, shape, range)| d.fits(shape) && range.size() <= 20.0) {
        d.abandon();
        return None;
    }
    let mut makes = Vec::new();
    for (name, shape, range) in results {
        makes.push(d.add(name, DType::Float, shape, range));
    }
    for id in captured {
        d.read(*id);
    }
    let reads = d.take_reads();
    d.visible.extend(&makes);
    d.lines.push(Line { text, makes, reads });
    Some(())
}

pub fn indent(d: &Draft) -> String {
    "    ".repeat(d.depth + 1)
}

/// A `fn` inside the body, called once or twice.
fn function(d: &mut Draft) -> Option<()> {
    let x = d.pick_float()?;
    let (shape, range) = (d.shape(x), d.range(x));
    let (name, a) = (d.fresh("g"), d.fresh("a"));
    let wanted = d.rng.between(1, 4) as usize;
    let inside = Inside { wanted, smooth: false, in_function: true, captures: true, scalar: false };
    let (body, _) = body(d, &[(a.clone(), shape.clone(), range)], inside)?;
    let result = (d.shape(body.result), d.range(body.result));
    let x = d.read(x);
    let v = d.fresh("v");
    let typed = if d.rng.once_in(2) && shape.iter().all(Dim::is_plain) {
        format!("{a}: float{}", shape_text(&shape))
    } else {
        a
    };
    let pad = indent(d);
    let call = if d.rng.once_in(2) { format!("{x} |> {name}") } else { format!("{name}({x})") };
    let text = format!("fn {name}({typed}) {{\n{}{pad}}}\n{pad}{v} = {call}", body.text);
    push(d, text, vec![(v, result.0, result.1)], &body.captured)
}

/// A `fn` over the first axis of one or two values.
fn vmap(d: &mut Draft) -> Option<()> {
    let x = d.pick_ranked(1)?;
    let shape = d.shape(x);
    let axis = if d.rng.once_in(3) { d.rng.below(shape.len()) } else { 0 };
    let mut inner = shape.clone();
    let lanes = inner.remove(axis);
    let mut params = vec![(d.fresh("a"), inner, d.range(x))];
    let mut operands = vec![x];
    if d.rng.once_in(2) {
        let lanes = lanes.clone();
        let wanted = lanes.clone();
        let fits = move |value: &crate::draft::Value| {
            value.dtype == DType::Float && value.shape.get(axis) == Some(&wanted)
        };
        if let Some(y) = d.pick(fits) {
            let mut inner = d.shape(y);
            inner.remove(axis);
            params.push((d.fresh("a"), inner, d.range(y)));
            operands.push(y);
        }
    }
    let name = d.fresh("g");
    let wanted = d.rng.between(1, 4) as usize;
    let inside = Inside { wanted, smooth: false, in_function: true, captures: true, scalar: false };
    let (body, _) = body(d, &params, inside)?;
    let result = [vec![lanes], d.shape(body.result)].concat();
    let range = d.range(body.result);
    let names: Vec<String> = params.iter().map(|(name, ..)| name.clone()).collect();
    let operands: Vec<String> = operands.iter().map(|id| d.read(*id)).collect();
    let v = d.fresh("v");
    let pad = indent(d);
    let option = if axis == 0 { String::new() } else { format!(", axis: {axis}") };
    let text = format!(
        "fn {name}({}) {{\n{}{pad}}}\n{pad}{v} = vmap({name}{option})({})",
        names.join(", "),
        body.text,
        operands.join(", ")
    );
    push(d, text, vec![(v, result, range)], &body.captured)
}

/// A layer before the model, with weights of its own.
fn layer(d: &mut Draft) -> Option<()> {
    if d.depth > 0 {
        return None;
    }
    let x = d.pick(|value| value.dtype == DType::Float && value.shape.iter().all(Dim::is_plain))?;
    let (shape, range) = (d.shape(x), d.range(x));
    let (name, a) = (d.fresh("part"), d.fresh("a"));
    let wanted = d.rng.between(1, 5) as usize;
    let inside = Inside { wanted, smooth: false, in_function: false, captures: false, scalar: false };
    let (body, _) = body(d, &[(a.clone(), shape.clone(), range)], inside)?;
    let result = (d.shape(body.result), d.range(body.result));
    let x = d.read(x);
    let v = d.fresh("v");
    let outer = body.text.replace("\n        ", "\n    ");
    let outer = outer.strip_prefix("    ").unwrap_or(&outer);
    d.items.push(format!("layer {name}()({a}: float{}) {{\n{outer}}}\n", shape_text(&shape)));
    let v2 = v.clone();
    let pad = indent(d);
    let text = match d.rng.below(3) {
        0 => format!("{v} = {name}()({x})"),
        1 => {
            let unit = d.fresh("u");
            format!("{unit} = {name}()\n{pad}{v} = {unit}({x})")
        }
        _ => format!("{v} = {x} |> {name}"),
    };
    push(d, text, vec![(v2, result.0, result.1)], &[])
}

/// `vjp` or `jvp` of a `fn`.
fn directional(d: &mut Draft) -> Option<()> {
    let forward = d.rng.once_in(2);
    along_direction(d, forward, false)
}

/// A `fn` whose values are computed again on the way back.
fn computed_again(d: &mut Draft) -> Option<()> {
    along_direction(d, false, true)
}

fn along_direction(d: &mut Draft, forward: bool, again: bool) -> Option<()> {
    let x = d.pick_float()?;
    let (shape, range) = (d.shape(x), d.range(x));
    let (name, a) = (d.fresh("g"), d.fresh("a"));
    let wanted = d.rng.between(1, 4) as usize;
    let inside = Inside { wanted, smooth: true, in_function: true, captures: true, scalar: false };
    let (body, params) = body(d, &[(a.clone(), shape.clone(), range)], inside)?;
    if !depends(d, &body, params[0]) {
        return None;
    }
    let (result, result_range) = (d.shape(body.result), d.range(body.result));
    let (v, w) = (d.fresh("v"), d.fresh("v"));
    let pad = indent(d);
    let direction = if forward { &shape } else { &result };
    let along = d.pick({
        let direction = direction.clone();
        move |value| value.dtype == DType::Float && value.shape == direction
    });
    let x = d.read(x);
    let along = match along {
        Some(along) => d.read(along),
        None if forward => format!("ones_like({x})"),
        None => format!("ones({})", crate::dim::list_text(&result)),
    };
    let (transform, dshape) = if forward { ("jvp", result.clone()) } else { ("vjp", shape) };
    let inner = if again { format!("{pad}    remat {{\n{}{pad}    }}\n", body.text) } else { body.text };
    let text = format!(
        "fn {name}({a}) {{\n{inner}{pad}}}\n{pad}{v}, {w}_ = {transform}({name}, {x}, {along})\n{pad}{w} = tanh({w}_)"
    );
    push(d, text, vec![(v, result, result_range), (w, dshape, Range::around(1.0))], &body.captured)
}

/// Whether the result comes of the parameter at all.
fn depends(d: &Draft, body: &Body, param: Id) -> bool {
    let name = &d.value(param).name;
    body.text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

/// `jacobian` and `hessian` of a `fn`.
fn matrices(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| value.dtype == DType::Float && value.shape.len() <= 2)?;
    let (shape, range) = (d.shape(x), d.range(x));
    let (name, a) = (d.fresh("g"), d.fresh("a"));
    let wanted = d.rng.between(1, 3) as usize;
    let scalar = d.rng.once_in(2);
    let inside = Inside { wanted, smooth: true, in_function: true, captures: true, scalar };
    let (body, params) = body(d, &[(a.clone(), shape.clone(), range)], inside)?;
    if !depends(d, &body, params[0]) {
        return None;
    }
    let (transform, result) = match scalar {
        true => ("hessian", [shape.clone(), shape].concat()),
        false => ("jacobian", [d.shape(body.result), shape].concat()),
    };
    if result.len() > 4 || (scalar && !d.shape(body.result).is_empty()) {
        return None;
    }
    let v = d.fresh("v");
    let pad = indent(d);
    let x = d.read(x);
    let text = format!("fn {name}({a}) {{\n{}{pad}}}\n{pad}{v} = tanh({transform}({name}, {x}))", body.text);
    push(d, text, vec![(v, result, Range::around(1.0))], &body.captured)
}
