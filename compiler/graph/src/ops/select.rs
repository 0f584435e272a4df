//! `select(condition, yes, no)`, element by element; the condition is bool and of the same shape.

use super::operands::{needs, same_dtype, same_shape, take};
use crate::{Fault, Operator, Type};
use shape::Facts;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Select;

impl Operator for Select {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [condition, yes, no] = take("select", inputs)?;
        needs("select", "a bool as its condition", 0, condition, condition.dtype.is_bool())?;
        same_dtype("select", (1, yes), (2, no))?;
        same_shape("select", facts, (1, yes), (2, no))?;
        same_shape("select", facts, (0, condition), (1, yes))?;
        Ok(vec![yes.clone()])
    }

    rules_follow!();
}
