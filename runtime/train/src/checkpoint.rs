//! The file that training can go on from: parameters, and beside them everything else that decides the next step.

use crate::Parameters;
use base::Diagnostic;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tensor::{
    Fnv64, Limits, Tensor,
    file::{Disk, Os},
    safetensors::Weights,
};

/// Grows when a field changes its meaning.
const FORMAT: u32 = 1;

/// Keys of the file's metadata: the description as JSON, and a fingerprint of it and of all tensors.
const DESCRIPTION_KEY: &str = "dlc";
const HASH_KEY: &str = "fnv64";

#[derive(Clone, PartialEq, Debug)]
pub struct Checkpoint {
    pub description: Description,
    pub parameters: Parameters,
}

/// Everything of a checkpoint but its tensors.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Description {
    pub format: u32,
    /// The version of `dlc` that wrote it.
    pub version: String,
    pub model: String,
    pub source_hash: String,
    pub data_hash: String,
    /// Of the data; checkpoints of earlier versions do not say.
    #[serde(default)]
    pub rows: Option<usize>,
    /// The dtype of each field and the shape of its rows.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Effective configuration.
    pub config: String,
    /// Keys every permutation and random draw.
    pub seed: u64,
    /// Parts of the rows; checkpoints of earlier versions do not say.
    #[serde(default)]
    pub split: Option<Vec<f64>>,
    pub progress: Progress,
    /// For each field of texts, the text that each number stands for.
    pub tables: BTreeMap<String, Vec<String>>,
}

/// Where a run stands.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Updates done.
    pub step: u64,
    /// Epochs completed.
    pub epoch: u64,
    /// Rows of the epoch after these that were already used.
    pub position: usize,
    /// The step of the latest evaluation.
    pub evaluated_at: Option<u64>,
    pub best: Record,
    pub early_stop: Record,
    /// What the learning rate's plateau watches.
    #[serde(default)]
    pub plateau: Record,
    /// What the control `lr_scale` has come down to; `None` is 1.
    #[serde(default)]
    pub lr_scale: Option<f64>,
    /// Early stopping has ended the run.
    pub stopped: bool,
    /// Time spent training, all sessions together.
    pub seconds: f64,
    /// Losses since the last line in the log.
    pub window_loss: f64,
    pub window_steps: u64,
}

/// The best value of something measured at each evaluation.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    pub value: Option<f64>,
    pub step: u64,
    /// Evaluations since then.
    pub since: u64,
}

impl Checkpoint {
    pub fn write(&self, path: &Path) -> Result<(), Diagnostic> {
        write(&Os, path, &self.description, &self.parameters)
    }

    /// Reads a checkpoint; any damage to it is an error.
    pub fn read(path: &Path) -> Result<Checkpoint, Diagnostic> {
        Checkpoint::parse(&tensor::file::read(path, &Limits::default())?, &path.display().to_string())
    }

    /// As [`Checkpoint::read`], of a file's content; `shown` is what messages call the file.
    pub fn parse(bytes: &[u8], shown: &str) -> Result<Checkpoint, Diagnostic> {
        let (parameters, description) = parse_weights(bytes, shown)?;
        let message = || format!("`{shown}` holds weights, but is no checkpoint of a training run");
        let description = description.ok_or_else(|| Diagnostic::error("E0706", message()))?;
        Ok(Checkpoint { description, parameters })
    }
}

/// A weights file of any origin, and its description where it is a checkpoint; any damage to that is an error.
pub fn read_weights(path: &Path) -> Result<(Parameters, Option<Description>), Diagnostic> {
    parse_weights(&tensor::file::read(path, &Limits::default())?, &path.display().to_string())
}

