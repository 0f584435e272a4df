//! Whole files: read within a limit, written so that a crash leaves the old or the new one.

use crate::Limits;
use base::Diagnostic;
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// The calls by which files are written. They stand behind a trait so that tests can let each of them fail.
pub trait Disk {
    /// A file of a name that nothing had before.
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    /// Opens a file to write behind what it holds; made where there is none.
    fn append(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).open(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn make_folders(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    /// Makes a file's content survive a power cut.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Makes what happened to names in a folder survive a power cut. Only Unix lets a folder be opened for it.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        fs::hard_link(file, name)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }
}

/// The operating system's files.
#[derive(Clone, Copy, Debug)]
pub struct Os;

impl Disk for Os {}

/// A regular file's bytes.
pub fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = Vec::new();
    let (file, length) = open(path)?;
    if length > limits.file_bytes {
        return Err(too_long(path, length, limits));
    }
    let length = usize::try_from(length).map_err(|_| too_long(path, length, limits))?;
    bytes.try_reserve_exact(length).map_err(|_| {
        Diagnostic::error("E0608", format!("there is no memory to read `{}`", path.display()))
    })?;
    // The file may grow while it is read; the limit holds all the same.
    file.take(limits.file_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > limits.file_bytes {
        return Err(too_long(path, bytes.len() as u64, limits));
    }
    Ok(bytes)
}

/// Opens a regular file and tells its length. Devices, pipes and folders are refused: they need not end.
pub fn open(path: &Path) -> Result<(File, u64), Diagnostic> {
    // Asked by name first: opening a pipe would wait for its writer.
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(Diagnostic::error("E0601", format!("`{}` is not a file", path.display())));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok((file, metadata.len()))
}

/// Replaces the file at `path` by `bytes`: a new file in the same folder is written and synced, then renamed over it, then
/// the folder is synced. A reader sees the old or the new content, also after a crash; on an error the old one stays.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    write_atomically_on(&Os, path, bytes)
}

/// As [`write_atomically`], through `disk`.
pub fn write_atomically_on(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    let failed = |error: io::Error| {
        Diagnostic::error("E0612", format!("cannot write `{}`: {}", path.display(), reason(&error)))
    };
    let Some(name) = path.file_name() else {
        return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (temporary, mut file) = create_beside(disk, folder, name).map_err(failed)?;
    let written = disk.write(&mut file, bytes).and_then(|()| disk.sync(&file));
    drop(file);
    if let Err(error) = written.and_then(|()| disk.rename(&temporary, path)) {
        // The first error is the one to tell; a left-over temporary file does no harm.
        let _ = disk.remove(&temporary);
        return Err(failed(error));
    }
    disk.sync_folder(folder).map_err(failed)
}

/// A file of a name that nothing had before.
fn create_beside(disk: &dyn Disk, folder: &Path, name: &std::ffi::OsStr) -> io::Result<(PathBuf, File)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let temporary = folder.join(temporary);
        match disk.create(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

pub fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error("E0601", format!("cannot read `{}`: {}", path.display(), reason(error)))
}

/// An IO error in words that do not differ between platforms, where there are such.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or folder".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::StorageFull => "the disk is full".into(),
        _ => error.to_string(),
    }
}

fn too_long(path: &Path, length: u64, limits: &Limits) -> Diagnostic {
    Diagnostic::error(
        "E0602",
        format!("`{}` has {length} bytes, more than the limit of {}", path.display(), limits.file_bytes),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(read(&path, &Limits::default()).unwrap(), b"new");
        assert_eq!(listing(folder.path()), ["a.bin"]);
    }

    #[test]
    fn a_failed_write_keeps_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let occupied = folder.path().join("taken");
        fs::create_dir(&occupied).unwrap();
        fs::write(occupied.join("inside"), b"x").unwrap();
        assert_eq!(write_atomically(&occupied, b"new").unwrap_err().code, "E0612");
        assert_eq!(listing(folder.path()), ["taken"]);
        let nowhere = folder.path().join("no/such/a.bin");
        let error = write_atomically(&nowhere, b"new").unwrap_err();
        assert!(error.message.ends_with("no such file or folder"), "{}", error.message);
        assert_eq!(write_atomically(Path::new("/"), b"new").unwrap_err().code, "E0612");
    }

    #[test]
    fn reading_refuses_what_is_no_file_or_too_long() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path(), &Limits::default()).unwrap_err().code, "E0601");
        assert_eq!(read(&folder.path().join("absent"), &Limits::default()).unwrap_err().code, "E0601");
        let path = folder.path().join("a");
        fs::write(&path, [0; 10]).unwrap();
        assert_eq!(read(&path, &Limits { file_bytes: 10, ..Limits::default() }).unwrap().len(), 10);
        assert_eq!(read(&path, &Limits { file_bytes: 9, ..Limits::default() }).unwrap_err().code, "E0602");
    }
}
