//! All frameworks in one table, in the manner of the articles that people read, from what was measured.

use super::{Page, Section, p};
use crate::{
    arms::{OURS, rank, title},
    number::{bytes, plain, ratio, seconds},
    record::{Facts, Status},
    results::{Comparison, Measured, Mode, Summary},
    statistics::median,
    table::{Entry, Table},
};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) fn section(page: &mut Page) -> Option<Section> {
    let results = page.results;
    let of_facts = results.facts.iter().map(|facts| rank(&facts.arm));
    let arms: BTreeSet<(usize, &str)> = results.arms().into_iter().map(rank).chain(of_facts).collect();
    if arms.len() < 2 {
        return None;
    }
    let mut table =
        Table::new("Each against dlc on the rows that both have; medians over models for the rest")
            .texts(["framework", "version"])
            .numbers(["inference", "training", "first result", "compile", "peak memory", "right"])
            .numbers(["installed", "artifact", "lines of model"])
            .texts(["any size", "needs Python"]);
    for (_, arm) in arms {
        let rows: Vec<&Measured> = results.measured.iter().filter(|one| one.arm.arm == arm).collect();
        let right: Vec<&&Measured> = rows.iter().filter(|one| one.status == Status::Ok).collect();
        let run = rows.iter().filter(|one| !matches!(one.status, Status::Missing | Status::Cannot)).count();
        let facts: Vec<&Facts> = results.facts.iter().filter(|facts| facts.arm == arm).collect();
        let of = |value: fn(&Measured) -> Option<f64>| {
            median(&right.iter().filter_map(|one| value(one)).collect::<Vec<_>>())
        };
        let speed = |mode: &Mode| speed(page, arm, &rows, mode);
        table.row_as(
            if arm == OURS { "ours" } else { "" },
            vec![
                Entry::text(title(arm)),
                Entry::text(
                    rows.iter().find_map(|one| one.arm.version.clone()).unwrap_or_else(|| "–".into()),
                ),
                speed(&Mode::Infer),
                speed(&Mode::Train),
                Entry::number(of(|one| one.arm.first_s), seconds),
                Entry::number(of(|one| one.arm.compile_s), seconds),
                Entry::number(of(|one| one.arm.peak_bytes), bytes),
                if run == 0 {
                    Entry::new("–", "")
                } else {
                    Entry::text(format!("{} of {run}", right.len()))
                },
                Entry::number(fact(&facts, "install_bytes"), bytes),
                Entry::number(fact(&facts, "artifact_bytes").or(of(|one| one.arm.artifact_bytes)), bytes),
                Entry::number(fact(&facts, "model_lines"), |lines| crate::number::short(lines.round())),
                yes_no(&facts, "dynamic_sizes"),
                yes_no(&facts, "needs_python"),
            ],
        );
    }
    let text = "Speed of dlc by that of the framework as a geometric mean: above 1× dlc is faster. \"Any size\" is \
                whether one build takes batches and lengths that it has not seen.";
    Some(Section { id: "frameworks", title: "Frameworks at a glance", body: vec![p(text), table.html()] })
}

fn speed(page: &Page, arm: &str, rows: &[&Measured], mode: &Mode) -> Entry {
    if arm == OURS {
        return Entry::new("1", "1");
    }
    let of_mode = rows.iter().filter(|one| one.cell.mode == *mode);
    let compared: Vec<Comparison> = of_mode.filter_map(|one| page.results.compare(one)).collect();
    match Summary::of(&compared) {
        Some(summary) => {
            let shown = format!(
                "{} ({}–{})",
                ratio(summary.mean.value),
                bare(summary.mean.low),
                bare(summary.mean.high)
            );
            let within = summary.mean.low <= 1.0 && summary.mean.high >= 1.0;
            let class = if within {
                "same"
            } else if summary.mean.value < 1.0 {
                "slow"
            } else {
                ""
            };
            Entry::new(shown, plain(summary.mean.value)).marked(class)
        }
        None => Entry::new("–", ""),
    }
}

fn bare(value: f64) -> String {
    ratio(value).trim_end_matches('×').to_string()
}

/// The median, where a fact is known of several models.
fn fact(facts: &[&Facts], key: &str) -> Option<f64> {
    let mut values = Vec::new();
    for known in facts.iter().filter_map(|facts| facts.known.get(key)) {
        match known {
            Value::Object(of_models) => values.extend(of_models.values().filter_map(Value::as_f64)),
            other => values.extend(other.as_f64()),
        }
    }
    median(&values)
}

fn yes_no(facts: &[&Facts], key: &str) -> Entry {
    match facts.iter().find_map(|facts| facts.known.get(key)?.as_bool()) {
        Some(true) => Entry::text("yes"),
        Some(false) => Entry::text("no"),
        None => Entry::new("–", ""),
    }
}
