//! `dlc run --trace`: what each line of the source gives, by the reference interpreter.

use crate::{
    arguments::TextOrJson,
    cx::Cx,
    fault::{Fault, InSession},
    output, parameters,
};
use base::{Diagnostic, Span};
use driver::{Binding, Session};
use graph::{Array, Op, interp};
use sema::Built;
use serde_json::json;
use std::collections::BTreeMap;
use tensor::Tensor;

/// Elements of one value that the interpreter still takes.
const MAX_TRACED: usize = 1 << 26;

/// A value that a line of the source binds.
struct Row {
    span: Span,
    /// The path of the layer's instance; empty in the model itself.
    path: String,
    /// As bound.
    name: String,
    dtype: String,
    shape: Vec<usize>,
    range: Option<[f64; 3]>,
    not_finite: usize,
}

/// Interprets the model and tells what each line gives.
pub fn trace(
    cx: &Cx,
    session: &Session,
    built: &Built,
    entry: &exec::Entry,
    (inputs, weights): (&BTreeMap<String, Tensor>, &BTreeMap<String, Tensor>),
    format: TextOrJson,
) -> Result<(), Fault> {
    let Some((_, function)) = built.entries.iter().find(|(name, _)| *name == "run") else { return Ok(()) };
    let arrays = parameters::arrays(cx, built, *function, entry, inputs, weights)?;
    let bindings = session.bindings();
    let mut rows: Vec<Row> = Vec::new();
    let mut see = |seen: interp::Seen<'_>| {
        let node = &seen.function.nodes[seen.node];
        let Some(span) = node.span.filter(|_| !matches!(node.op, Op::Parameter(_))) else { return };
        let holds = |binding: &&Binding| {
            let outer = binding.span;
            outer.file == span.file && outer.lo <= span.lo && span.hi <= outer.hi
        };
        let Some(binding) = bindings.iter().filter(holds).min_by_key(|it| it.span.hi - it.span.lo) else {
            return;
        };
        let name = match (binding.names.as_slice(), &node.op) {
            ([name], _) => name,
            // Several results have several names.
            (names, Op::Get(get)) if get.index < names.len() => &names[get.index],
            _ => return,
        };
        // The last that a right side computes is its value.
        let row = row(binding.span, seen.path, name.clone(), seen.value);
        rows.retain(|known| known.path != row.path || known.span != row.span || known.name != row.name);
        rows.push(row);
    };
    let mode = interp::Mode::Rounded { float: session.options.float };
    let options =
        interp::Options { mode, trace: Some(&mut see), max_elements: MAX_TRACED, ..interp::Options::exact() };
    let ran = interp::run(&built.module, *function, &arrays, &BTreeMap::new(), options);
    // A conversion of an argument has the place of the call, but is part of what is called.
    let frames: Vec<(Span, String)> = rows.iter().map(|row| (row.span, row.path.clone())).collect();
    rows.retain(|row| {
        let is_outer = |path: &str| {
            path.is_empty() && !row.path.is_empty()
                || row.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
        };
        !frames.iter().any(|(span, path)| *span == row.span && is_outer(path))
    });
    let shown = match format {
        TextOrJson::Json => output::json(&json!({
            "model": built.name,
            "values": rows.iter().map(|row| json!({
                "place": session.place(row.span), "path": row.path, "name": row.name,
                "dtype": row.dtype, "shape": row.shape, "not_finite": row.not_finite,
                "min": row.range.map(|range| range[0]), "mean": row.range.map(|range| range[1]),
                "max": row.range.map(|range| range[2]),
            })).collect::<Vec<_>>(),
        })),
        TextOrJson::Human => output::print(&table(session, &rows)),
    };
    shown?;
    ran.map_err(|fault| {
        Diagnostic::error("E0828", format!("the reference interpreter stopped: {}", fault.0))
    })
    .within(session)?;
    Ok(())
}

fn row(span: Span, path: &str, name: String, value: &Array) -> Row {
    let (mut low, mut high, mut sum, mut finite) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0usize);
    for number in value.values.iter().filter(|number| number.is_finite()) {
        (low, high) = (low.min(*number), high.max(*number));
        sum += number;
        finite += 1;
    }
    Row {
        span,
        path: path.to_string(),
        name,
        dtype: value.dtype.to_string(),
        shape: value.shape().to_vec(),
        range: (finite > 0).then(|| [low, sum / finite as f64, high]),
        not_finite: value.values.len() - finite,
    }
}

fn table(session: &Session, rows: &[Row]) -> String {
    let heads = ["place", "layer", "name", "shape", "min", "mean", "max", "not finite"];
    let mut table = vec![heads.map(String::from).to_vec()];
    for row in rows {
        let number =
            |index: usize| row.range.map_or("–".to_string(), |range| format!("{:.6}", range[index]));
        let bad = if row.not_finite > 0 { row.not_finite.to_string() } else { String::new() };
        table.push(vec![
            session.place(row.span),
            row.path.clone(),
            row.name.clone(),
            format!("{}{}", row.dtype, tensor::shape_text(&row.shape)),
            number(0),
            number(1),
            number(2),
            bad,
        ]);
    }
    output::table(&table, &[false, false, false, false, true, true, true, true])
}
