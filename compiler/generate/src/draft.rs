//! A program under construction: its values with their types, and what has been written.

use crate::{
    dim::{Dim, Sizes, shape_text},
    model::Input,
    range::Range,
    rng::Rng,
};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DType {
    Float,
    I32,
    Bool,
}

impl DType {
    pub fn name(self) -> &'static str {
        match self {
            DType::Float => "float",
            DType::I32 => "i32",
            DType::Bool => "bool",
        }
    }
}

/// Position in [`Draft::values`].
pub type Id = usize;

#[derive(Clone, Debug)]
pub struct Value {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<Dim>,
    pub range: Range,
}

/// One statement: what it binds, and what it reads.
#[derive(Clone, Debug)]
pub struct Line {
    pub text: String,
    pub makes: Vec<Id>,
    pub reads: Vec<Id>,
}

/// What may not grow beyond: elements of a value, and the size of its numbers.
const MAX_ELEMENTS: i64 = 160;
const MAX_SIZE: f64 = 20.0;

pub struct Draft {
    pub rng: Rng,
    /// Each model is run with all of them.
    pub sizes: Vec<Sizes>,
    pub values: Vec<Value>,
    pub visible: Vec<Id>,
    pub lines: Vec<Line>,
    pub inputs: Vec<Input>,
    /// Functions and layers before the model.
    pub items: Vec<String>,
    /// Nothing without a derivative, and no draws.
    pub smooth: bool,
    /// Inside a `fn`, where neither weights nor inputs can be made.
    pub in_function: bool,
    /// Inside a layer, where inputs cannot be made.
    pub in_layer: bool,
    pub depth: usize,
    n_names: usize,
    reads: Vec<Id>,
}

impl Draft {
    pub fn new(seed: u64, smooth: bool) -> Draft {
        let mut rng = Rng::new(seed);
        let sizes = vec![[rng.between(2, 3), rng.between(2, 4)], [rng.between(1, 4), rng.between(1, 5)]];
        Draft {
            rng,
            sizes,
            values: Vec::new(),
            visible: Vec::new(),
            lines: Vec::new(),
            inputs: Vec::new(),
            items: Vec::new(),
            smooth,
            in_function: false,
            in_layer: false,
            depth: 0,
            n_names: 0,
            reads: Vec::new(),
        }
    }

    pub fn fresh(&mut self, stem: &str) -> String {
        self.n_names += 1;
        format!("{stem}{}", self.n_names)
    }

    pub fn value(&self, id: Id) -> &Value {
        &self.values[id]
    }

    pub fn shape(&self, id: Id) -> Vec<Dim> {
        self.values[id].shape.clone()
    }

    pub fn range(&self, id: Id) -> Range {
        self.values[id].range
    }

    /// The name of a value that is about to be read.
    pub fn read(&mut self, id: Id) -> String {
        self.reads.push(id);
        self.values[id].name.clone()
    }

    /// Forgets what an abandoned statement was going to read.
    pub fn abandon(&mut self) {
        self.reads.clear();
    }

