//! Where the time of compiled code goes, kernel call by kernel call.

use crate::{Compiled, Failure, Session};
use graph::Node;
use kernel::Measured;
use llvm::Jit;
use std::sync::Arc;

/// What one kernel call of a plan has cost since the profile was last taken.
#[derive(Clone, PartialEq, Debug)]
pub struct KernelTime {
    /// The operators that it computes.
    pub kernel: String,
    /// `file:line` of what they come from, as near to the user's own source as is known.
    pub line: String,
    pub calls: i64,
    pub seconds: f64,
    /// Floating-point operations of all calls, and bytes that they cannot do without: each value read or written once.
    pub flops: f64,
    pub bytes: f64,
}

/// The times of a program that was compiled with `profile`.
pub struct Profile {
    jit: Arc<Jit>,
    /// The entry point's name, its symbol, its timed steps.
    entries: Vec<(String, String, Vec<Measured>)>,
}

impl Profile {
    /// The kernel calls of an entry point in the order of its plan; from now on they are counted anew. Empty for code that
    /// was compiled without `profile`.
    pub fn take(&self, entry: &str) -> Vec<KernelTime> {
        let Some((_, symbol, measured)) = self.entries.iter().find(|(name, ..)| name == entry) else {
            return Vec::new();
        };
        let sums = self.jit.take_sums(symbol).unwrap_or_default();
        let times = measured.iter().zip(sums).map(|(of, [calls, nanoseconds, flops, bytes])| KernelTime {
            kernel: of.what.clone(),
            line: of.place.clone(),
            calls,
            seconds: nanoseconds as f64 * 1e-9,
            flops: flops as f64,
            bytes: bytes as f64,
        });
        times.collect()
    }
}

impl Compiled {
    /// As [`Compiled::load`], with what the code finds out of its own times.
    pub fn load_profiled(&self) -> Result<(exec::Program, Profile), Failure> {
        let (program, jit) = self.load_code()?;
        let plans = self.manifest.entries.iter().zip(&self.kernels.plans);
        let entries = plans.map(|(entry, plan)| {
            let measured = plan.measured().into_iter().cloned().collect();
            (entry.name.clone(), entry.symbol.clone(), measured)
        });
        Ok((program, Profile { jit, entries: entries.collect() }))
    }
}

impl Session {
    /// `file:line` of the node, in the user's source where it came from there through the library.
    pub(crate) fn line_of(&self, node: &Node) -> String {
        let calls = node.scope.iter().flat_map(|scope| scope.calls.iter().copied());
        let mut spans = node.span.into_iter().chain(calls);
        let span = spans.clone().find(|span| self.is_of_user(*span)).or_else(|| spans.next());
        let place = span.map(|span| self.place(span)).unwrap_or_default();
        place.rsplit_once(':').map_or(place.clone(), |(line, _)| line.to_string())
    }
}
