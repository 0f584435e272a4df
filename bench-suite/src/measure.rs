//! One cell: its arms take turns in processes of their own until their times are known well enough.

use crate::{
    Agreement, Arm, ArmLine, Cell, Ended, FloorLine, Folder, Peaks, Shares, Status, agreement,
    arm_process::ArmProcess,
    honesty::{impossible, other_dtype, other_threads},
    machine::Share,
    protocol::{First, Load, Loaded, Request, Stopped, Timed, Warmed},
    schedule,
    statistics::{floor, interval, median, median_of_medians, percentile, steady_from, thinned},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tensor::{Limits, npz};

/// Values of a list that a line carries.
const MOST_VALUES: usize = 200;
/// Steps of training that are held to the reference.
const STEPS: u32 = 3;
/// Rounds of warming up before a curve that does not settle is taken as it is.
const WARM_UPS: usize = 4;

/// How long and how well is measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Ruler {
    /// Processes of each arm: at least, at most.
    pub processes: (usize, usize),
    /// Timed seconds of a process, and samples in them.
    pub seconds: f64,
    pub samples: u32,
    pub warm: f64,
    /// Half the interval as a share of the median at which an arm is known well enough.
    pub bound: f64,
    /// Seconds of an arm after which it gets no more processes beyond the least.
    pub budget: f64,
    /// How often a process is repeated that others disturbed.
    pub redo: usize,
    /// Shares of the machine's time above which a process counts as disturbed.
    pub steal: f64,
    pub others: f64,
    /// Single calls to time in all, for percentiles; as many as two seconds of a process allow.
    pub singles: usize,
    /// The longest that a single reply may take.
    pub patience: Duration,
    pub seed: u64,
}

impl Ruler {
    pub fn full(seed: u64) -> Ruler {
        Ruler {
            processes: (5, 11),
            seconds: 1.0,
            samples: 20,
            warm: 0.5,
            bound: 0.02,
            budget: 60.0,
            redo: 3,
            steal: 0.02,
            others: 0.10,
            singles: 1200,
            patience: Duration::from_secs(900),
            seed,
        }
    }

    pub fn quick(seed: u64) -> Ruler {
        Ruler {
            processes: (3, 3),
            seconds: 0.2,
            samples: 10,
            warm: 0.1,
            redo: 1,
            singles: 60,
            patience: Duration::from_secs(180),
            ..Ruler::full(seed)
        }
    }
}

/// What an arm of a cell is asked to do.
#[derive(Clone, Debug)]
pub struct Subject {
    pub arm: Arm,
    pub load: Load,
    /// The same as an earlier one: what lies between them is noise.
    pub again: bool,
}

/// All about one cell.
pub struct Measured {
    pub arms: Vec<ArmLine>,
    pub floor: Option<FloorLine>,
}

/// What one process told.
#[derive(Clone, Debug, Default)]
struct Round {
    samples: Vec<f64>,
    singles: Vec<f64>,
    warm_up: Vec<f64>,
    cpu: Vec<f64>,
    /// From the start of the process to the first result.
    first: f64,
    /// Of the first call, without what a later one takes.
    hidden: f64,
    peak: Option<u64>,
    share: Share,
}

/// An arm on its way through the rounds.
#[derive(Default)]
struct Course {
    rounds: Vec<Round>,
    loaded: Option<Loaded>,
    agreement: Option<Agreement>,
    ended: Option<(Status, String)>,
    redone: usize,
    spent: f64,
}

impl Course {
    fn samples(&self) -> Vec<Vec<f64>> {
        self.rounds.iter().map(|round| round.samples.clone()).collect()
    }

    fn medians(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| median(&round.samples)).collect()
    }
}

/// Measures the subjects of a cell. `told` hears what was done, for whoever waits.
pub fn measure(
    cell: &Cell,
    subjects: &[Subject],
    folder: &Folder,
    (tolerance, savings): (f64, f64),
    peaks: &Peaks,
    ruler: &Ruler,
    told: &mut dyn FnMut(&str),
) -> Measured {
    let mut courses: Vec<Course> = subjects.iter().map(|_| Course::default()).collect();
    for round in 0..ruler.processes.1 {
        for number in schedule::order(ruler.seed, round as u64, subjects.len()) {
            let course = &mut courses[number];
            if course.ended.is_none() {
                run(cell, &subjects[number], folder, tolerance, ruler, (round, number), course);
                told(&progress(&subjects[number], round, course));
            }
        }
        if round + 1 >= ruler.processes.0 && courses.iter().all(|course| known(course, ruler)) {
            break;
        }
    }
    let spread = floor_of(subjects, &courses);
    let mut arms = Vec::new();
    for (subject, course) in subjects.iter().zip(&courses).filter(|(subject, _)| !subject.again) {
        arms.push(line(cell, subject, course, folder, savings, peaks, ruler));
    }
    let floor = spread.map(|(spread, of)| FloorLine {
        model: cell.model.clone(),
        mode: cell.mode,
        batch: cell.batch,
        sizes: cell.sizes.clone(),
        threads: cell.threads,
        precision: cell.precision.clone(),
        spread,
        of: format!("{of} against {of}"),
        cell: String::new(),
    });
    Measured { arms, floor }
}