fn parse_weights(bytes: &[u8], shown: &str) -> Result<(Parameters, Option<Description>), Diagnostic> {
    let weights = Weights::parse(bytes, shown, &Limits::default())?;
    let (text, hash) = (weights.metadata.get(DESCRIPTION_KEY), weights.metadata.get(HASH_KEY));
    if text.is_none() && hash.is_none() {
        return Ok((Parameters::from_weights(weights), None));
    }
    let text = text.map_or("", String::as_str);
    if hash != Some(&fingerprint(text, &weights.tensors)) {
        let message = format!("`{shown}` is damaged: its content does not fit its checksum");
        return Err(Diagnostic::error("E0707", message));
    }
    let unusable = |fault: String| Diagnostic::error("E0706", format!("`{shown}` is not usable: {fault}"));
    // The format first: a later one may have any other fields.
    let value: serde_json::Value = serde_json::from_str(text).map_err(|fault| unusable(fault.to_string()))?;
    if value["format"] != FORMAT {
        return Err(unusable(format!("its format is {}, this version reads {FORMAT}", value["format"])));
    }
    let description = serde_json::from_value(value).map_err(|fault| unusable(fault.to_string()))?;
    Ok((Parameters::from_weights(weights), Some(description)))
}

impl Description {
    pub(crate) const FORMAT: u32 = FORMAT;
}

impl Record {
    /// Takes an evaluation's value in; whether it is the best so far.
    pub(crate) fn observe(&mut self, value: f64, direction: crate::Direction, step: u64) -> bool {
        let improved = direction.improves(value, self.value);
        *self = if improved {
            Record { value: Some(value), step, since: 0 }
        } else {
            Record { since: self.since + 1, ..*self }
        };
        improved
    }
}

fn write(
    disk: &dyn Disk,
    path: &Path,
    description: &Description,
    parameters: &Parameters,
) -> Result<(), Diagnostic> {
    let description = serde_json::to_string(description)
        .map_err(|fault| Diagnostic::error("E0708", format!("the run's state is not storable: {fault}")))?;
    let tensors = parameters.to_map();
    let hash = fingerprint(&description, &tensors);
    let metadata = BTreeMap::from([(DESCRIPTION_KEY.to_string(), description), (HASH_KEY.to_string(), hash)]);
    tensor::file::write_atomically_on(disk, path, &Weights { tensors, metadata }.to_bytes()?)
}

/// A hash of names, dtypes, shapes and bytes, so that no changed bit goes unseen.
fn fingerprint(description: &str, tensors: &BTreeMap<String, Tensor>) -> String {
    let mut hash = Fnv64::new().text(description);
    for (name, tensor) in tensors {
        hash = hash.text(name).text(tensor.dtype().name()).number(tensor.rank() as u64);
        hash = tensor.shape().iter().fold(hash, |hash, size| hash.number(*size as u64));
        hash = hash.bytes(&tensor.to_little_endian());
    }
    format!("{:016x}", hash.finish())
}

/// The checkpoints of one run: `step-NNNNNNNN.safetensors`, and `last` and `best` under their own names.
pub(crate) struct Store<'h> {
    folder: PathBuf,
    keep: usize,
    disk: &'h dyn Disk,
}

