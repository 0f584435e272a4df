//! Simplification of the operations that polynomials do not have: quotients, remainders, smallest and largest.

use crate::eval::{ceil_divide, floor_divide, floor_remainder};
use crate::{Atom, Dim};

impl Dim {
    /// The quotient rounded towards minus infinity.
    pub fn div_floor(&self, divisor: &Dim) -> Dim {
        match (self.as_const(), divisor.as_const()) {
            (Some(a), Some(b)) if b != 0 => folded(floor_divide(a.into(), b.into())),
            _ => Dim::from_atom(Atom::DivFloor(self.clone(), divisor.clone())),
        }
    }

    /// The quotient rounded towards plus infinity.
    pub fn ceil_div(&self, divisor: &Dim) -> Dim {
        match (self.as_const(), divisor.as_const()) {
            (Some(a), Some(b)) if b != 0 => folded(ceil_divide(a.into(), b.into())),
            _ => Dim::from_atom(Atom::CeilDiv(self.clone(), divisor.clone())),
        }
    }

    /// The remainder of [`Dim::div_floor`]; it has the divisor's sign.
    pub fn modulo(&self, divisor: &Dim) -> Dim {
        match (self.as_const(), divisor.as_const()) {
            (Some(a), Some(b)) if b != 0 => folded(floor_remainder(a.into(), b.into())),
            _ => Dim::from_atom(Atom::Mod(self.clone(), divisor.clone())),
        }
    }

    pub fn min(&self, other: &Dim) -> Dim {
        match (self.as_const(), other.as_const()) {
            (Some(a), Some(b)) => Dim::constant(a.min(b)),
            _ => Dim::from_atom(Atom::Min(self.clone(), other.clone())),
        }
    }

    pub fn max(&self, other: &Dim) -> Dim {
        match (self.as_const(), other.as_const()) {
            (Some(a), Some(b)) => Dim::constant(a.max(b)),
            _ => Dim::from_atom(Atom::Max(self.clone(), other.clone())),
        }
    }
}

fn folded(value: Result<i128, crate::EvalError>) -> Dim {
    value.ok().and_then(|value| i64::try_from(value).ok()).map_or_else(Dim::poison, Dim::constant)
}
