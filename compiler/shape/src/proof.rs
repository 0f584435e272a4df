//! Proofs of equality, order and divisibility.

pub(crate) mod nonnegative;

use crate::division::{divide_exactly, greatest_common_divisor};
use crate::{Atom, Dim, Facts};

/// What the facts say about a statement, wherever both of its sides are defined.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Proof {
    /// True for every assignment that satisfies the facts.
    Proved,
    /// False for every assignment that satisfies the facts.
    Disproved,
    /// Neither was shown.
    Unknown,
}

impl Facts {
    pub fn prove_eq(&self, a: &Dim, b: &Dim) -> Proof {
        let difference = self.replace(&(a - b));
        if difference.overflowed() {
            return Proof::Unknown;
        }
        let expanded = self.expand(&difference);
        for form in [&difference, &expanded] {
            match is_zero(form) {
                Proof::Unknown => {}
                decided => return decided,
            }
        }
        let opposite = -&difference;
        if self.is_nonnegative(&(&difference - 1)) || self.is_nonnegative(&(&opposite - 1)) {
            Proof::Disproved
        } else if self.is_nonnegative(&difference) && self.is_nonnegative(&opposite) {
            Proof::Proved
        } else {
            Proof::Unknown
        }
    }

    pub fn prove_ge(&self, a: &Dim, b: &Dim) -> Proof {
        let difference = self.replace(&(a - b));
        let expanded = self.expand(&difference);
        for form in [difference, expanded] {
            if self.is_nonnegative(&form) {
                return Proof::Proved;
            }
            if self.is_nonnegative(&(-form - 1)) {
                return Proof::Disproved;
            }
        }
        Proof::Unknown
    }

    pub fn prove_gt(&self, a: &Dim, b: &Dim) -> Proof {
        self.prove_ge(a, &(b + 1))
    }

    /// Whether `a % by == 0`.
    pub fn prove_divisible(&self, a: &Dim, by: &Dim) -> Proof {
        let (a, by) = (self.replace(a), self.replace(by));
        if by.is_const(0) || a.overflowed() || by.overflowed() {
            return Proof::Unknown;
        }
        let follows =
            |(x, y): &(Dim, Dim)| divide_exactly(&a, x).is_some() && divide_exactly(y, &by).is_some();
        if divide_exactly(&a, &by).is_some() || self.divisible().iter().any(follows) {
            return Proof::Proved;
        }
        let remainder = a.modulo(&by);
        match remainder.as_const() {
            Some(0) => return Proof::Proved,
            Some(_) => return Proof::Disproved,
            None => {}
        }
        if self.is_nonnegative(&(&remainder - 1)) || self.is_nonnegative(&(-remainder - 1)) {
            Proof::Disproved
        } else {
            Proof::Unknown
        }
    }

    /// A form in which related atoms meet: remainders are written with quotients, quotients rounded up with quotients
    /// rounded down, and of a quotient and its reflection `⌊n / b⌋ = -⌊(b - 1 - n) / b⌋` one is chosen.
    fn expand(&self, dim: &Dim) -> Dim {
        dim.map_atoms(&mut |atom| match atom {
            Atom::Mod(a, b) => {
                let (a, b) = (self.expand(a), self.expand(b));
                let quotient = self.expand(&a.div_floor(&b));
                a - b * quotient
            }
            Atom::CeilDiv(a, b) if b.as_const().is_none() && self.is_nonnegative(b) => {
                // The divisor is not 0, so at least 1.
                let (a, b) = (self.expand(a), self.expand(b));
                (a - 1).div_floor(&b) + 1
            }
            Atom::DivFloor(..) | Atom::CeilDiv(..) => {
                reflected(atom.rebuild(&mut |operand| self.expand(operand)))
            }
            _ => atom.rebuild(&mut |operand| self.expand(operand)),
        })
    }
}

/// Whether a canonical form is 0 for all or for no values of its monomials.
fn is_zero(form: &Dim) -> Proof {
    if form.overflowed() {
        return Proof::Unknown;
    }
    let factor = form
        .variable_terms()
        .iter()
        .fold(0, |factor, term| greatest_common_divisor(factor, term.coefficient));
    match (factor, form.constant_term()) {
        (0, 0) => Proof::Proved,
        (0, _) => Proof::Disproved,
        (factor, constant) if constant % factor != 0 => Proof::Disproved,
        _ => Proof::Unknown,
    }
}

/// Of a quotient by a positive constant and the quotient with the opposite dividend, the one whose atom is the lesser.
fn reflected(quotient: Dim) -> Dim {
    let reflection = match quotient.as_atom() {
        Some(Atom::DivFloor(a, b)) if b.as_const().is_some_and(|b| b > 0) => -(-a).ceil_div(b),
        Some(Atom::CeilDiv(a, b)) if b.as_const().is_some_and(|b| b > 0) => -(-a).div_floor(b),
        _ => return quotient,
    };
    let mut atoms = reflection.variable_terms().iter().filter_map(|term| match term.factors.as_slice() {
        [(atom @ (Atom::DivFloor(..) | Atom::CeilDiv(..)), 1)] => Some(atom),
        _ => None,
    });
    let lesser =
        matches!((atoms.next(), atoms.next()), (Some(only), None) if Some(only) < quotient.as_atom());
    if lesser { reflection } else { quotient }
}