fn floor_of(subjects: &[Subject], courses: &[Course]) -> Option<(f64, String)> {
    let (again, second) = subjects.iter().zip(courses).find(|(subject, _)| subject.again)?;
    let first = subjects.iter().position(|it| !it.again && it.arm.name == again.arm.name)?;
    if second.ended.is_some() {
        return None;
    }
    Some((floor(&courses[first].medians(), &second.medians())?, again.arm.name.clone()))
}

/// Whether an arm needs no more processes.
fn known(course: &Course, ruler: &Ruler) -> bool {
    if course.ended.is_some() || course.spent > ruler.budget {
        return true;
    }
    let samples = course.samples();
    let [low, high] = interval(&samples, ruler.seed);
    (high - low) / 2.0 <= ruler.bound * median_of_medians(&samples)
}

/// One process of an arm, repeated where others disturbed it.
fn run(
    cell: &Cell,
    subject: &Subject,
    folder: &Folder,
    tolerance: f64,
    ruler: &Ruler,
    (round, number): (usize, usize),
    course: &mut Course,
) {
    let began = Instant::now();
    let mut quietest: Option<Round> = None;
    for attempt in 0..=ruler.redo {
        let shares = Shares::begin();
        match process(cell, subject, folder, tolerance, ruler, (round, number), course) {
            Ok(mut found) => {
                found.share = shares.now();
                let disturbance = |round: &Round| round.share.steal.max(round.share.others);
                let quiet = found.share.steal <= ruler.steal && found.share.others <= ruler.others;
                if quietest.as_ref().is_none_or(|other| disturbance(&found) < disturbance(other)) {
                    quietest = Some(found);
                }
                if quiet {
                    break;
                }
                course.redone += usize::from(attempt < ruler.redo);
            }
            Err(end) => {
                course.ended = Some(end);
                break;
            }
        }
        if course.spent + began.elapsed().as_secs_f64() > ruler.budget {
            break;
        }
    }
    course.spent += began.elapsed().as_secs_f64();
    course.rounds.extend(quietest);
}

type End = (Status, String);

