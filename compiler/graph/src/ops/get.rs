//! One result of a call.

use crate::{Fault, Operator, Type};
use shape::Facts;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Get {
    pub index: usize,
}

impl Operator for Get {
    /// Here `inputs` are the types of all results of the call.
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        match inputs.get(self.index) {
            Some(ty) => Ok(vec![(*ty).clone()]),
            None => {
                let message = format!("result {} of a call that has {}", self.index, inputs.len());
                Err(Fault::attribute(message).into())
            }
        }
    }

    rules_follow!();
}
