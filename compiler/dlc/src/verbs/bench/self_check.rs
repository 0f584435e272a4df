//! Whether what is claimed here is true: identical arms, and one that is known to be slower.

use super::{
    Arguments, Bench, Job, jobs,
    suite::{self, Suite},
};
use crate::{cx::Cx, fault::Fault, output};
use base::Diagnostic;
use bench_suite::{
    Peaks, Ruler, Subject, measure, prepare,
    statistics::{differ, ratio},
};
use serde_json::json;
use std::collections::BTreeMap;
use tensor::file::write_atomically;

/// How often.
const EXPERIMENTS: usize = 20;
/// How many of them have to come out right.
const RIGHT: usize = 19;
/// How much slower the slower arm is.
const SLOWER: f64 = 1.1;

/// Long enough that a call is no matter of the clock, short enough for many experiments.
const MODEL: &str = "model SelfCheck(wide: dim = 256)(x: f32[batch, 256]) -> (y: f32[batch, 16]) {
    y = x |> dense(wide) |> relu |> dense(wide) |> relu |> dense(16)
}

bench SelfCheck { batch = 16; mode = infer; against = dlc }
";

pub fn run(cx: &Cx, found: &Suite, arguments: &Arguments) -> Result<(), Fault> {
    let source = found.cells().join("self_check.model");
    std::fs::create_dir_all(found.cells()).map_err(|fault| {
        Diagnostic::error("E0826", format!("cannot make the folder `{}`: {fault}", found.cells().display()))
    })?;
    write_atomically(&source, MODEL.as_bytes())?;
    let bench = Bench::new(cx, arguments, Suite::find(arguments.suite.as_deref())?)?;
    let jobs = jobs::of_source(cx, &source, arguments)?;
    let (mut false_claims, mut slower_found, mut rows) = (0, 0, Vec::new());
    for experiment in 0..EXPERIMENTS {
        let (same, slower, floor) = bench.experiment(&jobs[0], experiment as u64)?;
        let (claimed, found) = (differ(same, floor), differ(slower, floor) && slower.middle > 1.0);
        false_claims += usize::from(claimed);
        slower_found += usize::from(found);
        rows.push(json!({
            "experiment": experiment, "floor": floor, "claimed": claimed, "found": found,
            "same": [same.low, same.middle, same.high], "slower": [slower.low, slower.middle, slower.high],
        }));
        cx.say(&format!(
            "{:>2}: floor {:.1} %, the same arm {:.3}{}, the slower one {:.3}{}",
            experiment + 1,
            floor * 100.0,
            same.middle,
            if claimed { " (claimed to differ)" } else { "" },
            slower.middle,
            if found { "" } else { " (not found)" },
        ));
    }
    let right = EXPERIMENTS - false_claims >= RIGHT && slower_found >= RIGHT;
    let text = format!(
        "no difference between identical arms: {} of {EXPERIMENTS}\na slowdown of 10 % found: {slower_found} of {EXPERIMENTS}\n",
        EXPERIMENTS - false_claims
    );
    let page = json!({
        "environment": suite::environment(bench.seed), "experiments": rows,
        "right_of_identical": EXPERIMENTS - false_claims, "slowdowns_found": slower_found, "of": EXPERIMENTS,
    });
    write_atomically(&arguments.out, format!("{page:#}\n").as_bytes())?;
    output::print(&text)?;
    if right { Ok(()) } else { Err(Fault::Told) }
}

impl Bench<'_> {
    /// The ratios of an identical arm and of a slower one, and the floor by a third.
    fn experiment(
        &self,
        job: &Job,
        number: u64,
    ) -> Result<(bench_suite::statistics::Ratio, bench_suite::statistics::Ratio, f64), Fault> {
        let cell = &job.cells[0];
        let inputs = bench_suite::arrays(job.model.inputs.iter(), &cell.dims(), self.seed)?;
        let mut definition = super::Definition::new(self.cx, job, &job.source, cell, &inputs);
        let folder = prepare(&self.suite.cells(), &job.folder(cell, self.seed)?, &inputs, &mut definition)?;
        let dlc = self.arms.get("dlc")?.clone();
        let named = |name: &str, more: &[String]| {
            let mut arm = dlc.clone();
            arm.name = name.into();
            arm.command.extend(more.iter().cloned());
            arm
        };
        let slower = ["--slow-down".to_string(), SLOWER.to_string()];
        let arms = [dlc.clone(), named("same", &[]), named("slower", &slower)];
        let subjects: Vec<Subject> = self.subjects(job, cell, &arms, &folder.path, &job.source);
        // Processes differ by more than samples in one, so many short ones find a slowdown sooner than few long ones.
        let ruler = Ruler {
            processes: (9, 21),
            seconds: 0.4,
            samples: 20,
            warm: 0.1,
            bound: 0.015,
            singles: 0,
            seed: self.seed + number,
            ..self.ruler.clone()
        };
        let measured = measure(cell, &subjects, &folder, (1e-4, 1.0), &Peaks::default(), &ruler, &mut |_| {});
        let medians: BTreeMap<&str, &[f64]> =
            measured.arms.iter().map(|line| (line.arm.as_str(), line.process_medians_s.as_slice())).collect();
        let between = |name: &str| ratio(medians.get("dlc")?, medians.get(name)?);
        let floor = measured.floor.map(|floor| floor.spread);
        match (between("same"), between("slower"), floor) {
            (Some(same), Some(slower), Some(floor)) => Ok((same, slower, floor)),
            _ => {
                let why = measured.arms.iter().find_map(|line| line.why.clone()).unwrap_or_default();
                Err(Diagnostic::error("E1014", format!("an arm of our own gave no time: {why}")).into())
            }
        }
    }
}
