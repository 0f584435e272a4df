//! The compiler's own speed from commit to commit.

use super::{Page, Section, grid, p};
use crate::{
    chart::{Axis, Curves, Ink, Marker, Series, Unit, curves},
    figure::Figure,
    html::Element,
    number::{counted, ratio, seconds},
    record::Compiler,
    table::{Entry, Table},
};

pub(super) fn section(page: &mut Page) -> Option<Section> {
    let mut benches: Vec<(&str, Vec<&Compiler>)> = Vec::new();
    for line in &page.results.compiler {
        match benches.iter_mut().find(|(bench, _)| *bench == line.bench) {
            Some((_, lines)) => lines.push(line),
            None => benches.push((&line.bench, vec![line])),
        }
    }
    let figures: Vec<Element> = benches.iter().map(|(bench, lines)| figure(page, bench, lines)).collect();
    let text = "In the order of the file. A ring marks a measurement whose interval does not touch that of the one before.";
    (!figures.is_empty()).then(|| Section {
        id: "compiler",
        title: "Speed of the compiler",
        body: vec![p(text), grid(figures)],
    })
}

fn figure(page: &mut Page, bench: &str, lines: &[&Compiler]) -> Element {
    let interval = |line: &Compiler| line.ci95_s.unwrap_or([line.median_s; 2]);
    let points: Vec<(f64, f64)> =
        lines.iter().enumerate().map(|(at, line)| ((at + 1) as f64, line.median_s)).collect();
    let changed = |at: usize| {
        let (Some(before), Some(line)) = (at.checked_sub(1).and_then(|at| lines.get(at)), lines.get(at))
        else {
            return false;
        };
        let ([low, high], [other_low, other_high]) = (interval(line), interval(before));
        low > other_high || high < other_low
    };
    let x = Axis::linear("measurement", Unit::Plain, [0.5, lines.len() as f64 + 0.5].into_iter())
        .marked((1..=lines.len()).step_by(lines.len().div_ceil(8)).map(|at| at as f64));
    let ends = lines.iter().flat_map(|line| interval(line)).chain(lines.iter().map(|line| line.median_s));
    let y = Axis::linear("median", Unit::Seconds, ends.collect::<Vec<_>>().into_iter());
    let mut series: Vec<Series> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| {
            let [low, high] = interval(line);
            let ends = vec![((at + 1) as f64, low), ((at + 1) as f64, high)];
            Series::line(Ink::FAINT, Marker::Plus, ends)
        })
        .collect();
    series.push(Series::line(Ink::SERIES[0], Marker::Circle, points.clone()));
    let rings = points.iter().enumerate().filter(|(at, _)| changed(*at));
    series.extend(rings.map(|(_, point)| Series {
        best: Some(*point),
        ..Series::line(Ink::SERIES[0], Marker::Circle, Vec::new())
    }));
    let mut table = Table::new(format!("{bench}: by commit")).texts(["commit", "date"]).numbers([
        "median",
        "95 % low",
        "95 % high",
        "by the one before",
    ]);
    for (at, line) in lines.iter().enumerate() {
        let [low, high] = interval(line).map(|end| Entry::number(Some(end), seconds));
        let before =
            at.checked_sub(1).and_then(|at| lines.get(at)).map(|before| line.median_s / before.median_s);
        let change = Entry::number(before, ratio);
        table.row(vec![
            Entry::text(line.commit.clone().unwrap_or_default()),
            Entry::text(line.date.clone().unwrap_or_default()),
            Entry::number(Some(line.median_s), seconds),
            low,
            high,
            if changed(at) { change } else { change.marked("same") },
        ]);
    }
    let last = lines.last().map_or(0.0, |line| line.median_s);
    let figure = Figure {
        title: bench.to_string(),
        description: format!("{}, the last {}", counted(lines.len(), "measurement"), seconds(last)),
        chart: curves(&Curves { x: &x, y: &y, series: &series, notes: &[] }),
        legend: Vec::new(),
        table,
        command: page.anew("make bench-compiler"),
    };
    page.figure(figure)
}
