//! A parameter of the function: stands for the operand that the caller gives.

use crate::{Fault, Operator, Type};
use shape::Facts;

/// The parameter at `index`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Parameter {
    pub index: usize,
}

impl Operator for Parameter {
    fn infer(&self, _: &Facts, _: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        Err(Fault::attribute("the type of a parameter is stated, not inferred").into())
    }

    rules_follow!();
}
