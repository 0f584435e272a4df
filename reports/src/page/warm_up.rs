//! The first calls, one by one: what just-in-time compilation and caches take before times settle.

use super::{
    Page, Section, grid, p,
    scaling::{MOST_CURVES, drawn},
};
use crate::{
    arms::OURS,
    chart::{Axis, Curves, Unit, curves},
    figure::Figure,
    html::Element,
    number::{plain, seconds},
    record::Status,
    results::{Cell, Measured},
    table::{Entry, Table},
};
use std::collections::BTreeSet;

/// Calls that a curve shows; their distances grow.
const MOST_CALLS: usize = 40;

pub(super) fn section(page: &mut Page) -> Option<Section> {
    let mut seen = BTreeSet::new();
    let mut figures = Vec::new();
    for cell in page.results.cells_of_calls() {
        let arms = page.results.of_cell(cell);
        let known: Vec<&Measured> = arms
            .into_iter()
            .filter(|one| {
                one.status == Status::Ok && one.arm.warm_up_s.as_ref().is_some_and(|calls| calls.len() > 1)
            })
            .collect();
        if !known.is_empty() && seen.insert((cell.model_number, &cell.mode, &cell.machine)) {
            figures.push(figure(page, cell, &known));
        }
    }
    let text =
        "Time of each call of a fresh process. The medians of this page begin where the curve has settled.";
    (!figures.is_empty()).then(|| Section {
        id: "warm-up",
        title: "Warm-up",
        body: vec![p(text), grid(figures)],
    })
}

/// Number and time of calls, the first exactly and the later ones at growing distances.
fn thinned(calls: &[f64]) -> Vec<(f64, f64)> {
    let step = (calls.len() as f64).powf(1.0 / MOST_CALLS as f64).max(1.0);
    let (mut points, mut next) = (Vec::new(), 1.0f64);
    for (index, time) in calls.iter().enumerate() {
        let number = (index + 1) as f64;
        if number >= next || index + 1 == calls.len() {
            points.push((number, *time));
            next = (number * step).max(number + 1.0);
        }
    }
    points
}

fn figure(page: &mut Page, cell: &Cell, arms: &[&Measured]) -> Element {
    let mut by_speed = arms.to_vec();
    by_speed.sort_by(|a, b| {
        let key = |one: &Measured| (one.arm.arm != OURS, one.seconds().unwrap_or(f64::MAX));
        key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1))
    });
    let shown: Vec<(&str, Vec<(f64, f64)>)> = by_speed
        .iter()
        .take(MOST_CURVES)
        .map(|one| (one.arm.arm.as_str(), thinned(one.arm.warm_up_s.as_deref().unwrap_or_default())))
        .collect();
    let all = || shown.iter().flat_map(|(_, points)| points);
    let x = Axis::logarithmic("call", Unit::Plain, all().map(|(x, _)| *x));
    let y = Axis::logarithmic("time of the call", Unit::Seconds, all().map(|(_, y)| *y));
    let (series, legend) = drawn(&shown);
    let mut table = Table::new(format!("{}: calls after the first result", cell.title()))
        .texts(["framework"])
        .numbers(["first call", "second call", "last call", "calls"])
        .in_file(["time of each"]);
    let mut spoken = Vec::new();
    for one in arms {
        let calls = one.arm.warm_up_s.as_deref().unwrap_or_default();
        let texts: Vec<String> =
            thinned(calls).iter().map(|(number, time)| format!("{number}:{}", plain(*time))).collect();
        table.row(vec![
            Entry::text(one.title()),
            Entry::number(calls.first().copied(), seconds),
            Entry::number(calls.get(1).copied(), seconds),
            Entry::number(calls.last().copied(), seconds),
            Entry::count(Some(calls.len() as u64)),
            Entry::new("", texts.join(";")),
        ]);
        if let (Some(first), Some(last)) = (calls.first(), calls.last()) {
            spoken.push(format!("{} from {} to {}", one.title(), seconds(*first), seconds(*last)));
        }
    }
    let more = super::more(arms.len() - shown.len());
    let figure = Figure {
        title: format!("First calls: {}{more}", cell.title()),
        description: spoken.join("; "),
        chart: curves(&Curves { x: &x, y: &y, series: &series, notes: &[] }),
        legend,
        table,
        command: page.command(arms.iter().copied()),
    };
    page.figure(figure)
}
