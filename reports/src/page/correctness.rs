//! Which answers were right, and how far they were from the reference in double precision.

use super::{Page, Section, models::status, p};
use crate::{
    arms::title,
    number::short,
    record::Status,
    results::Measured,
    table::{Entry, Table},
};
use std::collections::BTreeSet;

pub(super) fn section(page: &mut Page) -> Option<Section> {
    let results = page.results;
    if results.measured.is_empty() {
        return None;
    }
    let models = results.models();
    let mut table =
        Table::new("Largest error of any output, over all rows of a model; in words where a row was refused")
            .texts(["framework"])
            .numbers(["right"]);
    for model in &models {
        table = table.numbers([*model]);
    }
    for arm in results.arms() {
        let of_arm: Vec<&Measured> = results.measured.iter().filter(|one| one.arm.arm == arm).collect();
        // What was never run can be neither right nor wrong.
        let run: Vec<&&Measured> =
            of_arm.iter().filter(|one| !matches!(one.status, Status::Missing | Status::Cannot)).collect();
        let right = run.iter().filter(|one| one.status == Status::Ok).count();
        let mut entries = vec![
            Entry::text(title(arm)),
            if run.is_empty() {
                Entry::new("–", "")
            } else {
                Entry::text(format!("{right} of {}", run.len()))
            },
        ];
        for model in &models {
            let of_model: Vec<&&Measured> = of_arm.iter().filter(|one| one.cell.model == *model).collect();
            let refused: BTreeSet<&str> = of_model
                .iter()
                .filter(|one| one.status != Status::Ok)
                .map(|one| status(one.status))
                .collect();
            let error =
                of_model.iter().filter(|one| one.status == Status::Ok).filter_map(|one| one.arm.max_error);
            let error =
                error.fold(None, |most: Option<f64>, error| Some(most.map_or(error, |most| most.max(error))));
            entries.push(if !refused.is_empty() {
                Entry::text(refused.into_iter().collect::<Vec<_>>().join(", ")).marked("refused")
            } else if of_model.is_empty() {
                Entry::new("", "")
            } else {
                match error {
                    Some(error) => Entry::number(Some(error), short),
                    None => Entry::text("right"),
                }
            });
        }
        table.row(entries);
    }
    let text = "Every framework has the same weights and inputs. Its outputs, or for training the losses of three steps, \
                are compared with a reference computed in double precision before anything is timed. A wrong answer, \
                another number of threads than asked for, or a speed beyond what the machine can do has no time on this \
                page.";
    Some(Section { id: "correctness", title: "Correctness", body: vec![p(text), table.html()] })
}
