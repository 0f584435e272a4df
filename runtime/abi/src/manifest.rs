//! What a host must know of an artifact to call it: a plain description, stored beside the code as JSON.

use serde::{Deserialize, Serialize};

/// The layout of this description and of the calling convention behind it.
pub const MANIFEST_VERSION: u32 = 1;

/// A model's compiled code, described.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub version: u32,
    /// As the source writes it: `Digits`.
    pub model: String,
    /// How its operations were put into kernels: `compiled`, `graph` or `eager`.
    #[serde(default = "compiled")]
    pub style: String,
    pub entries: Vec<Entry>,
}

/// One compiled function: `i32 symbol(buffers, dims, workspace, parallel_for, pool)`, with `symbol_shapes` beside it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is for: `run`, `grad`, `init`, `step`, `eval`.
    pub name: String,
    /// The C name of the function.
    pub symbol: String,
    /// The dynamic dimensions, in the order in which the function reads them.
    pub symbols: Vec<String>,
    pub args: Vec<ArgInfo>,
    pub results: Vec<ArgInfo>,
    /// A status `n > 0` means that `checks[n - 1]` failed.
    pub checks: Vec<CheckInfo>,
    /// For each of `symbols`, an axis of an argument that is exactly that dimension, if there is one.
    pub bind: Vec<Option<Axis>>,
}

/// An argument or a result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgInfo {
    /// As users write it: `image`, `dense.w`.
    pub name: String,
    pub role: Role,
    /// `f32`, `i64`, `bool`, …
    pub dtype: String,
    pub rank: usize,
    /// The size of each axis as a formula for people; `symbol_shapes` computes the numbers.
    pub shape: Vec<String>,
}

/// What an argument or result is to the host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A model's input, or a field of the data.
    Input,
    Weight,
    /// Kept from call to call, a batch norm's running mean for one.
    State,
    /// What the optimiser remembers of a weight.
    Optimizer,
    /// The seed, the step: i64 scalars that the runtime fills.
    Control,
    Output,
    Loss,
    Metric,
    Gradient,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckInfo {
    pub message: String,
    /// `file:line:column`, or empty.
    pub place: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    pub arg: usize,
    pub axis: usize,
}

fn compiled() -> String {
    "compiled".into()
}

impl Manifest {
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Pretty JSON with a final line break; equal manifests give equal bytes.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings, numbers and lists always serialise") + "\n"
    }

    pub fn from_json(text: &str) -> Result<Manifest, String> {
        let manifest: Manifest = serde_json::from_str(text).map_err(|fault| fault.to_string())?;
        manifest.verify()?;
        Ok(manifest)
    }

    /// Whether the description is consistent in itself. A host may rely on it after this.
    pub fn verify(&self) -> Result<(), String> {
        if self.version != MANIFEST_VERSION {
            return Err(format!(
                "version {} is not {MANIFEST_VERSION}, the one that is understood",
                self.version
            ));
        }
        self.entries.iter().try_for_each(Entry::verify)
    }
}

impl Entry {
    fn verify(&self) -> Result<(), String> {
        let name = &self.name;
        if self.bind.len() != self.symbols.len() {
            return Err(format!(
                "entry `{name}` has {} dimensions but {} bindings",
                self.symbols.len(),
                self.bind.len()
            ));
        }
        for value in self.args.iter().chain(&self.results) {
            if value.rank != value.shape.len() {
                return Err(format!(
                    "`{}` of entry `{name}` has rank {} but {} axes",
                    value.name,
                    value.rank,
                    value.shape.len()
                ));
            }
        }
        for axis in self.bind.iter().flatten() {
            if self.args.get(axis.arg).is_none_or(|arg| axis.axis >= arg.rank) {
                return Err(format!("entry `{name}` binds a dimension to an axis that no argument has"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let image = ArgInfo {
            name: "image".into(),
            role: Role::Input,
            dtype: "f32".into(),
            rank: 2,
            shape: vec!["batch".into(), "64".into()],
        };
        let run = Entry {
            name: "run".into(),
            symbol: "digits_run_plan".into(),
            symbols: vec!["batch".into()],
            args: vec![image],
            results: Vec::new(),
            checks: vec![CheckInfo { message: "batch ≥ 1".into(), place: "digits.model:3:9".into() }],
            bind: vec![Some(Axis { arg: 0, axis: 0 })],
        };
        Manifest {
            version: MANIFEST_VERSION,
            model: "Digits".into(),
            style: "compiled".into(),
            entries: vec![run],
        }
    }

    #[test]
    fn json_and_back() {
        let manifest = sample();
        assert_eq!(Manifest::from_json(&manifest.to_json()), Ok(manifest.clone()));
        assert_eq!(manifest.entry("run").map(|entry| entry.symbols.len()), Some(1));
        assert!(manifest.to_json().contains("\"role\": \"input\""));
    }

    #[test]
    fn inconsistent_descriptions_are_refused() {
        let mut wrong = sample();
        wrong.entries[0].bind[0] = Some(Axis { arg: 0, axis: 2 });
        assert!(Manifest::from_json(&wrong.to_json()).is_err_and(|fault| fault.contains("no argument has")));
        let mut wrong = sample();
        wrong.entries[0].args[0].rank = 3;
        assert!(wrong.verify().is_err_and(|fault| fault.contains("rank 3")));
        let mut wrong = sample();
        wrong.version = 99;
        assert!(wrong.verify().is_err_and(|fault| fault.contains("99")));
        let mut wrong = sample();
        wrong.entries[0].bind.clear();
        assert!(wrong.verify().is_err());
    }
}
