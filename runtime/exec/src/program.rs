//! A model's compiled code, loaded.
#![allow(unsafe_code, reason = "looking up a symbol of a shared object is a foreign call")]

use crate::{Entry, FailedCall, Function, Shapes, failed_call::Failures};
use abi::Manifest;
use base::{Diagnostic, did_you_mean};
use std::{any::Any, path::Path, sync::Arc};

/// Whatever has to live for as long as the code is called: the JIT's memory, the shared object.
pub type KeepAlive = Arc<dyn Any + Send + Sync>;

/// The entry points of one artifact.
pub struct Program {
    model: String,
    entries: Vec<Entry>,
    failures: Option<Failures>,
}

impl Program {
    /// Takes each entry's function and its `…_shapes` from `lookup`.
    ///
    /// The addresses are trusted: they have to be code that the manifest describes, and has to stay in place while
    /// `keep_alive` lives.
    pub fn from_addresses(
        manifest: &Manifest,
        lookup: impl Fn(&str) -> Option<*const ()>,
        keep_alive: KeepAlive,
    ) -> Result<Program, Diagnostic> {
        manifest.verify().map_err(|fault| {
            Diagnostic::error("E0805", format!("the manifest of `{}` is not usable: {fault}", manifest.model))
        })?;
        let find = |symbol: &str| {
            lookup(symbol).filter(|address| !address.is_null()).ok_or_else(|| {
                Diagnostic::error(
                    "E0805",
                    format!("the code of `{}` lacks the symbol `{symbol}`", manifest.model),
                )
            })
        };
        let load = |info: &abi::Entry| {
            let function = find(&info.symbol)?;
            let shapes = find(&format!("{}_shapes", info.symbol))?;
            // SAFETY: both are non-null addresses of functions with these signatures; the caller vouches for that.
            let (function, shapes) = unsafe {
                (
                    std::mem::transmute::<*const (), Function>(function),
                    std::mem::transmute::<*const (), Shapes>(shapes),
                )
            };
            Entry::new(info.clone(), function, shapes, keep_alive.clone())
        };
        let entries = manifest.entries.iter().map(load).collect::<Result<_, Diagnostic>>()?;
        Ok(Program { model: manifest.model.clone(), entries, failures: None })
    }

    /// Loads a shared object that `dlc compile` wrote. Its code runs with the rights of this process: open only what
    /// you trust.
    pub fn open_shared(path: &Path, manifest: &Manifest) -> Result<Program, Diagnostic> {
        let refuse = |fault: libloading::Error| {
            Diagnostic::error(
                "E0805",
                format!("`{}` does not load as a shared object: {fault}", path.display()),
            )
        };
        // SAFETY: initialisers of the object run here; compiled models have none, and the caller trusts the file.
        let library = Arc::new(unsafe { libloading::Library::new(path) }.map_err(refuse)?);
        let lookup = |symbol: &str| {
            // SAFETY: the type asked for is a plain address, which the library's own symbol always is.
            let found = unsafe { library.get::<*const ()>(symbol.as_bytes()) };
            found.ok().map(|address| *address)
        };
        Program::from_addresses(manifest, lookup, library.clone())
    }

    /// From now on a call that a check ends is kept with its arguments.
    pub fn record_failures(&mut self) {
        let failures = Failures::default();
        self.entries.iter_mut().for_each(|entry| entry.keep_failures(&failures));
        self.failures = Some(failures);
    }

    /// The last call that a check ended.
    pub fn failed_call(&self) -> Option<FailedCall> {
        self.failures.as_ref().and_then(Failures::get)
    }

    /// As the source names it.
    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.info().name == name)
    }

    /// The entry of this name; that there is none is an error with the ones there are.
    pub fn entry(&self, name: &str) -> Result<&Entry, Diagnostic> {
        self.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.entries.iter().map(|entry| entry.info().name.as_str()).collect();
            Diagnostic::error("E0805", format!("the code of `{}` has no entry point `{name}`", self.model))
                .note(format!("it has: {}", names.join(", ")))
                .maybe_help(
                    did_you_mean(name, names.iter().copied()).map(|near| format!("did you mean `{near}`?")),
                )
        })
    }
}
