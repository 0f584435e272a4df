//! The three classes of failure: the user's, what is not supported (told as a diagnostic too), and bugs.

use base::Diagnostic;

/// The compiler contradicts itself. Never the user's fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bug {
    pub message: String,
    /// What the failing stage was given, as text: enough to repeat it.
    pub reproducer: String,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Failure {
    /// At least one of them is an error.
    Faults(Vec<Diagnostic>),
    Bug(Bug),
}

impl Failure {
    pub(crate) fn bug(message: impl Into<String>, reproducer: impl Into<String>) -> Failure {
        Failure::Bug(Bug { message: message.into(), reproducer: reproducer.into() })
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Failure {
        Failure::Faults(vec![diagnostic])
    }
}

impl From<passes::PassError> for Failure {
    fn from(error: passes::PassError) -> Failure {
        let text = error.to_string();
        match error {
            passes::PassError::Bug(bug) => Failure::bug(text, bug.before),
            passes::PassError::TooLarge { .. } => Diagnostic::error("E0420", text).into(),
        }
    }
}

impl From<llvm::Error> for Failure {
    fn from(error: llvm::Error) -> Failure {
        match error {
            llvm::Error::Bug(message) => Failure::bug(message, String::new()),
            other => other.diagnostic().into(),
        }
    }
}

impl From<lower::Unsupported> for Failure {
    fn from(unsupported: lower::Unsupported) -> Failure {
        if let Some(message) = unsupported.message.strip_prefix("internal:") {
            return Failure::bug(message.trim(), String::new());
        }
        let diagnostic =
            Diagnostic::error("E0502", format!("{} cannot be compiled yet", unsupported.message));
        match unsupported.span {
            Some(span) => diagnostic.at(span).into(),
            None => diagnostic.into(),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Faults(faults) => {
                let texts: Vec<String> =
                    faults.iter().map(|fault| format!("{}: {}", fault.code, fault.message)).collect();
                f.write_str(&texts.join("\n"))
            }
            Failure::Bug(bug) => write!(f, "bug: {}", bug.message),
        }
    }
}

impl std::error::Error for Failure {}
