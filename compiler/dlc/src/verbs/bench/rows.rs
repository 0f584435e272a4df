//! A row a cell: how many times as long as `dlc` each other arm takes, and how near `dlc` comes to what the machine can do.

use super::table::seconds;
use crate::output;
use bench_suite::{
    ArmLine, EnvironmentLine, FloorLine, Line, Status,
    statistics::{differ, ratio},
};
use std::collections::BTreeMap;

/// What a table is about: model, mode, threads, precision.
type Subject<'a> = (&'a str, &'a str, usize, &'a str);
/// What a row is about.
type Sizes<'a> = (u64, &'a BTreeMap<String, u64>);

#[derive(Default)]
struct Table<'a> {
    rows: Vec<Row<'a>>,
    limits: Limits,
}

struct Row<'a> {
    sizes: Sizes<'a>,
    arms: Vec<&'a ArmLine>,
    floor: f64,
    /// As `dlc` was measured with them.
    limits: Limits,
}

/// Operations and bytes a second that the machine reached with the table's threads.
#[derive(Clone, Copy, Default, PartialEq)]
struct Limits {
    flops: Option<f64>,
    bytes: Option<f64>,
}

/// A table for each model, mode, number of threads and precision, of the models that are wanted.
pub fn tables(lines: &[Line], wanted: impl Fn(&str) -> bool) -> String {
    let mut tables: BTreeMap<Subject, Table> = BTreeMap::new();
    let mut here: Option<&EnvironmentLine> = None;
    for line in lines {
        match line {
            Line::Environment(environment) => here = Some(environment),
            Line::Arm(arm) if wanted(&arm.model) => {
                let limits = limits(here, arm.threads);
                let table = tables.entry(subject(arm)).or_default();
                let row = table.row((arm.batch, &arm.sizes));
                if arm.arm == "dlc" {
                    row.limits = limits;
                    table.limits = limits;
                    table.row((arm.batch, &arm.sizes)).arms.insert(0, arm);
                } else {
                    row.arms.push(arm);
                }
            }
            _ => {}
        }
    }
    for line in lines {
        if let Line::Floor(floor) = line
            && let Some(table) = tables.get_mut(&subject_of_floor(floor))
        {
            table.row((floor.batch, &floor.sizes)).floor = floor.spread;
        }
    }
    tables.iter().map(|(subject, table)| text(subject, table)).collect::<Vec<_>>().join("\n")
}

fn subject(arm: &ArmLine) -> Subject<'_> {
    (&arm.model, arm.mode.name(), arm.threads, &arm.precision)
}

fn subject_of_floor(floor: &FloorLine) -> Subject<'_> {
    (&floor.model, floor.mode.name(), floor.threads, &floor.precision)
}

fn limits(environment: Option<&EnvironmentLine>, threads: usize) -> Limits {
    let of = |values: &BTreeMap<String, f64>| values.get(&threads.to_string()).map(|value| value * 1e9);
    environment.map_or(Limits::default(), |environment| Limits {
        flops: of(&environment.peaks.gflops),
        bytes: of(&environment.peaks.copy_gbs),
    })
}

