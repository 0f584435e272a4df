//! What ends a verb early, and with which exit code.

use base::{Diagnostic, SourceMap};
use driver::{Bug, Failure, Session};

/// Exit code of a program that was asked to end, as shells know it.
pub const INTERRUPTED: u8 = 130;

pub enum Fault {
    /// The user's file or data; exit code 1. The sources are those that the spans point into.
    Diagnostics(Vec<Diagnostic>, SourceMap),
    /// Already told, exit code 1: tests that failed, files that are not formatted.
    Told,
    /// Wrong usage; exit code 2.
    Usage(String),
    /// Somebody asked for the end; exit code 130.
    Interrupted,
    /// Ours; exit code 70.
    Bug(Bug),
}

impl From<Diagnostic> for Fault {
    fn from(diagnostic: Diagnostic) -> Fault {
        Fault::Diagnostics(vec![diagnostic], SourceMap::new())
    }
}

/// Failures of the driver point into a session's sources.
pub trait InSession<T> {
    fn within(self, session: &Session) -> Result<T, Fault>;
}

impl<T> InSession<T> for Result<T, Failure> {
    fn within(self, session: &Session) -> Result<T, Fault> {
        self.map_err(|failure| match failure {
            Failure::Faults(faults) => Fault::Diagnostics(faults, session.sources.clone()),
            Failure::Bug(bug) => Fault::Bug(bug),
        })
    }
}

impl<T> InSession<T> for Result<T, Diagnostic> {
    fn within(self, session: &Session) -> Result<T, Fault> {
        self.map_err(|fault| Fault::Diagnostics(vec![fault], session.sources.clone()))
    }
}
