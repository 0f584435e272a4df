//! NumPy's archive of arrays: a zip whose entries are npy files.

use crate::{Limits, Tensor, file, npy};
use base::Diagnostic;
use std::{
    collections::BTreeMap,
    io::{Cursor, Read, Write},
    path::Path,
};
use zip::{
    CompressionMethod, DateTime, System, ZipArchive, ZipWriter,
    read::{ArchiveOffset, Config},
    write::SimpleFileOptions,
};

/// Whether entries are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    Store,
    Deflate,
}

pub fn read(path: &Path, limits: &Limits) -> Result<BTreeMap<String, Tensor>, Diagnostic> {
    parse(&file::read(path, limits)?, &path.display().to_string(), limits)
}

pub fn write(
    path: &Path,
    arrays: &BTreeMap<String, Tensor>,
    compression: Compression,
) -> Result<(), Diagnostic> {
    file::write_atomically(path, &to_bytes(arrays, compression)?)
}

/// All arrays, by their names without `.npy`. `name` is what messages call the file.
pub fn parse(bytes: &[u8], name: &str, limits: &Limits) -> Result<BTreeMap<String, Tensor>, Diagnostic> {
    let broken =
        |what: String| Diagnostic::error("E0606", format!("`{name}` is not a readable npz file: {what}"));
    let beyond = |what: String| Diagnostic::error("E0607", format!("`{name}` {what}"));
    // A known offset: nothing may stand before the archive, where other readers could see another file.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive =
        ZipArchive::with_config(config, Cursor::new(bytes)).map_err(|error| broken(error.to_string()))?;
    if archive.has_duplicate_names() {
        return Err(broken("two entries have the same name".into()));
    }
    if archive.len() > limits.tensors {
        return Err(beyond(format!(
            "has {} arrays, more than the limit of {}",
            archive.len(),
            limits.tensors
        )));
    }
    let mut budget = limits.expansion_of(bytes.len() as u64);
    let mut arrays = BTreeMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| broken(format!("entry {index}: {error}")))?;
        let entry_name =
            entry.name().map_err(|error| broken(format!("entry {index}: {error}")))?.into_owned();
        if entry_name.len() > limits.name_bytes {
            return Err(beyond(format!("has an entry whose name is {} bytes long", entry_name.len())));
        }
        let Some(array_name) = entry_name.strip_suffix(".npy").filter(|_| entry.is_file()) else {
            return Err(broken(format!("the entry `{entry_name}` is not an npy file")));
        };
        let too_much = || beyond(format!("grows beyond {budget} bytes at the entry `{entry_name}`"));
        // The stated size is checked before anything is allocated, the true one while reading.
        if entry.size() > budget {
            return Err(too_much());
        }
        let mut content = Vec::new();
        content
            .try_reserve_exact(usize::try_from(entry.size().min(Limits::FREE_EXPANSION)).unwrap_or(0))
            .map_err(|_| too_much())?;
        entry
            .take(budget.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|error| broken(format!("the entry `{entry_name}`: {error}")))?;
        budget = budget.checked_sub(content.len() as u64).ok_or_else(too_much)?;
        let tensor = npy::parse(&content, &format!("{name}:{array_name}"), limits)?;
        arrays.insert(array_name.to_string(), tensor);
    }
    Ok(arrays)
}

/// The same bytes for equal arrays: names in order, times fixed.
pub fn to_bytes(arrays: &BTreeMap<String, Tensor>, compression: Compression) -> Result<Vec<u8>, Diagnostic> {
    let failed = |name: &str, what: String| {
        Diagnostic::error("E0609", format!("cannot store `{name}` in an npz file: {what}"))
    };
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, tensor) in arrays {
        let content = npy::to_bytes(tensor).map_err(|error| failed(name, error.message))?;
        let options = SimpleFileOptions::default()
            .compression_method(match compression {
                Compression::Store => CompressionMethod::Stored,
                Compression::Deflate => CompressionMethod::Deflated,
            })
            .compression_level((compression == Compression::Deflate).then_some(6))
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(0o644)
            .system(System::Unix)
            .large_file(content.len() as u64 >= u64::from(u32::MAX));
        archive
            .start_file(format!("{name}.npy"), options)
            .map_err(|error| failed(name, error.to_string()))?;
        archive.write_all(&content).map_err(|error| failed(name, error.to_string()))?;
    }
    let finished = archive.finish().map_err(|error| failed("", error.to_string()))?;
    Ok(finished.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays() -> BTreeMap<String, Tensor> {
        BTreeMap::from([
            ("b/x".to_string(), Tensor::from_vec([2, 2], [1.0f32, 2.0, 3.0, 4.0]).unwrap()),
            ("a".to_string(), Tensor::from_vec([3], [1i64, 2, 3]).unwrap()),
            ("empty".to_string(), Tensor::zeros(crate::DType::F64, [0, 5]).unwrap()),
        ])
    }

    fn zeros(count: usize) -> BTreeMap<String, Tensor> {
        BTreeMap::from([("z".to_string(), Tensor::zeros(crate::DType::U8, [count]).unwrap())])
    }

    #[test]
    fn round_trip_in_both_forms() {
        for compression in [Compression::Store, Compression::Deflate] {
            let bytes = to_bytes(&arrays(), compression).unwrap();
            assert_eq!(bytes, to_bytes(&arrays(), compression).unwrap());
            assert_eq!(parse(&bytes, "a.npz", &Limits::default()).unwrap(), arrays());
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        write(&path, &arrays(), Compression::Store).unwrap();
        assert_eq!(read(&path, &Limits::default()).unwrap(), arrays());
    }

    #[test]
    fn expansion_is_bounded() {
        let bytes = to_bytes(&zeros(80 << 20), Compression::Deflate).unwrap();
        assert!(bytes.len() < 200_000);
        let error = parse(&bytes, "bomb.npz", &Limits::default()).unwrap_err();
        assert_eq!(error.code, "E0607", "{}", error.message);

        let bytes = to_bytes(&zeros(1000), Compression::Deflate).unwrap();
        let limits = |expanded_bytes| Limits { expanded_bytes, ..Limits::default() };
        assert!(parse(&bytes, "a.npz", &limits(1128)).is_ok());
        assert_eq!(parse(&bytes, "a.npz", &limits(1127)).unwrap_err().code, "E0607");
    }

    #[test]
    fn refusals() {
        assert_eq!(parse(b"", "a.npz", &Limits::default()).unwrap_err().code, "E0606");
        let few = Limits { tensors: 2, ..Limits::default() };
        let bytes = to_bytes(&arrays(), Compression::Store).unwrap();
        assert_eq!(parse(&bytes, "a.npz", &few).unwrap_err().code, "E0607");
        let short = Limits { name_bytes: 4, ..Limits::default() };
        assert_eq!(parse(&bytes, "a.npz", &short).unwrap_err().code, "E0607");

        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("readme.txt", SimpleFileOptions::default()).unwrap();
        let bytes = archive.finish().unwrap().into_inner();
        let error = parse(&bytes, "a.npz", &Limits::default()).unwrap_err();
        assert!(error.message.contains("`readme.txt` is not an npy file"), "{}", error.message);

        let bf16 = BTreeMap::from([("w".to_string(), Tensor::zeros(crate::DType::BF16, [1]).unwrap())]);
        assert_eq!(to_bytes(&bf16, Compression::Store).unwrap_err().code, "E0609");
    }
}
