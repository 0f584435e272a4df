//! The lines of a results file, as `bench-suite/schema.json` has them. Unknown keys are passed over: a newer `dlc` may
//! have measured more.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How an arm fared, as the line says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Ok,
    Wrong,
    Impossible,
    Threads,
    Failed,
    Cannot,
    Missing,
}

/// One framework in one style on one model, batch, number of threads and precision.
#[derive(Clone, Debug, Deserialize)]
pub struct Arm {
    pub arm: String,
    pub version: Option<String>,
    pub model: String,
    pub mode: String,
    pub batch: Option<u64>,
    pub sizes: Option<BTreeMap<String, f64>>,
    pub threads: Option<u64>,
    pub precision: Option<String>,
    pub style: Option<String>,
    pub median_s: Option<f64>,
    pub ci95_s: Option<[f64; 2]>,
    pub n: Option<u64>,
    pub processes: Option<u64>,
    pub process_medians_s: Option<Vec<f64>>,
    pub samples_s: Option<Vec<f64>>,
    pub p50_s: Option<f64>,
    pub p90_s: Option<f64>,
    pub p95_s: Option<f64>,
    pub p99_s: Option<f64>,
    pub first_s: Option<f64>,
    pub import_s: Option<f64>,
    pub compile_s: Option<f64>,
    pub warm_up_s: Option<Vec<f64>>,
    /// Of the processors together, a call.
    pub cpu_s: Option<f64>,
    pub energy_j: Option<f64>,
    pub artifact_bytes: Option<f64>,
    pub peak_bytes: Option<f64>,
    pub correct: Option<bool>,
    pub max_error: Option<f64>,
    pub max_relative: Option<f64>,
    pub argmax_agreement: Option<f64>,
    pub threads_seen: Option<u64>,
    pub dtype_seen: Option<String>,
    pub flops: Option<f64>,
    pub bytes: Option<f64>,
    pub steal: Option<f64>,
    pub redone: Option<u64>,
    pub machine: Option<String>,
    pub command: Option<String>,
    #[serde(default)]
    pub status: Status,
    pub why: Option<String>,
    pub install: Option<String>,
}

/// A machine and what was installed on it.
#[derive(Clone, Debug, Deserialize)]
pub struct Environment {
    pub machine: String,
    pub date: Option<String>,
    pub commit: Option<String>,
    #[serde(default)]
    pub peaks: Peaks,
    /// The whole line, for the table.
    #[serde(skip)]
    pub all: Map<String, Value>,
}

/// What the machine was measured to do at most, by number of threads.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Peaks {
    pub gflops: BTreeMap<u64, f64>,
    pub copy_gbs: BTreeMap<u64, f64>,
}

/// How far two identical arms came out apart.
#[derive(Clone, Debug, Deserialize)]
pub struct Floor {
    pub model: Option<String>,
    pub mode: Option<String>,
    pub batch: Option<u64>,
    pub threads: Option<u64>,
    pub machine: Option<String>,
    /// The ratio of the two, less one.
    pub spread: f64,
}

/// What is known of a framework without timing it; the keys are free.
#[derive(Clone, Debug, Deserialize)]
pub struct Facts {
    pub arm: String,
    #[serde(flatten)]
    pub known: BTreeMap<String, Value>,
}

/// A training run: loss and accuracy after so many seconds.
#[derive(Clone, Debug, Deserialize)]
pub struct Curve {
    pub arm: String,
    pub model: String,
    pub seconds: Vec<f64>,
    pub loss: Option<Vec<f64>>,
    pub accuracy: Option<Vec<f64>>,
    pub command: Option<String>,
    pub machine: Option<String>,
}

/// One kernel of ours within a run.
#[derive(Clone, Debug, Deserialize)]
pub struct Kernel {
    pub model: String,
    pub mode: String,
    pub batch: Option<u64>,
    pub threads: Option<u64>,
    pub kernel: String,
    /// Of the model's source.
    pub line: Option<Value>,
    pub seconds: f64,
    pub flops: Option<f64>,
    pub bytes: Option<f64>,
    pub command: Option<String>,
    pub machine: Option<String>,
}

/// A stage of the compiler at one commit.
#[derive(Clone, Debug, Deserialize)]
pub struct Compiler {
    pub bench: String,
    pub median_s: f64,
    pub ci95_s: Option<[f64; 2]>,
    pub commit: Option<String>,
    pub date: Option<String>,
    pub machine: Option<String>,
}

/// Any line.
#[derive(Clone, Debug)]
pub enum Record {
    Environment(Environment),
    Arm(Box<Arm>),
    Floor(Floor),
    Facts(Facts),
    Curve(Curve),
    Kernel(Kernel),
    Compiler(Compiler),
    /// Of a kind that this version does not know.
    Unknown(String),
}