impl<'a> Table<'a> {
    fn row(&mut self, sizes: Sizes<'a>) -> &mut Row<'a> {
        let found = self.rows.iter().position(|row| row.sizes == sizes);
        let place = found.unwrap_or_else(|| {
            self.rows.push(Row { sizes, arms: Vec::new(), floor: 0.0, limits: Limits::default() });
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }
}

impl Row<'_> {
    fn ours(&self) -> Option<&ArmLine> {
        self.arms.iter().copied().find(|arm| arm.arm == "dlc" && arm.status == Status::Ok)
    }

    fn arm(&self, name: &str) -> Option<&ArmLine> {
        self.arms.iter().copied().find(|arm| arm.arm == name)
    }

    /// Their time by ours, and whether that is more than noise.
    fn against(&self, name: &str) -> Option<(f64, bool)> {
        let theirs = self.arm(name).filter(|arm| arm.status == Status::Ok)?;
        let found = ratio(&self.ours()?.process_medians_s, &theirs.process_medians_s)?;
        Some((found.middle, differ(found, self.floor)))
    }

    /// The least time that the machine could take for the work as it is written, by the time that ours takes.
    fn share(&self) -> Option<f64> {
        let ours = self.ours().filter(|ours| ours.precision == "f32")?;
        let of = |work: Option<f64>, limit: Option<f64>| Some(work? / limit?);
        let arithmetic = of(ours.flops, self.limits.flops);
        let memory = of(ours.bytes, self.limits.bytes);
        let least = arithmetic.into_iter().chain(memory).reduce(f64::max)?;
        Some(least / ours.median_s?)
    }

    fn best<'n>(&self, peers: &[&'n str]) -> Option<(&'n str, f64, bool)> {
        let found =
            peers.iter().filter_map(|name| self.against(name).map(|(ratio, known)| (*name, ratio, known)));
        found.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// Ours in another way: no peer.
fn is_ours(name: &str) -> bool {
    name == "dlc" || name.starts_with("dlc-")
}

fn text((model, mode, threads, precision): &Subject, table: &Table) -> String {
    let mut names: Vec<&str> = Vec::new();
    for arm in table.rows.iter().flat_map(|row| &row.arms).filter(|arm| arm.arm != "dlc") {
        if !names.contains(&arm.arm.as_str()) {
            names.push(&arm.arm);
        }
    }
    names.sort_unstable();
    let (own, peers): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| is_ours(name));
    let arms: Vec<&str> = peers.iter().chain(&own).copied().collect();
    let mut head = vec!["sizes".to_string(), "dlc".into(), "of the limit".into()];
    head.extend(arms.iter().map(|name| name.to_string()));
    head.extend(["best".to_string(), "best by dlc".into()]);
    let right: Vec<bool> = (0..head.len()).map(|column| column > 0 && column != head.len() - 2).collect();
    let shown = |(ratio, known): (f64, bool)| format!("{ratio:.2}{}", if known { " " } else { "≈" });
    let mut rows = vec![head];
    for row in &table.rows {
        let best = row.best(&peers);
        let mut cells = vec![
            sizes(row.sizes),
            row.ours().and_then(|ours| ours.median_s).map_or("–".into(), seconds),
            row.share().map_or(String::new(), |share| format!("{:.0} %", share * 100.0)),
        ];
        cells.extend(arms.iter().map(|name| match (row.against(name), row.arm(name)) {
            (Some(found), _) => shown(found),
            (None, Some(arm)) if arm.status != Status::Ok => super::table::word(arm.status).into(),
            _ => String::new(),
        }));
        cells.push(best.map_or(String::new(), |(name, ..)| name.into()));
        cells.push(best.map_or(String::new(), |(_, ratio, known)| shown((ratio, known))));
        rows.push(cells);
    }
    let words = if *threads == 1 { "thread" } else { "threads" };
    let mut text = format!("{model}, {mode}, {threads} {words}, {precision}\n");
    text += &output::table(&rows, &right);
    let found: Vec<f64> = table.rows.iter().filter_map(|row| Some(row.best(&peers)?.1)).collect();
    if let Some(least) = found.iter().copied().reduce(f64::min) {
        let mean = (found.iter().map(|ratio| ratio.ln()).sum::<f64>() / found.len() as f64).exp();
        let won = found.iter().filter(|ratio| **ratio >= 1.0).count();
        text += &format!(
            "the best of the others by dlc: geometric mean {mean:.2}, least {least:.2}, at least 1 in {won} of {} rows\n",
            found.len()
        );
    }
    if let Limits { flops: Some(flops), bytes: Some(bytes) } = table.limits {
        text += &format!("the limit: {:.0} GFLOP/s, {:.1} GB/s of a copy\n", flops / 1e9, bytes / 1e9);
    }
    text
}

fn sizes((batch, sizes): Sizes) -> String {
    let all = [("batch", &batch)].into_iter().chain(sizes.iter().map(|(dim, size)| (dim.as_str(), size)));
    all.map(|(dim, size)| format!("{dim} {size}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_suite::parse;

    const LINE: &str = r#"{"kind":"arm","framework":null,"version":null,"model":"gemm","mode":"infer","batch":1,"threads":1,"precision":"f32","style":"","why":null,"install":null,"ci95_s":null,"n":1,"processes":5,"samples_s":[],"p50_s":null,"p90_s":null,"p95_s":null,"p99_s":null,"first_s":null,"import_s":null,"load_s":null,"compile_s":null,"warm_up_s":[],"cpu_s":null,"energy_j":null,"peak_bytes":null,"artifact_bytes":null,"correct":true,"max_error":null,"max_relative":null,"argmax_agreement":null,"threads_seen":1,"dtype_seen":"f32","flags":{},"steal":0.0,"others":0.0,"redone":0,"machine":"m","commit":"c","command":"","cell":"","#;

    fn line(arm: &str, m: u64, status: &str, median: f64) -> String {
        let medians = [median, median * 1.01, median * 0.99, median, median];
        let median = if status == "ok" { format!("{median}") } else { "null".into() };
        format!(
            "{LINE}\"arm\":\"{arm}\",\"sizes\":{{\"m\":{m}}},\"status\":\"{status}\",\"median_s\":{median},\
             \"process_medians_s\":{medians:?},\"flops\":1e8,\"bytes\":1e6}}\n"
        )
    }

    #[test]
    fn rows_have_ratios_and_a_share_of_the_limit() {
        let environment = EnvironmentLine {
            peaks: bench_suite::PeaksLine {
                gflops: BTreeMap::from([("1".into(), 100.0)]),
                copy_gbs: BTreeMap::from([("1".into(), 20.0)]),
            },
            ..EnvironmentLine::default()
        };
        let mut text = serde_json::to_string(&Line::Environment(Box::new(environment))).unwrap() + "\n";
        // Both limits: 1 ms of arithmetic, 50 µs of memory.
        text += &line("pytorch", 8, "ok", 3e-3);
        text += &line("dlc", 8, "ok", 2e-3);
        text += &line("openvino", 8, "ok", 2.4e-3);
        text += &line("tvm", 8, "missing", 1.0);
        text += &line("dlc-dynamic", 8, "ok", 2e-3);
        text += &line("dlc", 16, "ok", 1.25e-3);
        text += &line("pytorch", 16, "ok", 1e-3);
        let lines = parse(text.as_bytes(), "results").unwrap();
        let text = tables(&lines, |name| name == "gemm");
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0].join(" "), "gemm, infer, 1 thread, f32");
        let expected = [
            "batch 1, m 8 2.000 ms 50 % 1.20 1.50 missing 1.00≈ openvino 1.20",
            "batch 1, m 16 1.250 ms 80 % 0.80 pytorch 0.80",
        ];
        assert_eq!([rows[3].join(" "), rows[4].join(" ")], expected, "{text}");
        assert!(text.contains("geometric mean 0.98, least 0.80, at least 1 in 1 of 2 rows"), "{text}");
        assert!(text.contains("100 GFLOP/s, 20.0 GB/s"), "{text}");
        assert_eq!(tables(&lines, |_| false), "");
    }
}
