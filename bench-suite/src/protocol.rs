//! What runner and arm say to each other: one JSON object a line, requests in, one reply each out.
//!
//! Every call that is timed is synchronous: when it returns, its results are there.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A line longer than this is no reply.
pub const MAX_REPLY_BYTES: u64 = 16 << 20;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Build the model, take the folder's weights, compile: ready to be called.
    Load(Box<Load>),
    /// One call, or so many steps of training; what they give goes into a file.
    First { steps: u32, to: String },
    /// Calls one by one, for so long and at most so many.
    Warm { seconds: f64, most: u32 },
    /// So many samples within about so long; each the mean of some calls in a row.
    Time { seconds: f64, samples: u32 },
    /// One worker answers requests that arrive at these times, in seconds from the first.
    Arrivals { at: Vec<f64> },
    /// Train until a measure is reached or the time is over.
    Curve { seconds: f64, target: f64 },
    /// The last words; then the process ends.
    Stop,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Load {
    pub arm: String,
    /// In the registry, or the stem of a file.
    pub model: String,
    /// `infer` or `train`.
    pub mode: String,
    pub batch: u64,
    pub sizes: BTreeMap<String, u64>,
    pub threads: usize,
    pub precision: String,
    pub style: String,
    /// With `weights.safetensors` and `inputs.npz`.
    pub folder: String,
    /// The `.model` file, and which of its models.
    pub source: String,
    pub name: String,
    pub settings: BTreeMap<String, String>,
    /// The optimiser, as the registry states it.
    pub train: serde_json::Value,
    /// Of the arm, as the table of arms states them.
    pub options: BTreeMap<String, serde_json::Value>,
}

/// The reply to [`Request::Load`]: what the arm reads back from its framework.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Loaded {
    pub framework: String,
    pub version: String,
    /// `None` where the framework does not tell: then processor time does.
    pub threads_seen: Option<usize>,
    pub dtype_seen: String,
    #[serde(default)]
    pub flags: BTreeMap<String, serde_json::Value>,
    pub import_s: f64,
    pub load_s: f64,
    pub compile_s: f64,
    #[serde(default)]
    pub artifact_bytes: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct First {
    /// Of each call or step.
    pub seconds: Vec<f64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Warmed {
    pub samples: Vec<f64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Timed {
    /// Mean seconds a call.
    pub samples: Vec<f64>,
    /// How many calls each sample is the mean of.
    pub calls: u64,
    /// Processor seconds a call, over all threads.
    #[serde(default)]
    pub cpu: Vec<f64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Arrived {
    /// From a request's arrival to its answer.
    pub latencies: Vec<f64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Curve {
    pub seconds: Vec<f64>,
    pub loss: Vec<f64>,
    #[serde(default)]
    pub accuracy: Vec<f64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stopped {
    #[serde(default)]
    pub peak_bytes: Option<u64>,
    #[serde(default)]
    pub cpu_s: Option<f64>,
}

/// Instead of any reply.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Refusal {
    /// What the framework does not offer.
    Cannot {
        cannot: String,
    },
    /// What is not installed, and the command that installs it.
    Missing {
        missing: String,
        install: String,
    },
    Error {
        error: String,
    },
}

impl Refusal {
    pub fn cannot(what: impl Into<String>) -> Refusal {
        Refusal::Cannot { cannot: what.into() }
    }

    pub fn error(what: impl Into<String>) -> Refusal {
        Refusal::Error { error: what.into() }
    }
}