    pub fn take_reads(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.reads)
    }

    pub fn add(&mut self, name: String, dtype: DType, shape: Vec<Dim>, range: Range) -> Id {
        self.values.push(Value { name, dtype, shape, range });
        self.values.len() - 1
    }

    /// Whether a value of this shape stays small whenever the model is run.
    pub fn fits(&self, shape: &[Dim]) -> bool {
        self.sizes.iter().all(|sizes| {
            let elements: i64 = shape.iter().map(|dim| dim.at(sizes)).product();
            (1..=MAX_ELEMENTS).contains(&elements)
        })
    }

    /// Largest and smallest size of a dimension.
    pub fn largest(&self, dim: &Dim) -> i64 {
        self.sizes.iter().map(|sizes| dim.at(sizes)).max().unwrap_or(1)
    }

    pub fn smallest(&self, dim: &Dim) -> i64 {
        self.sizes.iter().map(|sizes| dim.at(sizes)).min().unwrap_or(1)
    }

    /// Binds an expression to a name; large numbers are scaled down first.
    pub fn emit(&mut self, text: String, dtype: DType, shape: Vec<Dim>, range: Range) -> Option<Id> {
        self.emit_indexed("", text, "", dtype, shape, range)
    }

    /// As [`Draft::emit`], with indices after the name and ranges after the expression.
    pub fn emit_indexed(
        &mut self,
        indices: &str,
        text: String,
        ranges: &str,
        dtype: DType,
        shape: Vec<Dim>,
        range: Range,
    ) -> Option<Id> {
        if !self.fits(&shape) || !range.low.is_finite() || !range.high.is_finite() {
            self.abandon();
            return None;
        }
        let (mut text, mut range) = (text, range);
        if dtype == DType::Float && range.size() > MAX_SIZE {
            let factor = (3.0 / range.size() * 64.0).ceil() / 64.0;
            text = format!("({text}) * {factor:?}");
            range = range.times(Range::new(factor, factor));
            if range.size() > MAX_SIZE {
                text = format!("3 * tanh({text})");
                range = Range::around(3.0);
            }
        }
        let name = self.fresh("v");
        let id = self.add(name.clone(), dtype, shape, range);
        let reads = self.take_reads();
        self.lines.push(Line { text: format!("{name}{indices} = {text}{ranges}"), makes: vec![id], reads });
        self.visible.push(id);
        Some(id)
    }

    /// A statement of several results.
    pub fn emit_all(&mut self, text: String, results: Vec<(DType, Vec<Dim>, Range)>) -> Option<Vec<Id>> {
        if !results.iter().all(|(_, shape, range)| self.fits(shape) && range.size() <= MAX_SIZE) {
            self.abandon();
            return None;
        }
        let mut makes = Vec::new();
        for (dtype, shape, range) in results {
            let name = self.fresh("v");
            makes.push(self.add(name, dtype, shape, range));
        }
        let names: Vec<String> = makes.iter().map(|id| self.values[*id].name.clone()).collect();
        let reads = self.take_reads();
        self.lines.push(Line { text: format!("{} = {text}", names.join(", ")), makes: makes.clone(), reads });
        self.visible.extend(&makes);
        Some(makes)
    }

    /// Says that a dynamic dimension is no less than 1, which is not known by itself.
    pub fn at_least_one(&mut self, dim: &Dim) -> Option<()> {
        if dim.known().is_some() {
            return Some(());
        }
        if self.in_function || !dim.is_plain() {
            return None;
        }
        let text = format!("require {dim} >= 1, \"something to look at\"");
        if !self.lines.iter().any(|line| line.text == text) {
            self.lines.push(Line { text, makes: Vec::new(), reads: Vec::new() });
        }
        Some(())
    }

    /// A value in scope, later ones more often.
    pub fn pick(&mut self, wanted: impl Fn(&Value) -> bool) -> Option<Id> {
        let fitting: Vec<Id> = self.visible.iter().copied().filter(|id| wanted(&self.values[*id])).collect();
        let place = self.rng.below(fitting.len()).max(self.rng.below(fitting.len()));
        fitting.get(place).copied()
    }

    pub fn pick_float(&mut self) -> Option<Id> {
        self.pick(|value| value.dtype == DType::Float)
    }

    /// A floating value of at least so many axes.
    pub fn pick_ranked(&mut self, rank: usize) -> Option<Id> {
        self.pick(|value| value.dtype == DType::Float && value.shape.len() >= rank)
    }

    /// A new input of the model.
    pub fn input(&mut self, dtype: DType, shape: Vec<Dim>, range: Range) -> Option<Id> {
        if self.in_function || self.in_layer || !self.fits(&shape) || !shape.iter().all(Dim::is_plain) {
            return None;
        }
        let name = self.fresh("x");
        self.inputs.push(Input { name: name.clone(), dtype, shape: shape.clone(), range });
        let id = self.add(name, dtype, shape, range);
        self.visible.push(id);
        Some(id)
    }

    /// A weight of the model or layer.
    pub fn weight(&mut self, shape: Vec<Dim>) -> Option<Id> {
        if self.in_function || !self.fits(&shape) || !shape.iter().all(|dim| dim.known().is_some()) {
            return None;
        }
        let name = self.fresh("w");
        let initial = ["uniform(-1, 1)", "uniform(-0.5, 1.5)", "glorot_uniform()"][self.rng.below(3)];
        let initial = if shape.len() < 2 { "uniform(-1, 1)" } else { initial };
        let id = self.add(name.clone(), DType::Float, shape.clone(), Range::around(2.0));
        let text = format!("param {name}: float{} = {initial}", shape_text(&shape));
        self.lines.push(Line { text, makes: vec![id], reads: Vec::new() });
        self.visible.push(id);
        Some(id)
    }

    /// A floating value of exactly this shape: one there is, or a new weight, input or constant.
    pub fn like(&mut self, shape: &[Dim]) -> Option<Id> {
        let wanted = shape.to_vec();
        let known = self.pick(move |value| value.dtype == DType::Float && value.shape == wanted);
        if let Some(id) = known
            && !self.rng.once_in(3)
        {
            return Some(id);
        }
        let made = if self.rng.once_in(2) { self.weight(shape.to_vec()) } else { None };
        let range = Range::around(2.0);
        let made = made.or_else(|| self.input(DType::Float, shape.to_vec(), range));
        made.or_else(|| self.weight(shape.to_vec())).or(known)
    }

    /// A random size of an axis.
    pub fn size(&mut self) -> Dim {
        match self.rng.below(10) {
            0 | 1 => Dim::symbol(0),
            2 => Dim::symbol(1),
            3 => Dim::from(1),
            4 | 5 => Dim::from(2),
            6 | 7 => Dim::from(3),
            8 => Dim::from(4),
            _ => Dim::from(5),
        }
    }

    pub fn static_size(&mut self) -> Dim {
        Dim::from(self.rng.between(1, 5))
    }

    /// A random number as the program writes it, with its value.
    pub fn literal(&mut self) -> (String, f64) {
        let value = self.rng.between(-12, 12) as f64 / 8.0;
        let value = if value == 0.0 { 0.375 } else { value };
        (if value < 0.0 { format!("({value:?})") } else { format!("{value:?}") }, value)
    }
}
