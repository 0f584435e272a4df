//! Where the time of dlc goes: kernels against what the machine can do, and by the lines of the model's source.

use super::{Page, Section, grid, p, quoted};
use crate::{
    chart::{Axis, Curves, Fill, Ink, Mark, Marker, Row, Series, Tone, Unit, curves, rows},
    figure::Figure,
    html::Element,
    number::{percent, seconds, short},
    record::{Kernel, Peaks},
    table::{Entry, Table},
};
use std::collections::BTreeMap;

/// Kernels of one run.
type Run<'r> = ((String, String, Option<u64>, Option<u64>), Vec<&'r Kernel>);

fn runs<'r>(page: &Page<'r>) -> Vec<Run<'r>> {
    let mut runs: Vec<Run> = Vec::new();
    for kernel in &page.results.kernels {
        let key = (kernel.model.clone(), kernel.mode.clone(), kernel.batch, kernel.threads);
        match runs.iter_mut().find(|(known, _)| *known == key) {
            Some((_, kernels)) => kernels.push(kernel),
            None => runs.push((key, vec![kernel])),
        }
    }
    runs
}

fn name((model, mode, batch, threads): &(String, String, Option<u64>, Option<u64>)) -> String {
    let mut name = format!("{model}, {mode}");
    if let Some(batch) = batch {
        name += &format!(", batch {batch}");
    }
    if let Some(threads) = threads {
        name += &format!(", {}", crate::number::counted(*threads as usize, "thread"));
    }
    name
}

fn command(
    page: &Page,
    (model, mode, batch, threads): &(String, String, Option<u64>, Option<u64>),
    own: Option<&str>,
) -> String {
    if let Some(own) = own {
        return page.anew(own);
    }
    let mut command = format!("dlc bench --models {} --mode {} --against dlc", quoted(model), quoted(mode));
    for (option, value) in [("batch", batch), ("threads", threads)] {
        if let Some(value) = value {
            command += &format!(" --{option} {value}");
        }
    }
    page.anew(&command)
}

pub(super) fn roofline(page: &mut Page) -> Option<Section> {
    let peaks: Vec<Peaks> = page.results.environments.iter().map(|one| one.peaks.clone()).collect();
    let peaks = peaks.into_iter().rfind(|peaks| !peaks.gflops.is_empty() && !peaks.copy_gbs.is_empty())?;
    let mut figures = Vec::new();
    for (key, kernels) in runs(page) {
        let threads = key.3.unwrap_or(1);
        let roof = (peaks.gflops.get(&threads).copied(), peaks.copy_gbs.get(&threads).copied());
        let (Some(gflops), Some(copy)) = roof else { continue };
        let placed: Vec<(&Kernel, f64, f64)> = kernels
            .into_iter()
            .filter_map(|kernel| {
                let (flops, bytes) = (kernel.flops?, kernel.bytes?);
                let place = (flops / bytes, flops / kernel.seconds / 1e9);
                (flops > 0.0 && bytes > 0.0 && kernel.seconds > 0.0).then_some((kernel, place.0, place.1))
            })
            .collect();
        if !placed.is_empty() && gflops > 0.0 && copy > 0.0 {
            figures.push(roofline_figure(page, &key, (gflops, copy), &placed));
        }
    }
    let text = "Each point is a kernel: how much it computes for each byte that it must move, and how fast it does. The \
                line is what this machine was measured to do at most with as many threads: memory on the left, \
                arithmetic on the right. Kernels whose data lie in a cache may pass the left part.";
    (!figures.is_empty()).then(|| Section {
        id: "roofline",
        title: "Roofline",
        body: vec![p(text), grid(figures)],
    })
}

