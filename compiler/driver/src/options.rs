//! What the command line says about a build.

use llvm::{OptLevel, Target};

/// The ways in which frameworks differ in executing one graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Style {
    /// Everything: passes, fusion, planned memory.
    #[default]
    Compiled,
    /// Passes, planned order and memory; one kernel an operation, as frameworks know operations.
    Graph,
    /// One kernel an operation, in the order of the program; each value is allocated when it is made and freed when nobody
    /// reads it any more.
    Eager,
}

impl Style {
    pub fn name(self) -> &'static str {
        match self {
            Style::Compiled => "compiled",
            Style::Graph => "graph",
            Style::Eager => "eager",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    /// `--set` and `--bind`.
    pub sema: sema::Options,
    /// What `float` is.
    pub float: kernel::DType,
    pub style: Style,
    /// Whether compiled code takes the time of every kernel call, for [`crate::Compiled::load_profiled`].
    pub profile: bool,
    /// Nothing is reordered beyond the source.
    pub strict: bool,
    pub target: Target,
    pub opt_level: OptLevel,
    /// Threads that compile; they do not change the result.
    pub jobs: usize,
    /// Whether every pass is followed by the verifier.
    pub verify: bool,
    /// What one call of any entry point may take.
    pub max_memory: Option<crate::MemoryLimit>,
}

impl Options {
    /// Everything at its default, for this machine.
    pub fn native() -> Options {
        Options {
            sema: sema::Options::default(),
            float: kernel::DType::F32,
            style: Style::default(),
            profile: false,
            strict: false,
            target: Target::native(),
            opt_level: OptLevel::O3,
            jobs: 1,
            verify: cfg!(debug_assertions),
            max_memory: None,
        }
    }
}
