//! Which cells are measured: the registry's, narrowed by what was asked for.

use crate::{Cell, Mode, Model, Size};
use std::collections::BTreeMap;

/// What was asked for; empty lists leave the choice to the registry.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wanted {
    pub modes: Vec<Mode>,
    pub batches: Vec<u64>,
    pub threads: Vec<usize>,
    pub precision: String,
    /// Sizes instead of those of the registry; of its rows, those that have these sizes.
    pub sizes: BTreeMap<String, u64>,
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
    let series = |dim: &String| match wanted.sizes.get(dim) {
        Some(stated) => vec![*stated],
        None => model.sizes.get(dim).map(Size::values).unwrap_or_default(),
    };
    let rows = rows(model, wanted);
    if wanted.series {
        let first = model.sizes.keys().filter_map(|dim| Some((dim.clone(), *series(dim).first()?)));
        let first: BTreeMap<String, u64> = first.chain(rows.first().cloned().unwrap_or_default()).collect();
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
    let quick = wanted.quick && wanted.batches.is_empty();
    let mut batches = if wanted.batches.is_empty() { batches.to_vec() } else { wanted.batches.clone() };
    if quick {
        batches.truncate(1);
    }
    let mut all = rows;
    for dim in model.sizes.keys() {
        let mut values = series(dim);
        if quick {
            values.truncate(1);
        }
        let with = |sizes: &BTreeMap<String, u64>, value: &u64| {
            let mut sizes = sizes.clone();
            sizes.entry(dim.clone()).or_insert(*value);
            sizes
        };
        all = all
            .iter()
            .flat_map(|sizes| values.iter().map(|value| with(sizes, value)).collect::<Vec<_>>())
            .collect();
    }
    all.dedup();
    batches.iter().flat_map(|batch| all.iter().map(|sizes| (*batch, sizes.clone()))).collect()
}

/// The registry's rows that have the wanted sizes; where there is none but all sizes of a row are stated, those. A model
/// without rows has an empty one.
fn rows(model: &Model, wanted: &Wanted) -> Vec<BTreeMap<String, u64>> {
    let Some(first) = model.rows.first() else { return vec![BTreeMap::new()] };
    let has = |row: &BTreeMap<String, u64>| {
        wanted.sizes.iter().all(|(dim, size)| row.get(dim).is_none_or(|known| known == size))
    };
    let found: Vec<BTreeMap<String, u64>> = model.rows.iter().filter(|row| has(row)).cloned().collect();
    if !found.is_empty() {
        return found;
    }
    let stated = first.keys().map(|dim| Some((dim.clone(), *wanted.sizes.get(dim)?)));
    stated.collect::<Option<BTreeMap<String, u64>>>().into_iter().collect()
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
[k]
title = "K"
source = "k.model"
infer = { batch = [1] }
sizes = { d = 64 }
rows = [{ m = 1, n = 768 }, { m = 8, n = 768 }, { m = 8, n = 96, d = 32 }]
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
        let sizes = |stated: &[(&str, u64)]| Wanted {
            sizes: stated.iter().map(|(dim, size)| (dim.to_string(), *size)).collect(),
            ..Wanted::default()
        };
        assert_eq!(names("n", &sizes(&[("s", 5)])), ["n-infer-b1-s5-t1"]);
    }

    #[test]
    fn a_row_is_a_cell() {
        let all = ["k-infer-b1-d64-m1-n768-t1", "k-infer-b1-d64-m8-n768-t1", "k-infer-b1-d32-m8-n96-t1"];
        assert_eq!(names("k", &Wanted::default()), all);
        assert_eq!(names("k", &Wanted { quick: true, ..Wanted::default() }), all);
        let sizes = |stated: &[(&str, u64)]| Wanted {
            sizes: stated.iter().map(|(dim, size)| (dim.to_string(), *size)).collect(),
            ..Wanted::default()
        };
        assert_eq!(names("k", &sizes(&[("m", 8)])), all[1..]);
        assert_eq!(names("k", &sizes(&[("m", 8), ("n", 96), ("d", 32)])), all[2..]);
        // A row of one's own needs all of its sizes.
        assert_eq!(names("k", &sizes(&[("m", 3), ("n", 5)])), ["k-infer-b1-d64-m3-n5-t1"]);
        assert!(names("k", &sizes(&[("m", 3)])).is_empty());
    }
}
