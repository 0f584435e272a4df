//! A choice made when the program runs.

use super::functions::{named, result_types, runs_functions, same_type};
use crate::{DType, Fault, FuncId, Module, Type};
use shape::Facts;

/// Runs one of two functions: operands are a bool scalar, then what both functions take. Both give the same types.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cond {
    pub then: FuncId,
    pub otherwise: FuncId,
}

runs_functions!(Cond = "cond");

impl Cond {
    /// Types of the results.
    pub fn infer_cond(
        &self,
        module: &Module,
        facts: &Facts,
        inputs: &[&Type],
    ) -> Result<Vec<Type>, Box<Fault>> {
        let then = named("cond", module, self.then)?;
        let otherwise = named("cond", module, self.otherwise)?;
        let Some((condition, inputs)) = inputs.split_first() else {
            return Err(Fault::attribute("`cond` takes a condition").into());
        };
        is_truth("the condition of `cond`", condition)?;
        let types = result_types(then, facts, inputs)?;
        let others = result_types(otherwise, facts, inputs)?;
        if types.len() != others.len() {
            let (a, b) = (&then.name, &otherwise.name);
            let message = format!("`{a}` gives {} results, `{b}` {}", types.len(), others.len());
            return Err(Fault::attribute(message).into());
        }
        for (index, (wanted, given)) in types.iter().zip(&others).enumerate() {
            same_type(otherwise, &format!("result {index}"), facts, wanted, given)?;
        }
        Ok(types)
    }
}

/// One bool.
pub(super) fn is_truth(what: &str, ty: &Type) -> Result<(), Box<Fault>> {
    if ty.rank() != 0 {
        return Err(Fault::axes(format!("{what} is a scalar, this is {ty}")).label(0, "this").into());
    }
    if ty.dtype != DType::BOOL {
        return Err(Fault::dtypes(format!("{what} is a bool, this is {ty}")).label(0, "this").into());
    }
    Ok(())
}
