//! Stage: runtime, between files and training.
//! Input: csv, npz, npy and safetensors files or a distribution, and the dtype and shape that each field must have.
//! Output: [`Dataset`] (named arrays with equal row counts), its [`Split`] and its [`Batches`].
//! Invariants: values are never clamped, filled in or dropped; every refusal names file and place; splits, orders and
//! synthetic values depend on the seed alone, not on the platform.

mod arrays;
mod batches;
pub mod csv;
mod dataset;
mod split;
mod synthetic;

pub use arrays::{ArrayField, read_npy, read_npz, read_safetensors, select};
pub use batches::{Batch, Batches, epoch_order};
pub use csv::{Column, Columns, Csv, CsvField};
pub use dataset::Dataset;
pub use split::{DEFAULT_FRACTIONS, Split};
pub use synthetic::{Distribution, SyntheticField, synthetic};
