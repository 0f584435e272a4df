//! On what it was measured, and how.

use super::{Page, Section, p};
use crate::html::{Element, el};
use crate::number::{bytes, percent};
use serde_json::Value;

pub(super) fn section(page: &Page) -> Option<Section> {
    let mut body = Vec::new();
    for environment in &page.results.environments {
        // Equal blocks come once: a run that was resumed says the same again.
        let block = block(environment);
        body.push(block);
    }
    (!body.is_empty()).then_some(Section { id: "environment", title: "Environment", body })
}

fn block(environment: &crate::record::Environment) -> Element {
    let mut list = el("dl");
    for (key, value) in &environment.all {
        if key != "kind" {
            let text = match (key.as_str(), value.as_f64()) {
                ("memory_bytes", Some(size)) => bytes(size),
                _ => words(value),
            };
            list = list.child(el("dt").text(key.replace('_', " "))).child(el("dd").text(text));
        }
    }
    list
}

/// JSON as one would say it.
fn words(value: &Value) -> String {
    match value {
        Value::Null => "not known".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let parts = map.iter().map(|(key, value)| match value {
                Value::Object(_) => format!("{}: {}", key.replace('_', " "), words(value)),
                _ => format!("{} {}", key.replace('_', " "), words(value)),
            });
            parts.collect::<Vec<_>>().join("; ")
        }
    }
}

pub(super) fn method(page: &Page) -> Section {
    let floors = &page.results.floors;
    let most = floors
        .iter()
        .map(|floor| floor.spread)
        .fold(None, |most: Option<f64>, spread| Some(most.map_or(spread, |most| most.max(spread))));
    let floor = match most {
        Some(most) => format!(
            "The noise of the machine is measured by timing dlc against itself; the two differed by up to {}. Where a \
             row has no such measurement of its own, the largest one counts.",
            percent(most)
        ),
        None => "The files do not say how far two runs of the same program differ on this machine, so only intervals \
                 that do not touch count as a difference."
            .into(),
    };
    let items = [
        "Each framework runs in a fresh process of its own, several times, in an order that is drawn anew for each round.",
        "Calls before the times have settled are left out of the medians and shown under warm-up.",
        "A median is that of the processes' medians; its interval holds in 95 of 100 cases (by drawing samples anew).",
        "A ratio counts as a difference only if the two intervals do not touch and it lies outside of the noise.",
        "A mean of ratios is geometric: over the rows of a model first, then over models, so that each model counts \
         once. Its interval draws models, and within them processes, anew.",
        "The 99th percentile is shown from 1,000 samples on.",
    ];
    let list =
        el("ul").children(items.into_iter().map(|item| el("li").text(item)).chain([el("li").text(floor)]));
    Section {
        id: "method",
        title: "How it was measured",
        body: vec![
            p("What to know before believing a figure:"),
            list,
            p("This page was made by:"),
            el("pre").attr("tabindex", "0").child(el("code").text(page.whole())),
        ],
    }
}
