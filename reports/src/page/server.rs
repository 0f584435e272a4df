//! A server with one worker: how long a request takes while others arrive by chance.

use super::{
    Page, Section, grid, p,
    scaling::{MOST_CURVES, drawn},
};
use crate::{
    arms::{OURS, rank},
    chart::{Axis, Curves, Unit, curves},
    figure::Figure,
    html::Element,
    number::{number, seconds},
    results::{Measured, Mode},
    table::{Entry, Table},
};
use std::collections::BTreeMap;

/// The size that says how busy the worker is.
const LOAD: &str = "load_percent";

fn load(one: &Measured) -> Option<f64> {
    one.arm.sizes.as_ref()?.get(LOAD).copied()
}

pub(super) fn section(page: &mut Page) -> Option<Section> {
    let served =
        page.results.measured.iter().filter(|one| one.cell.mode == Mode::Server && one.seconds().is_some());
    let mut groups: BTreeMap<_, Vec<&Measured>> = BTreeMap::new();
    for one in served {
        let cell = &one.cell;
        let key = (cell.model_number, cell.batch, cell.threads, &cell.precision, &cell.machine);
        groups.entry(key).or_default().push(one);
    }
    let figures: Vec<Element> = groups.into_values().map(|group| figure(page, &group)).collect();
    let text = "Requests arrive by chance and wait their turn. The load is the share of what the very arm can do without a \
                pause, so at the same load a faster one also answers more requests. Latencies count from arrival, so they \
                hold the waiting; nine of ten requests are answered within the time that is drawn.";
    (!figures.is_empty()).then(|| Section {
        id: "server",
        title: "Server",
        body: vec![p(text), grid(figures)],
    })
}

fn figure(page: &mut Page, group: &[&Measured]) -> Element {
    let slow = |one: &Measured| one.arm.p90_s.or(one.seconds());
    let mut arms: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    let mut sorted = group.to_vec();
    sorted.sort_by(|a, b| {
        rank(&a.arm.arm)
            .cmp(&rank(&b.arm.arm))
            .then(load(a).unwrap_or(0.0).total_cmp(&load(b).unwrap_or(0.0)))
    });
    for one in &sorted {
        let Some(point) = load(one).zip(slow(one)) else { continue };
        match arms.last_mut() {
            Some((arm, points)) if *arm == one.arm.arm => points.push(point),
            _ => arms.push((&one.arm.arm, vec![point])),
        }
    }
    let conditions = group.first().map(|one| {
        let cell = &one.cell;
        let batch = cell.batch.map(|batch| format!(", batch {batch}")).unwrap_or_default();
        let threads = cell.threads.map(|threads| crate::number::counted(threads as usize, "thread"));
        format!("{}{batch}, {}", cell.model, threads.unwrap_or_default())
    });
    let conditions = conditions.unwrap_or_default();
    let mut table = Table::new(format!("{conditions}: latencies of requests"))
        .texts(["framework"])
        .numbers(["load", "median", "p90", "p95", "p99"])
        .in_file(["arm"]);
    for one in &sorted {
        let arm = &one.arm;
        table.row(vec![
            Entry::text(one.title()),
            Entry::number(load(one), |load| format!("{} %", number(load))),
            Entry::number(arm.p50_s.or(arm.median_s), seconds),
            Entry::number(arm.p90_s, seconds),
            Entry::number(arm.p95_s, seconds),
            Entry::number(arm.p99_s, seconds),
            Entry::text(arm.arm.clone()),
        ]);
    }
    // Ours, and those that answer soonest under the highest load.
    let mut order: Vec<usize> = (0..arms.len()).collect();
    let last = |index: &usize| arms[*index].1.last().map_or(f64::MAX, |(_, time)| *time);
    order.sort_by(|a, b| (arms[*a].0 != OURS).cmp(&(arms[*b].0 != OURS)).then(last(a).total_cmp(&last(b))));
    let shown: Vec<(&str, Vec<(f64, f64)>)> =
        order.iter().take(MOST_CURVES).map(|index| arms[*index].clone()).collect();
    let all = || shown.iter().flat_map(|(_, points)| points);
    let x = Axis::linear("load, per cent of what the arm can do", Unit::Plain, all().map(|(x, _)| *x));
    let y = Axis::logarithmic("90th percentile", Unit::Seconds, all().map(|(_, y)| *y));
    let (series, legend) = drawn(&shown);
    let spoken: Vec<String> = shown
        .iter()
        .filter_map(|(arm, points)| {
            let ((_, first), (_, last)) = (points.first()?, points.last()?);
            Some(format!("{} from {} to {}", crate::arms::title(arm), seconds(*first), seconds(*last)))
        })
        .collect();
    let more = super::more(arms.len() - shown.len());
    let figure = Figure {
        title: format!("Latency under load: {conditions}{more}"),
        description: spoken.join("; "),
        chart: curves(&Curves { x: &x, y: &y, series: &series, notes: &[] }),
        legend,
        table,
        command: page.command(group.iter().copied()),
    };
    page.figure(figure)
}
