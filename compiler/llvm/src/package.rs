//! Objects as files: archives, shared libraries, one relocatable object.

use crate::{Error, Object};
use ar_archive_writer::{ArchiveKind, DEFAULT_OBJECT_READER, NewArchiveMember, write_archive_to_stream};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

impl Object {
    /// A static library. Equal objects give equal bytes.
    pub fn archive(&self) -> Result<Vec<u8>, Error> {
        let members: Vec<NewArchiveMember<'_>> = self
            .parts
            .iter()
            .map(|part| {
                let bytes: &[u8] = &part.bytes;
                NewArchiveMember::new(bytes, &DEFAULT_OBJECT_READER, part.name.clone())
            })
            .collect();
        let mut archive = Cursor::new(Vec::new());
        write_archive_to_stream(&mut archive, &members, ArchiveKind::Gnu, false, None)
            .map_err(|fault| Error::Bug(format!("writing an archive: {fault}")))?;
        Ok(archive.into_inner())
    }

    /// The bytes of a shared library, made by the system's linker.
    pub fn shared_library(&self) -> Result<Vec<u8>, Error> {
        self.link(
            &["-shared", "-Wl,--as-needed", "-Wl,-z,nodelete", "-Wl,--build-id=none"],
            &["-lm", "-lpthread"],
        )
    }

    /// One object file with all parts, made by the system's linker.
    pub fn relocatable(&self) -> Result<Vec<u8>, Error> {
        self.link(&["-r", "-nostdlib"], &[])
    }

    fn link(&self, before: &[&str], after: &[&str]) -> Result<Vec<u8>, Error> {
        let file = |fault: std::io::Error| Error::File(format!("temporary files for linking: {fault}"));
        let folder = tempfile::tempdir().map_err(file)?;
        let mut inputs: Vec<PathBuf> = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let path = folder.path().join(format!("{index}.o"));
            std::fs::write(&path, &part.bytes).map_err(file)?;
            inputs.push(path);
        }
        let output = folder.path().join("linked");
        run_linker(&inputs, &output, before, after)?;
        std::fs::read(&output).map_err(file)
    }
}

fn run_linker(inputs: &[PathBuf], output: &Path, before: &[&str], after: &[&str]) -> Result<(), Error> {
    let compiler = std::env::var("CC").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "cc".into());
    let mut command = Command::new(&compiler);
    command.args(before).arg("-o").arg(output).args(inputs).args(after);
    match command.output() {
        Err(fault) => Err(Error::Link(format!("the linker `{compiler}` cannot be run: {fault}"))),
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => {
            let text = String::from_utf8_lossy(&done.stderr);
            Err(Error::Link(format!("the linker `{compiler}` failed: {}", text.trim())))
        }
    }
}
