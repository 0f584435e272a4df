//! The models that are measured: `models.toml` and `kernels.toml`, one table a model.

use crate::Cell;
use base::{Diagnostic, did_you_mean};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};
use tensor::DType;

/// A registry larger than this is none.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Registry {
    pub models: BTreeMap<String, Model>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub title: String,
    /// The `.model` file, from the folder that the registry's folder stands in.
    pub source: String,
    /// Which of the file's models; the only one where it is left out.
    pub model: Option<String>,
    /// As `--set` takes them; `{n}` stands for the size that a cell has of `n`.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Pieces of the source's text and what stands there while measuring, so that everyone trains the same way.
    #[serde(default)]
    pub replace: BTreeMap<String, String>,
    /// For the peers, who write their training themselves.
    #[serde(default)]
    pub train: toml::Table,
    #[serde(default)]
    pub infer: Batches,
    #[serde(default)]
    pub training: Batches,
    /// Other dimensions; a list makes a series.
    #[serde(default)]
    pub sizes: BTreeMap<String, Size>,
    /// Sizes that belong together: each row is a cell of its own, with one of `sizes` where it says nothing.
    #[serde(default)]
    pub rows: Vec<BTreeMap<String, u64>>,
    /// Batches and sizes that show how an arm scales: measured when asked for, one dimension after the other.
    #[serde(default)]
    pub series: BTreeMap<String, Vec<u64>>,
    #[serde(default)]
    pub inputs: BTreeMap<String, ArraySpec>,
    /// What the loss reads beside the inputs.
    #[serde(default)]
    pub fields: BTreeMap<String, ArraySpec>,
    /// In words, for people.
    #[serde(default)]
    pub loss: String,
    /// Of the largest element.
    #[serde(default = "default_tolerance")]
    pub tolerance: f64,
    /// How many times fewer operations the best known algorithm takes than the account counts, which is the direct way:
    /// Winograd's for convolutions of 3 by 3, for one.
    #[serde(default = "default_savings")]
    pub savings: f64,
}

#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batches {
    #[serde(default)]
    pub batch: Vec<u64>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(untagged)]
pub enum Size {
    One(u64),
    Series(Vec<u64>),
}

impl Size {
    pub fn values(&self) -> Vec<u64> {
        match self {
            Size::One(value) => vec![*value],
            Size::Series(values) => values.clone(),
        }
    }
}

/// An array to draw.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct ArraySpec {
    pub shape: Vec<Axis>,
    pub dtype: String,
    #[serde(flatten)]
    pub values: Values,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(untagged)]
pub enum Axis {
    Size(u64),
    /// A dimension by its name.
    Dim(String),
}

/// How its elements come.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// From low to high.
    Uniform([f64; 2]),
    /// Mean and standard deviation.
    Normal([f64; 2]),
    /// Whole numbers from 0.
    Below(u64),
    /// All the same.
    Value(f64),
}

fn default_tolerance() -> f64 {
    1e-4
}

fn default_savings() -> f64 {
    1.0
}

impl Model {
    /// The source as it is measured.
    pub fn text(&self, source: &str) -> Result<String, Diagnostic> {
        let mut text = source.to_string();
        for (piece, instead) in &self.replace {
            if !text.contains(piece) {
                let message = format!("`{}` has no `{piece}`, which the registry replaces", self.source);
                return Err(Diagnostic::error("E1011", message));
            }
            text = text.replace(piece, instead);
        }
        Ok(text)
    }

    /// The settings of a cell.
    pub fn settings_of(&self, cell: &Cell) -> BTreeMap<String, String> {
        let dims = cell.dims();
        let filled = |text: &String| {
            dims.iter().fold(text.clone(), |text, (dim, size)| {
                text.replace(&format!("{{{dim}}}"), &size.to_string())
            })
        };
        self.settings.iter().map(|(name, text)| (name.clone(), filled(text))).collect()
    }
}

impl Registry {
    pub fn read(path: &Path) -> Result<Registry, Diagnostic> {
        let text = read_text(path)?;
        Registry::parse(&text, &path.display().to_string())
    }

    pub fn parse(text: &str, name: &str) -> Result<Registry, Diagnostic> {
        let models: BTreeMap<String, Model> =
            toml::from_str(text).map_err(|fault| malformed(name, &fault))?;
        for (model, entry) in &models {
            for (field, array) in entry.inputs.iter().chain(&entry.fields) {
                if DType::parse(&array.dtype).is_none() {
                    let message = format!("`{name}`: `{field}` of `{model}` has no dtype `{}`", array.dtype);
                    return Err(Diagnostic::error("E1011", message));
                }
            }
        }
        Ok(Registry { models })
    }

    /// This registry's models and those of another, whose names are others.
    pub fn with(mut self, other: Registry) -> Result<Registry, Diagnostic> {
        for (name, model) in other.models {
            if self.models.insert(name.clone(), model).is_some() {
                return Err(Diagnostic::error("E1011", format!("two registries have a model `{name}`")));
            }
        }
        Ok(self)
    }

