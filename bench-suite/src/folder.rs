//! A cell's folder: weights, inputs and what a reference makes of them. All arms of a cell read the same one.

use base::Diagnostic;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tensor::{
    Fnv64, Limits, Tensor,
    file::write_atomically,
    npz::{self, Compression},
    safetensors::Weights,
};

use crate::honesty::Work;

pub type Arrays = BTreeMap<String, Tensor>;

/// Whoever knows the model: the compiler, in f64.
pub trait Reference {
    type Fault: From<Diagnostic>;

    /// Weights and states to begin with, f32.
    fn weights(&mut self) -> Result<Arrays, Self::Fault>;

    /// Every output by name, or as `loss` those of three steps of training on the one batch; f64.
    fn results(&mut self, weights: &Arrays, inputs: &Arrays) -> Result<Arrays, Self::Fault>;

    /// What one call that gives these results has to do.
    fn work(&mut self, results: &Arrays) -> Result<Work, Self::Fault>;
}

pub struct Folder {
    pub path: PathBuf,
    pub results: Arrays,
    pub work: Work,
    /// By the names of the files.
    pub hashes: BTreeMap<String, String>,
}

impl Folder {
    /// What all arms begin with.
    pub fn weights(&self) -> Result<Arrays, Diagnostic> {
        Ok(Weights::read(&self.path.join(FILES[0]), &Limits::default())?.tensors)
    }
}

/// Written last: a folder with it is whole.
const MARK: &str = "cell.json";
const FILES: [&str; 3] = ["weights.safetensors", "inputs.npz", "oracle.npz"];

/// The folder `root/name`, made where it is not there yet. `name` has to change with everything that it depends on.
pub fn prepare<R: Reference>(
    root: &Path,
    name: &str,
    inputs: &Arrays,
    reference: &mut R,
) -> Result<Folder, R::Fault> {
    let path = root.join(name);
    if let Some(known) = known(&path) {
        return Ok(known);
    }
    fs::create_dir_all(&path).map_err(|fault| {
        Diagnostic::error("E0826", format!("cannot make the folder `{}`: {fault}", path.display()))
    })?;
    let weights = reference.weights()?;
    let results = reference.results(&weights, inputs)?;
    if let Some((name, _)) =
        results.iter().find(|(_, tensor)| tensor.to_f64_vec().iter().any(|value| !value.is_finite()))
    {
        let message = format!(
            "the reference gives `{name}` with values that are not finite: nothing can be held to it"
        );
        return Err(Diagnostic::error("E1014", message).into());
    }
    let work = reference.work(&results)?;
    Weights { tensors: weights, ..Weights::default() }.write(&path.join(FILES[0]))?;
    npz::write(&path.join(FILES[1]), inputs, Compression::Store)?;
    npz::write(&path.join(FILES[2]), &results, Compression::Store)?;
    let hashes = FILES.iter().map(|file| Ok((file.to_string(), hash(&path.join(file))?)));
    let hashes: BTreeMap<String, String> = hashes.collect::<Result<_, Diagnostic>>()?;
    let mark = json!({ "flops": work.flops, "bytes": work.bytes, "hashes": hashes });
    write_atomically(&path.join(MARK), format!("{mark:#}\n").as_bytes())?;
    Ok(Folder { path, results, work, hashes })
}

/// A folder that is whole; what is damaged is made anew.
fn known(path: &Path) -> Option<Folder> {
    let mark: Value = serde_json::from_str(&fs::read_to_string(path.join(MARK)).ok()?).ok()?;
    let hashes: BTreeMap<String, String> = serde_json::from_value(mark["hashes"].clone()).ok()?;
    if FILES.iter().any(|file| hash(&path.join(file)).ok().as_ref() != hashes.get(*file)) {
        return None;
    }
    let results = npz::read(&path.join(FILES[2]), &Limits::default()).ok()?;
    let work = Work { flops: mark["flops"].as_f64(), bytes: mark["bytes"].as_f64() };
    Some(Folder { path: path.to_path_buf(), results, work, hashes })
}

pub(crate) fn hash(path: &Path) -> Result<String, Diagnostic> {
    let limits = Limits::default();
    Ok(format!("{:016x}", Fnv64::new().bytes(&tensor::file::read(path, &limits)?).finish()))
}
