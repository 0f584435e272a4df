//! The calling convention of compiled code, as Rust types.

use std::ffi::c_void;

/// A kernel: runs the blocks `from..to` of the work that `cx` describes.
pub type Kernel = unsafe extern "C" fn(cx: *mut c_void, from: i64, to: i64);

/// Runs all of `0..blocks`, in ranges of its choice and on threads of its choice, and returns when they are done.
pub type ParallelFor = unsafe extern "C" fn(pool: *mut c_void, kernel: Kernel, cx: *mut c_void, blocks: i64);

/// An entry point. `buffers` are the arguments in order, then the results. 0 is success, `n` the failure of check `n - 1`.
pub type Function = unsafe extern "C" fn(
    buffers: *const *mut c_void,
    dims: *const i64,
    workspace: *mut c_void,
    parallel_for: Option<ParallelFor>,
    pool: *mut c_void,
) -> i32;

/// Writes the bytes of workspace, then the size of every axis of every argument, then of every result.
pub type Shapes = unsafe extern "C" fn(dims: *const i64, out: *mut i64);
