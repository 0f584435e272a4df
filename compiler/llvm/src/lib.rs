//! Stage ⑦: kernels to machine code; the only crate that knows LLVM.
//! Input: a [`kernel::Module`] (kernels and plans) and a [`Target`].
//! Output: an [`Object`], assembly or LLVM IR; [`Jit`] runs the object here.
//! Invariants: no fast-math flags, so every optimisation level gives the same bits; equal input gives equal bytes;
//! kernels call nothing but the system's mathematical library.
#![allow(unsafe_code, reason = "LLVM and the code it makes are reached through C interfaces")]

mod artifact;
mod emit;
mod entry;
mod error;
mod ir;
mod jit;
mod object;
mod package;
mod target;

pub use artifact::artifact;
pub use error::Error;
pub use jit::Jit;
pub use object::{Object, OptLevel, Options, Part, assembly, compile, compile_together, llvm_ir};
pub use target::{Target, version};
