//! An arm on its way through the rounds of a cell.

use crate::{
    Agreement, Status,
    machine::Share,
    measure::Ruler,
    protocol::Loaded,
    statistics::{interval, median, median_of_medians},
};

/// What one process told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    pub samples: Vec<f64>,
    pub singles: Vec<f64>,
    pub warm_up: Vec<f64>,
    pub cpu: Vec<f64>,
    /// From the start of the process to the first result.
    pub first: f64,
    /// Of the first call, without what a later one takes.
    pub hidden: f64,
    /// Joules a call.
    pub energy: Option<f64>,
    pub peak: Option<u64>,
    pub share: Share,
}

/// An arm on its way through the rounds.
#[derive(Default)]
pub(crate) struct Course {
    pub rounds: Vec<Round>,
    pub loaded: Option<Loaded>,
    pub agreement: Option<Agreement>,
    pub ended: Option<(Status, String)>,
    pub redone: usize,
    pub spent: f64,
}

impl Course {
    pub fn samples(&self) -> Vec<Vec<f64>> {
        self.rounds.iter().map(|round| round.samples.clone()).collect()
    }

    pub fn medians(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| median(&round.samples)).collect()
    }
}

/// Whether an arm needs no more processes.
pub(crate) fn known(course: &Course, ruler: &Ruler) -> bool {
    if course.ended.is_some() || course.spent > ruler.budget {
        return true;
    }
    let samples = course.samples();
    let [low, high] = interval(&samples, ruler.seed);
    (high - low) / 2.0 <= ruler.bound * median_of_medians(&samples)
}
