//! Exact division of polynomials.

use crate::atom::divide_monomials;
use crate::{Dim, Facts, Proof, Term};

impl Dim {
    /// `self / divisor` where the facts prove that the divisor divides; the divisor is taken not to be 0.
    pub fn exact_div(&self, divisor: &Dim, facts: &Facts) -> Option<Dim> {
        divide_exactly(self, divisor).or_else(|| {
            (facts.prove_divisible(self, divisor) == Proof::Proved).then(|| self.div_floor(divisor))
        })
    }
}

/// Long division of polynomials; `None` unless the remainder is 0 and all coefficients are whole.
pub(crate) fn divide_exactly(dividend: &Dim, divisor: &Dim) -> Option<Dim> {
    if dividend.overflowed() || divisor.overflowed() {
        return None;
    }
    let leading = divisor.terms().first()?;
    let mut remainder = dividend.clone();
    let mut quotient = Dim::default();
    while let Some(term) = remainder.terms().first() {
        let coefficient = term.coefficient.checked_rem(leading.coefficient)?;
        if coefficient != 0 {
            return None;
        }
        let coefficient = term.coefficient.checked_div(leading.coefficient)?;
        let factors = divide_monomials(&term.factors, &leading.factors)?;
        let part = Dim::from_terms([Term { coefficient, factors }]);
        remainder = remainder - &part * divisor;
        quotient += part;
        if remainder.overflowed() || quotient.overflowed() {
            return None;
        }
    }
    Some(quotient)
}
