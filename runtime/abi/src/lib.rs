//! Stage: the contract between compiled code and its host.
//! Input: none. Output: the description of an artifact ([`Manifest`]), its C header, and the support unit in C that
//! every artifact carries.
//! Invariants: depends on no compiler crate; what is written here is versioned.

mod call;
pub mod header;
pub mod manifest;
mod support;

pub use call::{Call, Function, c_name, c_prefix};
pub use header::header;
pub use manifest::{ArgInfo, Axis, CheckInfo, Entry, MANIFEST_VERSION, Manifest, Role};
pub use support::{SUPPORT_HEADER, SUPPORT_OBJECT, SUPPORT_SOURCES};
