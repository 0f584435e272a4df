//! What a build gives to the driver.

use base::Span;
use graph::{FuncId, Module, Type};

/// A model's entry points as graph functions, and what surrounds them.
///
/// Parameters and results of entry points carry names and roles; the runtime matches them by both. Entry points:
/// - `run`: inputs, weights, states → outputs, states (`training` is false).
/// - `init`: `seed` → weights, states, optimiser states.
/// - `reset`, where `run` has states whose size goes with the inputs: `seed` → those states as a session of runs begins.
///   Its dimensions are those of the run. No other entry point takes or gives such states.
/// - `grad`: fields, weights, states, `seed`, `step` → `loss`, one gradient a weight (`training` is true).
/// - `step`: fields, weights, states, optimiser states, `seed`, `step`, `total_steps` → `loss`; `lr`, `grad_norm` (before
///   clipping) and `weight_norm` (before the update) of role metric; weights that are not frozen, states, optimiser
///   states. `step` counts updates from 0. With a plateau, it takes `lr_scale` (f64) too; with `ema`, optimiser states
///   `ema/NAME` are the weights' running averages.
/// - `accumulate`, where an update takes several batches: fields, weights, states, sums of gradients `gradient/NAME`,
///   `seed`, `step`, `part`, `share` → `loss`, states, sums of gradients. It takes every batch but the last, which `step`
///   takes along with the sums. `part` counts the batches of an update from 0; `share` (f64) is the batch's share of the
///   update's rows, which its gradients are multiplied by.
/// - `eval`: fields, weights, states, `seed` → accumulators (role metric): names ending in `.sum` are added over the
///   batches of a split, those ending in `.keep` concatenated along axis 0.
/// - `eval_finish`: the accumulated `.sum`s by the same names → `loss` and a scalar a metric. A metric `X` with
///   `X.scores.keep` and `X.labels.keep` instead is the area under the ROC curve, computed by the host; such an area
///   inside a larger expression is the argument `Y.auc`, of `Y.scores.keep` and `Y.labels.keep`.
/// - `fit`: fields, weights, states → for each `standardize` instance `NAME.count.sum`, `NAME.total.sum`,
///   `NAME.squares.sum` of values centred on the present `NAME.mean` (divided by nothing), for fitting its states.
#[derive(Clone, Debug)]
pub struct Built {
    /// The model's name as declared.
    pub name: String,
    pub module: Module,
    pub entries: Vec<(&'static str, FuncId)>,
    /// Inputs of `run`; those with a default may be left out.
    pub inputs: Vec<FieldSpec>,
    pub weights: Vec<WeightInfo>,
    pub states: Vec<WeightInfo>,
    /// Weights that only training has: what `run` does not read.
    pub training_weights: Vec<WeightInfo>,
    /// Names of the instances of `standardize`, each with states `NAME.mean` and `NAME.std`.
    pub fits: Vec<String>,
    pub train: Option<TrainSpec>,
    /// What the weights are called elsewhere.
    pub maps: Vec<crate::WeightMap>,
    /// Instances in order of application, for `dlc inspect`.
    pub layers: Vec<LayerInfo>,
}

#[derive(Clone, Debug)]
pub struct WeightInfo {
    pub name: String,
    pub ty: Type,
    pub span: Span,
}

/// One applied instance: `conv_block.conv2d`.
#[derive(Clone, Debug)]
pub struct LayerInfo {
    pub path: String,
    /// The layer's definition, as `conv2d`.
    pub layer: String,
    pub inputs: Vec<Type>,
    pub outputs: Vec<Type>,
    /// The function that the instance calls.
    pub func: FuncId,
    pub depth: usize,
}

/// The `train` item, with defaults filled in.
#[derive(Clone, Debug)]
pub struct TrainSpec {
    pub span: Span,
    pub source: Option<Source>,
    /// Fields that the entry points take, in order: inputs of the model first.
    pub fields: Vec<FieldSpec>,
    /// Symbol that `batch` binds: the leading dimension of the first input fed by data.
    pub batch_symbol: Option<String>,
    pub split: Vec<f64>,
    pub epochs: Option<i64>,
    pub steps: Option<i64>,
    pub batch: i64,
    /// Batches of one update.
    pub accumulate: i64,
    /// What is done with pictures in training, field by field.
    pub augment: Vec<Augment>,
    /// Decay of the running average of weights, between 0 and 1.
    pub ema: Option<f64>,
    pub plateau: Option<Plateau>,
    pub seed: i64,
    pub metrics: Vec<Metric>,
    pub early_stop: Option<EarlyStop>,
    pub checkpoint: Checkpoint,
    /// Steps between evaluations; `None` is once an epoch.
    pub eval_every: Option<i64>,
    /// Steps between lines of the log.
    pub log_every: i64,
}

#[derive(Clone, Debug)]
pub struct FieldSpec {
    pub name: String,
    pub ty: Type,
    /// May be left out of the data.
    pub default: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Lower,
    Higher,
}

#[derive(Clone, Debug)]
pub struct Metric {
    pub name: String,
    pub direction: Direction,
}

/// A learning rate that falls when a measure stops getting better.
#[derive(Clone, PartialEq, Debug)]
pub struct Plateau {
    pub on: String,
    /// Between 0 and 1.
    pub factor: f64,
    /// Evaluations without an improvement.
    pub patience: i64,
}

#[derive(Clone, Debug)]
pub struct EarlyStop {
    /// `val.loss` without the `val.` is `loss`.
    pub on: String,
    pub patience: i64,
}

#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Epochs between checkpoints; 0 is never.
    pub every_epochs: i64,
    pub every_steps: Option<i64>,
    pub keep: i64,
    pub best: Option<String>,
}

