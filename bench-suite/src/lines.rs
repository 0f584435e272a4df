//! Results: one JSON object a line. `schema.json` describes them.

use crate::Mode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    Environment(Box<EnvironmentLine>),
    Arm(Box<ArmLine>),
    Floor(FloorLine),
    Facts(FactsLine),
    Curve(CurveLine),
    Kernel(KernelLine),
    Compiler(CompilerLine),
}

/// What a measurement depends on besides the code; every line after it was measured there.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EnvironmentLine {
    /// A hash of what makes two machines comparable.
    pub machine: String,
    pub date: String,
    pub cpu: String,
    pub cores: usize,
    pub flags: Vec<String>,
    pub caches: BTreeMap<String, String>,
    pub memory_bytes: u64,
    pub kernel: String,
    pub governor: Option<String>,
    pub r#virtual: bool,
    pub load: Vec<f64>,
    pub versions: BTreeMap<String, String>,
    pub commit: String,
    pub seed: u64,
    pub peaks: PeaksLine,
}

/// By threads: what this machine reached.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PeaksLine {
    pub gflops: BTreeMap<String, f64>,
    /// Read and written together.
    pub copy_gbs: BTreeMap<String, f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Ok,
    /// Its results differ from the reference.
    Wrong,
    Missing,
    /// The framework does not offer this.
    Cannot,
    Failed,
    /// Faster than the machine.
    Impossible,
    /// It ran on other threads than asked for.
    Threads,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ArmLine {
    pub arm: String,
    pub framework: Option<String>,
    pub version: Option<String>,
    pub model: String,
    pub mode: Mode,
    pub batch: u64,
    pub sizes: BTreeMap<String, u64>,
    pub threads: usize,
    pub precision: String,
    pub style: String,
    pub status: Status,
    /// Why there is no time.
    pub why: Option<String>,
    /// What installs the framework, where it is missing.
    pub install: Option<String>,
    /// Median over processes of each one's median, seconds a call.
    pub median_s: Option<f64>,
    pub ci95_s: Option<[f64; 2]>,
    /// Samples in all.
    pub n: usize,
    pub processes: usize,
    pub process_medians_s: Vec<f64>,
    pub samples_s: Vec<f64>,
    /// Of single calls.
    pub p50_s: Option<f64>,
    pub p90_s: Option<f64>,
    pub p95_s: Option<f64>,
    pub p99_s: Option<f64>,
    /// From the start of the process to its first result.
    pub first_s: Option<f64>,
    pub import_s: Option<f64>,
    pub load_s: Option<f64>,
    /// With what the first call hides.
    pub compile_s: Option<f64>,
    pub warm_up_s: Vec<f64>,
    /// Processor seconds a call, over all threads.
    pub cpu_s: Option<f64>,
    /// Of the whole machine a call, where its meters can be read.
    pub energy_j: Option<f64>,
    pub peak_bytes: Option<u64>,
    pub artifact_bytes: Option<u64>,
    pub correct: Option<bool>,
    pub max_error: Option<f64>,
    /// Of the largest element.
    pub max_relative: Option<f64>,
    pub argmax_agreement: Option<f64>,
    pub threads_seen: Option<usize>,
    pub dtype_seen: Option<String>,
    pub flags: BTreeMap<String, Value>,
    /// Of one call, counted from the model.
    pub flops: Option<f64>,
    pub bytes: Option<f64>,
    /// The machine's time, as a share, that its host took; that other work took. The largest over processes.
    pub steal: f64,
    pub others: f64,
    /// Processes that were repeated since the machine was disturbed.
    pub redone: usize,
    pub machine: String,
    pub commit: String,
    pub command: String,
    /// Equal where everything that is measured is equal.
    pub cell: String,
}

impl ArmLine {
    pub fn key(&self) -> (&str, Mode, u64, &BTreeMap<String, u64>, usize, &str) {
        (&self.model, self.mode, self.batch, &self.sizes, self.threads, &self.precision)
    }
}

/// How far apart two identical arms came out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FloorLine {
    pub model: String,
    pub mode: Mode,
    pub batch: u64,
    pub sizes: BTreeMap<String, u64>,
    pub threads: usize,
    pub precision: String,
    /// The ratio of the two, less one, that identical arms stay below 19 times of 20.
    pub spread: f64,
    pub of: String,
    pub machine: String,
    pub cell: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FactsLine {
    pub arm: String,
    /// Of all that has to be installed to run this arm.
    pub install_bytes: Option<u64>,
    /// Lines that describe a model, without those that are empty or comments alone.
    pub model_lines: BTreeMap<String, u64>,
    pub needs_python: Option<bool>,
    /// Whether what was compiled once serves other sizes, of batches or sequences.
    #[serde(default)]
    pub dynamic_sizes: Option<bool>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CurveLine {
    pub arm: String,
    pub model: String,
    pub seconds: Vec<f64>,
    pub loss: Vec<f64>,
    pub accuracy: Vec<f64>,
    pub threads: usize,
    pub machine: String,
    pub command: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KernelLine {
    pub model: String,
    pub mode: Mode,
    pub batch: u64,
    pub sizes: BTreeMap<String, u64>,
    pub threads: usize,
    pub kernel: String,
    pub line: Option<String>,
    pub seconds: f64,
    pub flops: Option<f64>,
    pub bytes: Option<f64>,
    pub machine: String,
    pub command: String,
}

/// The compiler's own speed, commit by commit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CompilerLine {
    pub bench: String,
    pub median_s: f64,
    pub ci95_s: [f64; 2],
    pub commit: String,
    pub date: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_describes_the_lines() {
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Line)).unwrap() + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");
        if std::env::var_os("DLC_BLESS").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(committed, schema, "DLC_BLESS=1 cargo test -p bench-suite writes it anew");
    }

    #[test]
    fn lines_come_back_as_they_were_written() {
        let floor = FloorLine {
            model: "m".into(),
            mode: Mode::Train,
            batch: 1,
            sizes: BTreeMap::from([("s".into(), 128)]),
            threads: 2,
            precision: "f32".into(),
            spread: 0.021,
            of: "dlc against dlc".into(),
            machine: "0123".into(),
            cell: "4567".into(),
        };
        let curve = CurveLine {
            arm: "dlc".into(),
            model: "digits".into(),
            seconds: vec![0.5],
            loss: vec![0.1],
            accuracy: vec![0.98],
            threads: 1,
            machine: "0123".into(),
            command: "dlc bench".into(),
        };
        for line in [Line::Environment(Box::default()), Line::Floor(floor), Line::Curve(curve)] {
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
        }
        let text = serde_json::to_string(&Line::Environment(Box::default())).unwrap();
        assert!(text.starts_with("{\"kind\":\"environment\",\"machine\""), "{text}");
        assert!(serde_json::from_str::<Line>("{\"kind\":\"arm\"}").is_err());
    }
}
