//! Conversion between dtypes.

use super::operands::take;
use crate::{DType, Fault, Operator, Type};
use shape::Facts;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cast {
    pub to: DType,
}

impl Operator for Cast {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("cast", inputs)?;
        Ok(vec![Type::new(self.to, x.shape.clone())])
    }

    rules_follow!();
}
