//! The reference interpreter: runs a function of a verified module node by node with the operators' `eval`.
//!
//! It is the definition that compiled code and passes are compared with. In [`Mode::Exact`] floats are f64 throughout,
//! for derivatives; in [`Mode::Rounded`] each result is rounded to its dtype, for comparing with compiled code. Integers
//! wrap to their dtype in both. Only nodes that a result needs are evaluated.

mod bind;
mod control;
mod round;

use crate::{Array, DType, EvalError, FuncId, Function, Module, NodeId, Op, Type};
use shape::{Dim, Shape, Symbol};
use std::{collections::BTreeMap, rc::Rc};

pub use round::round;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// All floats are f64 and never rounded further.
    Exact,
    /// Each result is rounded to its dtype, half to even, where `float` is this one.
    Rounded { float: kernel::DType },
}

/// Sees each result as it is computed, callees' before the caller's.
pub type Trace<'t> = &'t mut dyn FnMut(Seen<'_>);

/// A result, and where it was computed.
pub struct Seen<'a> {
    pub function: &'a Function,
    pub node: NodeId,
    /// The path of the layer's instance; empty in the entry itself.
    pub path: &'a str,
    pub value: &'a Array,
}

pub struct Options<'t> {
    pub mode: Mode,
    pub trace: Option<Trace<'t>>,
    /// A value of more elements ends the run with an error.
    pub max_elements: usize,
    /// A `while` that takes more steps ends the run with an error.
    pub max_steps: usize,
}

impl Options<'_> {
    pub fn exact() -> Options<'static> {
        Options { mode: Mode::Exact, trace: None, max_elements: 1 << 26, max_steps: 1 << 20 }
    }

    pub fn rounded(float: kernel::DType) -> Options<'static> {
        Options { mode: Mode::Rounded { float }, ..Options::exact() }
    }
}

/// Calls nest at most this deep.
const MAX_DEPTH: usize = 200;

/// Runs a function of the module. Dimensions are solved from the shapes of the inputs; those in `dims` win.
pub fn run(
    module: &Module,
    function: FuncId,
    inputs: &[Array],
    dims: &BTreeMap<Symbol, i64>,
    options: Options<'_>,
) -> Result<Vec<Array>, EvalError> {
    match module.functions.get(function) {
        Some(function) => run_function(module, function, inputs, dims, options),
        None => Err(EvalError(format!("the module has no function {function:?}"))),
    }
}

/// Runs a function that need not be in the module, such as one under construction.
pub fn run_function(
    module: &Module,
    function: &Function,
    inputs: &[Array],
    dims: &BTreeMap<Symbol, i64>,
    options: Options<'_>,
) -> Result<Vec<Array>, EvalError> {
    let inputs: Vec<Rc<Array>> = inputs.iter().cloned().map(Rc::new).collect();
    let env = bind::bind_entry(function, &inputs, dims)?;
    let results = Interpreter { module, options, path: String::new() }.call(function, &inputs, &env, 0)?;
    Ok(results.into_iter().map(Rc::unwrap_or_clone).collect())
}

struct Interpreter<'a, 't> {
    module: &'a Module,
    options: Options<'t>,
    /// Of the instance whose function runs.
    path: String,
}

