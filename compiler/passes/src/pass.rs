//! What a pass is.

use graph::{FuncId, Module};
use std::collections::BTreeSet;

/// Whether a pass did anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    Yes,
    No,
}

impl Changed {
    pub fn when(changed: bool) -> Changed {
        if changed { Changed::Yes } else { Changed::No }
    }

    #[must_use]
    pub fn or(self, other: Changed) -> Changed {
        Changed::when(self == Changed::Yes || other == Changed::Yes)
    }
}

/// A named step of a pipeline. `Err` is a bug of the compiler, in words.
#[derive(Clone, Copy)]
pub struct Pass {
    pub name: &'static str,
    pub summary: &'static str,
    pub run: fn(&mut Module, &PassCx<'_>) -> Result<Changed, String>,
}

/// What a pass may know.
pub struct PassCx<'a> {
    /// Functions that are run from outside; others matter only as far as these call them.
    pub entries: &'a [FuncId],
    /// What `float` is in this build.
    pub float: kernel::DType,
    /// Allow only what leaves every bit of every float as it is (the sign of zeros and the payload of NaN included).
    pub strict: bool,
    /// Composites for which the target has a kernel of its own: they stay calls.
    pub keep_composites: &'a BTreeSet<String>,
}

impl PassCx<'_> {
    /// The entry points and what they run, directly or not; what is run comes first.
    pub fn reachable(&self, module: &Module) -> Vec<FuncId> {
        module.order_of(self.entries.iter().copied()).unwrap_or_default()
    }
}
