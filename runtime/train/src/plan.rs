//! Which rows the coming batches take, known ahead so that they can be read ahead.

use data::{EpochRows, Planned, Rows};

/// The rest of a training run.
pub(crate) struct Plan {
    pub rows: Rows,
    pub seed: u64,
    /// Rows of a full batch and of a full update, each at least one.
    pub batch: usize,
    pub update: usize,
    /// Updates to come.
    pub updates: u64,
    /// Where the next update begins.
    pub epoch: u64,
    pub position: usize,
}

struct Running {
    plan: Plan,
    /// Of the present epoch, made when it is needed.
    order: Option<EpochRows>,
    /// Where the present update ends.
    until: usize,
}

impl Plan {
    /// No batch and no update reaches over the end of an epoch.
    pub fn batches(self) -> impl Iterator<Item = Planned> + Send {
        let until = self.position;
        Running { plan: self, order: None, until }
    }
}

impl Iterator for Running {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        let plan = &mut self.plan;
        if plan.position >= self.until {
            plan.updates = plan.updates.checked_sub(1)?;
            if plan.position >= plan.rows.len() {
                (plan.epoch, plan.position, self.order) = (plan.epoch + 1, 0, None);
            }
            self.until = plan.rows.len().min(plan.position.saturating_add(plan.update));
        }
        let order = self.order.get_or_insert_with(|| plan.rows.of_epoch(plan.seed, plan.epoch));
        let end = self.until.min(plan.position.saturating_add(plan.batch));
        let rows = order.range(plan.position..end);
        plan.position = end;
        (!rows.is_empty()).then_some(Planned { rows, epoch: Some(plan.epoch) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::Split;

    fn plan(updates: u64, epoch: u64, position: usize) -> Vec<(u64, Vec<usize>)> {
        let rows = Split::new(10, &[0.7, 0.3], 1).unwrap().train;
        let plan = Plan { rows, seed: 1, batch: 2, update: 4, updates, epoch, position };
        plan.batches().map(|planned| (planned.epoch.unwrap(), planned.rows)).collect()
    }

    #[test]
    fn updates_end_with_the_epoch() {
        let batches = plan(5, 0, 0);
        let shape: Vec<(u64, usize)> = batches.iter().map(|(epoch, rows)| (*epoch, rows.len())).collect();
        let epoch = |epoch| [(epoch, 2), (epoch, 2), (epoch, 2), (epoch, 1)];
        assert_eq!(shape, [&epoch(0)[..], &epoch(1), &epoch(2)[..2]].concat());
        let of_epoch = |wanted| -> Vec<usize> {
            batches.iter().filter(|(epoch, _)| *epoch == wanted).flat_map(|(_, rows)| rows.clone()).collect()
        };
        assert_ne!(of_epoch(0), of_epoch(1));
        let sorted = |mut rows: Vec<usize>| {
            rows.sort_unstable();
            rows
        };
        assert_eq!(sorted(of_epoch(0)), sorted(of_epoch(1)));
    }

    #[test]
    fn a_plan_goes_on_in_the_middle() {
        let whole = plan(6, 0, 0);
        assert_eq!(plan(5, 0, 4), whole[2..]);
        assert_eq!(plan(4, 1, 0), whole[4..]);
        assert_eq!(plan(4, 0, 7), whole[4..]);
        assert_eq!(plan(0, 0, 0), []);
    }
}
