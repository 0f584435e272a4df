//! Stage: runtime, between files and training.
//! Input: csv, parquet, npz, npy, idx and safetensors files, texts, folders of pictures or a distribution, and the dtype and shape that each field must have.
//! Output: [`Dataset`] (named arrays with equal row counts), its [`Split`] and its [`Batches`].
//! Invariants: values are never clamped, filled in or dropped; every refusal names file and place; splits, orders and
//! synthetic values depend on the seed alone, not on the platform.

mod arrays;
mod batches;
pub mod csv;
mod dataset;
mod idx;
mod images;
mod parquet;
mod split;
mod steps;
mod synthetic;
mod text;

pub use arrays::{ArrayField, read_npy, read_npz, read_safetensors, select};
pub use batches::{Batch, Batches, epoch_order};
pub use csv::{Column, Columns, Csv, CsvField};
pub use dataset::Dataset;
pub use idx::{parse_idx, read_idx};
pub use images::{ImageField, ImageOrigin, Images, decode_image};
pub use parquet::read_parquet;
pub use split::{DEFAULT_FRACTIONS, Split};
pub use steps::Step;
pub use synthetic::{Distribution, SyntheticField, synthetic};
pub use text::{Text, TextField};
