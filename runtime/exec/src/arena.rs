//! Scratch memory for compiled code, kept from call to call.

use base::Diagnostic;
use std::ffi::c_void;
use tensor::{DType, Tensor};

/// Grows to the largest workspace that was asked for and stays there. Its content means nothing between calls.
#[derive(Default)]
pub struct Arena {
    memory: Option<Tensor>,
}

impl Arena {
    pub fn new() -> Arena {
        Arena::default()
    }

    /// Bytes held now.
    pub fn size(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.bytes().len())
    }

    /// At least `bytes` bytes, aligned to 64; valid until the arena is used again.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<*mut c_void, Diagnostic> {
        if self.size() < bytes {
            // The old memory goes first, so that growing never holds both.
            self.memory = None;
            self.memory = Some(Tensor::zeros(DType::U8, [bytes])?);
        }
        Ok(self.memory.as_mut().map_or(std::ptr::null_mut(), |memory| memory.bytes_mut().as_mut_ptr().cast()))
    }
}
