//! Stage: beside the compiler; measures what it makes, and other frameworks by the same rule.
//! Input: the registry of models, a table of arms, results that a [`Reference`] computes in f64.
//! Output: lines of JSON, one an arm: times with intervals, or why there is no time.
//! Invariants: an arm is a process of its own that speaks [`protocol`]; what it says of itself is read back and held
//! against what was asked; a result that differs from the reference, ran on other threads or beats the machine's peak has
//! no speed; equal seeds give equal orders and equal inputs.

mod arm_process;
mod arms;
mod cell;
mod course;
mod draw;
mod folder;
mod honesty;
mod lines;
mod machine;
mod measure;
mod origin;
mod plan;
mod process;
pub mod protocol;
mod registry;
mod results;
mod row;
mod schedule;
pub mod serve;
mod server;
pub mod statistics;

pub use arm_process::{ArmProcess, Ended};
pub use arms::{Arm, Arms, DLC_ARMS};
pub use cell::{Cell, Mode};
pub use draw::arrays;
pub use folder::{Arrays, Folder, Reference, prepare};
pub use honesty::{Agreement, Peaks, Work, agreement};
pub use lines::{
    ArmLine, CurveLine, EnvironmentLine, FactsLine, FloorLine, KernelLine, Line, PeaksLine, Status,
};
pub use machine::{Shares, cache_bytes, environment, machine_id};
pub use measure::{Measured, Ruler, Subject, measure};
pub use plan::{Wanted, cells};
pub use registry::{ArraySpec, Axis, Batches, Model, Registry, Size, Values};
pub use results::{Results, parse};
pub use row::line_of_samples;
pub use server::serve_requests;
