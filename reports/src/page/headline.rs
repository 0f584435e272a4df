//! What most people want to know: how much faster, in the middle and at worst.

use super::{Page, Section, grid, p};
use crate::{
    arms::{look, title},
    chart::{Axis, Ink, Mark, Marker, Row, Tone, Unit, rows},
    figure::Figure,
    html::{Element, el},
    number::{counted, ratio, seconds},
    results::{Comparison, Measured, Mode, Summary, Verdict},
    table::{Entry, Table},
};
use std::collections::BTreeMap;

/// Losses that are open to see; the others unfold.
const MOST_LOSSES: usize = 12;

const FASTEST: &str = "the fastest other";

pub(super) fn section(page: &mut Page) -> Option<Section> {
    let results = page.results;
    let all: Vec<Comparison> = results
        .measured
        .iter()
        .filter(|measured| !measured.is_ours())
        .filter_map(|measured| results.compare(measured))
        .collect();
    if all.is_empty() {
        return None;
    }
    let mut body = vec![p(
        "A ratio is the time of the other framework divided by that of dlc on the same model, batch, threads and \
         precision: above 1× dlc is faster. Means are geometric, over models; intervals hold in 95 of 100 cases. A row \
         within the noise of this machine counts as no difference.",
    )];
    let (mut cards, mut figures) = (Vec::new(), Vec::new());
    for mode in results.modes() {
        let of_mode: Vec<&Comparison> = all.iter().filter(|one| one.ours.cell.mode == *mode).collect();
        let mut groups = vec![(FASTEST.to_string(), fastest(&of_mode))];
        for arm in results.arms() {
            let against = of_mode.iter().filter(|one| one.theirs.arm.arm == arm).map(|one| (*one).clone());
            groups.push((arm.to_string(), against.collect()));
        }
        let groups: Vec<(String, Summary)> =
            groups.iter().filter_map(|(name, rows)| Some((name.clone(), Summary::of(rows)?))).collect();
        let shown = groups.iter().filter(|(name, _)| name == FASTEST || name == "pytorch");
        cards.extend(shown.map(|(name, summary)| card(mode, name, summary)));
        if !groups.is_empty() {
            figures.push(figure(
                page,
                mode,
                &groups,
                of_mode.iter().flat_map(|one| [one.ours, one.theirs]).collect(),
            ));
        }
    }
    body.push(el("div").class("cards").children(cards));
    body.push(grid(figures));
    body.extend(losses(&all));
    Some(Section { id: "summary", title: "Summary", body })
}

/// In each cell the one to beat.
fn fastest<'r>(comparisons: &[&Comparison<'r>]) -> Vec<Comparison<'r>> {
    let mut best = BTreeMap::new();
    for one in comparisons {
        let known = best.entry(&one.ours.cell).or_insert_with(|| (*one).clone());
        if one.ratio < known.ratio {
            *known = (*one).clone();
        }
    }
    best.into_values().collect()
}

fn card(mode: &Mode, name: &str, summary: &Summary) -> Element {
    let Summary { mean, models, rows, faster, slower, worst, .. } = summary;
    let against =
        if name == FASTEST { "the fastest other framework of each row".into() } else { title(name) };
    let same = rows - faster - slower;
    el("div")
        .class("card")
        .child(el("p").class("what").text(format!("{}, against {against}", mode.title())))
        .child(el("p").class("big").text(ratio(mean.value)))
        .child(p(format!(
            "geometric mean of {}, {} to {}",
            counted(*models, "model"),
            ratio(mean.low),
            ratio(mean.high)
        )))
        .child(el("p").class("worst").text(format!(
            "Worst: {} on {}, {}, against {}",
            ratio(worst.ratio),
            worst.ours.cell.model,
            worst.ours.cell.conditions(),
            worst.theirs.title()
        )))
        .child(p(format!(
            "faster in {faster}, no difference in {same}, slower in {slower} of {}",
            counted(*rows, "row")
        )))
}

