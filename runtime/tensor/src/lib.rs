//! Stage: runtime leaf, below data, exec and train.
//! Input: bytes of npy, npz and safetensors files, values from the host. Output: [`Tensor`], and such files again.
//! Invariants: a tensor's bytes fit its shape and dtype exactly, row-major, aligned to 64; reading never panics on any
//! bytes and allocates no more than the file or its stated limits justify; equal tensors write equal bytes.

mod arrange;
mod buffer;
mod cast;
mod compare;
mod dtype;
pub mod file;
mod half;
mod hash;
mod limits;
pub mod npy;
pub mod npz;
pub mod philox;
pub mod safetensors;
mod tensor;

pub use buffer::Element;
pub use compare::{Comparison, compare, compare_all};
pub use dtype::DType;
pub use half::{bf16_to_f32, f16_to_f32, f64_to_bf16, f64_to_f16};
pub use hash::Fnv64;
pub use limits::Limits;
pub use tensor::{Tensor, element_count, shape_text};