fn roofline_figure(
    page: &mut Page,
    key: &(String, String, Option<u64>, Option<u64>),
    (gflops, copy): (f64, f64),
    placed: &[(&Kernel, f64, f64)],
) -> Element {
    let ridge = gflops / copy;
    let xs = placed.iter().map(|(_, x, _)| *x).chain([ridge / 4.0, ridge * 4.0]);
    let x = Axis::logarithmic("operations for each byte", Unit::Plain, xs);
    let ys = placed.iter().map(|(_, _, y)| *y).chain([gflops, gflops / 30.0]);
    let y = Axis::logarithmic("GFLOP/s", Unit::Plain, ys);
    let at = |x: f64| (x, (x * copy).min(gflops));
    let from = (y.low / copy).max(x.low);
    let roof = Series {
        strong: true,
        ..Series::line(Ink::TEXT, Marker::Circle, vec![at(from), at(ridge), at(x.high)])
    };
    let roof = Series { marker: Marker::Diamond, ..roof };
    let points = placed.iter().map(|(_, x, y)| (*x, *y)).collect();
    let dots = Series { scattered: true, ..Series::line(Ink::SERIES[0], Marker::Circle, points) };
    let notes = [(x.high, gflops, format!("{} GFLOP/s", short(gflops)))];
    let bound =
        |(kernel, x, _): &(&Kernel, f64, f64)| (kernel.flops.unwrap_or(0.0) / 1e9) / (x * copy).min(gflops);
    let best: f64 = placed.iter().map(bound).sum();
    let took: f64 = placed.iter().map(|(kernel, ..)| kernel.seconds).sum();
    let mut table = Table::new(format!("{}: kernels, the longest first", name(key)))
        .texts(["line", "kernel"])
        .numbers(["time", "GFLOP/s", "GB/s", "operations a byte", "of the roof"]);
    let mut sorted = placed.to_vec();
    sorted.sort_by(|a, b| b.0.seconds.total_cmp(&a.0.seconds));
    for one in &sorted {
        let (kernel, intensity, rate) = *one;
        table.row(vec![
            Entry::text(line(kernel)),
            Entry::text(kernel.kernel.clone()),
            Entry::number(Some(kernel.seconds), seconds),
            Entry::number(Some(rate), short),
            Entry::number(kernel.bytes.map(|bytes| bytes / kernel.seconds / 1e9), short),
            Entry::number(Some(intensity), short),
            Entry::number(Some(bound(one) / kernel.seconds), percent),
        ]);
    }
    let whole = format!("{} of the roofline in all", percent(best / took));
    let figure = Figure {
        title: format!("Roofline: {}. The run reaches {whole}.", name(key)),
        description: format!(
            "{} under a roof of {} GFLOP/s and {} GB/s; {whole}",
            crate::number::counted(placed.len(), "kernel"),
            short(gflops),
            short(copy)
        ),
        chart: curves(&Curves { x: &x, y: &y, series: &[roof, dots], notes: &notes }),
        legend: vec![
            (Ink::SERIES[0], Marker::Circle, "kernel".into()),
            (
                Ink::TEXT,
                Marker::Diamond,
                format!("the machine: {} GFLOP/s, {} GB/s", short(gflops), short(copy)),
            ),
        ],
        table,
        command: command(page, key, placed.iter().find_map(|(kernel, ..)| kernel.command.as_deref())),
    };
    page.figure(figure)
}

/// Where a kernel comes from in the source.
fn line(kernel: &Kernel) -> String {
    match &kernel.line {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Null) | None => "–".into(),
        Some(other) => other.to_string(),
    }
}

/// Lines that a chart shows; the table has all.
const MOST_LINES: usize = 16;

pub(super) fn lines(page: &mut Page) -> Option<Section> {
    let mut figures = Vec::new();
    for (key, kernels) in runs(page) {
        figures.push(lines_figure(page, &key, &kernels));
    }
    let text = "Time of a run by the line of the model that it belongs to; kernels that do the work of several lines \
                count for the first.";
    (!figures.is_empty()).then(|| Section {
        id: "lines",
        title: "Where the time goes",
        body: vec![p(text), grid(figures)],
    })
}

fn lines_figure(
    page: &mut Page,
    key: &(String, String, Option<u64>, Option<u64>),
    kernels: &[&Kernel],
) -> Element {
    let mut by_line: BTreeMap<String, (f64, usize, f64)> = BTreeMap::new();
    for kernel in kernels {
        let (time, count, flops) = by_line.entry(line(kernel)).or_default();
        (*time, *count, *flops) = (*time + kernel.seconds, *count + 1, *flops + kernel.flops.unwrap_or(0.0));
    }
    let whole: f64 = kernels.iter().map(|kernel| kernel.seconds).sum::<f64>().max(f64::MIN_POSITIVE);
    let mut sorted: Vec<(String, (f64, usize, f64))> = by_line.into_iter().collect();
    sorted.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    let mut table = Table::new(format!("{}: time by line", name(key)))
        .texts(["line"])
        .numbers(["time", "share", "kernels", "GFLOP/s"]);
    for (line, (time, count, flops)) in &sorted {
        let rate = (*time > 0.0 && *flops > 0.0).then(|| flops / time / 1e9);
        table.row(vec![
            Entry::text(line.clone()),
            Entry::number(Some(*time), seconds),
            Entry::number(Some(time / whole), percent),
            Entry::count(Some(*count as u64)),
            Entry::number(rate, short),
        ]);
    }
    let mut shown: Vec<(String, f64)> =
        sorted.iter().take(MOST_LINES).map(|(line, (time, ..))| (line.clone(), *time)).collect();
    let rest: f64 = sorted.iter().skip(MOST_LINES).map(|(_, (time, ..))| time).sum();
    if rest > 0.0 {
        shown.push((format!("{} more", sorted.len() - MOST_LINES), rest));
    }
    let axis =
        Axis::from_zero("share of the time", Unit::Percent, shown.iter().map(|(_, time)| time / whole));
    let drawn: Vec<Row> = shown
        .iter()
        .map(|(line, time)| Row {
            label: line.clone(),
            value: percent(time / whole),
            tone: Tone::Plain,
            marks: vec![Mark::Bar { from: 0.0, to: time / whole, ink: Ink::SERIES[0], fill: Fill::Full }],
        })
        .collect();
    let spoken: Vec<String> =
        shown.iter().map(|(line, time)| format!("{line} {}", percent(time / whole))).collect();
    let figure = Figure {
        title: format!("{}: {} by line", name(key), seconds(whole)),
        description: spoken.join(", "),
        chart: rows(&axis, &drawn, None),
        legend: Vec::new(),
        table,
        command: command(page, key, kernels.iter().find_map(|kernel| kernel.command.as_deref())),
    };
    page.figure(figure)
}