fn figure(page: &mut Page, mode: &Mode, groups: &[(String, Summary)], used: Vec<&Measured>) -> Element {
    let values =
        groups.iter().flat_map(|(_, one)| [one.mean.low, one.mean.high, one.worst.ratio, one.best.ratio]);
    let axis = Axis::logarithmic("← dlc slower · dlc faster →", Unit::Ratio, values.chain([1.0]));
    let heads =
        ["95 % low", "95 % high", "worst", "best", "models", "rows", "faster", "no difference", "slower"];
    let mut table = Table::new(format!("{}: ratios of times, other by dlc", mode.title()))
        .texts(["against"])
        .numbers(["geometric mean"])
        .numbers(heads)
        .texts(["worst row"]);
    let (mut drawn, mut spoken) = (Vec::new(), Vec::new());
    for (name, summary) in groups {
        let Summary { mean, models, rows, faster, slower, worst, best } = summary;
        let (ink, marker) = if name == FASTEST { (Ink::TEXT, Marker::Diamond) } else { look(name) };
        let label = if name == FASTEST { FASTEST.to_string() } else { title(name) };
        let marks = vec![
            Mark::Marker { at: worst.ratio, ink: Ink::FAINT, marker: Marker::Plus },
            Mark::Marker { at: best.ratio, ink: Ink::FAINT, marker: Marker::Plus },
            Mark::Interval { from: mean.low, to: mean.high, ink },
            Mark::Marker { at: mean.value, ink, marker },
        ];
        drawn.push(Row { label: label.clone(), value: ratio(mean.value), tone: Tone::Plain, marks });
        spoken.push(format!("{label} {}", ratio(mean.value)));
        let of = |value: f64| Entry::number(Some(value), ratio);
        let count = |value: &usize| Entry::count(Some(*value as u64));
        table.row(vec![
            Entry::text(label),
            of(mean.value),
            of(mean.low),
            of(mean.high),
            of(worst.ratio),
            of(best.ratio),
            count(models),
            count(rows),
            count(faster),
            count(&(rows - faster - slower)),
            count(slower),
            Entry::text(format!("{}, {}", worst.ours.cell.model, worst.ours.cell.conditions())),
        ]);
    }
    let title = format!(
        "{}: dlc against each framework. Means with intervals; crosses are the worst and the best row.",
        mode.title()
    );
    let figure = Figure {
        title,
        description: format!("Geometric mean ratios, above 1 dlc is faster: {}", spoken.join(", ")),
        chart: rows(&axis, &drawn, Some(1.0)),
        legend: Vec::new(),
        table,
        command: page.command(used),
    };
    page.figure(figure)
}

/// Every row in which another is faster: nobody has to look for them.
fn losses(all: &[Comparison]) -> Vec<Element> {
    let mut slower: Vec<&Comparison> = all.iter().filter(|one| one.verdict == Verdict::Slower).collect();
    slower.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
    let head = el("h3").text("Where another framework is faster");
    if slower.is_empty() {
        return vec![head, p("In none of the rows.")];
    }
    let few = slower.len() > MOST_LOSSES + MOST_LOSSES / 2;
    let (first, rest) = slower.split_at(if few { MOST_LOSSES } else { slower.len() });
    let of = counted(all.len(), "comparison");
    let mut parts =
        vec![head, losses_table(format!("{} of {of}, the worst first", slower.len()), first).html()];
    if !rest.is_empty() {
        let table = losses_table("The others".into(), rest);
        parts.push(
            el("details").child(el("summary").text(format!("{} more", rest.len()))).child(table.html()),
        );
    }
    parts
}

fn losses_table(caption: String, rows: &[&Comparison]) -> Table {
    let mut table = Table::new(caption).texts(["model", "mode", "conditions", "framework"]).numbers([
        "ratio",
        "at best",
        "its time",
        "time of dlc",
    ]);
    for one in rows {
        let cell = &one.ours.cell;
        table.row(vec![
            Entry::text(cell.model.clone()),
            Entry::text(cell.mode.title()),
            Entry::text(cell.conditions()),
            Entry::text(one.theirs.title()),
            Entry::number(Some(one.ratio), ratio).marked("slow"),
            Entry::number(Some(one.interval[1]), ratio),
            Entry::number(one.theirs.seconds(), seconds),
            Entry::number(one.ours.seconds(), seconds),
        ]);
    }
    table
}
