//! Ratios of times, and what can be said of them.

use super::{Cell, Measured, Mode, Results};
use crate::{
    arms::OURS,
    statistics::{Estimate, Pair, geometric_mean_of},
};
use std::collections::BTreeMap;

/// What a ratio says once noise is taken into account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Verdict {
    /// Ours is faster.
    Faster,
    /// Within what two runs of the same program differ by, or with intervals that overlap.
    NoDifference,
    Slower,
}

/// Ours and another arm on one cell.
#[derive(Clone, Debug)]
pub(crate) struct Comparison<'r> {
    pub ours: &'r Measured,
    pub theirs: &'r Measured,
    /// Their time by ours: above 1 ours is faster.
    pub ratio: f64,
    /// The ratio at the unfavourable ends of both intervals.
    pub interval: [f64; 2],
    pub verdict: Verdict,
}

impl Results {
    /// Ours beside another arm of the cell; nothing where either has no speed, or where each had a load of its own.
    pub(crate) fn compare<'r>(&'r self, theirs: &'r Measured) -> Option<Comparison<'r>> {
        let ours = self.slice(&theirs.cell).iter().find(|one| one.arm.arm == OURS)?;
        if theirs.cell.mode == Mode::Server {
            return None;
        }
        let (our_time, their_time) = (ours.seconds()?, theirs.seconds()?);
        let ([our_low, our_high], [low, high]) = (ours.interval()?, theirs.interval()?);
        let ratio = their_time / our_time;
        let overlap = low <= our_high && our_low <= high;
        let floor = self.floor(&theirs.cell).unwrap_or(0.0);
        let verdict = match ratio {
            _ if overlap || ratio.ln().abs() <= floor.ln_1p() => Verdict::NoDifference,
            _ if ratio > 1.0 => Verdict::Faster,
            _ => Verdict::Slower,
        };
        Some(Comparison { ours, theirs, ratio, interval: [low / our_high, high / our_low], verdict })
    }

    /// How far two runs of the same program differed on a cell; where that was not measured, the largest that was.
    pub(crate) fn floor(&self, cell: &Cell) -> Option<f64> {
        let same = |mine: &Option<u64>, of_cell: Option<u64>| mine.is_none() || *mine == of_cell;
        let of_machine = || {
            let machine = |floor: &&crate::record::Floor| {
                floor.machine.as_ref().is_none_or(|machine| *machine == cell.machine)
            };
            self.floors.iter().filter(machine)
        };
        let of_cell = of_machine().filter(|floor| {
            floor.model.as_ref().is_none_or(|model| *model == cell.model)
                && floor.mode.as_ref().is_none_or(|mode| mode == cell.mode.name())
                && same(&floor.batch, cell.batch)
                && same(&floor.threads, cell.threads)
        });
        let largest = |floor: Option<f64>, spread: f64| Some(floor.map_or(spread, |floor| floor.max(spread)));
        let of_cell = of_cell.map(|floor| floor.spread).fold(None, largest);
        of_cell.or_else(|| of_machine().map(|floor| floor.spread).fold(None, largest))
    }
}

/// Of many comparisons.
#[derive(Clone, Debug)]
pub(crate) struct Summary<'r> {
    /// Over models.
    pub mean: Estimate,
    pub models: usize,
    pub rows: usize,
    pub faster: usize,
    pub slower: usize,
    pub worst: Comparison<'r>,
    pub best: Comparison<'r>,
}

impl<'r> Summary<'r> {
    /// Nothing of nothing.
    pub fn of(comparisons: &[Comparison<'r>]) -> Option<Summary<'r>> {
        let mut groups: BTreeMap<usize, Vec<Pair>> = BTreeMap::new();
        for one in comparisons {
            let processes = |measured: &Measured| measured.arm.process_medians_s.clone().unwrap_or_default();
            let pair = Pair { ours: processes(one.ours), theirs: processes(one.theirs), ratio: one.ratio };
            groups.entry(one.ours.cell.model_number).or_default().push(pair);
        }
        let of = |verdict| comparisons.iter().filter(|one| one.verdict == verdict).count();
        let by_ratio = |a: &&Comparison, b: &&Comparison| a.ratio.total_cmp(&b.ratio);
        Some(Summary {
            mean: geometric_mean_of(&groups.values().cloned().collect::<Vec<_>>())?,
            models: groups.len(),
            rows: comparisons.len(),
            faster: of(Verdict::Faster),
            slower: of(Verdict::Slower),
            worst: comparisons.iter().min_by(by_ratio)?.clone(),
            best: comparisons.iter().max_by(by_ratio)?.clone(),
        })
    }
}
