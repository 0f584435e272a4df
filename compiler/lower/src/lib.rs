//! Stage ⑤: from tensor graph to kernels and plans.
//! Input: entry functions of a [`graph::Module`], inlined, composites expanded, dtypes concrete.
//! Output: [`kernel::Kernel`]s and, for each entry, a [`kernel::Plan`] with every temporary's place.
//! Invariants: everything follows from the graph, its shapes and the target's vector width, never from threads; operators
//! are composed through their element functions, so only contractions, reductions, scatters, recurrences and orders are
//! known by their form.

mod ahead;
mod attention;
mod checks;
mod compose;
mod control;
mod draft;
mod dump;
mod emit;
mod entry;
mod fragment;
mod group;
mod kept;
mod lifetimes;
mod literal;
mod measure;
mod place;
mod plan_memory;
mod resolve;
mod rowwise;
pub mod schedule;
mod specialize;
mod watch;

pub use dump::dump;
pub use entry::lower;
pub use lifetimes::{Life, lifetimes};
pub use watch::Watched;

use base::Span;
use kernel::{Kernel, KernelId, Module, Plan, Step};
use std::collections::HashMap;

/// What one kernel may compute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fusion {
    /// Groups of nodes that pay as one.
    #[default]
    Groups,
    /// One operation, as frameworks know them: a node, or what came from one call of a function that is an operation to
    /// them. What only says where elements are (transposition, stretching, slices) is read in place.
    Operations,
    /// One node: slow, and easy to look into.
    Nodes,
}

/// Where values live between the kernels that make and read them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Memory {
    /// In one workspace, where those that live at different times share places.
    #[default]
    Planned,
    /// Each in memory that is allocated before the step that writes it and freed after the last that reads it.
    Allocated,
}

pub struct Options<'a> {
    /// The plan's name, and the prefix of its kernels' names.
    pub name: String,
    /// What `float` is, should a type still say so.
    pub float: kernel::DType,
    /// Width of the target's vectors: 512, 256 or 128.
    pub vector_bits: u16,
    pub fusion: Fusion,
    pub memory: Memory,
    /// Where given, the time of every kernel call is taken, and this tells the place that a node comes from.
    pub measure: Option<&'a dyn Fn(&graph::Node) -> String>,
    /// The place in the source as users read it.
    pub place: &'a dyn Fn(Span) -> String,
}

impl Options<'_> {
    pub fn new(name: impl Into<String>) -> Options<'static> {
        Options {
            name: name.into(),
            float: kernel::DType::F32,
            vector_bits: 512,
            fusion: Fusion::Groups,
            memory: Memory::Planned,
            measure: None,
            place: &|_| String::new(),
        }
    }
}

/// What lowering cannot do yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsupported {
    pub message: String,
    pub span: Option<Span>,
}

impl Unsupported {
    pub(crate) fn new(message: impl Into<String>, span: Option<Span>) -> Unsupported {
        Unsupported { message: message.into(), span }
    }
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unsupported {}

/// The kernels and plan of one entry; kernel ids are positions in `kernels`.
#[derive(Clone, PartialEq, Debug)]
pub struct Lowered {
    pub kernels: Vec<Kernel>,
    pub plan: Plan,
}

/// Puts entries together; kernels that differ only in names are kept once.
pub fn link(entries: Vec<Lowered>) -> Module {
    let mut module = Module::default();
    // Only looked up: the order of kernels is that of their first call.
    let mut known: HashMap<Kernel, KernelId> = HashMap::new();
    for Lowered { kernels, mut plan } in entries {
        let ids: Vec<KernelId> = kernels
            .into_iter()
            .map(|kernel| {
                let mut nameless = kernel.clone();
                nameless.name.clear();
                nameless.buffers.iter_mut().for_each(|(_, buffer)| buffer.name.clear());
                nameless.vars.iter_mut().for_each(|(_, var)| var.name.clear());
                *known.entry(nameless).or_insert_with(|| module.kernels.push(kernel))
            })
            .collect();
        renumber(&mut plan.steps, &ids);
        module.plans.push(plan);
    }
    module
}

fn renumber(steps: &mut [Step], ids: &[KernelId]) {
    for step in steps {
        if let Step::Call(call) = step {
            call.kernel = ids[call.kernel.index()];
        }
        step.bodies_mut().into_iter().for_each(|body| renumber(body, ids));
    }
}

/// As [`lower_all`], with a test of every stored float value after the kernel that computes it: the call ends with the
/// status of a check where one is not finite. Also tells which check belongs to which value, for each entry.
pub fn lower_watched(
    module: &graph::Module,
    entries: &[(graph::FuncId, Options<'_>)],
) -> Result<(Module, Vec<Vec<Watched>>), Unsupported> {
    let lowered = entries.iter().map(|(entry, options)| entry::lower_watched(module, *entry, options));
    let (lowered, watched) = lowered.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    Ok((link(lowered), watched))
}

/// Lowers several entries of a graph into one module.
pub fn lower_all(
    module: &graph::Module,
    entries: &[(graph::FuncId, Options<'_>)],
) -> Result<Module, Unsupported> {
    let lowered = entries.iter().map(|(entry, options)| lower(module, *entry, options));
    Ok(link(lowered.collect::<Result<Vec<_>, _>>()?))
}
