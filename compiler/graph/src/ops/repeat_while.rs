//! A loop whose number of steps shows when the program runs.

use super::branch::is_truth;
use super::functions::{named, result_types, runs_functions, same_type};
use super::operands::at_least;
use crate::{Fault, FuncId, Module, Type};
use shape::{Dim, Facts};

/// Operands are the carried values, then the fixed ones: what both functions take. While the condition, which gives one
/// bool scalar, holds for them, the carried values become the results of the body; it ends after `limit` steps where there
/// is one. Results are the carried values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct While {
    pub condition: FuncId,
    pub body: FuncId,
    pub carried: usize,
    pub limit: Option<Dim>,
}

runs_functions!(While = "while");

impl While {
    /// Types of the results.
    pub fn infer_while(
        &self,
        module: &Module,
        facts: &Facts,
        inputs: &[&Type],
    ) -> Result<Vec<Type>, Box<Fault>> {
        let condition = named("while", module, self.condition)?;
        let body = named("while", module, self.body)?;
        let attribute = |message: String| Err(Fault::attribute(message).into());
        if let Some(limit) = &self.limit
            && !at_least(facts, limit, &Dim::default())
        {
            return attribute(format!("the limit {limit} of `while` is not known to be at least 0"));
        }
        let Some(carried) = inputs.get(..self.carried) else {
            return attribute(format!("`while` carries {} values, but got {}", self.carried, inputs.len()));
        };
        match result_types(condition, facts, inputs)?.as_slice() {
            [ty] => is_truth("what the condition of `while` gives", ty)?,
            types => return attribute(format!("the condition of `while` gives {} results", types.len())),
        }
        let given = result_types(body, facts, inputs)?;
        if given.len() != carried.len() {
            let n_given = given.len();
            return attribute(format!("`{}` gives {n_given} of {} values", body.name, carried.len()));
        }
        for (index, (wanted, given)) in carried.iter().zip(&given).enumerate() {
            same_type(body, &format!("carried value {index}"), facts, wanted, given)?;
        }
        Ok(carried.iter().map(|ty| (*ty).clone()).collect())
    }
}
