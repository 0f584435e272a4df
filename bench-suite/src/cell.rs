//! What is measured in one go: a model with everything that fixes its work.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Infer,
    Train,
    /// Inference, with requests that arrive by chance.
    Server,
    /// Training with data that come from a file.
    Streamed,
}

impl Mode {
    pub const ALL: [Mode; 4] = [Mode::Infer, Mode::Train, Mode::Server, Mode::Streamed];

    pub fn name(self) -> &'static str {
        match self {
            Mode::Infer => "infer",
            Mode::Train => "train",
            Mode::Server => "server",
            Mode::Streamed => "streamed",
        }
    }

    pub fn parse(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// What an arm is told: requests and streams are made by the runner.
    pub fn trains(self) -> bool {
        matches!(self, Mode::Train | Mode::Streamed)
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cell {
    /// In the registry, or the stem of a file.
    pub model: String,
    pub mode: Mode,
    pub batch: u64,
    pub sizes: BTreeMap<String, u64>,
    pub threads: usize,
    pub precision: String,
}

impl Cell {
    /// For people and names of files: `resnet18-infer-b1-t2`.
    pub fn name(&self) -> String {
        let sizes: String = self.sizes.iter().map(|(dim, size)| format!("-{dim}{size}")).collect();
        let precision = if self.precision == "f32" { String::new() } else { format!("-{}", self.precision) };
        format!("{}-{}-b{}{sizes}-t{}{precision}", self.model, self.mode.name(), self.batch, self.threads)
    }

    /// Every dimension that has a size here.
    pub fn dims(&self) -> BTreeMap<String, u64> {
        let mut dims = self.sizes.clone();
        dims.insert("batch".into(), self.batch);
        dims
    }
}
