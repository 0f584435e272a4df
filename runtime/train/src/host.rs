//! What a run meets outside of itself.

use tensor::file::{Disk, Os};

/// The disk that a run writes to, and whoever may want it to end.
#[derive(Clone, Copy)]
pub struct Host<'h> {
    pub disk: &'h dyn Disk,
    /// Asked after each update, whose number it is given: whether to write a checkpoint and end there.
    pub stop: &'h dyn Fn(u64) -> bool,
}

impl Default for Host<'_> {
    fn default() -> Self {
        Host { disk: &Os, stop: &|_| false }
    }
}
