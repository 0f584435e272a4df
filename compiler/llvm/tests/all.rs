//! Kernels built by hand, compiled, run and compared with what they must give.
//! One binary, since each links LLVM.
#![allow(clippy::unwrap_used, reason = "what a test helper cannot do, it ends with")]
#![allow(unsafe_code, reason = "compiled code is called through its address")]

#[path = "all/arithmetic.rs"]
mod arithmetic;
#[path = "all/casts.rs"]
mod casts;
#[path = "all/control.rs"]
mod control;
#[path = "all/interface.rs"]
mod interface;
#[path = "all/machine.rs"]
mod machine;
#[path = "all/math.rs"]
mod math;
#[path = "all/memory.rs"]
mod memory;
#[path = "all/plans.rs"]
mod plans;
#[path = "all/speed.rs"]
mod speed;
#[path = "all/stream.rs"]
mod stream;
#[path = "all/targets.rs"]
mod targets;