fn process(
    cell: &Cell,
    subject: &Subject,
    folder: &Folder,
    tolerance: f64,
    ruler: &Ruler,
    (round, number): (usize, usize),
    course: &mut Course,
) -> Result<Round, End> {
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
    let samples = ((3.0 * ruler.seconds / call.max(1e-9)) as u32).clamp(3, ruler.samples);
    let timed: Timed =
        arm.ask(&Request::Time { seconds: ruler.seconds, samples }, ruler.patience).map_err(end)?;
    let times = numbers(timed.samples)?;
    if times.is_empty() {
        return Err((Status::Failed, "it timed nothing".into()));
    }
    let mut singles = if timed.calls == 1 { times.clone() } else { Vec::new() };
    let wanted = (ruler.singles / ruler.processes.0.max(1)).min((2.0 / call.max(1e-9)) as usize);
    if wanted > singles.len() {
        let asked = Request::Time { seconds: 0.0, samples: (wanted - singles.len()) as u32 };
        let more: Timed = arm.ask(&asked, ruler.patience).map_err(end)?;
        singles.extend(numbers(more.samples)?);
    }
    let stopped: Stopped = arm.ask(&Request::Stop, ruler.patience).map_err(end)?;
    arm.finish(Duration::from_secs(5));
    let hidden = (first.seconds.first().copied().unwrap_or(0.0) - median(&times)).max(0.0);
    Ok(Round {
        samples: times,
        singles,
        warm_up,
        cpu: timed.cpu,
        first: cold,
        hidden,
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

fn end(ended: Ended) -> End {
    match ended {
        Ended::Cannot(why) => (Status::Cannot, why),
        Ended::Missing { what, install } => (Status::Missing, format!("{what}: {install}")),
        Ended::Failed(why) => (Status::Failed, why),
    }
}

fn numbers(samples: Vec<f64>) -> Result<Vec<f64>, End> {
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

fn progress(subject: &Subject, round: usize, course: &Course) -> String {
    let what = match (&course.ended, course.rounds.last()) {
        (Some((status, _)), _) => format!("{status:?}").to_lowercase(),
        (None, Some(last)) => format!("{:.3} ms", median(&last.samples) * 1e3),
        (None, None) => "nothing".into(),
    };
    let again = if subject.again { " again" } else { "" };
    format!("round {} {}{again}: {what}", round + 1, subject.arm.name)
}

fn line(
    cell: &Cell,
    subject: &Subject,
    course: &Course,
    folder: &Folder,
    savings: f64,
    peaks: &Peaks,
    ruler: &Ruler,
) -> ArmLine {
    let samples = course.samples();
    let middle = median_of_medians(&samples);
    let mut ended = course.ended.clone();
    if ended.is_none() {
        ended = impossible(peaks, cell.threads, folder.work, savings, middle)
            .map(|why| (Status::Impossible, why));
    }
    let (status, why) = ended.map_or((Status::Ok, None), |(status, why)| (status, Some(why)));
    let ok = status == Status::Ok;
    let each = |value: fn(&Round) -> f64| -> Option<f64> {
        let values: Vec<f64> = course.rounds.iter().map(value).collect();
        (ok && !values.is_empty()).then(|| median(&values))
    };
    let singles: Vec<f64> = course.rounds.iter().flat_map(|round| round.singles.clone()).collect();
    let part = |part: f64| if ok { percentile(&singles, part) } else { None };
    let loaded = course.loaded.as_ref();
    let agreed = course.agreement.as_ref();
    let all: Vec<f64> = samples.concat();
    let cpu: Vec<f64> = course.rounds.iter().flat_map(|round| round.cpu.clone()).collect();
    let finite = |value: f64| value.is_finite().then_some(value);
    ArmLine {
        arm: subject.arm.name.clone(),
        framework: loaded.map(|loaded| loaded.framework.clone()),
        version: loaded.map(|loaded| loaded.version.clone()),
        model: cell.model.clone(),
        mode: cell.mode,
        batch: cell.batch,
        sizes: cell.sizes.clone(),
        threads: cell.threads,
        precision: cell.precision.clone(),
        style: subject.arm.style.clone(),
        status,
        why,
        median_s: ok.then_some(middle),
        ci95_s: ok.then(|| interval(&samples, ruler.seed)),
        n: if ok { all.len() } else { 0 },
        processes: course.rounds.len(),
        process_medians_s: if ok { course.medians() } else { Vec::new() },
        samples_s: if ok { thinned(&all, MOST_VALUES) } else { Vec::new() },
        p50_s: part(0.5),
        p90_s: part(0.9),
        p95_s: part(0.95),
        p99_s: part(0.99),
        first_s: each(|round| round.first),
        import_s: loaded.map(|loaded| loaded.import_s),
        load_s: loaded.map(|loaded| loaded.load_s),
        compile_s: each(|round| round.hidden)
            .map(|hidden| hidden + loaded.map_or(0.0, |loaded| loaded.compile_s)),
        warm_up_s: course
            .rounds
            .first()
            .filter(|_| ok)
            .map_or(Vec::new(), |round| round.warm_up[..round.warm_up.len().min(MOST_VALUES)].to_vec()),
        cpu_s: (ok && !cpu.is_empty()).then(|| median(&cpu)),
        peak_bytes: course.rounds.iter().filter_map(|round| round.peak).max(),
        artifact_bytes: loaded.and_then(|loaded| loaded.artifact_bytes),
        correct: agreed.map(|agreed| agreed.correct),
        max_error: agreed.and_then(|agreed| finite(agreed.max_error)),
        max_relative: agreed.and_then(|agreed| finite(agreed.max_relative)),
        argmax_agreement: agreed.and_then(|agreed| agreed.argmax),
        threads_seen: loaded.map(|loaded| loaded.threads_seen),
        dtype_seen: loaded.map(|loaded| loaded.dtype_seen.clone()),
        flags: loaded.map(|loaded| loaded.flags.clone()).unwrap_or_default(),
        flops: folder.work.flops,
        bytes: folder.work.bytes,
        steal: course.rounds.iter().map(|round| round.share.steal).fold(0.0, f64::max),
        others: course.rounds.iter().map(|round| round.share.others).fold(0.0, f64::max),
        redone: course.redone,
        machine: String::new(),
        commit: String::new(),
        command: String::new(),
        cell: String::new(),
    }
}
