//! What planning and what fusion buy: the same program executed three ways.

use super::{Page, Section, grid, p};
use crate::{
    arms::look,
    chart::{Axis, Fill, Mark, Row, Unit, rows},
    figure::Figure,
    html::{Element, el},
    number::{counted, ratio, seconds},
    results::{Cell, Measured, Mode},
    statistics::{Pair, geometric_mean_of},
    table::{Entry, Table},
};
use std::collections::BTreeMap;

const STYLES: [(&str, Fill); 3] =
    [("dlc-eager", Fill::Outline), ("dlc-graph", Fill::Light), ("dlc", Fill::Full)];

/// The same cell in all three styles.
struct Triple<'r> {
    cell: &'r Cell,
    /// As [`STYLES`].
    arms: [&'r Measured; 3],
    times: [f64; 3],
}

pub(super) fn section(page: &mut Page) -> Option<Section> {
    let results = page.results;
    let mut triples = Vec::new();
    for cell in results.cells() {
        let arms = results.of_cell(cell);
        let find =
            |name: &str| arms.iter().copied().find(|one| one.arm.arm == name && one.seconds().is_some());
        let [Some(eager), Some(graph), Some(compiled)] = STYLES.map(|(name, _)| find(name)) else { continue };
        let arms = [eager, graph, compiled];
        triples.push(Triple { cell, arms, times: arms.map(|one| one.seconds().unwrap_or(f64::NAN)) });
    }
    let mut body = vec![p(
        "dlc runs the same program three ways. Eager: one kernel an operation, in the order of the program, each value \
         allocated as it comes. Graph: the optimised graph in planned memory, still one kernel an operation. Compiled: \
         operations fused into kernels. Planning is eager by graph, fusion is graph by compiled.",
    )];
    let mut figures = Vec::new();
    for mode in results.modes() {
        let of_mode: Vec<&Triple> = triples.iter().filter(|triple| triple.cell.mode == *mode).collect();
        if !of_mode.is_empty() {
            body.push(p(sentence(mode, &of_mode)));
            figures.push(figure(page, mode, &of_mode));
        }
    }
    if figures.is_empty() {
        return None;
    }
    body.push(grid(figures));
    Some(Section { id: "styles", title: "What planning and fusion buy", body })
}

/// `Inference: planning buys 1.32× and fusion 1.81×, together 2.39×`
fn sentence(mode: &Mode, triples: &[&Triple]) -> String {
    let mean = |of: &dyn Fn(&Triple) -> f64| {
        let mut groups: BTreeMap<usize, Vec<Pair>> = BTreeMap::new();
        for triple in triples {
            let pair = Pair { ours: Vec::new(), theirs: Vec::new(), ratio: of(triple) };
            groups.entry(triple.cell.model_number).or_default().push(pair);
        }
        let mean = geometric_mean_of(&groups.into_values().collect::<Vec<_>>());
        mean.map_or_else(String::new, |mean| {
            format!("{} ({} to {})", ratio(mean.value), ratio(mean.low), ratio(mean.high))
        })
    };
    format!(
        "{}: planning buys {}, fusion {}, both together {} (geometric means over models, with intervals of 95 %).",
        mode.title(),
        mean(&|triple| triple.times[0] / triple.times[1]),
        mean(&|triple| triple.times[1] / triple.times[2]),
        mean(&|triple| triple.times[0] / triple.times[2]),
    )
}

fn figure(page: &mut Page, mode: &Mode, triples: &[&Triple]) -> Element {
    let relative = |triple: &Triple| triple.times.map(|time| time / triple.times[2]);
    let axis = Axis::from_zero(
        "time, compiled = 1",
        Unit::Ratio,
        triples.iter().flat_map(|triple| relative(triple)),
    );
    let (ink, _) = look("dlc");
    let mut drawn = Vec::new();
    let mut table = Table::new(format!("{}: median time by style", mode.title()))
        .texts(["model", "conditions"])
        .numbers(["eager", "graph", "compiled", "planning", "fusion", "both"]);
    for triple in triples {
        for ((name, fill), (value, time)) in STYLES.iter().zip(relative(triple).into_iter().zip(triple.times))
        {
            let style = name.strip_prefix("dlc-").unwrap_or("compiled");
            let label = match *fill {
                Fill::Outline => format!("{}, {}", triple.cell.model, style),
                _ => style.to_string(),
            };
            let bar = Mark::Bar { from: 0.0, to: value, ink, fill: *fill };
            drawn.push(Row { label, value: seconds(time), faint: false, marks: vec![bar] });
        }
        let [eager, graph, compiled] = triple.times;
        let of = |value: f64| Entry::number(Some(value), ratio);
        let time = |value: f64| Entry::number(Some(value), seconds);
        table.row(vec![
            Entry::text(triple.cell.model.clone()),
            Entry::text(triple.cell.conditions()),
            time(eager),
            time(graph),
            time(compiled),
            of(eager / graph),
            of(graph / compiled),
            of(eager / compiled),
        ]);
    }
    let figure = Figure {
        title: format!(
            "{} in three styles, {}. Outlined: eager; light: graph; full: compiled.",
            mode.title(),
            counted(triples.len(), "row")
        ),
        description: sentence(mode, triples),
        chart: rows(&axis, &drawn, Some(1.0)),
        legend: Vec::new(),
        table,
        command: page.command(triples.iter().flat_map(|triple| triple.arms)),
    };
    el("div").class("whole").child(page.figure(figure))
}
