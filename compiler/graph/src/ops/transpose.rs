//! Axes in another order: result axis `i` is operand axis `perm[i]`.

use super::operands::{one_an_axis, take};
use crate::{Fault, Operator, Type};
use shape::Facts;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Transpose {
    pub perm: Vec<usize>,
}

impl Operator for Transpose {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("transpose", inputs)?;
        one_an_axis("transpose", "axes", self.perm.len(), x)?;
        let mut sorted = self.perm.clone();
        sorted.sort_unstable();
        if sorted.into_iter().ne(0..x.rank()) {
            let message = format!("`transpose` needs each of the {} axes once, but got {:?}", x.rank(), self.perm);
            return Err(Fault::axes(message).label(0, format!("this is {x}")).into());
        }
        Ok(vec![Type::new(x.dtype, self.perm.iter().map(|axis| x.shape[*axis].clone()).collect())])
    }

    rules_follow!();
}
