//! What can go wrong between kernel IR and machine code.

use base::Diagnostic;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// The construct or target is not supported; says which.
    Unsupported(String),
    /// No such target, processor or feature.
    Target(String),
    /// The system's linker is missing or refused.
    Link(String),
    /// Reading or writing a file.
    File(String),
    /// The compiler built something that LLVM refuses: a bug, never the user's fault.
    Bug(String),
}

impl Error {
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Error::Unsupported(text) => Diagnostic::error("E0901", text.clone()),
            Error::Target(text) => Diagnostic::error("E0902", text.clone())
                .help("name a target such as `native`, `x86-64-v3` or `aarch64-linux-gnu:neoverse-n1`"),
            Error::Link(text) => Diagnostic::error("E0903", text.clone())
                .help("install a C compiler, name one in the variable CC, or emit `lib` instead of `so`"),
            Error::File(text) => Diagnostic::error("E0904", text.clone()),
            Error::Bug(text) => Diagnostic::error("E0999", format!("bug in code generation: {text}")),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.diagnostic().message)
    }
}

impl std::error::Error for Error {}
