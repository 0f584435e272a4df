//! One cell: its arms take turns in processes of their own until their times are known well enough.

use crate::{
    Arm, ArmLine, Cell, FloorLine, Folder, Peaks, Shares,
    course::{Course, Round, known},
    process::{opened, timed},
    protocol::Load,
    row::line,
    schedule,
    statistics::{floor, median},
};
use std::time::{Duration, Instant};

/// Values of a list that a line carries.
pub(crate) const MOST_VALUES: usize = 200;

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
        arms.push(line(cell, &subject.arm, course, folder.work, savings, peaks, ruler));
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
        machine: String::new(),
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
        let opened = opened(cell, subject, folder, tolerance, ruler, (round, number), course);
        match opened.and_then(|opened| timed(cell, opened, ruler)) {
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

fn progress(subject: &Subject, round: usize, course: &Course) -> String {
    let what = match (&course.ended, course.rounds.last()) {
        (Some((status, _)), _) => format!("{status:?}").to_lowercase(),
        (None, Some(last)) => format!("{:.3} ms", median(&last.samples) * 1e3),
        (None, None) => "nothing".into(),
    };
    let again = if subject.again { " again" } else { "" };
    format!("round {} {}{again}: {what}", round + 1, subject.arm.name)
}
