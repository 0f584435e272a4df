//! What planning and what fusion buy: the same program executed three ways.

use super::{Page, Section, grid, p};
use crate::{
    arms::look,
    chart::{Axis, Ink, Mark, Marker, Row, Tone, Unit, rows},
    figure::Figure,
    html::Element,
    number::{ratio, seconds},
    results::{Cell, Measured, Mode},
    statistics::{Pair, geometric_mean, geometric_mean_of},
    table::{Entry, Table},
};
use std::collections::BTreeMap;

const STYLES: [&str; 3] = ["dlc-eager", "dlc-graph", "dlc"];

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
        let [Some(eager), Some(graph), Some(compiled)] = STYLES.map(find) else { continue };
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
    let mut table = Table::new(format!("{}: median time by style", mode.title()))
        .texts(["model", "conditions"])
        .numbers(["eager", "graph", "compiled", "planning", "fusion", "both"]);
    let mut models: BTreeMap<(usize, &str), Vec<[f64; 2]>> = BTreeMap::new();
    for triple in triples {
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
        let model = (triple.cell.model_number, triple.cell.model.as_str());
        models.entry(model).or_default().push([eager / compiled, graph / compiled]);
    }
    // A row a model: the mean over its batches and threads.
    let mean = |ratios: &[[f64; 2]], which: usize| {
        geometric_mean(&ratios.iter().map(|pair| pair[which]).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let (ink, compiled_marker) = look("dlc");
    let legend = [
        (ink, compiled_marker, "compiled"),
        (Ink::SERIES[1], Marker::Diamond, "graph: without fusion"),
        (Ink::SERIES[7], Marker::Square, "eager: without planning too"),
    ];
    let mut drawn = Vec::new();
    let mut ends = vec![1.0];
    for ((_, model), ratios) in &models {
        let values = [1.0, mean(ratios, 1), mean(ratios, 0)];
        ends.extend(values);
        let (low, high) = (values.into_iter().fold(1.0, f64::min), values.into_iter().fold(1.0, f64::max));
        let mut marks = vec![Mark::Interval { from: low, to: high, ink: Ink::GRID }];
        marks.extend(values.iter().zip(&legend).map(|(at, (ink, marker, _))| Mark::Marker {
            at: *at,
            ink: *ink,
            marker: *marker,
        }));
        drawn.push(Row { label: (*model).to_string(), value: ratio(values[2]), tone: Tone::Plain, marks });
    }
    let axis = Axis::from_zero("time, compiled = 1×", Unit::Ratio, ends.into_iter());
    let figure = Figure {
        title: format!(
            "{} in three styles: means of each model, and how much both buy together",
            mode.title()
        ),
        description: sentence(mode, triples),
        chart: rows(&axis, &drawn, Some(1.0)),
        legend: legend.into_iter().map(|(ink, marker, name)| (ink, marker, name.to_string())).collect(),
        table,
        command: page.command(triples.iter().flat_map(|triple| triple.arms)),
    };
    page.figure(figure)
}
