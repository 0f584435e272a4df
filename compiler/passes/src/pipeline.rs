//! The lists of passes, and the driver that runs and checks them.

use crate::{
    Changed, Pass, PassCx, cse, expand_composites, fold, hoist, inline, narrow, phases, precision, simplify,
    sink, tape,
};
use graph::{FuncId, Module, print::print, verify::verify};
use std::{collections::BTreeSet, fmt};

/// All passes, by name.
pub const PASSES: &[Pass] = &[
    precision::PASS,
    inline::PASS,
    cse::PASS,
    simplify::PASS,
    fold::PASS,
    expand_composites::PASS,
    narrow::PASS,
    sink::PASS,
    hoist::PASS,
    phases::PASS,
    tape::PASS,
];

/// Everything. No pass drops what nothing needs: each that changes a function copies its live nodes alone, and the last one
/// of either list leaves none behind. Composites are first met as wholes, then expanded and treated with what is around them.
pub const COMPILED: &[Pass] = &[
    precision::PASS,
    inline::PASS,
    narrow::PASS,
    inline::PASS,
    cse::PASS,
    simplify::PASS,
    fold::PASS,
    expand_composites::PASS,
    cse::PASS,
    simplify::PASS,
    fold::PASS,
    sink::PASS,
    hoist::PASS,
    narrow::PASS,
    inline::PASS,
    simplify::PASS,
    phases::PASS,
    simplify::PASS,
    cse::PASS,
];

/// As written: what a framework does that runs each operation when it meets it.
pub const EAGER: &[Pass] = &[precision::PASS, inline::PASS, tape::PASS, expand_composites::PASS, tape::PASS];

pub struct Options<'a> {
    pub float: kernel::DType,
    pub strict: bool,
    /// Whether to verify the module after each pass.
    pub verify: bool,
    pub keep_composites: BTreeSet<String>,
    pub observer: Option<&'a mut dyn Observer>,
}

impl Options<'_> {
    pub fn new(float: kernel::DType) -> Options<'static> {
        Options { float, strict: false, verify: true, keep_composites: BTreeSet::new(), observer: None }
    }
}

/// Sees each pass: for dumps and timings, since the compiler itself has no clock and no files.
pub trait Observer {
    fn before(&mut self, pass: &Pass, module: &Module);
    fn after(&mut self, pass: &Pass, changed: Changed, module: &Module);
}

/// A pass made a bad module: a bug of the compiler, with all that is needed to reproduce it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PassBug {
    pub pass: &'static str,
    pub message: String,
    /// The module before the pass; empty where passes are not verified.
    pub before: String,
}

/// Why a pipeline stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PassError {
    Bug(PassBug),
    /// With all calls in place the function would have more operations than [`MAX_OPERATIONS`].
    TooLarge {
        function: String,
        operations: usize,
    },
}

impl fmt::Display for PassBug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "internal: pass `{}`: {}", self.pass, self.message)
    }
}

impl fmt::Display for PassError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PassError::Bug(bug) => bug.fmt(f),
            PassError::TooLarge { function, operations } => {
                write!(f, "`{function}` is made of {operations} operations, the limit is {MAX_OPERATIONS}")
            }
        }
    }
}

impl std::error::Error for PassBug {}
impl std::error::Error for PassError {}

impl From<PassBug> for PassError {
    fn from(bug: PassBug) -> PassError {
        PassError::Bug(bug)
    }
}

/// More operations in one entry point than this are refused instead of filling the memory.
pub const MAX_OPERATIONS: usize = 1 << 20;

/// Functions that call each other can describe more operations than anything can hold: each of 40 calls the one before
/// it twice. What is run comes first, so one walk counts them all.
fn check_size(module: &Module, entries: &[FuncId]) -> Result<(), PassError> {
    let mut sizes = vec![0usize; module.functions.len()];
    for id in module.in_order().unwrap_or_default() {
        let function = &module.functions[id];
        let bodies = function.nodes.values().iter().flat_map(|node| node.op.bodies());
        let total = bodies
            .filter_map(|body| sizes.get(body.index()))
            .fold(function.nodes.len(), |total, size| total.saturating_add(*size));
        sizes[id.index()] = total;
    }
    for entry in entries {
        let operations = sizes[entry.index()];
        if operations > MAX_OPERATIONS {
            return Err(PassError::TooLarge { function: module.functions[*entry].name.clone(), operations });
        }
    }
    Ok(())
}

pub fn find(name: &str) -> Option<&'static Pass> {
    PASSES.iter().find(|pass| pass.name == name)
}

pub fn run_pipeline(
    module: &mut Module,
    entries: &[FuncId],
    passes: &[Pass],
    options: Options<'_>,
) -> Result<(), PassError> {
    let Options { float, strict, verify: verifies, keep_composites, mut observer } = options;
    let cx = PassCx { entries, float, strict, keep_composites: &keep_composites };
    if verifies {
        verify(module).map_err(|message| PassBug { pass: "(none)", message, before: print(module) })?;
    }
    check_size(module, entries)?;
    for pass in passes {
        if let Some(observer) = &mut observer {
            observer.before(pass, module);
        }
        let before = verifies.then(|| module.clone());
        let bug = |message: String| PassBug {
            pass: pass.name,
            message,
            before: before.as_ref().map(print).unwrap_or_default(),
        };
        let changed = (pass.run)(module, &cx).map_err(bug)?;
        if verifies {
            verify(module).map_err(bug)?;
        }
        if let Some(observer) = &mut observer {
            observer.after(pass, changed, module);
        }
    }
    Ok(())
}
