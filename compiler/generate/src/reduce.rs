//! From a model that fails to a small one that still does.

use crate::{
    DType,
    dim::Dim,
    model::{Model, Output},
};

/// Tries smaller models for as long as one of them `fails`.
pub fn reduce(model: &Model, mut fails: impl FnMut(&Model) -> bool) -> Model {
    let mut best = model.clone();
    while let Some(smaller) = candidates(&best).into_iter().find(|candidate| fails(candidate)) {
        best = smaller;
    }
    best
}

fn candidates(model: &Model) -> Vec<Model> {
    let mut all = Vec::new();
    if model.sizes.len() > 1 {
        for sizes in &model.sizes {
            all.push(Model { sizes: vec![*sizes], ..model.clone() });
        }
    }
    // One result, wherever it is made.
    if model.frame.is_none() {
        if model.outputs.len() > 1 {
            all.extend(model.outputs.iter().map(|output| with_outputs(model, vec![output.clone()])));
        }
        if let [one] = &model.outputs[..] {
            let made = model.lines.iter().flat_map(|line| &line.makes).map(|id| &model.values[*id]);
            let others = made.filter(|value| value.name != one.name && value.name.starts_with('v'));
            all.extend(others.map(|value| {
                let output =
                    Output { name: value.name.clone(), dtype: value.dtype, shape: value.shape.clone() };
                with_outputs(model, vec![output])
            }));
        }
    } else {
        for id in model.lines.iter().flat_map(|line| &line.makes) {
            let value = &model.values[*id];
            let mut smaller = model.clone();
            if let Some(frame) = &mut smaller.frame
                && value.dtype == DType::Float
                && frame.cost.as_ref() != Some(&value.name)
            {
                (frame.cost, frame.is_scalar) = (Some(value.name.clone()), value.shape.is_empty());
                smaller.drop_dead();
                smaller.settle();
                all.push(smaller);
            }
        }
    }
    // What a statement makes as inputs instead.
    for (place, line) in model.lines.iter().enumerate() {
        let values: Vec<_> = line.makes.iter().map(|id| model.values[*id].clone()).collect();
        let can = values.iter().all(|value| {
            value.shape.iter().all(Dim::is_plain)
                && (model.frame.is_none() || value.dtype == DType::Float)
                && !model.outputs.iter().any(|output| output.name == value.name)
        });
        if !can || values.is_empty() {
            continue;
        }
        let mut smaller = model.clone();
        smaller.lines.remove(place);
        smaller.inputs.extend(values);
        smaller.drop_dead();
        smaller.settle();
        if smaller.lines.len() < model.lines.len() {
            all.push(smaller);
        }
    }
    all.sort_by_key(|candidate| candidate.lines.len());
    all
}

fn with_outputs(model: &Model, outputs: Vec<Output>) -> Model {
    let mut smaller = Model { outputs, ..model.clone() };
    smaller.drop_dead();
    smaller
}
