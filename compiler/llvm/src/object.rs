//! Kernel IR to object code: one LLVM module a kernel, and one for the plans, each on any free thread.

use crate::emit;
use crate::entry;
use crate::ir::Ir;
use crate::{Error, Target};
use inkwell::OptimizationLevel;
use kernel::Module;
use llvm_sys::target_machine::LLVMCodeGenFileType;
use shape::Symbol;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OptLevel {
    /// As written: for finding faults. Gives the same bits as `O3`.
    O0,
    O3,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    pub target: Target,
    pub opt_level: OptLevel,
    /// Threads that compile.
    pub jobs: usize,
}

/// Relocatable object code, in the target's format. Equal input gives equal bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    pub parts: Vec<Part>,
}

/// One object file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// A file name, distinct within the object.
    pub name: String,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Object,
    Assembly,
    Ir,
}

/// What kernels need: SSA out of stack places, common subexpressions, loop-invariant code out of loops. They come tiled,
/// unrolled and vectorised already.
const KERNEL_PASSES: &str = "function(sroa,early-cse,simplifycfg,loop-mssa(licm),instcombine<no-verify-fixpoint>,early-cse,simplifycfg,dce)";

pub fn compile(module: &Module, options: &Options) -> Result<Object, Error> {
    Ok(Object { parts: Job::new(module, options, Form::Object).run()? })
}

/// As [`compile`], all in one part: faster where there are many small kernels, slower to make anew after a change.
pub fn compile_together(module: &Module, options: &Options) -> Result<Object, Error> {
    let job = Job::new(module, options, Form::Object);
    let ir = Ir::new("together");
    for (id, kernel) in module.kernels.iter() {
        emit::emit(&ir, kernel, &job.kernel_names[id.index()], &options.target, &job.symbols)?;
    }
    job.emit_plans(&ir)?;
    Ok(Object { parts: vec![finish(&ir, "together", options, Form::Object, Code::Kernel)?] })
}

/// The assembly text of all parts.
pub fn assembly(module: &Module, options: &Options) -> Result<String, Error> {
    Job::new(module, options, Form::Assembly).text()
}

/// LLVM's IR after its passes, as text.
pub fn llvm_ir(module: &Module, options: &Options) -> Result<String, Error> {
    Job::new(module, options, Form::Ir).text()
}

struct Job<'a> {
    module: &'a Module,
    options: &'a Options,
    form: Form,
    kernel_names: Vec<String>,
    symbols: Vec<Symbol>,
}

impl<'a> Job<'a> {
    fn new(module: &'a Module, options: &'a Options, form: Form) -> Job<'a> {
        let symbols: BTreeSet<Symbol> =
            module.plans.iter().flat_map(|plan| plan.symbols.iter().cloned()).collect();
        // Objects of several models end in one program, so kernels are named after a plan's exported name.
        let prefix = module.plans.first().map_or("dlc", |plan| plan.name.as_str());
        let kernel_names = module
            .kernels
            .iter()
            .map(|(id, kernel)| format!("{prefix}__{}_{}", id.index(), identifier(&kernel.name)))
            .collect();
        Job { module, options, form, kernel_names, symbols: symbols.into_iter().collect() }
    }

    fn text(&self) -> Result<String, Error> {
        Ok(self.run()?.iter().map(|part| String::from_utf8_lossy(&part.bytes)).collect::<Vec<_>>().join("\n"))
    }

    fn run(&self) -> Result<Vec<Part>, Error> {
        let order = self.order();
        let count = order.len();
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(count));
        let work = || {
            while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let part = self.part(*index);
                done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((*index, part));
            }
        };
        let threads = self.options.jobs.clamp(1, count.max(1));
        if threads == 1 {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(work);
                }
            });
        }
        let mut parts = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        parts.sort_by_key(|(index, _)| *index);
        parts.into_iter().map(|(_, part)| part).collect()
    }

    /// Parts in the order in which they are compiled: the plans, which take longest, then kernels by their size; so that
    /// no thread waits long for another at the end.
    fn order(&self) -> Vec<usize> {
        let kernels = self.module.kernels.len();
        let mut order: Vec<usize> = (0..kernels).collect();
        let sizes: Vec<usize> = self.module.kernels.values().iter().map(|kernel| kernel.vars.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(sizes[*index]));
        if !self.module.plans.is_empty() {
            order.insert(0, kernels);
        }
        order
    }

    fn emit_plans(&self, ir: &Ir) -> Result<(), Error> {
        let context = entry::Context {
            module: self.module,
            kernel_names: &self.kernel_names,
            symbols: &self.symbols,
            target: &self.options.target,
        };
        self.module.plans.iter().try_for_each(|plan| entry::emit(ir, &context, plan))
    }

    fn part(&self, index: usize) -> Result<Part, Error> {
        let name = self.module.kernels.values().get(index).map_or("plans", |_| &self.kernel_names[index]);
        let ir = Ir::new(name);
        let target = &self.options.target;
        match self.module.kernels.values().get(index) {
            Some(kernel) => emit::emit(&ir, kernel, name, target, &self.symbols)?,
            None => self.emit_plans(&ir)?,
        }
        let steps: usize = self.module.plans.iter().map(|plan| plan.calls().len()).sum();
        let code = match index < self.module.kernels.len() {
            true => Code::Kernel,
            false if steps <= FEW_STEPS => Code::Calls,
            false => Code::ManyCalls,
        };
        finish(&ir, name, self.options, self.form, code)
    }
}

/// What a module's time goes to when it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Code {
    Kernel,
    /// A row of calls, each with its arguments: what is called takes the time.
    Calls,
    /// The same, so long that registers and order would take seconds to choose.
    ManyCalls,
}

/// Steps of all plans, from which on their calls are many.
const FEW_STEPS: usize = 128;

/// Verifies, optimises and writes a module.
pub(crate) fn finish(ir: &Ir, name: &str, options: &Options, form: Form, code: Code) -> Result<Part, Error> {
    let bug = |fault: String| Error::Bug(format!("`{name}`: {fault}"));
    let level = match (options.opt_level, code) {
        (OptLevel::O0, _) | (_, Code::ManyCalls) => OptimizationLevel::None,
        (OptLevel::O3, Code::Calls) => OptimizationLevel::Less,
        (OptLevel::O3, Code::Kernel) => OptimizationLevel::Default,
    };
    let machine = options.target.machine(level)?;
    ir.verify_for(&machine).map_err(bug)?;
    if options.opt_level == OptLevel::O3 {
        ir.run_passes(KERNEL_PASSES, &machine).map_err(bug)?;
    }
    let (bytes, extension) = match form {
        Form::Ir => (ir.text().into_bytes(), "ll"),
        Form::Object => (ir.write(&machine, LLVMCodeGenFileType::LLVMObjectFile).map_err(bug)?, "o"),
        Form::Assembly => (ir.write(&machine, LLVMCodeGenFileType::LLVMAssemblyFile).map_err(bug)?, "s"),
    };
    Ok(Part { name: format!("{name}.{extension}"), bytes })
}

/// Letters, digits and underscores of a name; everything else becomes an underscore.
fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
