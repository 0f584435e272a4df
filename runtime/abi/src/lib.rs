//! Stage: the contract between compiled code and its host.
//! Input: none. Output: the description of an artifact (`Manifest`).
//! Invariants: depends on no compiler crate; what is written here is versioned.

pub mod manifest;

pub use manifest::{ArgInfo, Axis, CheckInfo, Entry, MANIFEST_VERSION, Manifest, Role};
