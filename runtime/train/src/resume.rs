//! Whether a checkpoint continues this very run, and what differs where it does not.

use crate::{Context, Description, Progress};
use base::Diagnostic;
use serde_json::Value;

/// Keys of the configuration that a run cannot change half-way: they decide which rows a step takes, or the dtypes of
/// what the checkpoint holds.
const DECISIVE: &[&str] = &["batch", "accumulate", "split", "seed", "augment", "precision"];

/// Keys that say nothing about what is computed.
const BESIDE: &[&str] = &["source", "dlc"];

/// What every checkpoint of this run says of it.
pub(crate) fn describe(context: &Context) -> Description {
    let (spec, dataset) = (context.spec, context.dataset);
    let fields = dataset.fields().into_iter().map(|field| {
        let row = tensor::shape_text(&field.row_shape);
        (field.name, format!("{}{row}", field.dtype))
    });
    Description {
        format: Description::FORMAT,
        version: spec.version.clone(),
        model: spec.model.clone(),
        source_hash: spec.source_hash.clone(),
        data_hash: format!("{:016x}", dataset.content_hash()),
        rows: Some(dataset.rows()),
        fields: fields.collect(),
        config: spec.config.clone(),
        seed: spec.seed,
        split: Some(spec.split.clone()),
        progress: Progress::default(),
        tables: dataset.tables().iter().map(|(field, words)| (field.clone(), words.clone())).collect(),
    }
}

/// Compares a checkpoint's description with that of the run that wants to go on from it: an error where it cannot, a
/// warning where it may, though not with the bits of the run as it was.
pub(crate) fn belongs(then: &Description, now: &Description) -> Result<Option<Diagnostic>, Diagnostic> {
    let mut decisive = Vec::new();
    let mut beside = Vec::new();
    if then.model != now.model {
        decisive.push(format!("the model was `{}` and is `{}`", then.model, now.model));
    }
    if then.data_hash != now.data_hash {
        decisive.push(data_difference(then, now));
    }
    if then.seed != now.seed {
        decisive.push(format!("the seed was {} and is {}", then.seed, now.seed));
    }
    if then.source_hash != now.source_hash {
        beside.push("the text of the model's file changed".to_string());
    }
    for (key, was, is) in config_differences(&then.config, &now.config) {
        let text = format!("`{key}` was {was} and is {is}");
        match DECISIVE.contains(&key.as_str()) {
            true if key == "seed" => {}
            true => decisive.push(text),
            false => beside.push(text),
        }
    }
    if then.version != now.version && !(decisive.is_empty() && beside.is_empty()) {
        beside.push(format!("dlc was {} and is {}", then.version, now.version));
    }
    if let Some((first, others)) = decisive.split_first() {
        let fault = Diagnostic::error("E0709", format!("the run cannot be resumed: {first}"));
        let fault = others.iter().chain(&beside).fold(fault, |fault, other| fault.note(other.clone()));
        return Err(fault.help("begin a new run in another directory with `--out`"));
    }
    let Some((first, others)) = beside.split_first() else { return Ok(None) };
    let message = format!("since the checkpoint was written {first}");
    let warning = Diagnostic::warning("W0701", message);
    Ok(Some(others.iter().fold(warning, |warning, other| warning.note(other.clone()))))
}

fn data_difference(then: &Description, now: &Description) -> String {
    if let (Some(was), Some(is)) = (then.rows, now.rows)
        && was != is
    {
        return format!("the data had {was} rows and have {is}");
    }
    if then.rows.is_some() {
        for (name, was) in &then.fields {
            match now.fields.get(name) {
                None => return format!("the field `{name}` of the data is gone"),
                Some(is) if is != was => return format!("the field `{name}` was {was} and is {is}"),
                Some(_) => {}
            }
        }
        if let Some(new) = now.fields.keys().find(|name| !then.fields.contains_key(*name)) {
            return format!("the field `{new}` of the data is new");
        }
    }
    "the data have other values than then".into()
}

/// Key, value then, value now. Two texts that are no records differ as wholes.
fn config_differences(then: &str, now: &str) -> Vec<(String, String, String)> {
    let record = |text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(record)) => Some(record),
        _ => None,
    };
    let (Some(was), Some(is)) = (record(then), record(now)) else {
        let whole = || ("configuration".into(), "another".into(), "this one".into());
        return if then == now { Vec::new() } else { vec![whole()] };
    };
    let new = is.keys().filter(|key| !was.contains_key(*key));
    let keys = was.keys().chain(new).filter(|key| !BESIDE.contains(&key.as_str()));
    let shown = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "not set".to_string(),
        Some(value) => value.to_string(),
    };
    keys.map(|key| (key.clone(), shown(was.get(key)), shown(is.get(key))))
        .filter(|(_, was, is)| was != is)
        .collect()
}
