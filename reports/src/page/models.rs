//! Model by model: a table of medians, and for each cell the times as they fell.

use super::{Page, Section, grid, p};
use crate::{
    arms::look,
    chart::{Axis, Mark, Row, Tone, Unit, rows},
    figure::Figure,
    html::{Element, el},
    number::{bytes, counted, plain, ratio, seconds, short},
    record::Status,
    results::{Cell, Measured, Verdict},
    statistics::{quantile, sorted},
    table::{Entry, Table},
};
use std::collections::BTreeMap;

/// Times that differ by more than this are drawn by powers of ten.
const LOGARITHMIC_FROM: f64 = 8.0;

pub(super) fn section(page: &mut Page) -> Option<Section> {
    let mut body = vec![p(
        "Medians, and beside each the ratio to dlc; grey where there is no difference beyond the noise. Boxes are \
         quartiles of all samples with their extremes, ticks are samples.",
    )];
    let results = page.results;
    let mut of_models: BTreeMap<(usize, &str), Vec<&Cell>> = BTreeMap::new();
    for cell in results.cells_of_calls() {
        of_models.entry((cell.model_number, &cell.model)).or_default().push(cell);
    }
    for ((_, model), cells) in of_models {
        let is_timed = |cell: &Cell| results.of_cell(cell).iter().any(|one| one.seconds().is_some());
        body.push(el("h3").text(model));
        body.push(medians(page, model, &cells).html());
        let timed: Vec<&Cell> = cells.into_iter().filter(|cell| is_timed(cell)).collect();
        let (drawn, left) = timed.split_at(timed.len().min(page.detail.conditions));
        let figures: Vec<Element> = drawn.iter().map(|cell| figure(page, cell)).collect();
        if !left.is_empty() {
            let count = counted(left.len(), "further column");
            body.push(p(format!("{count} of the table without a chart, for the page to stay small.")));
        }
        if !figures.is_empty() {
            body.push(grid(figures));
        }
    }
    (body.len() > 1).then_some(Section { id: "models", title: "Models", body })
}

/// A row an arm, a column a cell.
fn medians(page: &Page, model: &str, cells: &[&Cell]) -> Table {
    let mut table =
        Table::new(format!("{model}: median time of a call, and ratio to dlc")).texts(["framework"]);
    for cell in cells {
        table = table.numbers([format!("{}, {}", cell.mode.name(), cell.conditions()).as_str()]);
    }
    for arm in page.results.arms() {
        let of_arm: Vec<Option<&Measured>> = cells
            .iter()
            .map(|cell| page.results.of_cell(cell).into_iter().find(|measured| measured.arm.arm == arm))
            .collect();
        if of_arm.iter().all(Option::is_none) {
            continue;
        }
        let mut entries = vec![Entry::text(crate::arms::title(arm))];
        for measured in of_arm {
            let Some(measured) = measured else {
                entries.push(Entry::new("", ""));
                continue;
            };
            let Some(median) = measured.seconds() else {
                entries.push(Entry::text(status(measured.status)).marked("refused"));
                continue;
            };
            let compared = page.results.compare(measured).filter(|_| arm != crate::arms::OURS);
            let shown = match &compared {
                Some(one) => format!("{} · {}", seconds(median), ratio(one.ratio)),
                None => seconds(median),
            };
            let class = match compared.map(|one| one.verdict) {
                Some(Verdict::NoDifference) => "same",
                Some(Verdict::Slower) => "slow",
                _ => "",
            };
            entries.push(Entry::new(shown, plain(median)).marked(class));
        }
        table.row_as(if arm == crate::arms::OURS { "ours" } else { "" }, entries);
    }
    table
}

/// In a word.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Wrong => "wrong result",
        Status::Impossible => "impossible",
        Status::Threads => "other threads",
        Status::Failed => "failed",
        Status::Cannot => "not offered",
        Status::Missing => "not installed",
    }
}

fn figure(page: &mut Page, cell: &Cell) -> Element {
    let results = page.results;
    let all = results.of_cell(cell);
    let mut timed: Vec<&Measured> = all.iter().copied().filter(|one| one.seconds().is_some()).collect();
    timed.sort_by(|a, b| a.seconds().unwrap_or(0.0).total_cmp(&b.seconds().unwrap_or(0.0)));
    let spans: Vec<(&Measured, Vec<f64>)> = timed
        .iter()
        .map(|one| {
            let of_processes = one.arm.process_medians_s.clone().unwrap_or_default();
            let samples =
                one.arm.samples_s.clone().filter(|samples| !samples.is_empty()).unwrap_or(of_processes);
            (*one, sorted(&samples))
        })
        .collect();
    let values = spans.iter().flat_map(|(one, samples)| {
        let ends = samples.first().into_iter().chain(samples.last()).copied();
        ends.chain(one.interval().into_iter().flatten()).chain(one.seconds())
    });
    let values: Vec<f64> = values.collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    let axis = match high > LOGARITHMIC_FROM * low {
        true => Axis::logarithmic("time of a call, powers of ten", Unit::Seconds, values.into_iter()),
        false => Axis::from_zero("time of a call", Unit::Seconds, values.into_iter()),
    };
    let drawn: Vec<Row> = spans.iter().map(|(one, samples)| row(page, one, samples)).collect();
    let spoken: Vec<String> = timed
        .iter()
        .map(|one| format!("{} {}", one.title(), seconds(one.seconds().unwrap_or(0.0))))
        .collect();
    let figure = Figure {
        title: cell.title(),
        description: format!("Median time of a call, the fastest first: {}", spoken.join(", ")),
        chart: rows(&axis, &drawn, None),
        legend: Vec::new(),
        table: table(page, cell, &all),
        command: page.command(all.iter().copied()),
    };
    page.figure(figure)
}

