//! The text forms of every stage, for `--emit`.

use crate::{Failure, Session, Trace, listing};
use grammar::ast;
use graph::print;
use sema::Built;
use std::fmt::Write;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    Tokens,
    Ast,
    Model,
    Graph,
    Grad,
    Opt,
    Kernel,
    Plan,
    Llvm,
    Asm,
}

impl Stage {
    pub const ALL: [Stage; 10] = [
        Stage::Tokens,
        Stage::Ast,
        Stage::Model,
        Stage::Graph,
        Stage::Grad,
        Stage::Opt,
        Stage::Kernel,
        Stage::Plan,
        Stage::Llvm,
        Stage::Asm,
    ];

    /// As `--emit` takes it; also the extension of the file.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Tokens => "tokens",
            Stage::Ast => "ast",
            Stage::Model => "model",
            Stage::Graph => "graph",
            Stage::Grad => "grad",
            Stage::Opt => "opt",
            Stage::Kernel => "kernel",
            Stage::Plan => "plan",
            Stage::Llvm => "llvm",
            Stage::Asm => "asm",
        }
    }

    pub fn parse(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// Whether the stage lies before elaboration, so that a file with errors has it too.
    pub fn is_syntax(self) -> bool {
        matches!(self, Stage::Tokens | Stage::Ast)
    }
}

impl Session {
    /// The text of a stage that knows only syntax.
    pub fn syntax_text(&self, stage: Stage) -> Option<String> {
        match stage {
            Stage::Tokens => {
                let mut text = String::new();
                for (kind, span) in grammar::tokens(&self.source) {
                    let (line, column) = self.source.line_column(span.lo);
                    let _ =
                        writeln!(text, "{line}:{column}\t{}\t{:?}", kind.label(), self.sources.text(span));
                }
                Some(text)
            }
            Stage::Ast => Some(ast::dump(&self.main)),
            _ => None,
        }
    }

    /// The text of any stage of a model. `wanted` are the entry points that code is made for.
    pub fn stage_text(
        &self,
        stage: Stage,
        built: &Built,
        wanted: &[&str],
        trace: &mut Trace,
    ) -> Result<String, Failure> {
        if let Some(text) = self.syntax_text(stage) {
            return Ok(text);
        }
        let entries = Session::entries(built, wanted);
        let functions = |module: &graph::Module| -> String {
            let texts = entries.iter().map(|(_, id)| print::print_function(&module.functions[*id], module));
            texts.collect::<Vec<_>>().join("\n")
        };
        let kernels = |trace: &mut Trace| self.lower(built, &entries, trace);
        Ok(match stage {
            Stage::Tokens | Stage::Ast => String::new(),
            Stage::Model => listing(built),
            Stage::Graph | Stage::Grad => print::print(&built.module),
            Stage::Opt => functions(&self.optimize(built, &entries, trace)?),
            Stage::Plan => {
                let module = kernels(trace)?;
                let plans = module.plans.iter().map(|plan| kernel::print::plan(&module, plan));
                plans.collect::<Vec<_>>().join("\n")
            }
            Stage::Kernel => {
                let module = kernels(trace)?;
                module.kernels.values().iter().map(kernel::print::kernel).collect::<Vec<_>>().join("\n")
            }
            Stage::Llvm => llvm::llvm_ir(&kernels(trace)?, &self.llvm_options())?,
            Stage::Asm => llvm::assembly(&kernels(trace)?, &self.llvm_options())?,
        })
    }

    /// The prefix of a model's C names.
    pub fn prefix(built: &Built) -> String {
        abi::c_prefix(&built.name)
    }
}
