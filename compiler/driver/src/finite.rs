//! Code that stops at the first value that is not finite, and what is to be said about that value.

use crate::{Cache, Compiled, Failure, Session, Style, Trace, compiled::function_alone};
use base::{Diagnostic, Span};
use exec::{Arena, FailedCall, Pool};
use graph::{FuncId, Function, Module, NodeId, Op, Phase, Role, Scope, phases};
use sema::Built;
use tensor::Tensor;

/// Code that tests every value after the kernel that computes it.
pub struct Watching {
    pub compiled: Compiled,
    module: Module,
    entries: Vec<(&'static str, FuncId)>,
    watched: Vec<Vec<lower::Watched>>,
}

/// How source texts are shortened in messages.
const SHOWN_TEXT: usize = 60;

impl Session {
    /// As [`Session::compile`], one kernel an operation, each followed by a test of its result.
    pub fn compile_watching(
        &mut self,
        built: &Built,
        entries: &[(&'static str, FuncId)],
        cache: &dyn Cache,
    ) -> Result<Watching, Failure> {
        if self.options.style == Style::Compiled {
            self.options.style = Style::Graph;
        }
        let trace = &mut Trace::default();
        let module = self.optimize(built, entries, trace)?;
        let prefix = Session::prefix(built);
        let (place, line) = (|span| self.place(span), |node: &graph::Node| self.line_of(node));
        let one_node = |name| lower::Options {
            fusion: lower::Fusion::Nodes,
            ..self.lower_options(&prefix, name, &place, &line)
        };
        let options = entries.iter().map(|(name, id)| (*id, one_node(name)));
        let (kernels, watched) = lower::lower_watched(&module, &options.collect::<Vec<_>>())?;
        let compiled = self.assemble(built, kernels, entries, None, cache, trace)?;
        Ok(Watching { compiled, module, entries: entries.to_vec(), watched })
    }

    /// What made the call fail, if it was a value that is not finite: the operation is run again with its operands as
    /// results.
    pub fn explain_not_finite(
        &self,
        watching: &Watching,
        failed: &FailedCall,
        cache: &dyn Cache,
        pool: &Pool,
    ) -> Result<Option<Diagnostic>, Failure> {
        let Some(number) = watching.entries.iter().position(|(name, _)| *name == failed.entry) else {
            return Ok(None);
        };
        let watched = &watching.watched[number];
        let Some(watched) = watched.iter().find(|watched| watched.check as usize == failed.check) else {
            return Ok(None);
        };
        let Some(node) = &watched.node else { return Ok(Some(self.not_finite_in_body(watched))) };
        let function = &watching.module.functions[watching.entries[number].1];
        let mut operands: Vec<NodeId> = Vec::new();
        for input in &function.nodes[*node].inputs {
            let source = unstretched(function, *input);
            if !operands.contains(&source)
                && !matches!(function.nodes[source].op, Op::Constant(_) | Op::Size(_))
            {
                operands.push(source);
            }
        }
        let mut probe = function.clone();
        let shown = operands.iter().chain([node]).enumerate();
        probe.results = shown.map(|(index, id)| (format!("v{index}"), Role::Output, *id)).collect();
        let mut module = watching.module.clone();
        let id = module.functions.push(probe);
        let trace = &mut Trace::default();
        let kernels = self.lower_module(&module, "probe", &[("run", id)], trace)?;
        let built = function_alone("probe", &module, id);
        let compiled = self.assemble(&built, kernels, &[("run", id)], None, cache, trace)?;
        let program = compiled.load()?;
        let args: Vec<&Tensor> = failed.args.iter().collect();
        let mut values = program.entry("run")?.call(&mut Arena::new(), pool, &args, &failed.dims)?;
        let Some(value) = values.pop() else { return Ok(None) };
        Ok(Some(self.not_finite(function, *node, &operands, &values, &value)))
    }

    fn not_finite(
        &self,
        function: &Function,
        id: NodeId,
        operands: &[NodeId],
        values: &[Tensor],
        value: &Tensor,
    ) -> Diagnostic {
        let node = &function.nodes[id];
        let numbers = value.to_f64_vec();
        let position = numbers.iter().position(|number| !number.is_finite());
        let made = position.map_or(f64::NAN, |position| numbers[position]);
        let what = node.span.map(|span| self.short(span)).filter(|text| !text.is_empty());
        let what = what.map_or(format!("an operation ({})", node.op.name()), |text| format!("`{text}`"));
        let message = match phases(function)[id.index()] {
            Phase::Forward => format!("{what} gives {made} in the forward pass"),
            Phase::Backward => format!("the derivative of {what} gives {made} in the backward pass"),
            Phase::Update => format!("{what} gives {made} in the update of the weights"),
        };
        let mut fault = self.placed(message, node.span, node.scope.as_deref());
        let count = numbers.iter().filter(|number| !number.is_finite()).count();
        if let Some(position) = position {
            let index = unravel(position, value.shape());
            let more = if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
            let shape = tensor::shape_text(value.shape());
            fault = fault.note(format!("at element {index:?} of {}{shape}{more}", value.dtype()));
        }
        for (operand, tensor) in operands.iter().zip(values) {
            let aligned = position.filter(|_| is_elementwise(&node.op) && tensor.shape() == value.shape());
            fault = fault.note(self.operand(function, *operand, tensor, aligned));
        }
        fault
    }

    /// Of a value inside a loop or a branch: where it is, without its operands.
    fn not_finite_in_body(&self, watched: &lower::Watched) -> Diagnostic {
        let what = watched.span.map(|span| self.short(span)).filter(|text| !text.is_empty());
        let what = what.map_or(format!("an operation ({})", watched.op), |text| format!("`{text}`"));
        let backward = watched.scope.as_ref().is_some_and(|scope| scope.backward);
        let message = match backward {
            true => format!("the derivative of {what} is not finite in a step of a loop or branch"),
            false => format!("{what} is not finite in a step of a loop or branch"),
        };
        self.placed(message, watched.span, watched.scope.as_deref())
    }

    /// With the line, what called it from the user's files, and the layer.
    fn placed(&self, message: String, span: Option<Span>, scope: Option<&Scope>) -> Diagnostic {
        let mut fault = Diagnostic::error("E0829", message);
        if let Some(span) = span {
            fault = fault.label(span, "the first value that is not finite");
            let calls = scope.map(|scope| scope.calls.as_slice()).unwrap_or_default();
            let called = calls.iter().find(|call| self.is_of_user(**call));
            if let Some(called) = called.filter(|_| !self.is_of_user(span)) {
                fault = fault.label(*called, "called here");
            }
        }
        match scope.filter(|scope| !scope.instance.is_empty()) {
            Some(scope) => fault.note(format!("in the layer `{}`", scope.instance)),
            None => fault,
        }
    }

    /// `operand `x`: f32[4, 3] from -1 to 2, here 0`.
    fn operand(&self, function: &Function, id: NodeId, tensor: &Tensor, at: Option<usize>) -> String {
        let node = &function.nodes[id];
        let name = match &node.op {
            Op::Parameter(parameter) => {
                let param = &function.params[parameter.index];
                format!("{} `{}`", param.role.name(), param.name)
            }
            op => match node.span.map(|span| self.short(span)).filter(|text| !text.is_empty()) {
                Some(text) => {
                    let derived =
                        node.scope.as_ref().is_some_and(|scope| scope.backward && !scope.recomputed);
                    format!("operand {}`{text}`", if derived { "of the derivative of " } else { "" })
                }
                None => format!("operand ({})", op.name()),
            },
        };
        let numbers = tensor.to_f64_vec();
        let finite = numbers.iter().filter(|number| number.is_finite());
        let range = finite.fold(None, |range: Option<(f64, f64)>, number| {
            let (low, high) = range.unwrap_or((*number, *number));
            Some((low.min(*number), high.max(*number)))
        });
        let range = match range {
            Some((low, high)) => format!(" from {low:e} to {high:e}"),
            None if numbers.is_empty() => " without elements".to_string(),
            None => String::new(),
        };
        let bad = numbers.iter().filter(|number| !number.is_finite()).count();
        let bad = if bad > 0 { format!(", {bad} not finite") } else { String::new() };
        let here =
            at.and_then(|at| numbers.get(at)).map_or(String::new(), |number| format!(", here {number:e}"));
        format!("{name}: {}{}{range}{bad}{here}", tensor.dtype(), tensor::shape_text(tensor.shape()))
    }

    fn short(&self, span: Span) -> String {
        let text = self.sources.text(span).split_whitespace().collect::<Vec<_>>().join(" ");
        match text.char_indices().nth(SHOWN_TEXT) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// The value that a broadcast or another view shows.
fn unstretched(function: &Function, id: NodeId) -> NodeId {
    let mut id = id;
    while let Op::Broadcast(_) | Op::StopGradient(_) | Op::Barrier(_) = &function.nodes[id].op {
        id = function.nodes[id].inputs[0];
    }
    id
}

fn is_elementwise(op: &Op) -> bool {
    matches!(op, Op::Unary(_) | Op::Binary(_) | Op::Select(_) | Op::Cast(_))
}

fn unravel(position: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = position;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|extent| {
            let at = rest % (*extent).max(1);
            rest /= (*extent).max(1);
            at
        })
        .collect();
    index.reverse();
    index
}
