//! A finished program, and the values that it is run with.

use crate::{
    Kind,
    dim::{Dim, SYMBOLS, Sizes, shape_text},
    draft::{DType, Draft, Id, Line},
    range::Range,
    rng::Rng,
    rules,
};
use std::{collections::BTreeSet, fmt::Write};

#[derive(Clone, Debug)]
pub struct Input {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<Dim>,
    pub range: Range,
}

#[derive(Clone, Debug)]
pub struct Output {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<Dim>,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub seed: u64,
    pub kind: Kind,
    /// Values of the dynamic dimensions, one set a run.
    pub sizes: Vec<Sizes>,
    pub inputs: Vec<Input>,
    pub outputs: Vec<Output>,
    pub(crate) items: Vec<String>,
    pub(crate) lines: Vec<Line>,
    /// What each value is called and what it is, by its number; for making inputs of values.
    pub(crate) values: Vec<Input>,
    /// Around the lines of a model of derivatives.
    pub(crate) frame: Option<crate::derive::Frame>,
}

/// Statements of one model.
const STATEMENTS: (i64, i64) = (1, 24);
const MAX_OUTPUTS: usize = 5;

pub(crate) fn forward(seed: u64) -> Model {
    let mut draft = Draft::new(seed, false);
    start(&mut draft);
    let wanted = draft.rng.between(STATEMENTS.0, STATEMENTS.1) as usize;
    rules::fill(&mut draft, wanted);
    if !draft.lines.iter().any(|line| !line.makes.is_empty()) {
        // The first input is the first value.
        let (name, shape) = (draft.read(0), draft.shape(0));
        draft.emit(format!("tanh({name})"), DType::Float, shape, Range::around(1.0));
    }
    // What nothing reads is given back, so that it is worth computing.
    let read: BTreeSet<Id> = draft.lines.iter().flat_map(|line| line.reads.iter().copied()).collect();
    let made: Vec<Id> = draft.lines.iter().flat_map(|line| line.makes.iter().copied()).collect();
    let mut unread: Vec<Id> = made.iter().copied().filter(|id| !read.contains(id)).collect();
    unread.reverse();
    unread.truncate(MAX_OUTPUTS);
    unread.sort();
    let outputs = unread.iter().map(|id| output(&draft, *id)).collect();
    let mut model = finish(draft, Kind::Forward, seed, outputs, None);
    // Some keep what nothing needs, for the passes that leave it out.
    if !seed.is_multiple_of(8) {
        model.drop_dead();
    }
    model
}

/// The first inputs.
pub(crate) fn start(draft: &mut Draft) {
    for _ in 0..draft.rng.between(1, 3) {
        let rank = [0, 1, 2, 2, 2, 3, 3, 4][draft.rng.below(8)];
        let shape: Vec<Dim> = (0..rank).map(|_| draft.size()).collect();
        let range = [Range::around(2.0), Range::around(1.0), Range::new(0.25, 2.0)][draft.rng.below(3)];
        draft.input(DType::Float, shape, range);
    }
    if draft.inputs.is_empty() {
        draft.input(DType::Float, vec![Dim::symbol(0), Dim::from(3)], Range::around(2.0));
    }
}

pub(crate) fn output(draft: &Draft, id: Id) -> Output {
    let value = draft.value(id);
    Output { name: value.name.clone(), dtype: value.dtype, shape: value.shape.clone() }
}

pub(crate) fn finish(
    draft: Draft,
    kind: Kind,
    seed: u64,
    outputs: Vec<Output>,
    frame: Option<crate::derive::Frame>,
) -> Model {
    let values = draft.values.iter().map(|value| Input {
        name: value.name.clone(),
        dtype: value.dtype,
        shape: value.shape.clone(),
        range: value.range,
    });
    Model {
        seed,
        kind,
        sizes: draft.sizes.clone(),
        values: values.collect(),
        inputs: draft.inputs,
        outputs,
        items: draft.items,
        lines: draft.lines,
        frame,
    }
}

impl Model {
    /// What the file calls it.
    pub fn name(&self) -> String {
        format!("Random{}", self.seed)
    }

    /// The text of the file.
    pub fn source(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            let _ = writeln!(text, "{item}");
        }
        if let Some(frame) = &self.frame {
            frame.write(self, &mut text);
            return text;
        }
        let inputs: Vec<String> = self
            .inputs
            .iter()
            .map(|input| format!("{}: {}{}", input.name, input.dtype.name(), shape_text(&input.shape)))
            .collect();
        let _ = writeln!(text, "model {}({}) -> ({}) {{", self.name(), inputs.join(", "), self.results());
        for line in &self.lines {
            let _ = writeln!(text, "    {}", line.text);
        }
        text.push_str("}\n");
        text
    }

    pub(crate) fn results(&self) -> String {
        let outputs = self
            .outputs
            .iter()
            .map(|output| format!("{}: {}{}", output.name, output.dtype.name(), shape_text(&output.shape)));
        outputs.collect::<Vec<_>>().join(", ")
    }

    /// Row-major values of an input for one set of sizes; f32 holds them exactly.
    pub fn values_of(&self, input: &Input, sizes: &Sizes) -> Vec<f64> {
        let mut rng = Rng::named(self.seed, &input.name);
        let count: i64 = input.shape.iter().map(|dim| dim.at(sizes)).product();
        let Range { low, high } = input.range;
        let draw = |_| match input.dtype {
            DType::Float => f64::from((low + (high - low) * rng.unit()) as f32),
            DType::I32 => rng.between(low as i64, high as i64) as f64,
            DType::Bool => rng.below(2) as f64,
        };
        (0..count).map(draw).collect()
    }

    /// The dynamic dimensions by name.
    pub fn symbols(sizes: &Sizes) -> impl Iterator<Item = (&'static str, i64)> {
        SYMBOLS.into_iter().zip(*sizes)
    }

    pub fn n_statements(&self) -> usize {
        self.lines.len()
    }

    /// Leaves out statements and inputs that no output needs.
    pub(crate) fn drop_dead(&mut self) {
        let name = |id: &Id| self.values[*id].name.clone();
        let mut needed: BTreeSet<String> = self.outputs.iter().map(|output| output.name.clone()).collect();
        if let Some(frame) = &self.frame {
            needed.extend(frame.cost.clone());
        }
        let mut kept = Vec::new();
        for line in self.lines.iter().rev() {
            if line.makes.is_empty() || line.makes.iter().any(|id| needed.contains(&name(id))) {
                needed.extend(line.reads.iter().map(name));
                kept.push(line.clone());
            }
        }
        kept.reverse();
        self.lines = kept;
        if self.frame.is_none() {
            // A dimension is known by the inputs that have it.
            let is_static = |input: &Input| input.shape.iter().all(|dim| dim.known().is_some());
            self.inputs.retain(|input| needed.contains(&input.name) || !is_static(input));
        }
    }
}
