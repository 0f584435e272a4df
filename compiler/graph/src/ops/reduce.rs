//! One value from all along some axes, which vanish.

use super::operands::{axis_in_range, needs, take};
use crate::{DType, Fault, Operator, Type};
use kernel::Combine::{self, *};
use shape::Facts;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reduce {
    pub combine: Combine,
    /// Ascending.
    pub axes: Vec<usize>,
}

impl Operator for Reduce {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let name = self.word();
        let [x] = take(name, inputs)?;
        if !self.axes.is_sorted_by(|a, b| a < b) {
            return Err(Fault::axes(format!("the axes of `{name}` ascend, but got {:?}", self.axes)).into());
        }
        for axis in &self.axes {
            axis_in_range(name, *axis, 0, x)?;
        }
        let number = x.dtype.is_float() || x.dtype.is_int();
        let dtype = match self.combine {
            Sum | Product | Max | Min => {
                needs(name, "numbers", 0, x, number)?;
                x.dtype
            }
            Any | All => {
                needs(name, "bools", 0, x, x.dtype.is_bool())?;
                x.dtype
            }
            ArgMax | ArgMin => {
                needs(name, "numbers", 0, x, number)?;
                if self.axes.len() != 1 {
                    let message = format!("`{name}` needs one axis, but got {}", self.axes.len());
                    return Err(Fault::axes(message).label(0, format!("this is {x}")).into());
                }
                DType::I32
            }
        };
        let empty = self.axes.iter().find(|axis| x.shape[**axis].is_const(0));
        if let (Max | Min | ArgMax | ArgMin, Some(axis)) = (self.combine, empty) {
            let message = format!("`{name}` over axis {axis} of {}, which is empty, has no value", x.shape);
            return Err(Fault::shapes(message)
                .label(0, format!("axis {axis} of {x} has size 0"))
                .dims([&x.shape[*axis]])
                .into());
        }
        let kept = x.shape.iter().enumerate().filter(|(axis, _)| !self.axes.contains(axis));
        Ok(vec![Type::new(dtype, kept.map(|(_, dim)| dim.clone()).collect())])
    }

    rules_follow!();
}

impl Reduce {
    /// The word of the language.
    pub fn word(&self) -> &'static str {
        match self.combine {
            Sum => "sum",
            Product => "prod",
            Max => "max",
            Min => "min",
            Any => "any",
            All => "all",
            ArgMax => "argmax",
            ArgMin => "argmin",
        }
    }
}