impl<'h> Store<'h> {
    pub fn new(disk: &'h dyn Disk, folder: PathBuf, keep: usize) -> Store<'h> {
        Store { folder, keep, disk }
    }

    pub fn last(&self) -> PathBuf {
        self.folder.join("last.safetensors")
    }

    pub fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// Writes the checkpoint, then forgets what the policy does not keep.
    pub fn save(
        &self,
        description: &Description,
        parameters: &Parameters,
        is_best: bool,
    ) -> Result<(), Diagnostic> {
        let file = self.folder.join(format!("step-{:08}.safetensors", description.progress.step));
        write(self.disk, &file, description, parameters)?;
        // The best first: a run that ends between the two resumes before this step and comes by here again.
        if is_best {
            self.name(&file, &self.best())?;
        }
        self.name(&file, &self.last())?;
        self.forget_surplus()
    }

    fn forget_surplus(&self) -> Result<(), Diagnostic> {
        let numbered = self.numbered()?;
        let surplus = numbered.iter().rev().skip(self.keep);
        surplus.map(|(_, old)| old).try_for_each(|old| self.remove(old))
    }

    /// The newest checkpoint that is whole, and a warning for each damaged one that is newer. `None` where the run ended
    /// before it wrote any.
    pub fn newest(&self) -> Result<(Option<Checkpoint>, Vec<Diagnostic>), Diagnostic> {
        let mut warnings = Vec::new();
        let numbered = self.numbered()?.into_iter().rev().map(|(_, file)| file);
        for file in std::iter::once(self.last()).chain(numbered).chain([self.best()]) {
            if !file.exists() {
                continue;
            }
            match Checkpoint::read(&file) {
                Ok(checkpoint) => return Ok((Some(checkpoint), warnings)),
                Err(fault) => warnings.push(Diagnostic {
                    severity: base::Severity::Warning,
                    ..fault.note("an older checkpoint is used instead")
                }),
            }
        }
        if warnings.is_empty() {
            return Ok((None, warnings));
        }
        let fault =
            Diagnostic::error("E0706", format!("`{}` holds no usable checkpoint", self.folder.display()));
        Err(warnings.into_iter().fold(fault, |fault, warning| fault.note(warning.message)))
    }

    /// Drops the numbered checkpoints after `step`, since a run that resumes before them writes its own, and what a
    /// killed process left half written or did not come to drop.
    pub fn forget_after(&self, step: u64) -> Result<(), Diagnostic> {
        let is_ours = |name: &str| name.ends_with(".tmp");
        self.files()?.iter().filter(|file| named(file, is_ours)).try_for_each(|file| self.remove(file))?;
        let mut numbered = self.numbered()?.into_iter();
        numbered.try_for_each(|(number, file)| if number > step { self.remove(&file) } else { Ok(()) })?;
        self.forget_surplus()
    }

    fn files(&self) -> Result<Vec<PathBuf>, Diagnostic> {
        files(&self.folder)
    }

    /// The numbered checkpoints, oldest first.
    fn numbered(&self) -> Result<Vec<(u64, PathBuf)>, Diagnostic> {
        let mut found = Vec::new();
        for path in self.files()? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            let number = name.strip_prefix("step-").and_then(|rest| rest.strip_suffix(".safetensors"));
            if let Some(number) = number.and_then(|digits| digits.parse().ok()) {
                found.push((number, path));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Lets `name` be the same file as `file`, replacing what it was before; the bytes exist once.
    fn name(&self, file: &Path, name: &Path) -> Result<(), Diagnostic> {
        let failed = |fault: std::io::Error| {
            Diagnostic::error("E0708", format!("cannot write `{}`: {fault}", name.display()))
        };
        let temporary = name.with_extension(format!("{}.tmp", std::process::id()));
        self.remove(&temporary)?;
        if self.disk.link(file, &temporary).is_err() {
            // Some file systems know no links: the bytes are written once more.
            let bytes = tensor::file::read(file, &Limits::default())?;
            return tensor::file::write_atomically_on(self.disk, name, &bytes);
        }
        self.disk.rename(&temporary, name).map_err(failed)?;
        // Renaming onto another link of the same file leaves the old name in place.
        self.remove(&temporary)
    }

    fn remove(&self, file: &Path) -> Result<(), Diagnostic> {
        remove(self.disk, file)
    }
}

/// Removes what a killed process left half written of these files of a folder.
pub(crate) fn sweep(disk: &dyn Disk, folder: &Path, names: &[&str]) -> Result<(), Diagnostic> {
    let is_ours = |file: &str| {
        file.ends_with(".tmp") && names.iter().any(|name| file.starts_with(&format!(".{name}.")))
    };
    files(folder)?.iter().filter(|file| named(file, is_ours)).try_for_each(|file| remove(disk, file))
}

fn named(file: &Path, wanted: impl Fn(&str) -> bool) -> bool {
    file.file_name().and_then(|name| name.to_str()).is_some_and(wanted)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let unreadable = |fault: std::io::Error| {
        Diagnostic::error("E0706", format!("cannot list `{}`: {fault}", folder.display()))
    };
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(unreadable)).collect()
}

fn remove(disk: &dyn Disk, file: &Path) -> Result<(), Diagnostic> {
    match disk.remove(file) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => {
            Err(Diagnostic::error("E0708", format!("cannot remove `{}`: {fault}", file.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failing::{EIO, ENOSPC, Failing};

    fn checkpoint(step: u64) -> Checkpoint {
        let tensors = BTreeMap::from([
            ("dense.w".to_string(), Tensor::from_vec([2, 2], vec![1f32, 2.0, step as f32, 0.1]).unwrap()),
            ("optimizer/dense.w.v".to_string(), Tensor::from_vec([2], vec![0.25f64, f64::NAN]).unwrap()),
        ]);
        let progress = Progress {
            step,
            window_loss: 0.1 + 0.2,
            best: Record { value: Some(1.0 / 3.0), step: 1, since: 2 },
            ..Progress::default()
        };
        let description = Description {
            format: FORMAT,
            version: "0.1.0".into(),
            model: "Line".into(),
            source_hash: "s".into(),
            data_hash: "d".into(),
            rows: Some(3),
            fields: BTreeMap::from([("x".into(), "f32[2]".into())]),
            config: "{\"lr\": 1e-3}".into(),
            seed: u64::MAX,
            split: Some(vec![0.9, 0.1]),
            progress,
            tables: BTreeMap::from([("kind".into(), vec!["a".into(), "b".into()])]),
        };
        Checkpoint {
            description,
            parameters: Parameters::from_weights(Weights { tensors, ..Weights::default() }),
        }
    }

    fn save(store: &Store, step: u64, is_best: bool) {
        let Checkpoint { description, parameters } = checkpoint(step);
        store.save(&description, &parameters, is_best).unwrap();
    }

    #[test]
    fn comes_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.safetensors");
        checkpoint(7).write(&path).unwrap();
        assert_eq!(Checkpoint::read(&path).unwrap(), checkpoint(7));
        let bytes = std::fs::read(&path).unwrap();
        checkpoint(7).write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.safetensors");
        checkpoint(7).write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let seen = Checkpoint::parse(&damaged, "c");
            // The padding after the header is white space, which carries nothing.
            assert!(seen.is_err() || (seen == Ok(checkpoint(7)) && bytes[bit / 8] == b' '), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Checkpoint::parse(&bytes[..length], "c").is_err(), "{length} bytes");
        }
    }

    #[test]
    fn ten_thousand_flipped_bits_of_a_larger_file_are_found() {
        let mut large = checkpoint(7).parameters.to_map();
        let values: Vec<f32> = (0..3000).map(|index| (index as f32).sin()).collect();
        large.insert("dense_1.w".into(), Tensor::from_vec([60, 50], values).unwrap());
        let description = checkpoint(7).description;
        let parameters = Parameters::from_weights(Weights { tensors: large, ..Weights::default() });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.safetensors");
        write(&Os, &path, &description, &parameters).unwrap();
        let whole = Checkpoint { description, parameters };
        let mut bytes = std::fs::read(&path).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let stream = tensor::philox::Stream::new(11, "flips", 0);
        for flip in 0..10_000u64 {
            let bit = (stream.uniform_f64(flip) * (bytes.len() * 8) as f64) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
            let seen = Checkpoint::parse(&bytes, "c");
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Between the header's text and the tensors there may be white space, which carries nothing.
            let harmless = seen.as_ref() == Ok(&whole) && bit / 8 < header && bytes[bit / 8] == b' ';
            assert!(seen.is_err() || harmless, "bit {bit}");
        }
        assert_eq!(Checkpoint::parse(&bytes, "c"), Ok(whole));
    }

    #[test]
    fn keeps_last_best_and_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&Os, folder.path().into(), 2);
        for step in 1..=5 {
            save(&store, step, step == 2);
            save(&store, step, false);
        }
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let kept = [
            "best.safetensors",
            "last.safetensors",
            "step-00000004.safetensors",
            "step-00000005.safetensors",
        ];
        assert_eq!(names, kept);
        assert_eq!(Checkpoint::read(&store.best()).unwrap(), checkpoint(2));
        assert_eq!(store.newest().unwrap(), (Some(checkpoint(5)), Vec::new()));
    }

    #[test]
    fn a_disk_that_fails_at_any_call_leaves_whole_checkpoints() {
        let mut failed = 0;
        for errno in [EIO, ENOSPC] {
            for stays in [false, true] {
                for call in 0.. {
                    let folder = tempfile::tempdir().unwrap();
                    let healthy = || Store::new(&Os, folder.path().into(), 1);
                    save(&healthy(), 1, true);
                    save(&healthy(), 2, false);
                    let to = if stays { usize::MAX } else { call + 1 };
                    let disk = Failing::new(call..to, errno);
                    let store = Store { disk: &disk, ..healthy() };
                    let next = checkpoint(3);
                    let saved = store.save(&next.description, &next.parameters, true);
                    // What has a final name is whole, and the newest of it is the old or the new one.
                    for file in store.files().unwrap() {
                        if file.extension().unwrap() == "safetensors" {
                            Checkpoint::read(&file).unwrap();
                        }
                    }
                    let (newest, warnings) = healthy().newest().unwrap();
                    let step = newest.unwrap().description.progress.step;
                    assert!(warnings.is_empty() && (2..=3).contains(&step), "call {call}: {step}");
                    assert!(saved.is_err() || step == 3, "call {call}");
                    assert!(
                        [1, 3].contains(&Checkpoint::read(&store.best()).unwrap().description.progress.step)
                    );
                    // Going on from there with a disk that works again ends as if nothing had been.
                    healthy().forget_after(step).unwrap();
                    save(&healthy(), 3, true);
                    let mut names: Vec<String> = std::fs::read_dir(folder.path())
                        .unwrap()
                        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                        .collect();
                    names.sort();
                    let whole = ["best.safetensors", "last.safetensors", "step-00000003.safetensors"];
                    assert_eq!(names, whole, "call {call}");
                    assert_eq!(Checkpoint::read(&store.last()).unwrap(), checkpoint(3));
                    if saved.is_ok() && !stays && call > 20 {
                        break;
                    }
                    if let Err(fault) = saved {
                        assert!(["E0612", "E0708"].contains(&fault.code), "{fault:?}");
                        failed += 1;
                    } else if stays {
                        break;
                    }
                }
            }
        }
        assert!(failed > 30, "only {failed} of the saves failed");
    }

    #[test]
    fn a_damaged_newest_falls_back_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&Os, folder.path().into(), 2);
        assert_eq!(store.newest().unwrap(), (None, Vec::new()));
        save(&store, 1, true);
        save(&store, 2, false);
        // `last` and `step-2` are one file: writing through one name damages both.
        let bytes = std::fs::read(store.last()).unwrap();
        std::fs::write(store.last(), &bytes[..bytes.len() - 1]).unwrap();
        let (found, warnings) = store.newest().unwrap();
        assert_eq!(found, Some(checkpoint(1)));
        assert_eq!(warnings.len(), 2);
        assert!(warnings.iter().all(|warning| !warning.is_error()));
        store.forget_after(1).unwrap();
        assert_eq!(store.numbered().unwrap().len(), 1);
        Weights::default().write(&store.best()).unwrap();
        assert!(
            Checkpoint::read(&store.best()).unwrap_err().message.contains("no checkpoint of a training run")
        );
    }
}
