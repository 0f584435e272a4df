//! Stage: foundation, below every other crate.
//! Input: source texts. Output: places in them (`Span`), what is said about them (`Diagnostic`), and one renderer.
//! Invariants: a `Diagnostic` is a value: whoever detects a fault words it, nobody but [`render`] draws it.
//! Nothing here knows the language, shapes or graphs; no IO.

mod diagnostic;
mod excerpt;
mod ids;
mod render;
mod source;
mod suggest;

pub use diagnostic::{Code, Diagnostic, Edit, Label, Severity, has_errors};
pub use ids::{Id, IdVec};
pub use render::{Color, Format, render, render_all};
pub use source::{FileId, SourceFile, SourceMap, Span};
pub use suggest::did_you_mean;
