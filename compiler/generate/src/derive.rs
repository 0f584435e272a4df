//! Models of a scalar with all its derivatives, first and second, each in the ways in which they can be had.

use crate::{
    DType, Kind,
    dim::{Dim, shape_text},
    draft::Draft,
    model::{self, Input, Model, Output},
    range::Range,
    rules,
};
use std::fmt::Write;

/// Statements of one model.
const STATEMENTS: (i64, i64) = (1, 12);

/// What stands around the statements.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The value that is summed.
    pub cost: Option<String>,
    /// Whether it is a scalar already.
    pub is_scalar: bool,
}

pub(crate) fn model(seed: u64) -> Model {
    let mut draft = Draft::new(seed ^ 0x0064_6572_6976, true);
    model::start(&mut draft);
    if draft.rng.once_in(3) {
        let rank = draft.rng.between(3, 4) as usize;
        let mut shape = vec![Dim::from(1), Dim::from(draft.rng.between(1, 4))];
        shape.extend((2..rank).map(|_| Dim::from([2, 3, 4][draft.rng.below(3)])));
        draft.input(DType::Float, shape, Range::around(1.5));
    }
    draft.in_layer = true;
    let wanted = draft.rng.between(STATEMENTS.0, STATEMENTS.1) as usize;
    rules::fill(&mut draft, wanted);
    let made = draft.lines.iter().flat_map(|line| line.makes.iter().copied());
    let floats = made.filter(|id| draft.value(*id).dtype == DType::Float);
    // Of weights alone there is nothing to differentiate.
    let cost = floats.rev().find(|id| draft.value(*id).name.starts_with('v'));
    let cost = cost.unwrap_or(0);
    let frame = Frame { cost: Some(draft.value(cost).name.clone()), is_scalar: draft.shape(cost).is_empty() };
    let mut model = model::finish(draft, Kind::Derivatives, seed, Vec::new(), Some(frame));
    model.drop_dead();
    model.sizes.truncate(1);
    model.settle();
    model
}

impl Model {
    /// Inputs are those that the statements read, each with its direction; results follow from them.
    pub(crate) fn settle(&mut self) {
        let Some(frame) = &self.frame else { return };
        let read: Vec<String> = self
            .lines
            .iter()
            .flat_map(|line| &line.reads)
            .map(|id| self.values[*id].name.clone())
            .chain(frame.cost.clone())
            .collect();
        self.inputs.retain(|input| !input.name.starts_with('d'));
        // A dimension is known by the inputs that have it.
        let is_static = |input: &Input| input.shape.iter().all(|dim| dim.known().is_some());
        let first = self.inputs.first().cloned();
        self.inputs.retain(|input| read.contains(&input.name) || !is_static(input));
        if self.inputs.is_empty() {
            self.inputs.extend(first);
        }
        let directions: Vec<Input> = self.inputs.iter().map(direction).collect();
        self.outputs = ["y", "reverse", "forward"].map(|name| output(name.into(), &[])).to_vec();
        for stem in ["slope", "bend", "turn"] {
            let named = |(index, input): (usize, &Input)| output(format!("{stem}{index}"), &input.shape);
            self.outputs.extend(self.inputs.iter().enumerate().map(named));
        }
        self.inputs.extend(directions);
    }
}

fn output(name: String, shape: &[Dim]) -> Output {
    Output { name, dtype: DType::Float, shape: shape.to_vec() }
}

fn direction(input: &Input) -> Input {
    Input { name: format!("d{}", input.name), range: Range::around(1.0), ..input.clone() }
}

impl Frame {
    pub(crate) fn write(&self, model: &Model, text: &mut String) {
        let varied: Vec<&Input> = model.inputs.iter().filter(|input| !input.name.starts_with('d')).collect();
        let typed = |inputs: &mut dyn Iterator<Item = &Input>| {
            let texts = inputs.map(|input| format!("{}: float{}", input.name, shape_text(&input.shape)));
            texts.collect::<Vec<_>>().join(", ")
        };
        let names: Vec<&str> = varied.iter().map(|input| input.name.as_str()).collect();
        let list = names.join(", ");
        let numbered = |stem: &str| (0..names.len()).map(|i| format!("{stem}{i}")).collect::<Vec<_>>();
        let cost = self.cost.clone().unwrap_or_default();
        let cost = if self.is_scalar { cost } else { format!("sum({cost})") };
        let _ = writeln!(text, "layer net()({}) -> float {{", typed(&mut varied.iter().copied()));
        for line in &model.lines {
            let _ = writeln!(text, "    {}", line.text);
        }
        let _ = writeln!(text, "    {cost}\n}}\n");
        let slopes: Vec<String> = names.iter().map(|name| format!("grad(cost, wrt: {name})")).collect();
        let _ = writeln!(text, "layer steep()({}) {{", typed(&mut varied.iter().copied()));
        let _ = writeln!(
            text,
            "    unit = net()\n    cost = unit({list})\n    (cost, {})\n}}\n",
            slopes.join(", ")
        );
        let (inputs, results) = (typed(&mut model.inputs.iter()), model.results());
        let _ = writeln!(text, "model {}({inputs}) -> ({results}) {{", model.name());
        let _ = writeln!(text, "    unit = steep()\n    y, {} = unit({list})", numbered("slope").join(", "));
        let products = varied.iter().enumerate().map(|(i, input)| match input.shape.is_empty() {
            true => format!("slope{i} * d{}", input.name),
            false => format!("sum(slope{i} * d{})", input.name),
        });
        let _ = writeln!(text, "    reverse = {}", products.collect::<Vec<_>>().join(" + "));
        for (i, name) in names.iter().enumerate() {
            let _ = writeln!(text, "    bend{i} = grad(reverse, wrt: {name})");
        }
        let directions: Vec<String> = names.iter().map(|name| format!("d{name}")).collect();
        let (xs, ds) = match names.len() {
            1 => (list.clone(), directions[0].clone()),
            _ => (format!("({list})"), format!("({})", directions.join(", "))),
        };
        let _ = writeln!(text, "    _, turns = jvp(unit, {xs}, {ds})");
        let _ = writeln!(text, "    forward, {} = turns", numbered("turn").join(", "));
        text.push_str("}\n");
    }
}
