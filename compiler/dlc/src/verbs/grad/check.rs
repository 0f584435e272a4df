//! `dlc grad --check`: derivatives held against finite differences.

use crate::{
    arguments::TextOrJson,
    cx::Cx,
    fault::{Fault, InSession},
    output, parameters,
};
use driver::{ArrayCheck, CheckOptions, Session, Verdict, check_gradients};
use exec::Entry;
use kernel::DType;
use sema::Built;
use serde_json::json;
use std::collections::BTreeMap;
use tensor::Tensor;

/// Directions tried of each array that is too large to test every element of.
const DIRECTIONS: usize = 2;
/// Places named of an array that disagrees.
const NAMED: usize = 5;

/// The point at which derivatives are compared.
pub struct Given<'a> {
    pub entry: &'a Entry,
    pub inputs: &'a BTreeMap<String, Tensor>,
    pub weights: &'a BTreeMap<String, Tensor>,
    /// What compiled code gives there.
    pub compiled: &'a BTreeMap<String, Tensor>,
}

pub fn check(
    cx: &Cx,
    session: &Session,
    built: &Built,
    given: &Given<'_>,
    samples: usize,
    format: TextOrJson,
) -> Result<(), Fault> {
    let Some((_, function)) = built.entries.iter().find(|(name, _)| *name == "grad") else { return Ok(()) };
    let arrays = parameters::arrays(cx, built, *function, given.entry, given.inputs, given.weights)?;
    let options =
        CheckOptions { samples: samples.max(1), directions: DIRECTIONS, seed: parameters::seed(cx) };
    let found = check_gradients(&built.module, *function, &arrays, &options).within(session)?;
    let allowed = compiled_tolerance(session.options.float);
    let apart = |array: &ArrayCheck| compiled_difference(array, given.compiled);
    let compiled_agrees = |array: &ArrayCheck| apart(array).is_none_or(|difference| difference <= allowed);
    let agrees = |array: &ArrayCheck| array.count(Verdict::Disagrees) == 0 && compiled_agrees(array);
    let good = found.arrays.iter().all(agrees);
    match format {
        TextOrJson::Json => output::json(&json!({
            "model": built.name,
            "loss": found.loss,
            "agrees": good,
            "arrays": found.arrays.iter().map(|array| json!({
                "name": array.name,
                "role": array.role.name(),
                "shape": array.shape,
                "elements": array.gradient.len(),
                "compared": array.compared.len(),
                "corners": array.count(Verdict::Corner),
                "disagree": array.count(Verdict::Disagrees),
                "largest_difference": array.largest(),
                "compiled_difference": apart(array),
                "agrees": agrees(array),
            })).collect::<Vec<_>>(),
            "stopped_at": found.stops.iter().map(|span| session.place(*span)).collect::<Vec<_>>(),
        }))?,
        TextOrJson::Human => {
            let heads = ["derivative by", "shape", "compared", "corners", "difference", "compiled", ""];
            let mut table = vec![heads.map(String::from).to_vec()];
            for array in &found.arrays {
                let elements = array.compared.iter().filter(|it| it.element.is_some()).count();
                let directions = array.compared.len() - elements;
                let more = if directions > 0 { format!(" + {directions}") } else { String::new() };
                table.push(vec![
                    format!("{} `{}`", array.role.name(), array.name),
                    tensor::shape_text(&array.shape),
                    format!("{elements} of {}{more}", array.gradient.len()),
                    array.count(Verdict::Corner).to_string(),
                    format!("{:.1e}", array.largest()),
                    apart(array).map_or(String::new(), |difference| format!("{difference:.1e}")),
                    if agrees(array) { "agrees" } else { "DISAGREES" }.to_string(),
                ]);
            }
            let right = [false, false, true, true, true, true, false];
            let mut text = format!("loss {}\n\n{}", found.loss, output::table(&table, &right));
            for array in found.arrays.iter().filter(|array| !agrees(array)) {
                text += &places(array, apart(array).filter(|difference| *difference > allowed));
            }
            if !good && !found.stops.is_empty() {
                let stops: Vec<String> = found.stops.iter().map(|span| session.place(*span)).collect();
                text += &format!(
                    "\nthe derivative is stopped on purpose at {}: it is not that of the loss there\n",
                    stops.join(", ")
                );
            }
            output::print(&text)?;
        }
    }
    if good {
        return Ok(());
    }
    Err(Fault::Told)
}

/// The elements that disagree, and what was found there.
fn places(array: &ArrayCheck, compiled: Option<f64>) -> String {
    let mut text = String::new();
    let wrong = array.compared.iter().filter(|it| it.verdict == Verdict::Disagrees);
    for it in wrong.take(NAMED) {
        let place = match it.element {
            Some(element) => format!("element {element}"),
            None => "a random direction".to_string(),
        };
        text += &format!(
            "\n{} `{}`, {place}: the derivative is {:.9e}, the difference {:.9e}\n",
            array.role.name(),
            array.name,
            it.gradient,
            it.difference
        );
    }
    if let Some(difference) = compiled {
        text += &format!(
            "\n{} `{}`: compiled code is {difference:.1e} away from the interpreter in f64\n",
            array.role.name(),
            array.name
        );
    }
    text
}

/// The largest distance of the compiled gradient from the exact one, of the largest gradient.
fn compiled_difference(array: &ArrayCheck, compiled: &BTreeMap<String, Tensor>) -> Option<f64> {
    let tensor = compiled.get(&array.name).filter(|_| array.role == graph::Role::Weight)?;
    let scale = array.scale().max(f64::MIN_POSITIVE);
    let values = tensor.to_f64_vec();
    let apart = values.iter().zip(&array.gradient).map(|(a, b)| (a - b).abs());
    Some(apart.fold(0.0, f64::max) / scale)
}

/// Rounding, and a flipped corner here and there, may move compiled gradients this far.
fn compiled_tolerance(float: DType) -> f64 {
    match float {
        DType::F64 => 1e-8,
        DType::F16 | DType::BF16 => 0.5,
        _ => 0.05,
    }
}