impl Interpreter<'_, '_> {
    fn call(
        &mut self,
        function: &Function,
        inputs: &[Rc<Array>],
        env: &BTreeMap<Symbol, i64>,
        depth: usize,
    ) -> Result<Vec<Rc<Array>>, EvalError> {
        if depth > MAX_DEPTH {
            return Err(EvalError(format!("calls nest deeper than {MAX_DEPTH}")));
        }
        bind::check_effects(function, env)?;
        let mut pending_uses = live_uses(function);
        let mut values: Vec<Vec<Rc<Array>>> = vec![Vec::new(); function.nodes.len()];
        for (id, node) in function.nodes.iter() {
            if pending_uses[id.index()] == 0 {
                continue;
            }
            let results = match &node.op {
                Op::Parameter(parameter) => vec![inputs[parameter.index].clone()],
                Op::Get(get) => vec![values[node.inputs[0].index()][get.index].clone()],
                op if op.is_tuple() => {
                    let operands: Vec<Rc<Array>> =
                        node.inputs.iter().map(|input| values[input.index()][0].clone()).collect();
                    let outside = self.path.len();
                    if let Some(scope) = node.scope.as_ref().filter(|scope| !scope.instance.is_empty()) {
                        let dot = if outside > 0 { "." } else { "" };
                        self.path += &format!("{dot}{}", scope.instance);
                    }
                    let results = self.run_bodies(node, &operands, env, depth);
                    self.path.truncate(outside);
                    results?
                }
                op => {
                    let operands: Vec<&Array> =
                        node.inputs.iter().map(|input| &*values[input.index()][0]).collect();
                    let result = self.evaluate(op, &operands, node.ty(), env).map_err(|e| {
                        EvalError(format!("`{}` %{} {}: {}", function.name, id.index(), op.name(), e.0))
                    })?;
                    vec![Rc::new(result)]
                }
            };
            if let (Some(trace), [result]) = (&mut self.options.trace, results.as_slice()) {
                trace(Seen { function, node: id, path: &self.path, value: result });
            }
            values[id.index()] = results;
            for input in &node.inputs {
                pending_uses[input.index()] -= 1;
                if pending_uses[input.index()] == 0 {
                    values[input.index()].clear();
                }
            }
        }
        Ok(function.results.iter().map(|(_, _, value)| values[value.index()][0].clone()).collect())
    }

    fn evaluate(
        &self,
        op: &Op,
        operands: &[&Array],
        ty: &Type,
        env: &BTreeMap<Symbol, i64>,
    ) -> Result<Array, EvalError> {
        let dims = |dim: &Dim| bind::evaluate(dim, env);
        let extents = self.extents(ty, env)?;
        // The operator sees the dtype of the build, because the bits of a random draw depend on it.
        let dtype = match self.options.mode {
            Mode::Exact => ty.dtype,
            Mode::Rounded { float } => DType::Of(ty.dtype.concrete(float)),
        };
        let output = Type::new(dtype, extents.into_iter().map(Dim::from).collect::<Shape>());
        let mut result = op.eval(operands, &output, &dims)?;
        result.dtype = ty.dtype;
        let rounded_to = match (self.options.mode, ty.dtype) {
            (Mode::Exact, DType::Of(dtype)) if !dtype.is_float() => Some(dtype),
            (Mode::Exact, _) => None,
            (Mode::Rounded { float }, dtype) => Some(dtype.concrete(float)),
        };
        if let Some(dtype) = rounded_to {
            result.values.mapv_inplace(|value| round(value, dtype));
        }
        Ok(result)
    }

    /// The shape in numbers, if a value of it is within the limit.
    fn extents(&self, ty: &Type, env: &BTreeMap<Symbol, i64>) -> Result<Vec<usize>, EvalError> {
        let mut elements = 1usize;
        let mut extents = Vec::with_capacity(ty.rank());
        for dim in ty.shape.iter() {
            let extent = bind::evaluate(dim, env)?;
            let extent = usize::try_from(extent)
                .map_err(|_| EvalError(format!("the shape {} has the negative extent {extent}", ty.shape)))?;
            elements = elements.saturating_mul(extent);
            extents.push(extent);
        }
        if elements > self.options.max_elements {
            return Err(EvalError(format!("a value of {elements} elements is over the limit of this run")));
        }
        Ok(extents)
    }
}

/// How often each node is used by nodes and results that are needed; 0 for dead nodes.
fn live_uses(function: &Function) -> Vec<usize> {
    let mut uses = vec![0; function.nodes.len()];
    for (_, _, value) in &function.results {
        uses[value.index()] += 1;
    }
    for (id, node) in function.nodes.iter().rev() {
        if uses[id.index()] > 0 {
            for input in &node.inputs {
                uses[input.index()] += 1;
            }
        }
    }
    uses
}
