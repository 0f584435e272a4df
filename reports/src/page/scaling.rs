//! How times grow with batch, threads and sizes: one of them varies, all else is the same.

use super::{Page, Section, grid, p};
use crate::{
    arms::{OURS, look},
    chart::{Axis, Curves, Mark, Row, Series, Tone, Unit, curves, rows},
    figure::Figure,
    html::Element,
    number::{number, ratio, scaled, seconds},
    results::{Measured, Mode},
    statistics::geometric_mean,
    table::{Entry, Table},
};
use std::collections::{BTreeMap, BTreeSet};

/// Curves of one chart at most: dlc, and the fastest others. The table has all.
pub(super) const MOST_CURVES: usize = 8;

/// What varies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Along {
    Batch,
    Threads,
    Size(String),
}

impl Along {
    fn of(&self, one: &Measured) -> Option<f64> {
        match self {
            Along::Batch => one.cell.batch.map(|batch| batch as f64),
            Along::Threads => one.cell.threads.map(|threads| threads as f64),
            Along::Size(name) => one.arm.sizes.as_ref()?.get(name).copied(),
        }
    }

    fn name(&self) -> &str {
        match self {
            Along::Batch => "batch",
            Along::Threads => "threads",
            Along::Size(name) => name,
        }
    }

    /// All else.
    fn rest(&self, one: &Measured) -> Vec<String> {
        let cell = &one.cell;
        let mut rest = vec![cell.mode.title().to_lowercase()];
        if *self != Along::Batch {
            rest.extend(cell.batch.map(|batch| format!("batch {batch}")));
        }
        if *self != Along::Threads {
            rest.extend(cell.threads.map(|threads| crate::number::counted(threads as usize, "thread")));
        }
        let sizes = one.arm.sizes.iter().flatten().filter(|(name, _)| *self != Along::Size((*name).clone()));
        rest.extend(sizes.map(|(name, size)| format!("{name} = {}", number(*size))));
        rest.extend((cell.precision != "f32").then(|| cell.precision.clone()));
        rest
    }
}

pub(super) fn section(page: &mut Page) -> Option<Section> {
    let timed: Vec<&Measured> = page
        .results
        .measured
        .iter()
        .filter(|one| one.seconds().is_some() && one.cell.mode != Mode::Server)
        .collect();
    let sizes: BTreeSet<&String> =
        timed.iter().flat_map(|one| one.arm.sizes.iter().flatten()).map(|(name, _)| name).collect();
    let along: Vec<Along> = [Along::Batch, Along::Threads]
        .into_iter()
        .chain(sizes.into_iter().cloned().map(Along::Size))
        .collect();
    let mut figures = Vec::new();
    for along in &along {
        let mut groups: BTreeMap<_, Vec<&Measured>> = BTreeMap::new();
        for one in timed.iter().filter(|one| along.of(one).is_some()) {
            let key =
                (one.cell.model_number, one.cell.mode.clone(), along.rest(one), one.cell.machine.clone());
            groups.entry(key).or_default().push(one);
        }
        let mut pairs = BTreeMap::new();
        for ((_, mode, rest, _), group) in groups {
            let places: BTreeSet<u64> =
                group.iter().filter_map(|one| along.of(one)).map(f64::to_bits).collect();
            let places: Vec<f64> = places.into_iter().map(f64::from_bits).collect();
            match places[..] {
                [from, to] => {
                    let key = (mode, from.to_bits(), to.to_bits());
                    pairs.entry(key).or_insert_with(Vec::new).extend(group);
                }
                [_, _, _, ..] => figures.push(figure(page, along, &rest, &group)),
                _ => {}
            }
        }
        for ((mode, from, to), group) in pairs {
            figures.push(gain(page, along, &mode, [f64::from_bits(from), f64::from_bits(to)], &group));
        }
    }
    let text = "One thing varies at a time. Where three or more values of it were measured there are curves, with both \
                axes by powers of ten, so that a straight line is a power law; of two values there is what the second \
                gains. Examples per second are the batch by the median time.";
    (!figures.is_empty()).then(|| Section {
        id: "scaling",
        title: "Scaling",
        body: vec![p(text), grid(figures)],
    })
}

