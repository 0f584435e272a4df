//! From entry points to machine code, in one readable line of stages.

use crate::{Cache, Failure, Fitted, Session, Style, Trace, cache, manifest};
use base::Diagnostic;
use graph::{FuncId, Module};
use llvm::{Jit, Object};
use sema::Built;
use std::{collections::BTreeSet, sync::Arc};

/// A model's machine code with its description.
pub struct Compiled {
    pub manifest: abi::Manifest,
    pub kernels: kernel::Module,
    pub object: Object,
}

impl Session {
    /// The functions of these entry points; those that the model does not have are left out.
    pub fn entries(built: &Built, wanted: &[&str]) -> Vec<(&'static str, FuncId)> {
        built.entries.iter().filter(|(name, _)| wanted.contains(name)).copied().collect()
    }

    /// The graph after all passes.
    pub fn optimize(
        &self,
        built: &Built,
        entries: &[(&'static str, FuncId)],
        trace: &mut Trace,
    ) -> Result<Module, Failure> {
        let mut module = built.module.clone();
        let ids: Vec<FuncId> = entries.iter().map(|(_, id)| *id).collect();
        let passes = match self.options.style {
            Style::Eager => passes::pipeline::EAGER,
            Style::Compiled | Style::Graph => passes::pipeline::COMPILED,
        };
        let options = passes::Options {
            float: self.options.float,
            strict: self.options.strict,
            verify: self.options.verify,
            keep_composites: BTreeSet::new(),
            observer: Some(trace),
        };
        passes::run_pipeline(&mut module, &ids, passes, options)?;
        Ok(module)
    }

    /// Kernels and plans.
    pub fn lower(
        &self,
        built: &Built,
        entries: &[(&'static str, FuncId)],
        trace: &mut Trace,
    ) -> Result<kernel::Module, Failure> {
        let Fitted { module, entries } = self.fitted(built, entries, trace)?;
        self.lower_module(&module, &Session::prefix(built), &entries, trace)
    }

    /// The graph after all passes, with values computed again where memory is limited.
    pub fn fitted(
        &self,
        built: &Built,
        entries: &[(&'static str, FuncId)],
        trace: &mut Trace,
    ) -> Result<Fitted, Failure> {
        let fitted = Fitted { module: self.optimize(built, entries, trace)?, entries: entries.to_vec() };
        match &self.options.max_memory {
            Some(_) if self.options.style == Style::Eager => Err(Failure::Faults(vec![
                Diagnostic::error(
                    "E0501",
                    "memory cannot be limited in the style `eager`, which does not plan it",
                )
                .help("leave out `--max-memory` or `--style eager`"),
            ])),
            Some(limit) => trace.time("memory", || self.fit(built, fitted, limit)),
            None => Ok(fitted),
        }
    }

    pub(crate) fn lower_options<'a>(
        &self,
        prefix: &str,
        entry: &str,
        place: &'a dyn Fn(base::Span) -> String,
        line: &'a dyn Fn(&graph::Node) -> String,
    ) -> lower::Options<'a> {
        lower::Options {
            name: format!("{prefix}_{entry}_plan"),
            float: self.options.float,
            vector_bits: self.options.target.vector_bits as u16,
            fusion: match self.options.style {
                Style::Compiled => lower::Fusion::Groups,
                Style::Graph | Style::Eager => lower::Fusion::Operations,
            },
            memory: match self.options.style {
                Style::Compiled | Style::Graph => lower::Memory::Planned,
                Style::Eager => lower::Memory::Allocated,
            },
            measure: self.options.profile.then_some(line),
            place,
        }
    }

    /// Kernels and plans of a module after all passes.
    pub fn lower_module(
        &self,
        module: &Module,
        prefix: &str,
        entries: &[(&'static str, FuncId)],
        trace: &mut Trace,
    ) -> Result<kernel::Module, Failure> {
        let (place, line) = (|span| self.place(span), |node: &graph::Node| self.line_of(node));
        let with_options =
            entries.iter().map(|(name, id)| (*id, self.lower_options(prefix, name, &place, &line)));
        let with_options: Vec<_> = with_options.collect();
        Ok(trace.time("lower", || lower::lower_all(module, &with_options))?)
    }

    /// Machine code of these entry points.
    pub fn compile(
        &self,
        built: &Built,
        entries: &[(&'static str, FuncId)],
        cache: &dyn Cache,
        trace: &mut Trace,
    ) -> Result<Compiled, Failure> {
        let kernels = self.lower(built, entries, trace)?;
        self.assemble(built, kernels, entries, None, cache, trace)
    }

    /// As [`Session::compile`], with the C interface and the support unit behind it. `weights` is a safetensors file to
    /// carry along.
    pub fn artifact(
        &self,
        built: &Built,
        entries: &[(&'static str, FuncId)],
        weights: Option<&[u8]>,
        cache: &dyn Cache,
        trace: &mut Trace,
    ) -> Result<Compiled, Failure> {
        let kernels = self.lower(built, entries, trace)?;
        self.assemble(built, kernels, entries, Some(weights), cache, trace)
    }

    /// Machine code of one function of a module, such as a test's; `name` becomes the manifest's model.
    pub fn compile_function(
        &self,
        module: &Module,
        function: FuncId,
        name: &str,
        cache: &dyn Cache,
        trace: &mut Trace,
    ) -> Result<Compiled, Failure> {
        let entries = [("run", function)];
        let built = function_alone(name, module, function);
        self.compile(&built, &entries, cache, trace)
    }

    /// `interface` asks for the C interface, with or without weights inside.
    pub(crate) fn assemble(
        &self,
        built: &Built,
        kernels: kernel::Module,
        entries: &[(&'static str, FuncId)],
        interface: Option<Option<&[u8]>>,
        cache: &dyn Cache,
        trace: &mut Trace,
    ) -> Result<Compiled, Failure> {
        let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
        let style = self.options.style.name().to_string();
        let manifest = abi::Manifest { style, ..manifest(&built.name, &names, &kernels.plans) };
        let options = self.llvm_options();
        let key = trace.time("hash", || cache::key(&kernels, &manifest, interface, &options));
        let known = cache.load(&key).and_then(|bytes| cache::unpack(&bytes));
        trace.cached = known.is_some();
        let object = match known {
            Some(object) => object,
            None => {
                let object = trace.time("llvm", || match interface {
                    None => llvm::compile(&kernels, &options),
                    Some(weights) => {
                        llvm::artifact(&kernels, &manifest, &Session::prefix(built), weights, &options)
                    }
                })?;
                cache.store(&key, &cache::pack(&object));
                object
            }
        };
        Ok(Compiled { manifest, kernels, object })
    }

    pub(crate) fn llvm_options(&self) -> llvm::Options {
        llvm::Options {
            target: self.options.target.clone(),
            opt_level: self.options.opt_level,
            jobs: self.options.jobs,
        }
    }
}

impl Compiled {
    /// The code, loaded into this process.
    pub fn load(&self) -> Result<exec::Program, Failure> {
        Ok(self.load_code()?.0)
    }

    pub(crate) fn load_code(&self) -> Result<(exec::Program, Arc<Jit>), Failure> {
        let jit = Arc::new(Jit::load(&self.object)?);
        let lookup = {
            let jit = jit.clone();
            move |name: &str| jit.lookup(name)
        };
        Ok((exec::Program::from_addresses(&self.manifest, lookup, jit.clone())?, jit))
    }
}

/// A function as if it were a model.
pub(crate) fn function_alone(name: &str, module: &Module, function: FuncId) -> Built {
    Built {
        name: name.into(),
        module: module.clone(),
        entries: vec![("run", function)],
        inputs: Vec::new(),
        weights: Vec::new(),
        states: Vec::new(),
        fits: Vec::new(),
        maps: Vec::new(),
        training_weights: Vec::new(),
        train: None,
        layers: Vec::new(),
    }
}
