//! Stage ⑧: from a source and options to the result of any stage.
//! Input: a file's text, a way to read what it imports ([`Files`]), a place for compiled objects ([`Cache`]), [`Options`].
//! Output: diagnostics, any stage as text, or compiled code with the manifest that hosts call it by.
//! Invariants: prints nothing and never ends the process; the user's faults, what is not supported and bugs of the
//! compiler are told apart by [`Failure`]; equal inputs give equal bytes, whatever the cache holds.

mod bindings;
mod cache;
mod compiled;
mod cost;
mod failure;
mod finite;
mod gradient_check;
mod library;
mod listing;
mod manifest;
mod memory;
mod options;
mod profile;
mod session;
mod stack;
mod stage;
mod trace;
mod uses;

pub use bindings::Binding;
pub use cache::{Cache, NoCache};
pub use compiled::Compiled;
pub use cost::{Account, Instance, Work, account, instances};
pub use failure::{Bug, Failure};
pub use finite::Watching;
pub use gradient_check::{ArrayCheck, CheckOptions, Compared, GradientCheck, Verdict, check_gradients};
pub use library::library;
pub use listing::listing;
pub use manifest::manifest;
pub use memory::{Fitted, Footprint, MemoryLimit, size_text};
pub use options::{Options, Style};
pub use profile::{KernelTime, Profile};
pub use session::{Files, NoFiles, Session};
pub use stack::with_big_stack;
pub use stage::Stage;
pub use trace::Trace;

/// The version of the compiler, part of every cache key and checkpoint.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Names of all passes, for `--dump-after`.
pub fn pass_names() -> Vec<&'static str> {
    passes::pipeline::PASSES.iter().map(|pass| pass.name).collect()
}