fn row(page: &Page, one: &Measured, samples: &[f64]) -> Row {
    let (ink, _) = look(&one.arm.arm);
    let mut marks = Vec::new();
    let at = |share| quantile(samples, share).unwrap_or(0.0);
    if samples.len() > 3 {
        let count = page.detail.points.min(samples.len());
        let values = (0..count).map(|index| at(index as f64 / (count - 1).max(1) as f64)).collect();
        marks.push(Mark::Points { values, ink });
        marks.push(Mark::Box { quartiles: [at(0.25), at(0.5), at(0.75)], ends: [at(0.0), at(1.0)], ink });
    } else if let Some([from, to]) = one.interval() {
        let (_, marker) = look(&one.arm.arm);
        marks.push(Mark::Interval { from, to, ink });
        marks.extend(one.seconds().map(|at| Mark::Marker { at, ink, marker }));
    }
    let compared = page.results.compare(one);
    let tone = match compared.map(|compared| compared.verdict) {
        _ if one.arm.arm == crate::arms::OURS => Tone::Strong,
        Some(Verdict::NoDifference) => Tone::Faint,
        _ => Tone::Plain,
    };
    Row { label: one.title(), value: seconds(one.seconds().unwrap_or(0.0)), tone, marks }
}

fn table(page: &Page, cell: &Cell, all: &[&Measured]) -> Table {
    let mut table = Table::new(cell.title())
        .texts(["framework"])
        .numbers(["median", "95 % interval", "ratio"])
        .texts(["against dlc", "result"])
        .numbers(["largest error", "p90", "samples", "threads seen", "peak memory"])
        .in_file(["arm", "version", "95 % low", "95 % high", "p50", "p95", "p99", "processes", "dtype seen"])
        .in_file([
            "relative error",
            "argmax agreement",
            "first result",
            "import",
            "compile",
            "steal",
            "redone",
        ])
        .in_file(["processor time", "energy in J", "medians of processes", "samples kept"]);
    for one in all {
        let arm = &one.arm;
        let time = |value: Option<f64>| Entry::number(value.filter(|_| one.status == Status::Ok), seconds);
        let [low, high] = one.interval().map_or([None; 2], |ends| ends.map(Some));
        let interval =
            low.zip(high).map_or("–".into(), |(low, high)| format!("{} – {}", seconds(low), seconds(high)));
        let compared = page.results.compare(one).filter(|_| arm.arm != crate::arms::OURS);
        let verdict = match compared.as_ref().map(|one| one.verdict) {
            None => Entry::new("–", ""),
            Some(Verdict::Faster) => Entry::text("dlc faster"),
            Some(Verdict::NoDifference) => Entry::text("no difference").marked("same"),
            Some(Verdict::Slower) => Entry::text("dlc slower").marked("slow"),
        };
        let result = match one.status {
            Status::Ok => Entry::text("right"),
            other => Entry::text(status(other)).marked("refused"),
        };
        let list = |values: &Option<Vec<f64>>| {
            let texts: Vec<String> = values.iter().flatten().map(|value| plain(*value)).collect();
            Entry::new("", texts.join(";"))
        };
        let samples = if page.detail.points > 0 {
            list(&thinned(arm.samples_s.as_deref(), page.detail.points))
        } else {
            Entry::default()
        };
        let word = |text: &Option<String>| Entry::text(text.clone().unwrap_or_default());
        let class = if arm.arm == crate::arms::OURS { "ours" } else { "" };
        table.row_as(
            class,
            vec![
                Entry::text(one.title()),
                time(arm.median_s),
                Entry::new(interval, ""),
                Entry::number(compared.map(|one| one.ratio), ratio),
                verdict,
                result,
                Entry::number(arm.max_error, short),
                time(arm.p90_s),
                Entry::count(arm.n),
                Entry::count(arm.threads_seen),
                Entry::number(arm.peak_bytes, bytes),
                Entry::text(arm.arm.clone()),
                word(&arm.version),
                time(low),
                time(high),
                time(arm.p50_s),
                time(arm.p95_s),
                time(arm.p99_s),
                Entry::count(arm.processes),
                word(&arm.dtype_seen),
                Entry::number(arm.max_relative, short),
                Entry::number(arm.argmax_agreement, short),
                time(arm.first_s),
                time(arm.import_s),
                time(arm.compile_s),
                Entry::number(arm.steal, short),
                Entry::count(arm.redone),
                time(arm.cpu_s),
                Entry::number(arm.energy_j, short),
                if one.status == Status::Ok { list(&arm.process_medians_s) } else { Entry::default() },
                if one.status == Status::Ok { samples } else { Entry::default() },
            ],
        );
    }
    table
}

/// At most so many, evenly from all.
fn thinned(samples: Option<&[f64]>, most: usize) -> Option<Vec<f64>> {
    let samples = samples?;
    let stride = samples.len().div_ceil(most.max(1)).max(1);
    Some(samples.iter().copied().step_by(stride).collect())
}
