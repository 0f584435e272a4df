//! The arms that there are: ours, and those of `arms/index.toml`, one file a framework.

use crate::registry::{malformed, read_text};
use base::{Diagnostic, did_you_mean};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Our own: name, style, whether it is compiled ahead of time, whether sizes stay open.
pub const DLC_ARMS: &[(&str, &str, bool, bool)] = &[
    ("dlc", "compiled", false, false),
    ("dlc-dynamic", "compiled", false, true),
    ("dlc-graph", "graph", false, false),
    ("dlc-eager", "eager", false, false),
    ("dlc-aot", "compiled", true, false),
];

/// What people call a framework, where its arms have names of their own.
const USUAL: &[(&str, &str)] =
    &[("tensorflow", "keras-tf"), ("keras", "keras-tf"), ("jax", "flax"), ("torch", "pytorch")];

/// One way to run a model.
#[derive(Clone, PartialEq, Debug)]
pub struct Arm {
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    pub style: String,
    pub install: String,
    pub options: BTreeMap<String, serde_json::Value>,
    /// The framework whose description of the models it reads; empty: one of its own.
    pub described_in: String,
    /// Whether what it compiled serves other sizes too.
    pub dynamic_sizes: Option<bool>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Arms {
    pub list: Vec<Arm>,
}

#[derive(Deserialize)]
struct Row {
    /// Beside the table: a Python file, or a program.
    file: PathBuf,
    #[serde(default = "default_style")]
    style: String,
    #[serde(default)]
    install: String,
    #[serde(default)]
    options: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    described_in: String,
    dynamic_sizes: Option<bool>,
}

fn default_style() -> String {
    "eager".into()
}

impl Arms {
    /// Ours, served by `dlc`, then those of the table, whose Python files `python` runs.
    pub fn new(dlc: &str, table: Option<&Path>, python: &str) -> Result<Arms, Diagnostic> {
        let own = DLC_ARMS.iter().map(|(name, style, ahead, open)| Arm {
            name: name.to_string(),
            command: vec![dlc.into(), "arm".into()],
            style: style.to_string(),
            install: String::new(),
            options: [("ahead", *ahead), ("dynamic", *open)]
                .into_iter()
                .filter(|(_, on)| *on)
                .map(|(name, on)| (name.to_string(), on.into()))
                .collect(),
            described_in: String::new(),
            dynamic_sizes: Some(true),
        });
        let mut list: Vec<Arm> = own.collect();
        if let Some(table) = table {
            list.extend(rows(table, python)?);
        }
        Ok(Arms { list })
    }

    /// The arm of this name, or that of the framework.
    pub fn get(&self, name: &str) -> Result<&Arm, Diagnostic> {
        let usual = USUAL.iter().find(|(framework, _)| *framework == name).map(|(_, arm)| *arm);
        let usual = usual.filter(|_| self.list.iter().all(|arm| arm.name != name));
        let name = usual.unwrap_or(name);
        self.list.iter().find(|arm| arm.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.list.iter().map(|arm| arm.name.as_str()).collect();
            Diagnostic::error("E1012", format!("there is no arm `{name}`"))
                .note(format!("there are: {}", names.join(", ")))
                .maybe_help(did_you_mean(name, names).map(|near| format!("did you mean `{near}`?")))
        })
    }
}

fn rows(table: &Path, python: &str) -> Result<Vec<Arm>, Diagnostic> {
    let text = read_text(table)?;
    let name = table.display().to_string();
    let rows: BTreeMap<String, Row> = toml::from_str(&text).map_err(|fault| malformed(&name, &fault))?;
    let folder = table.parent().unwrap_or(Path::new("."));
    let arms = rows.into_iter().map(|(name, row)| {
        let file = folder.join(&row.file);
        let is_python = file.extension().is_some_and(|extension| extension == "py");
        let mut command = if is_python { vec![python.to_string()] } else { Vec::new() };
        command.push(file.display().to_string());
        let Row { style, install, options, described_in, dynamic_sizes, .. } = row;
        Arm { name, command, style, install, options, described_in, dynamic_sizes }
    });
    Ok(arms.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_files_and_options() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("index.toml");
        let text = "[pytorch]\nfile = \"pytorch.py\"\ninstall = \"pip install torch\"\n\
                    [tract]\nfile = \"tract\"\nstyle = \"graph\"\noptions = { level = 2 }\n";
        std::fs::write(&table, text).unwrap();
        let arms = Arms::new("dlc", Some(&table), "python3").unwrap();
        let pytorch = arms.get("pytorch").unwrap();
        assert_eq!(pytorch.command[0], "python3");
        assert!(pytorch.command[1].ends_with("pytorch.py"));
        assert_eq!(pytorch.style, "eager");
        let tract = arms.get("tract").unwrap();
        assert_eq!((tract.command.len(), tract.options["level"].as_i64()), (1, Some(2)));
        assert_eq!(arms.get("torch").unwrap(), pytorch);
        assert_eq!(arms.get("dlc").unwrap().command, ["dlc", "arm"]);
        let fault = arms.get("pytorh").unwrap_err();
        assert_eq!(fault.help.as_deref(), Some("did you mean `pytorch`?"));
        std::fs::write(&table, "[pytorch]\nfiel = 1\n").unwrap();
        assert!(Arms::new("dlc", Some(&table), "python3").is_err_and(|fault| fault.code == "E1011"));
    }
}
