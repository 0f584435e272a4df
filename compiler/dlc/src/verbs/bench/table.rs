//! One row an arm, for people.

use crate::output;
use bench_suite::{
    ArmLine, Cell, Measured, Status,
    statistics::{differ, ratio},
};

pub fn table(cell: &Cell, measured: &Measured) -> String {
    let ours = |of: &ArmLine| {
        measured.arms.iter().find(|it| it.arm == "dlc" && it.status == Status::Ok && it.sizes == of.sizes)
    };
    let floor = measured.floor.as_ref().map(|floor| floor.spread);
    let head = ["arm", "median", "95 %", "against dlc", "agrees", "memory", "first result"];
    let mut rows = vec![head.map(String::from).to_vec()];
    let mut reasons = String::new();
    for line in &measured.arms {
        let Some(middle) = line.median_s else {
            let why = line.why.as_deref().unwrap_or_default();
            let why = why.lines().next().unwrap_or_default();
            let what = word(line.status);
            reasons += &format!("{}: {what}: {why}\n", line.arm);
            continue;
        };
        let interval =
            line.ci95_s.map_or(String::new(), |[low, high]| format!("{} … {}", seconds(low), seconds(high)));
        rows.push(vec![
            named(line),
            seconds(middle),
            interval,
            against(line, ours(line), floor),
            line.max_relative.map_or(String::new(), |error| format!("{error:.0e}")),
            line.peak_bytes.map_or(String::new(), |bytes| format!("{} MiB", bytes >> 20)),
            line.first_s.map_or(String::new(), seconds),
        ]);
    }
    let mut text = format!("{}\n", cell.name());
    if rows.len() > 1 {
        text += &output::table(&rows, &[false, true, true, true, true, true, true]);
    }
    text += &reasons;
    if let Some(floor) = floor {
        text += &format!("noise floor: dlc against itself {:.1} %\n", floor * 100.0);
    }
    let redone: usize = measured.arms.iter().map(|line| line.redone).sum();
    let disturbed = measured.arms.iter().any(|line| line.others > 0.1 || line.steal > 0.02);
    if disturbed {
        text += &format!("the machine was busy with other work: {redone} processes were repeated\n");
    }
    text.push('\n');
    text
}

/// How many times as long as ours, or that nothing can be said.
fn against(line: &ArmLine, ours: Option<&ArmLine>, floor: Option<f64>) -> String {
    let Some(ours) = ours.filter(|ours| ours.arm != line.arm) else { return String::new() };
    let Some(found) = ratio(&ours.process_medians_s, &line.process_medians_s) else { return String::new() };
    if differ(found, floor.unwrap_or(0.0)) { format!("{:.2}", found.middle) } else { "no difference".into() }
}

/// With the load of a server.
fn named(line: &ArmLine) -> String {
    let load = line.sizes.get("load_percent").map(|load| format!(" at {load} %"));
    line.arm.clone() + &load.unwrap_or_default()
}

pub fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "measured",
        Status::Wrong => "wrong",
        Status::Missing => "missing",
        Status::Cannot => "not offered",
        Status::Failed => "failed",
        Status::Impossible => "impossible",
        Status::Threads => "other threads",
    }
}

pub fn seconds(value: f64) -> String {
    match value {
        value if value < 1e-3 => format!("{:.2} µs", value * 1e6),
        value if value < 1.0 => format!("{:.3} ms", value * 1e3),
        value => format!("{value:.3} s"),
    }
}