    pub fn get(&self, name: &str) -> Result<&Model, Diagnostic> {
        self.models.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.models.keys().map(String::as_str).collect();
            Diagnostic::error("E1012", format!("the registry has no model `{name}`"))
                .note(format!("it has: {}", names.join(", ")))
                .maybe_help(did_you_mean(name, names).map(|near| format!("did you mean `{near}`?")))
        })
    }
}

/// The text of one of the suite's own files.
pub(crate) fn read_text(path: &Path) -> Result<String, Diagnostic> {
    let shown = path.display();
    let limits = tensor::Limits { file_bytes: MAX_BYTES, ..tensor::Limits::default() };
    let bytes = tensor::file::read(path, &limits).map_err(|fault| {
        Diagnostic::error("E1011", format!("`{shown}` cannot be read: {}", fault.message))
    })?;
    String::from_utf8(bytes).map_err(|_| Diagnostic::error("E1011", format!("`{shown}` is not UTF-8")))
}

pub(crate) fn malformed(name: &str, fault: &toml::de::Error) -> Diagnostic {
    Diagnostic::error("E1011", format!("`{name}` is not what is wanted: {}", fault.message()))
        .note(fault.to_string().trim_end().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"
[resnet18]
title = "ResNet-18"
source = "models/resnet.model"
model = "ResNet18"
train = { optimizer = "sgd", lr = 0.01, momentum = 0.9 }
infer = { batch = [1, 8] }
training = { batch = [32] }
sizes = { seq = [32, 64], wide = 3 }
replace = { "lr: 0.1" = "lr: 0.01" }
inputs.image = { shape = ["batch", 3, 32, 32], dtype = "f32", uniform = [0, 1] }
fields.label = { shape = ["batch"], dtype = "i32", below = 10 }
"#;

    #[test]
    fn a_table_is_a_model() {
        let registry = Registry::parse(ONE, "models.toml").unwrap();
        let model = registry.get("resnet18").unwrap();
        assert_eq!(model.infer.batch, [1, 8]);
        assert_eq!(model.inputs["image"].values, Values::Uniform([0.0, 1.0]));
        assert_eq!(model.inputs["image"].shape[0], Axis::Dim("batch".into()));
        assert_eq!(model.fields["label"].values, Values::Below(10));
        assert_eq!(model.sizes["seq"].values(), [32, 64]);
        assert_eq!(model.tolerance, 1e-4);
        assert_eq!(model.text("sgd(lr: 0.1)").unwrap(), "sgd(lr: 0.01)");
        assert!(model.text("sgd(lr: 0.2)").is_err_and(|fault| fault.message.contains("lr: 0.1")));
    }

    #[test]
    fn settings_take_sizes_of_the_cell() {
        let text = "[m]\ntitle = \"M\"\nsource = \"m\"\nsettings = { wide = \"{n}\", two = \"[{n}, {k}]\", other = \"true\" }\n\
                    rows = [{ n = 3, k = 5 }]\n";
        let registry = Registry::parse(text, "kernels.toml").unwrap();
        let model = registry.get("m").unwrap();
        let cell = Cell {
            model: "m".into(),
            mode: crate::Mode::Infer,
            batch: 1,
            sizes: model.rows[0].clone(),
            threads: 1,
            precision: "f32".into(),
        };
        let settings = model.settings_of(&cell);
        assert_eq!(settings.values().collect::<Vec<_>>(), ["true", "[3, 5]", "3"]);
        let twice = registry.clone().with(registry.clone()).unwrap_err();
        assert!(twice.message.contains("`m`"), "{}", twice.message);
        assert_eq!(Registry::default().with(registry.clone()).unwrap(), registry);
    }

    /// What is committed can be read, and no name stands for two models.
    #[test]
    fn the_committed_registries_go_together() {
        let of = |name: &str| Registry::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        let (models, kernels) = (of("models.toml"), of("kernels.toml"));
        for (name, kernel) in &kernels.models {
            let wanted = crate::Wanted { threads: vec![1], precision: "f32".into(), ..Default::default() };
            let cells = crate::cells(name, kernel, &wanted);
            let names: std::collections::BTreeSet<String> = cells.iter().map(Cell::name).collect();
            assert!(!cells.is_empty() && names.len() == cells.len(), "{name}: {names:?}");
            for cell in cells {
                assert!(kernel.settings_of(&cell).values().all(|text| !text.contains('{')), "{name}");
            }
        }
        models.with(kernels).unwrap();
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let wrong = ONE.replace("title", "titel");
        assert!(Registry::parse(&wrong, "m").is_err_and(|fault| fault.message.contains("titel")));
        let wrong = ONE.replace("\"f32\"", "\"f33\"");
        assert!(Registry::parse(&wrong, "m").is_err_and(|fault| fault.message.contains("f33")));
        let fault = Registry::parse(ONE, "m").unwrap().get("resnet8").unwrap_err();
        assert!(fault.help.iter().any(|help| help.contains("resnet18")), "{fault:?}");
    }
}
