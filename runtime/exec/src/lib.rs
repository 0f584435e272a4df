//! Stage: runtime, between compiled code and everything that calls it.
//! Input: addresses of compiled entry points with their [`abi::Manifest`], tensors, sizes of dimensions.
//! Output: result tensors, or what was wrong as a diagnostic (E08xx).
//! Invariants: compiled code only ever sees buffers of the dtype and size that its manifest and its shapes function
//! state, arguments and results never share memory, and the workspace is as large as the code asked for.

mod arena;
mod bind;
mod convention;
mod entry;
mod failed_call;
mod pool;
mod program;

pub use arena::Arena;
pub use bind::Dims;
pub use convention::{Function, Kernel, ParallelFor, Shapes};
pub use entry::Entry;
pub use failed_call::FailedCall;
pub use pool::{Pool, default_threads};
pub use program::{KeepAlive, Program};
