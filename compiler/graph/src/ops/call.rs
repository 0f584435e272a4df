//! Another function of the module.

use super::functions::{named, result_types, runs_functions};
use super::operands::equal;
use crate::{Fault, FuncId, Function, Module, Type};
use shape::{Dim, Facts, Symbol};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Call {
    pub callee: FuncId,
}

runs_functions!(Call = "call");

impl Call {
    /// Types of the results: those of the callee, in the dimensions of the caller.
    pub fn infer_call(
        &self,
        module: &Module,
        facts: &Facts,
        inputs: &[&Type],
    ) -> Result<Vec<Type>, Box<Fault>> {
        result_types(named("call", module, self.callee)?, facts, inputs)
    }
}

/// The callee's dimension variables in terms of the caller's, solved from the operands' types; checks that these fit.
pub fn bind(callee: &Function, facts: &Facts, inputs: &[&Type]) -> Result<BTreeMap<Symbol, Dim>, Box<Fault>> {
    if callee.params.len() != inputs.len() {
        let message =
            format!("`{}` takes {} operands, but got {}", callee.name, callee.params.len(), inputs.len());
        return Err(Fault::attribute(message).into());
    }
    // Both sides may use one name for two dimensions, so the callee's are renamed while solving.
    let renamed: BTreeMap<Symbol, Symbol> = callee
        .params
        .iter()
        .flat_map(|param| param.ty.shape.iter().flat_map(Dim::symbols))
        .map(|symbol| (symbol.clone(), Symbol::new(format!("{symbol}'").as_str())))
        .collect();
    let rename: BTreeMap<Symbol, Dim> =
        renamed.iter().map(|(from, to)| (from.clone(), Dim::from(to))).collect();
    let mut solved: BTreeMap<Symbol, Dim> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (operand, (param, ty)) in callee.params.iter().zip(inputs).enumerate() {
        if param.ty.dtype != ty.dtype || param.ty.rank() != ty.rank() {
            return Err(misfit(callee, operand, ty).into());
        }
        let patterns = param.ty.shape.iter().map(|dim| dim.substitute(&rename));
        pairs.extend(patterns.zip(ty.shape.iter()));
    }
    // Bare names first: they always solve, and what they give may leave the others with one unknown.
    for _ in 0..=renamed.len() {
        for (pattern, value) in &pairs {
            let pattern = pattern.substitute(&solved);
            let unknown: Vec<&Symbol> = renamed
                .values()
                .filter(|symbol| !solved.contains_key(*symbol) && pattern.symbols().contains(*symbol))
                .collect();
            if let [unknown] = unknown.as_slice()
                && let Some(solution) = shape::solve(&pattern, unknown, value, facts)
            {
                solved.insert((*unknown).clone(), solution);
            }
        }
    }
    // What no operand tells, as the factors of `a*b`, is the caller's of the same name, if that fits.
    let dims: BTreeMap<Symbol, Dim> = renamed
        .iter()
        .map(|(from, to)| (from.clone(), solved.get(to).cloned().unwrap_or_else(|| Dim::from(from))))
        .collect();
    for (operand, (param, ty)) in callee.params.iter().zip(inputs).enumerate() {
        for (pattern, value) in param.ty.shape.iter().zip(ty.shape.iter()) {
            let expected = pattern.substitute(&dims);
            if !equal(facts, &expected, value) {
                return Err(misfit(callee, operand, ty).dims([&expected, value]).into());
            }
        }
    }
    Ok(dims)
}

fn misfit(callee: &Function, operand: usize, ty: &Type) -> Fault {
    let param = &callee.params[operand];
    Fault::shapes(format!("`{}` takes {} as `{}`, but got {ty}", callee.name, param.ty, param.name))
        .label(operand, format!("this is {ty}"))
}
