//! One process of an arm: started, loaded, held to the reference, warmed up, and then timed.

use crate::{
    Agreement, Cell, Ended, Folder, Status, Subject, agreement,
    arm_process::ArmProcess,
    course::{Course, Round},
    honesty::{other_dtype, other_processors, other_threads},
    machine::{Share, energy},
    measure::{MOST_VALUES, Ruler},
    protocol::{First, Loaded, Request, Stopped, Timed, Warmed},
    schedule,
    statistics::{median, steady_from},
};
use std::{path::Path, time::Duration};
use tensor::{Limits, npz};

/// Steps of training that are held to the reference.
const STEPS: u32 = 3;
/// Rounds of warming up before a curve that does not settle is taken as it is.
const WARM_UPS: usize = 4;

/// Why an arm gets no time.
pub(crate) type End = (Status, String);

/// An arm that computes what it should, and is warm.
pub(crate) struct Opened {
    pub arm: ArmProcess,
    pub warm_up: Vec<f64>,
    /// From the start of the process to the first result, and the first call alone.
    pub cold: f64,
    pub first: f64,
    /// What a call takes about.
    pub call: f64,
}

pub(crate) fn opened(
    cell: &Cell,
    subject: &Subject,
    folder: &Folder,
    tolerance: f64,
    ruler: &Ruler,
    (round, number): (usize, usize),
    course: &mut Course,
) -> Result<Opened, End> {
    let mut arm =
        ArmProcess::start(&subject.arm.command, &environment(cell, ruler, round, number)).map_err(end)?;
    let loaded: Loaded =
        arm.ask(&Request::Load(Box::new(subject.load.clone())), ruler.patience).map_err(end)?;
    let other = other_threads(cell.threads, &loaded);
    let dtype = other_dtype(&cell.precision, &loaded);
    course.loaded = Some(loaded);
    if let Some(why) = other {
        return Err((Status::Threads, why));
    }
    if let Some(why) = dtype {
        return Err((Status::Failed, why));
    }
    let to = folder.path.join(format!("given-{number}-{}.npz", std::process::id()));
    let steps = if cell.mode.trains() { STEPS } else { 1 };
    let asked = Request::First { steps, to: to.display().to_string() };
    let first: First = arm.ask(&asked, ruler.patience).map_err(end)?;
    // What comes after the first call is not part of the first result.
    let cold = arm.began.elapsed().as_secs_f64() - first.seconds.iter().skip(1).sum::<f64>();
    let agreed = compare(&to, folder, tolerance)?;
    let correct = agreed.correct;
    let report = agreed.report.clone();
    course.agreement = Some(agreed);
    if !correct {
        return Err((Status::Wrong, report));
    }
    let mut warm_up = first.seconds.clone();
    for _ in 0..WARM_UPS {
        let most = MOST_VALUES as u32;
        let more: Warmed =
            arm.ask(&Request::Warm { seconds: ruler.warm, most }, ruler.patience).map_err(end)?;
        warm_up.extend(numbers(more.samples)?);
        // A few calls that last long are as warm as they get within the time that there is.
        let slow = warm_up.len() < 10 && warm_up.iter().sum::<f64>() > 2.0 * ruler.warm;
        if slow || steady_from(&warm_up).is_some() {
            break;
        }
    }
    let call = median(&warm_up[warm_up.len() / 2..]);
    let first = first.seconds.first().copied().unwrap_or(0.0);
    Ok(Opened { arm, warm_up, cold, first, call })
}

/// The times of a steady arm.
pub(crate) fn timed(cell: &Cell, mut opened: Opened, ruler: &Ruler) -> Result<Round, End> {
    let (arm, call) = (&mut opened.arm, opened.call);
    let samples = ((3.0 * ruler.seconds / call.max(1e-9)) as u32).clamp(3, ruler.samples);
    let before = energy();
    let timed: Timed =
        arm.ask(&Request::Time { seconds: ruler.seconds, samples }, ruler.patience).map_err(end)?;
    let calls = timed.calls as f64 * timed.samples.len() as f64;
    let spent = energy().zip(before).and_then(|(after, before)| after.checked_sub(before));
    let times = numbers(timed.samples)?;
    if times.is_empty() {
        return Err((Status::Failed, "it timed nothing".into()));
    }
    if let Some(why) = other_processors(cell.threads, &timed.cpu, &times, timed.calls) {
        return Err((Status::Threads, why));
    }
    let mut singles = if timed.calls == 1 { times.clone() } else { Vec::new() };
    let wanted = (ruler.singles / ruler.processes.0.max(1)).min((2.0 / call.max(1e-9)) as usize);
    if wanted > singles.len() {
        let most = (wanted - singles.len()) as u32;
        let more: Warmed = arm.ask(&Request::Warm { seconds: 2.0, most }, ruler.patience).map_err(end)?;
        singles.extend(numbers(more.samples)?);
    }
    let stopped: Stopped = arm.ask(&Request::Stop, ruler.patience).map_err(end)?;
    opened.arm.finish(Duration::from_secs(5));
    let hidden = (opened.first - median(&times)).max(0.0);
    Ok(Round {
        samples: times,
        singles,
        warm_up: opened.warm_up,
        cpu: timed.cpu,
        first: opened.cold,
        hidden,
        energy: spent.map(|microjoules| microjoules as f64 * 1e-6 / calls.max(1.0)),
        peak: stopped.peak_bytes,
        share: Share::default(),
    })
}

/// Threads for those that take them from the environment, and padding that moves the stack.
fn environment(cell: &Cell, ruler: &Ruler, round: usize, number: usize) -> Vec<(String, String)> {
    let threads = cell.threads.to_string();
    let names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"];
    let mut environment: Vec<(String, String)> =
        names.iter().map(|name| (name.to_string(), threads.clone())).collect();
    let padding = schedule::padding(ruler.seed, round as u64, number as u64);
    environment.push(("DLC_BENCH_PADDING".into(), "x".repeat(padding)));
    environment
}

pub(crate) fn end(ended: Ended) -> End {
    match ended {
        Ended::Cannot(why) => (Status::Cannot, why),
        Ended::Missing { what, install } => (Status::Missing, format!("{what} is not installed: {install}")),
        Ended::Failed(why) => (Status::Failed, why),
    }
}

pub(crate) fn numbers(samples: Vec<f64>) -> Result<Vec<f64>, End> {
    match samples.iter().find(|sample| !sample.is_finite() || **sample < 0.0) {
        Some(sample) => Err((Status::Impossible, format!("it told of a call that took {sample} s"))),
        None => Ok(samples),
    }
}

fn compare(to: &Path, folder: &Folder, tolerance: f64) -> Result<Agreement, End> {
    let given = npz::read(to, &Limits::default());
    let _ = std::fs::remove_file(to);
    let given = given.map_err(|fault| (Status::Failed, format!("it wrote no results: {}", fault.message)))?;
    Ok(agreement(&given, &folder.results, tolerance))
}
