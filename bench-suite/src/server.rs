//! A server with one worker: requests arrive by chance, at shares of what the arm can do, and wait their turn.

use crate::{
    ArmLine, Cell, Folder, Peaks, Shares, Subject,
    course::{Course, Round},
    measure::Ruler,
    process::{End, end, numbers, opened},
    protocol::{Arrived, Request, Timed},
    row::line,
    schedule,
    statistics::median,
};
use tensor::philox::Stream;

/// Requests per hundred that the arm could serve one after the other.
const LOADS: [u64; 4] = [30, 50, 70, 90];

/// At most and at least so many requests of one process and load.
const REQUESTS: (usize, usize) = (50, 4000);

/// Latencies of each arm at each load: lines of their own, with `load_percent` among the sizes.
pub fn serve_requests(
    cell: &Cell,
    subjects: &[Subject],
    folder: &Folder,
    (tolerance, savings): (f64, f64),
    peaks: &Peaks,
    ruler: &Ruler,
    told: &mut dyn FnMut(&str),
) -> Vec<ArmLine> {
    let mut courses: Vec<Vec<Course>> = subjects.iter().map(|_| Vec::new()).collect();
    for of_arm in &mut courses {
        of_arm.resize_with(LOADS.len(), Course::default);
    }
    for round in 0..ruler.processes.0 {
        for number in schedule::order(ruler.seed, round as u64, subjects.len()) {
            let of_arm = &mut courses[number];
            if subjects[number].again || of_arm[0].ended.is_some() {
                continue;
            }
            told(&format!("round {} {}", round + 1, subjects[number].arm.name));
            let served = process(cell, &subjects[number], folder, tolerance, ruler, (round, number), of_arm);
            if let Err(end) = served {
                of_arm.iter_mut().for_each(|course| course.ended = Some(end.clone()));
            }
        }
    }
    let mut lines = Vec::new();
    for (subject, of_arm) in subjects.iter().zip(&courses).filter(|(subject, _)| !subject.again) {
        for (course, load) in of_arm.iter().zip(LOADS) {
            let mut at_load = cell.clone();
            at_load.sizes.insert("load_percent".into(), load);
            lines.push(line(&at_load, &subject.arm, course, folder.work, savings, peaks, ruler));
        }
    }
    lines
}

fn process(
    cell: &Cell,
    subject: &Subject,
    folder: &Folder,
    tolerance: f64,
    ruler: &Ruler,
    at: (usize, usize),
    of_arm: &mut [Course],
) -> Result<(), End> {
    let mut ready = opened(cell, subject, folder, tolerance, ruler, at, &mut of_arm[0])?;
    let asked = Request::Time { seconds: ruler.seconds / 2.0, samples: 5 };
    let steady: Timed = ready.arm.ask(&asked, ruler.patience).map_err(end)?;
    let call = median(&numbers(steady.samples)?).max(1e-9);
    let (loaded, agreement) = (of_arm[0].loaded.clone(), of_arm[0].agreement.clone());
    for (index, course) in of_arm.iter_mut().enumerate() {
        let shares = Shares::begin();
        let rate = LOADS[index] as f64 / 100.0 / call;
        let number = (at.0 * subject.arm.name.len() + at.1) * LOADS.len() + index;
        let request = Request::Arrivals { at: arrivals(ruler, rate, number as u64) };
        let arrived: Arrived = ready.arm.ask(&request, ruler.patience).map_err(end)?;
        let latencies = numbers(arrived.latencies)?;
        course.loaded.clone_from(&loaded);
        course.agreement.clone_from(&agreement);
        course.rounds.push(Round {
            samples: latencies.clone(),
            singles: latencies,
            first: ready.cold,
            share: shares.now(),
            ..Round::default()
        });
    }
    Ok(())
}

/// Times of a Poisson process: the gaps are exponential.
fn arrivals(ruler: &Ruler, rate: f64, number: u64) -> Vec<f64> {
    let count = ((2.0 * ruler.seconds * rate) as usize).clamp(REQUESTS.0, REQUESTS.1);
    let stream = Stream::new(ruler.seed, "bench arrivals", number);
    let mut now = 0.0;
    let next = |index: usize| {
        now -= (1.0 - stream.uniform_f64(index as u64)).ln() / rate;
        now
    };
    (0..count).map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_come_at_the_rate_and_by_chance() {
        let ruler = Ruler { seconds: 2.0, ..Ruler::full(3) };
        let times = arrivals(&ruler, 1000.0, 1);
        assert_eq!(times.len(), 4000);
        assert!((3.8..4.2).contains(&times[3999]), "{}", times[3999]);
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // The deviation of exponential gaps is their mean.
        assert!((0.9..1.1).contains(&(variance.sqrt() / mean)));
        assert!(gaps.iter().all(|gap| *gap >= 0.0));
        assert_ne!(times, arrivals(&ruler, 1000.0, 2));
    }
}
