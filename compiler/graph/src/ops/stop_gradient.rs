//! The value itself, which derivatives see as a constant.

use super::operands::take;
use crate::{Fault, Operator, Type};
use shape::Facts;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StopGradient;

impl Operator for StopGradient {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("stop_gradient", inputs)?;
        Ok(vec![x.clone()])
    }

    rules_follow!();
}
