//! Fields from files of arrays: npz, npy, safetensors.

use crate::{Dataset, Step, dataset::shape_rows, steps::apply_all};
use base::{Diagnostic, did_you_mean};
use indexmap::IndexMap;
use std::{collections::BTreeMap, path::Path};
use tensor::{DType, Limits, Tensor, npy, npz, safetensors::Weights};

/// Which array feeds a field and what the model wants of it.
#[derive(Clone, PartialEq, Debug)]
pub struct ArrayField {
    pub name: String,
    /// The array's name in the file.
    pub entry: String,
    pub dtype: DType,
    /// Shape of one row; `None` takes the file's.
    pub row_shape: Option<Vec<usize>>,
    /// Done with every value.
    pub steps: Vec<Step>,
}

pub fn read_npz(path: &Path, fields: &[ArrayField], limits: &Limits) -> Result<Dataset, Diagnostic> {
    select(&source(path), npz::read(path, limits)?, fields)
}

pub fn read_safetensors(path: &Path, fields: &[ArrayField], limits: &Limits) -> Result<Dataset, Diagnostic> {
    select(&source(path), Weights::read(path, limits)?.tensors, fields)
}

/// One npy file a field.
pub fn read_npy(files: &[(&Path, ArrayField)], limits: &Limits) -> Result<Dataset, Diagnostic> {
    let mut fields = IndexMap::new();
    for (path, field) in files {
        let tensor = npy::read(path, limits)?;
        insert(&source(path), &mut fields, field, tensor)?;
    }
    let names: Vec<String> = files.iter().map(|(path, _)| source(path)).collect();
    Dataset::new(&names.join(", "), fields)
}

/// The fields out of arrays that are already read; `source` is what messages call their origin.
pub fn select(
    source: &str,
    mut arrays: BTreeMap<String, Tensor>,
    wanted: &[ArrayField],
) -> Result<Dataset, Diagnostic> {
    let mut fields = IndexMap::new();
    for field in wanted {
        // Taken out when this is the last use, so that large arrays are not held twice.
        let used_again = wanted.iter().filter(|other| other.entry == field.entry).count() > 1;
        let tensor = if used_again { arrays.get(&field.entry).cloned() } else { arrays.remove(&field.entry) };
        let tensor = tensor.ok_or_else(|| missing(source, &field.entry, &arrays))?;
        insert(source, &mut fields, field, tensor)?;
    }
    Dataset::new(source, fields)
}

pub(crate) fn insert(
    source: &str,
    fields: &mut IndexMap<String, Tensor>,
    field: &ArrayField,
    tensor: Tensor,
) -> Result<(), Diagnostic> {
    let tensor = apply_all(&field.steps, tensor, field.dtype).map_err(|error| Diagnostic {
        message: format!("`{}` of {source}: {}", field.entry, error.message),
        ..error
    })?;
    let tensor = shape_rows(source, &field.name, tensor, field.row_shape.as_deref())?;
    if fields.insert(field.name.clone(), tensor).is_some() {
        return Err(Diagnostic::error(
            "E0631",
            format!("{source} is asked for the field `{}` twice", field.name),
        ));
    }
    Ok(())
}

fn missing(source: &str, entry: &str, arrays: &BTreeMap<String, Tensor>) -> Diagnostic {
    let near = did_you_mean(entry, arrays.keys().map(String::as_str));
    let names: Vec<&str> = arrays.keys().map(String::as_str).take(20).collect();
    Diagnostic::error("E0631", format!("{source} has no array `{entry}`"))
        .note(format!("it has {}", if names.is_empty() { "none".into() } else { names.join(", ") }))
        .maybe_help(near.map(|near| format!("did you mean `{near}`?")))
}

fn source(path: &Path) -> String {
    format!("`{}`", path.display())
}
