//! Which cells are measured: the registry's, narrowed by what was asked for.

use crate::{Cell, Mode, Model};
use std::collections::BTreeMap;

/// What was asked for; empty lists leave the choice to the registry.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wanted {
    pub modes: Vec<Mode>,
    pub batches: Vec<u64>,
    pub threads: Vec<usize>,
    pub precision: String,
    /// Only the first batch.
    pub quick: bool,
    /// The registry's series instead of its batches.
    pub series: bool,
}

/// The cells of one model, in a fixed order.
pub fn cells(name: &str, model: &Model, wanted: &Wanted) -> Vec<Cell> {
    let modes = if wanted.modes.is_empty() { vec![Mode::Infer, Mode::Train] } else { wanted.modes.clone() };
    let threads = if wanted.threads.is_empty() { vec![1] } else { wanted.threads.clone() };
    let mut cells = Vec::new();
    for mode in modes {
        let known = if mode.trains() { &model.training.batch } else { &model.infer.batch };
        // A model that the registry does not train has no batch to train with.
        if known.is_empty() {
            continue;
        }
        for (batch, sizes) in points(model, known, wanted) {
            for threads in &threads {
                cells.push(Cell {
                    model: name.into(),
                    mode,
                    batch,
                    sizes: sizes.clone(),
                    threads: *threads,
                    precision: wanted.precision.clone(),
                });
            }
        }
    }
    cells
}

/// Batches with sizes of all other dimensions.
fn points(model: &Model, batches: &[u64], wanted: &Wanted) -> Vec<(u64, BTreeMap<String, u64>)> {
    let first: BTreeMap<String, u64> =
        model.sizes.iter().filter_map(|(dim, size)| Some((dim.clone(), *size.values().first()?))).collect();
    if wanted.series {
        let mut points = Vec::new();
        for (dim, values) in &model.series {
            for value in values {
                let mut sizes = first.clone();
                let batch = if dim == "batch" { *value } else { batches[0] };
                if dim != "batch" {
                    sizes.insert(dim.clone(), *value);
                }
                points.push((batch, sizes));
            }
        }
        return points;
    }
    let mut batches = if wanted.batches.is_empty() { batches.to_vec() } else { wanted.batches.clone() };
    if wanted.quick && wanted.batches.is_empty() {
        batches.truncate(1);
        return batches.into_iter().map(|batch| (batch, first.clone())).collect();
    }
    let mut all = vec![BTreeMap::new()];
    for (dim, size) in &model.sizes {
        let values = size.values();
        let with = |sizes: &BTreeMap<String, u64>, value: &u64| {
            let mut sizes = sizes.clone();
            sizes.insert(dim.clone(), *value);
            sizes
        };
        all = all
            .iter()
            .flat_map(|sizes| values.iter().map(|value| with(sizes, value)).collect::<Vec<_>>())
            .collect();
    }
    batches.iter().flat_map(|batch| all.iter().map(|sizes| (*batch, sizes.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    const TEXT: &str = r#"
[m]
title = "M"
source = "m.model"
infer = { batch = [1, 8] }
training = { batch = [32] }
sizes = { s = 128 }
series = { batch = [1, 2, 4], s = [16, 32] }
[n]
title = "N"
source = "n.model"
infer = { batch = [1] }
sizes = { s = [4, 8] }
"#;

    fn names(model: &str, wanted: &Wanted) -> Vec<String> {
        let registry = Registry::parse(TEXT, "models.toml").unwrap();
        let wanted = Wanted { precision: "f32".into(), ..wanted.clone() };
        cells(model, registry.get(model).unwrap(), &wanted).iter().map(Cell::name).collect()
    }

    #[test]
    fn cells_follow_the_registry_and_what_was_asked_for() {
        let all = Wanted::default();
        assert_eq!(names("m", &all), ["m-infer-b1-s128-t1", "m-infer-b8-s128-t1", "m-train-b32-s128-t1"]);
        // Training is not offered.
        assert_eq!(names("n", &all), ["n-infer-b1-s4-t1", "n-infer-b1-s8-t1"]);
        let quick = Wanted { quick: true, threads: vec![1, 2], ..Wanted::default() };
        assert_eq!(names("n", &quick), ["n-infer-b1-s4-t1", "n-infer-b1-s4-t2"]);
        let stated = Wanted { batches: vec![3], modes: vec![Mode::Train], ..Wanted::default() };
        assert_eq!(names("m", &stated), ["m-train-b3-s128-t1"]);
        let series = Wanted { series: true, modes: vec![Mode::Infer], ..Wanted::default() };
        let expected = [
            "m-infer-b1-s128-t1",
            "m-infer-b2-s128-t1",
            "m-infer-b4-s128-t1",
            "m-infer-b1-s16-t1",
            "m-infer-b1-s32-t1",
        ];
        assert_eq!(names("m", &series), expected);
    }
}
