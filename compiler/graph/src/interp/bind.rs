//! Values of the dynamic dimensions of one run, from the shapes of its inputs.

use crate::{Array, DType, Effect, EvalError, Function};
use shape::{Dim, Facts, Symbol, solve};
use std::{collections::BTreeMap, rc::Rc};

pub(super) fn evaluate(dim: &Dim, env: &BTreeMap<Symbol, i64>) -> Result<i64, EvalError> {
    dim.eval(env).map_err(|e| EvalError(format!("dimension {dim}: {e}")))
}

/// Dimensions of an entry point: those given win, the others follow from the inputs.
pub(super) fn bind_entry(
    function: &Function,
    inputs: &[Rc<Array>],
    given: &BTreeMap<Symbol, i64>,
) -> Result<BTreeMap<Symbol, i64>, EvalError> {
    let mut env = given.clone();
    solve_inputs(function, inputs, &mut env)?;
    check_inputs(function, inputs, &env)?;
    Ok(env)
}

/// Dimensions of a called function: its own names stand for what the operands have; a name that no operand gives is
/// the caller's.
pub(super) fn bind_call(
    callee: &Function,
    operands: &[Rc<Array>],
    caller: &BTreeMap<Symbol, i64>,
) -> Result<BTreeMap<Symbol, i64>, EvalError> {
    let mut env = BTreeMap::new();
    solve_inputs(callee, operands, &mut env)?;
    for (symbol, value) in caller {
        env.entry(symbol.clone()).or_insert(*value);
    }
    check_inputs(callee, operands, &env)?;
    Ok(env)
}

pub(super) fn check_effects(function: &Function, env: &BTreeMap<Symbol, i64>) -> Result<(), EvalError> {
    for effect in &function.effects {
        let (holds, message) = match effect {
            Effect::RequireGe { value, at_least, message, .. } => {
                (evaluate(value, env)? >= evaluate(at_least, env)?, message)
            }
            Effect::RequireEq { a, b, message, .. } => (evaluate(a, env)? == evaluate(b, env)?, message),
        };
        if !holds {
            return Err(EvalError(format!("`{}`: a requirement does not hold: {message}", function.name)));
        }
    }
    Ok(())
}

/// Binds the symbols that stand bare in a parameter's shape, then those that follow from one linear equation.
fn solve_inputs(
    function: &Function,
    inputs: &[Rc<Array>],
    env: &mut BTreeMap<Symbol, i64>,
) -> Result<(), EvalError> {
    if inputs.len() != function.params.len() {
        return Err(EvalError(format!(
            "`{}` takes {} inputs, here are {}",
            function.name,
            function.params.len(),
            inputs.len()
        )));
    }
    let mut equations = Vec::new();
    for (param, input) in function.params.iter().zip(inputs) {
        let same_dtype = match (param.ty.dtype, input.dtype) {
            (a, b) if a == b => true,
            (a, b) => (a == DType::Float || b == DType::Float) && a.is_float() && b.is_float(),
        };
        if !same_dtype || param.ty.rank() != input.shape().len() {
            return Err(EvalError(format!(
                "input `{}` of `{}` is {}, here is {}{:?}",
                param.name,
                function.name,
                param.ty,
                input.dtype,
                input.shape()
            )));
        }
        for (dim, extent) in param.ty.shape.iter().zip(input.shape()) {
            let extent = i64::try_from(*extent).map_err(|_| EvalError("an extent leaves i64".into()))?;
            match dim.as_symbol() {
                Some(symbol) => {
                    env.entry(symbol).or_insert(extent);
                }
                None => equations.push((dim, extent)),
            }
        }
    }
    // Each round that goes on binds a symbol, so this ends.
    loop {
        let known: BTreeMap<Symbol, Dim> =
            env.iter().map(|(symbol, value)| (symbol.clone(), Dim::from(*value))).collect();
        let solved = equations.iter().find_map(|(dim, extent)| {
            let pattern = dim.substitute(&known);
            let mut unknown = pattern.symbols().into_iter();
            let (symbol, None) = (unknown.next()?, unknown.next()) else { return None };
            let value = solve(&pattern, &symbol, &Dim::from(*extent), &Facts::default())?.as_const()?;
            Some((symbol, value))
        });
        match solved {
            Some((symbol, value)) => env.insert(symbol, value),
            None => return Ok(()),
        };
    }
}

fn check_inputs(
    function: &Function,
    inputs: &[Rc<Array>],
    env: &BTreeMap<Symbol, i64>,
) -> Result<(), EvalError> {
    for (param, input) in function.params.iter().zip(inputs) {
        for (dim, extent) in param.ty.shape.iter().zip(input.shape()) {
            let wanted = evaluate(dim, env)?;
            if usize::try_from(wanted) != Ok(*extent) {
                return Err(EvalError(format!(
                    "input `{}` of `{}` is {}, where {dim} = {wanted}; here it has the shape {:?}",
                    param.name,
                    function.name,
                    param.ty,
                    input.shape()
                )));
            }
        }
    }
    Ok(())
}
