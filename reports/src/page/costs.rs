//! What comes before the first result, and what a run takes of the memory.

use super::{Page, Section, grid, p};
use crate::{
    arms::{OURS, look},
    chart::{Axis, Fill, Mark, Row, Tone, Unit, rows},
    figure::Figure,
    html::Element,
    number::{bytes, scaled, seconds},
    record::Status,
    results::{Cell, Measured},
    table::{Entry, Table},
};
use std::collections::BTreeSet;

/// One cell a model and mode: that of the smallest batch and the fewest threads.
fn first_cells<'r>(page: &Page<'r>) -> Vec<&'r Cell> {
    let mut seen = BTreeSet::new();
    let cells = page.results.cells_of_calls();
    cells.filter(|cell| seen.insert((cell.model_number, &cell.mode, &cell.machine))).collect()
}

pub(super) fn start(page: &mut Page) -> Option<Section> {
    let mut figures = Vec::new();
    for cell in first_cells(page) {
        let arms = page.results.of_cell(cell);
        let known: Vec<&Measured> =
            arms.into_iter().filter(|one| one.status == Status::Ok && one.arm.first_s.is_some()).collect();
        if !known.is_empty() {
            figures.push(start_figure(page, cell, &known));
        }
    }
    let text = "From the start of a process to its first result: the import of the framework (outlined), compilation \
                (full, with what the first call hides), and everything else, such as reading weights and the call \
                (light). After so many calls as the table says under \"break-even\", the faster calls of dlc have made \
                good for what it takes longer to begin, or the other way round.";
    let body = |figures| vec![p(text), grid(figures)];
    (!figures.is_empty()).then(|| Section {
        id: "start",
        title: "Time to the first result",
        body: body(figures),
    })
}

fn start_figure(page: &mut Page, cell: &Cell, arms: &[&Measured]) -> Element {
    let whole = |one: &Measured| one.arm.first_s.unwrap_or(0.0);
    let mut sorted = arms.to_vec();
    sorted.sort_by(|a, b| whole(a).total_cmp(&whole(b)));
    let axis = Axis::from_zero("since the process began", Unit::Seconds, arms.iter().map(|one| whole(one)));
    let mut drawn = Vec::new();
    for one in &sorted {
        let (ink, _) = look(&one.arm.arm);
        let import = one.arm.import_s.unwrap_or(0.0).min(whole(one));
        let compiled = (import + one.arm.compile_s.unwrap_or(0.0)).min(whole(one));
        let parts = [
            (0.0, import, Fill::Outline),
            (import, compiled, Fill::Full),
            (compiled, whole(one), Fill::Light),
        ];
        let marks = parts.into_iter().filter(|(from, to, _)| to > from);
        let marks = marks.map(|(from, to, fill)| Mark::Bar { from, to, ink, fill }).collect();
        drawn.push(Row { label: one.title(), value: seconds(whole(one)), tone: tone(one), marks });
    }
    let ours = arms.iter().find(|one| one.arm.arm == OURS);
    let mut table = Table::new(format!("{}: until the first result", cell.title()))
        .texts(["framework"])
        .numbers(["first result", "import", "compile", "each call"])
        .texts(["break-even with dlc"])
        .in_file(["arm"]);
    for one in &sorted {
        let even = ours
            .filter(|ours| ours.arm.arm != one.arm.arm)
            .map(|ours| break_even(ours, one))
            .unwrap_or_default();
        table.row(vec![
            Entry::text(one.title()),
            Entry::number(one.arm.first_s, seconds),
            Entry::number(one.arm.import_s, seconds),
            Entry::number(one.arm.compile_s, seconds),
            Entry::number(one.seconds(), seconds),
            Entry::text(even),
            Entry::text(one.arm.arm.clone()),
        ]);
    }
    let spoken: Vec<String> =
        sorted.iter().map(|one| format!("{} {}", one.title(), seconds(whole(one)))).collect();
    let figure = Figure {
        title: format!("Until the first result: {}", cell.title()),
        description: format!("The soonest first: {}", spoken.join(", ")),
        chart: rows(&axis, &drawn, None),
        legend: Vec::new(),
        table,
        command: page.command(arms.iter().copied()),
    };
    page.figure(figure)
}

/// Ours is found at a glance.
fn tone(one: &Measured) -> Tone {
    if one.arm.arm == OURS { Tone::Strong } else { Tone::Plain }
}

/// Which is ahead, and from which call on.
fn break_even(ours: &Measured, theirs: &Measured) -> String {
    let (Some(our_start), Some(their_start)) = (ours.arm.first_s, theirs.arm.first_s) else {
        return String::new();
    };
    let (Some(our_call), Some(their_call)) = (ours.seconds(), theirs.seconds()) else { return String::new() };
    let calls = (our_start - their_start) / (their_call - our_call);
    match (our_start <= their_start, our_call <= their_call) {
        (true, true) => "dlc ahead from the start".into(),
        (false, false) => "dlc behind throughout".into(),
        (false, true) => format!("dlc ahead from call {}", scaled(calls.ceil() + 1.0)),
        (true, false) => format!("dlc ahead until call {}", scaled(calls.floor() + 1.0)),
    }
}

pub(super) fn memory(page: &mut Page) -> Option<Section> {
    let mut figures = Vec::new();
    for cell in first_cells(page) {
        let arms = page.results.of_cell(cell);
        let mut known: Vec<(&Measured, f64)> = arms
            .into_iter()
            .filter(|one| one.status == Status::Ok)
            .filter_map(|one| Some((one, one.arm.peak_bytes?)))
            .collect();
        known.sort_by(|a, b| a.1.total_cmp(&b.1));
        if !known.is_empty() {
            figures.push(memory_figure(page, cell, &known));
        }
    }
    let text = "The most memory that a process held at once, with the framework itself.";
    (!figures.is_empty()).then(|| Section {
        id: "memory",
        title: "Memory",
        body: vec![p(text), grid(figures)],
    })
}

fn memory_figure(page: &mut Page, cell: &Cell, arms: &[(&Measured, f64)]) -> Element {
    let axis = Axis::from_zero("peak memory of the process", Unit::Bytes, arms.iter().map(|(_, size)| *size));
    let mut table =
        Table::new(format!("{}: peak memory", cell.title())).texts(["framework"]).numbers(["peak memory"]);
    let (mut drawn, mut spoken) = (Vec::new(), Vec::new());
    for (one, size) in arms {
        let (ink, _) = look(&one.arm.arm);
        let bar = Mark::Bar {
            from: 0.0,
            to: *size,
            ink,
            fill: if one.arm.arm == OURS { Fill::Full } else { Fill::Light },
        };
        drawn.push(Row { label: one.title(), value: bytes(*size), tone: tone(one), marks: vec![bar] });
        spoken.push(format!("{} {}", one.title(), bytes(*size)));
        table.row(vec![Entry::text(one.title()), Entry::number(Some(*size), bytes)]);
    }
    let figure = Figure {
        title: format!("Peak memory: {}", cell.title()),
        description: format!("The least first: {}", spoken.join(", ")),
        chart: rows(&axis, &drawn, None),
        legend: Vec::new(),
        table,
        command: page.command(arms.iter().map(|(one, _)| *one)),
    };
    page.figure(figure)
}