fn figure(page: &mut Page, along: &Along, rest: &[String], group: &[&Measured]) -> Element {
    // More examples a second is better for a batch and for threads; of a longer sequence one wants the time.
    let by_rate = !matches!(along, Along::Size(_));
    let value = |one: &Measured| {
        let median = one.seconds().unwrap_or(f64::NAN);
        if by_rate { one.cell.batch.unwrap_or(1) as f64 / median } else { median }
    };
    let mut arms: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for arm in page.results.arms() {
        let of_arm = group.iter().filter(|one| one.arm.arm == arm);
        let mut points: Vec<(f64, f64)> =
            of_arm.filter_map(|one| Some((along.of(one)?, value(one)))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if !points.is_empty() {
            arms.push((arm, points));
        }
    }
    let shown = fastest(&arms, by_rate);
    let all = || shown.iter().flat_map(|(_, points)| points);
    let places: BTreeSet<u64> = all().map(|(x, _)| x.to_bits()).collect();
    let places: Vec<f64> = places.into_iter().map(f64::from_bits).collect();
    let x =
        Axis::logarithmic(along.name(), Unit::Plain, places.iter().copied()).marked(places.iter().copied());
    let y = match by_rate {
        true => Axis::logarithmic("examples per second", Unit::Scaled, all().map(|(_, y)| *y)),
        false => Axis::logarithmic("time of a call", Unit::Seconds, all().map(|(_, y)| *y)),
    };
    let (series, legend) = drawn(&shown);
    let model = group.first().map(|one| one.cell.model.clone()).unwrap_or_default();
    let title = format!("{model} over {}: {}", along.name(), rest.join(", "));
    let mut table = Table::new(title.clone())
        .texts(["framework"])
        .numbers([along.name(), "median", "examples per second"])
        .in_file(["arm"]);
    for one in group {
        let rate = one.seconds().map(|median| one.cell.batch.unwrap_or(1) as f64 / median);
        table.row(vec![
            Entry::text(one.title()),
            Entry::number(along.of(one), number),
            Entry::number(one.seconds(), seconds),
            Entry::number(rate, scaled),
            Entry::text(one.arm.arm.clone()),
        ]);
    }
    let show = |value: f64| if by_rate { format!("{} per second", scaled(value)) } else { seconds(value) };
    let ends = |points: &[(f64, f64)]| match (points.first(), points.last()) {
        (Some((_, first)), Some((_, last))) => format!("from {} to {}", show(*first), show(*last)),
        _ => String::new(),
    };
    let spoken: Vec<String> =
        shown.iter().map(|(arm, points)| format!("{} {}", crate::arms::title(arm), ends(points))).collect();
    let more = super::more(arms.len() - shown.len());
    let figure = Figure {
        title: format!("{title}{more}"),
        description: spoken.join("; "),
        chart: curves(&Curves { x: &x, y: &y, series: &series, notes: &[] }),
        legend,
        table,
        command: page.command(group.iter().copied()),
    };
    page.figure(figure)
}

/// Where two places were measured there is no curve: how many times the examples per second, a tick for each model and
/// condition.
fn gain(page: &mut Page, along: &Along, mode: &Mode, [from, to]: [f64; 2], group: &[&Measured]) -> Element {
    let rate = |one: &Measured| one.cell.batch.unwrap_or(1) as f64 / one.seconds().unwrap_or(f64::NAN);
    let title = format!("{}: {} from {} to {}", mode.title(), along.name(), number(from), number(to));
    let mut table = Table::new(format!("{title}: how many times the examples per second"))
        .texts(["framework", "model", "conditions"])
        .numbers(["gain"]);
    let mut arms: Vec<(&str, Vec<f64>)> = Vec::new();
    for arm in page.results.arms() {
        let of_arm: Vec<&&Measured> = group.iter().filter(|one| one.arm.arm == arm).collect();
        let mut gains = Vec::new();
        for one in of_arm.iter().filter(|one| along.of(one) == Some(from)) {
            let same = |other: &&&&Measured| {
                along.of(other) == Some(to)
                    && (&other.cell.model, &other.cell.machine) == (&one.cell.model, &one.cell.machine)
                    && along.rest(other) == along.rest(one)
            };
            let Some(other) = of_arm.iter().find(same) else { continue };
            let gain = rate(other) / rate(one);
            gains.push(gain);
            table.row(vec![
                Entry::text(one.title()),
                Entry::text(one.cell.model.clone()),
                Entry::text(along.rest(one).join(", ")),
                Entry::number(Some(gain), ratio),
            ]);
        }
        if !gains.is_empty() {
            arms.push((arm, gains));
        }
    }
    let axis = Axis::from_zero(
        "times the examples per second",
        Unit::Ratio,
        arms.iter().flat_map(|(_, gains)| gains).copied().chain([1.0]),
    );
    let (mut drawn, mut spoken) = (Vec::new(), Vec::new());
    for (arm, gains) in &arms {
        let (ink, marker) = look(arm);
        let mean = geometric_mean(gains).unwrap_or(f64::NAN);
        let marks = vec![Mark::Points { values: gains.clone(), ink }, Mark::Marker { at: mean, ink, marker }];
        spoken.push(format!("{} {}", crate::arms::title(arm), ratio(mean)));
        drawn.push(Row { label: crate::arms::title(arm), value: ratio(mean), tone: Tone::Plain, marks });
    }
    let figure = Figure {
        title: format!("{title}. Geometric means, and a tick for each model and condition."),
        description: format!("Times the examples per second: {}", spoken.join(", ")),
        chart: rows(&axis, &drawn, Some(1.0)),
        legend: Vec::new(),
        table,
        command: page.command(group.iter().copied()),
    };
    page.figure(figure)
}

/// Ours and the fastest at the last place, in the order of the pages.
fn fastest<'a>(arms: &[(&'a str, Vec<(f64, f64)>)], largest: bool) -> Vec<(&'a str, Vec<(f64, f64)>)> {
    let end = |(arm, points): &&(&str, Vec<(f64, f64)>)| {
        let last = points.last().map_or(f64::NAN, |(_, y)| if largest { -y } else { *y });
        (*arm != OURS, last)
    };
    let mut order: Vec<&(&str, Vec<(f64, f64)>)> = arms.iter().collect();
    order.sort_by(|a, b| end(a).0.cmp(&end(b).0).then(end(a).1.total_cmp(&end(b).1)));
    let kept: BTreeSet<&str> = order.into_iter().take(MOST_CURVES).map(|(arm, _)| *arm).collect();
    arms.iter().filter(|(arm, _)| kept.contains(arm)).cloned().collect()
}

/// Curves and their legend; ours is drawn last and stronger.
pub(super) fn drawn(
    arms: &[(&str, Vec<(f64, f64)>)],
) -> (Vec<Series>, Vec<(crate::chart::Ink, crate::chart::Marker, String)>) {
    let mut series = Vec::new();
    let mut legend = Vec::new();
    for (arm, points) in arms {
        let (ink, marker) = look(arm);
        series.push(Series { strong: *arm == OURS, ..Series::line(ink, marker, points.clone()) });
        legend.push((ink, marker, crate::arms::title(arm)));
    }
    series.sort_by_key(|series| series.strong);
    (series, legend)
}
