//! What every verb works with: the options of the command line made ready, sessions, diagnostics, the thread pool.

use crate::{
    arguments::{ColorChoice, Everywhere, Precision},
    bug,
    fault::{Fault, INTERRUPTED},
    object_cache::ObjectCache,
    output::note,
};
use base::{Color, Diagnostic, Format, SourceMap};
use driver::{Files, NoFiles, Options, Session};
use std::{
    env, fs,
    io::{ErrorKind, IsTerminal, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Sources beyond this are no models.
const MAX_SOURCE_BYTES: u64 = 8 << 20;

pub struct Cx {
    pub everywhere: Everywhere,
    pub cache: ObjectCache,
    color: Color,
}

impl Cx {
    pub fn new(everywhere: Everywhere) -> Cx {
        let color = color(everywhere.color);
        Cx { everywhere, cache: ObjectCache::of_user(), color }
    }

    /// Options of a build for this machine.
    pub fn options(&self) -> Result<Options, Fault> {
        let everywhere = &self.everywhere;
        if everywhere.device != "cpu" {
            let device = &everywhere.device;
            return Err(Fault::Usage(format!("the device `{device}` is not supported yet; there is `cpu`")));
        }
        let mut options = Options::native();
        options.sema.set = everywhere.set.iter().cloned().collect();
        options.sema.bind = everywhere.bind.iter().cloned().collect();
        if let Some(seed) = everywhere.seed {
            options.sema.set.insert("train.seed".into(), seed.to_string());
        }
        options.float = everywhere.precision.map_or(kernel::DType::F32, Precision::dtype);
        options.style = everywhere.style().of_driver();
        options.strict = everywhere.strict;
        options.jobs = exec::default_threads();
        Ok(options)
    }

    /// A source and what it imports; `-` is standard input.
    pub fn session(&self, file: &Path) -> Result<Session, Fault> {
        self.session_with(file, self.options()?)
    }

    pub fn session_with(&self, file: &Path, options: Options) -> Result<Session, Fault> {
        self.session_of(file, options, |text| text)
    }

    /// As [`Cx::session_with`], of the file's text after a change.
    pub fn session_of(
        &self,
        file: &Path,
        options: Options,
        change: impl Fn(String) -> String,
    ) -> Result<Session, Fault> {
        let (name, text) = read_source(file)?;
        let text = change(text);
        bug::remember(&name, &text);
        let beside: Box<dyn Files> = match (file.as_os_str() == "-", file.parent()) {
            (false, Some(folder)) => Box::new(Beside(folder.to_path_buf())),
            _ => Box::new(NoFiles),
        };
        Ok(Session::new(&name, &text, beside.as_ref(), options))
    }

    /// What the files that a verb reads may ask for.
    pub fn limits(&self) -> tensor::Limits {
        self.everywhere.limits.limits()
    }

    pub fn pool(&self) -> Result<exec::Pool, Fault> {
        Ok(exec::Pool::new(self.everywhere.threads())?)
    }

    /// Whether weights are rounded to the build's precision: only who states it wants that.
    pub fn rounds(&self) -> bool {
        self.everywhere.precision.is_some()
    }

    pub fn model(&self) -> Option<&str> {
        self.everywhere.model.as_deref()
    }

    /// Sizes fixed by name.
    pub fn dims(&self) -> exec::Dims {
        self.everywhere.bind.iter().cloned().collect()
    }

    /// Diagnostics on standard error.
    pub fn tell(&self, faults: &[Diagnostic], sources: &SourceMap, format: Format) {
        note(&base::render_all(faults, sources, format, self.color));
    }

    /// Warnings and notes of a build that went well.
    pub fn warn(&self, faults: &[Diagnostic], session: &Session) {
        if !self.everywhere.quiet {
            self.tell(faults, &session.sources, Format::Human);
        }
    }

    /// A line about what was done, unless `--quiet`.
    pub fn say(&self, text: &str) {
        if !self.everywhere.quiet {
            note(&format!("{text}\n"));
        }
    }

    pub fn report(&self, fault: Fault) -> ExitCode {
        match fault {
            Fault::Diagnostics(faults, sources) => {
                self.tell(&faults, &sources, Format::Human);
                ExitCode::from(1)
            }
            Fault::Told => ExitCode::from(1),
            Fault::Interrupted => ExitCode::from(INTERRUPTED),
            Fault::Usage(message) => {
                note(&format!("error: {message}\n\nFor more information, try '--help'.\n"));
                ExitCode::from(2)
            }
            Fault::Bug(bug) => bug::report(&bug),
        }
    }
}

/// Files in a source's own folder and below.
struct Beside(PathBuf);

impl Files for Beside {
    fn read(&self, path: &str) -> Result<Option<String>, String> {
        let path = self.0.join(path);
        match fs::metadata(&path) {
            Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(metadata) if metadata.len() > MAX_SOURCE_BYTES => return Err("it is larger than 8 MiB".into()),
            _ => {}
        }
        let text = fs::read_to_string(&path).map_err(|fault| fault.to_string())?;
        bug::remember(&path.display().to_string(), &text);
        Ok(Some(text))
    }
}

/// The name to call a source by, and its text.
pub fn read_source(file: &Path) -> Result<(String, String), Fault> {
    let (name, bytes) = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(MAX_SOURCE_BYTES + 1).read_to_end(&mut bytes);
        ("<stdin>".to_string(), read.map(|_| bytes))
    } else {
        let read = fs::File::open(file).and_then(|opened| {
            let mut bytes = Vec::new();
            opened.take(MAX_SOURCE_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes)
        });
        (file.display().to_string(), read)
    };
    let bytes = bytes.map_err(|fault| {
        let what = match fault.kind() {
            ErrorKind::NotFound => "there is no such file".to_string(),
            ErrorKind::PermissionDenied => "it may not be read".to_string(),
            ErrorKind::IsADirectory => "it is a folder".to_string(),
            _ => fault.to_string(),
        };
        Diagnostic::error("E0821", format!("cannot read `{name}`: {what}"))
    })?;
    if bytes.len() as u64 > MAX_SOURCE_BYTES {
        return Err(Diagnostic::error(
            "E0821",
            format!("`{name}` is larger than 8 MiB, the limit of a source"),
        )
        .into());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((name, text)),
        Err(fault) => {
            let at = fault.utf8_error().valid_up_to();
            let message = format!("`{name}` is not UTF-8: the byte at offset {at} begins no character");
            Err(Diagnostic::error("E0821", message).into())
        }
    }
}

/// A word on the command line wins; then `NO_COLOR`, `FORCE_COLOR`, `CLICOLOR_FORCE`; then whether it is a terminal.
fn color(choice: ColorChoice) -> Color {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let wanted = match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if no_color => false,
        ColorChoice::Auto if set("FORCE_COLOR") || set("CLICOLOR_FORCE") => true,
        ColorChoice::Auto => {
            std::io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    };
    if wanted { Color::Always } else { Color::Never }
}
