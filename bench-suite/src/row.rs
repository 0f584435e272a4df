//! From what the processes of an arm told to its line of the results.

use crate::{
    Agreement, Arm, ArmLine, Cell, Peaks, Status, Work,
    course::{Course, Round},
    honesty::impossible,
    measure::{MOST_VALUES, Ruler},
    statistics::{interval, median, median_of_medians, percentile, thinned},
};

/// The line of an arm whose times come from elsewhere, process by process.
pub fn line_of_samples(
    cell: &Cell,
    arm: &Arm,
    samples: Vec<Vec<f64>>,
    agreement: Agreement,
    ruler: &Ruler,
) -> ArmLine {
    let rounds = samples.into_iter().map(|samples| Round { samples, ..Round::default() }).collect();
    let ended = (!agreement.correct).then(|| (Status::Wrong, agreement.report.clone()));
    let course = Course { rounds, agreement: Some(agreement), ended, ..Course::default() };
    let mut line = line(cell, arm, &course, Work::default(), 1.0, &Peaks::default(), ruler);
    // Nobody saw the first result of these.
    (line.first_s, line.compile_s) = (None, None);
    line
}

pub(crate) fn line(
    cell: &Cell,
    arm: &Arm,
    course: &Course,
    work: Work,
    savings: f64,
    peaks: &Peaks,
    ruler: &Ruler,
) -> ArmLine {
    let samples = course.samples();
    let middle = median_of_medians(&samples);
    let mut ended = course.ended.clone();
    if ended.is_none() {
        ended = impossible(peaks, cell.threads, work, savings, middle).map(|why| (Status::Impossible, why));
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
        arm: arm.name.clone(),
        framework: loaded.map(|loaded| loaded.framework.clone()),
        version: loaded.map(|loaded| loaded.version.clone()),
        model: cell.model.clone(),
        mode: cell.mode,
        batch: cell.batch,
        sizes: cell.sizes.clone(),
        threads: cell.threads,
        precision: cell.precision.clone(),
        style: arm.style.clone(),
        status,
        why,
        install: (status == Status::Missing).then(|| arm.install.clone()),
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
        energy_j: course.rounds.iter().filter(|_| ok).find_map(|round| round.energy),
        peak_bytes: course.rounds.iter().filter_map(|round| round.peak).max(),
        artifact_bytes: loaded.and_then(|loaded| loaded.artifact_bytes),
        correct: agreed.map(|agreed| agreed.correct),
        max_error: agreed.and_then(|agreed| finite(agreed.max_error)),
        max_relative: agreed.and_then(|agreed| finite(agreed.max_relative)),
        argmax_agreement: agreed.and_then(|agreed| agreed.argmax),
        threads_seen: loaded.and_then(|loaded| loaded.threads_seen),
        dtype_seen: loaded.map(|loaded| loaded.dtype_seen.clone()),
        flags: loaded.map(|loaded| loaded.flags.clone()).unwrap_or_default(),
        flops: work.flops,
        bytes: work.bytes,
        steal: course.rounds.iter().map(|round| round.share.steal).fold(0.0, f64::max),
        others: course.rounds.iter().map(|round| round.share.others).fold(0.0, f64::max),
        redone: course.redone,
        machine: String::new(),
        commit: String::new(),
        command: String::new(),
        cell: String::new(),
    }
}
