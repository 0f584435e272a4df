//! Stage: runtime, between files and training.
//! Input: csv, parquet, npz, npy, idx and safetensors files, texts, folders of pictures or a distribution, and the dtype and shape that each field must have.
//! Output: a [`RowSource`] (named fields with equal row counts, in memory as a [`Dataset`] or read as they are needed), its
//! [`Split`], and a [`Loader`] of its batches.
//! Invariants: values are never clamped, filled in or dropped; every refusal names file and place; splits, orders and
//! synthetic values depend on the seed alone, not on the platform.

mod arrays;
mod augment;
pub mod csv;
mod dataset;
mod idx;
mod images;
mod loader;
mod order;
mod parquet;
mod source;
mod split;
mod steps;
mod synthetic;
mod text;

pub use arrays::{ArrayField, read_npy, read_npz, read_safetensors, select};
pub use augment::{Augment, Augmented, Transform};
pub use csv::{Column, Columns, Csv, CsvField};
pub use dataset::Dataset;
pub use idx::{parse_idx, read_idx};
pub use images::{ImageField, ImageOrigin, Images, decode_image};
pub use loader::{Batch, Batches, Loader, Planned, ascending, in_order};
pub use order::{EpochRows, Order, Rows};
pub use parquet::read_parquet;
pub use source::{FieldInfo, Overlay, RowSource};
pub use split::{DEFAULT_FRACTIONS, Split};
pub use steps::Step;
pub use synthetic::{Distribution, SyntheticField, synthetic};
pub use text::{Text, TextField};
