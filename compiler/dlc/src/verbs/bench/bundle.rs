//! What it takes to measure again: beside `results.jsonl` stands `results.rerun.json`.

use super::suite::Suite;
use crate::installation::build;
use bench_suite::{ArmLine, Cell, EnvironmentLine};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, env, path::Path};
use tensor::file::write_atomically;

pub struct Bundle {
    head: Value,
    cells: Map<String, Value>,
}

impl Bundle {
    pub fn new(suite: &Suite, environment: &EnvironmentLine) -> Bundle {
        let words: Vec<String> = env::args().skip(1).collect();
        let head = json!({
            "command": format!("dlc {}", words.join(" ")),
            "commit": environment.commit,
            "machine": environment.machine,
            "date": environment.date,
            "seed": environment.seed,
            "versions": environment.versions,
            "build": build(),
            "locked": suite.locked(),
        });
        Bundle { head, cells: Map::new() }
    }

    /// Hashes of weights, inputs and reference, and who read them in which version.
    pub fn add(&mut self, cell: &Cell, hashes: &BTreeMap<String, String>, arms: &[ArmLine]) {
        let versions: Map<String, Value> =
            arms.iter().map(|line| (line.arm.clone(), json!(line.version))).collect();
        self.cells.insert(cell.name(), json!({ "files": hashes, "arms": versions }));
    }

    /// Cells that an earlier run measured stay.
    pub fn write(&self, results: &Path) -> Result<(), base::Diagnostic> {
        let path = results.with_extension("rerun.json");
        let known = std::fs::read_to_string(&path).ok();
        let known: Option<Value> = known.and_then(|text| serde_json::from_str(&text).ok());
        let mut cells = known.and_then(|value| value["cells"].as_object().cloned()).unwrap_or_default();
        cells.extend(self.cells.clone());
        let mut whole = self.head.clone();
        whole["cells"] = Value::Object(cells);
        write_atomically(&path, format!("{whole:#}\n").as_bytes())
    }
}