/// `data = csv("digits.csv", image: columns(0..64) / 16, label: column(64))`.
#[derive(Clone, Debug)]
pub struct Source {
    /// `csv npz npy idx images text parquet safetensors synthetic`.
    pub kind: String,
    pub path: Option<String>,
    /// Rows of synthetic data.
    pub rows: Option<i64>,
    pub fields: Vec<FieldSource>,
    pub span: Span,
}

/// What is done with the rows of one field, in this order.
#[derive(Clone, Debug)]
pub struct Augment {
    pub field: String,
    pub transforms: Vec<Transform>,
    pub span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transform {
    /// A part of this size from anywhere, around which lie `padding` zeros on every side.
    RandomCrop { height: i64, width: i64, padding: i64 },
    /// Left and right exchanged, every other time.
    Flip,
}

/// What feeds one field.
#[derive(Clone, Debug)]
pub struct FieldSource {
    pub field: String,
    pub origin: Origin,
    /// Arithmetic on every value, in the order in which it is done.
    pub steps: Vec<Step>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Origin {
    Column(Column),
    Columns(Vec<Column>),
    /// `columns(a..b)`: numbers leave out b, names include both ends.
    Indices {
        from: i64,
        to: i64,
    },
    Names {
        from: String,
        to: String,
    },
    /// An array of an npz or safetensors file, or a file in a folder of npy or idx files.
    Entry(String),
    Draw(DrawSpec),
    /// `window(n)` of a text: n consecutive symbols.
    Window(i64),
    /// `next()` of a text: the window moved on by one symbol.
    Next,
    /// `resize(h, w)` or `crop(h, w)` of a picture: channels first, from 0 to 1.
    Picture {
        height: i64,
        width: i64,
        crop: bool,
    },
    /// `folder()` of a picture: the number of the subfolder that holds it.
    Folder,
}

/// `n - x` is a product by -1 and a sum, `x - n` a sum.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    Add(f64),
    Multiply(f64),
    Divide(f64),
}

#[derive(Clone, Debug)]
pub enum Column {
    Index(i64),
    Name(String),
}

#[derive(Clone, Copy, Debug)]
pub enum DrawSpec {
    Normal { mean: f64, std: f64 },
    Uniform { low: f64, high: f64 },
}

/// One `test` item as a graph function: for each `assert`, in order, a result named by its number.
///
/// `assert a ~= b within t` gives `N.left` and `N.right` (same shape) to compare with `within`; a bool condition gives
/// `N.holds`.
#[derive(Clone, Debug)]
pub struct TestCase {
    pub title: String,
    pub span: Span,
    pub module: Module,
    pub entry: FuncId,
    pub asserts: Vec<Assert>,
}

#[derive(Clone, Debug)]
pub struct Assert {
    pub span: Span,
    pub within: f64,
    pub near: bool,
    pub message: Option<String>,
}
