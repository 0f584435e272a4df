//! Stage ②: syntax trees → models.
//! Input: parsed files (the user's, what they import, the standard library) and the settings of a build.
//! Output: diagnostics, and for a model the graph functions of its entry points with everything a host must know.
//! Invariants: `check` never opens data and never depends on `--precision`; after a build without errors nothing is
//! the user's fault but dimensions and data at run time; the same sources and settings give the same graphs.

mod api;
mod arith;
mod augment;
mod bench;
mod branch;
mod call;
mod checker;
mod echoes;
mod entry;
mod equation;
mod expr;
mod frame;
mod groups;
mod index;
mod initial;
mod instance;
mod lints;
mod mentions;
mod names;
mod natives;
mod outline;
mod program;
mod settings;
mod slips;
mod sources;
mod story;
mod stretch;
mod tests;
mod train;
mod types;
mod value;
mod weight_map;

pub use api::{
    Assert, Augment, Built, Checkpoint, Column, Direction, DrawSpec, EarlyStop, FieldSource, FieldSpec,
    LayerInfo, Metric, Origin, Plateau, Source, Step, TestCase, TrainSpec, Transform, WeightInfo,
};
pub use bench::{BenchItem, benches};
pub use checker::Options;
pub use entry::{build, check, merged};
pub use program::{Imported, Program};
pub use tests::test_cases;
pub use weight_map::{Foreign, MapRow, WeightMap};
