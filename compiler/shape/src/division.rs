//! Division of polynomials: exact, by parts, and what dividend and divisor have in common.

use crate::atom::{common_monomial, divide_monomials};
use crate::{Dim, Facts, Proof, Term};

impl Dim {
    /// `self / divisor` where the facts prove that the divisor divides; the divisor is taken not to be 0.
    pub fn exact_div(&self, divisor: &Dim, facts: &Facts) -> Option<Dim> {
        divide_exactly(self, divisor).or_else(|| facts.divide_in_own_symbols(self, divisor)).or_else(|| {
            let quotient = self.div_floor(divisor);
            (facts.prove_divisible(self, divisor) == Proof::Proved && !quotient.overflowed())
                .then_some(quotient)
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
    // The leading monomial falls with each step.
    while let Some(term) = remainder.terms().first() {
        let factors = divide_monomials(&term.factors, &leading.factors)?;
        if term.coefficient % leading.coefficient != 0 {
            return None;
        }
        let part = Dim::from_terms([Term { coefficient: term.coefficient / leading.coefficient, factors }]);
        remainder = remainder - &part * divisor;
        quotient += part;
        if remainder.overflowed() || quotient.overflowed() {
            return None;
        }
    }
    Some(quotient)
}

/// `(q, r)` with `dividend = q·divisor + r`. By a divisor of one positive term as much as possible goes into `q`,
/// coefficients left of its multiples lie in `0..coefficient`; by any other divisor all goes into `q` or nothing.
pub(crate) fn split(dividend: &Dim, divisor: &Dim) -> (Dim, Dim) {
    let [Term { coefficient: by @ 1.., factors: divisor_factors }] = divisor.terms() else {
        return match divide_exactly(dividend, divisor) {
            Some(quotient) => (quotient, Dim::default()),
            None => (Dim::default(), dividend.clone()),
        };
    };
    let (mut quotient, mut rest) = (Vec::new(), Vec::new());
    for term in dividend.terms() {
        match divide_monomials(&term.factors, divisor_factors) {
            Some(factors) => {
                quotient.push(Term { coefficient: term.coefficient.div_euclid(*by), factors });
                let coefficient = term.coefficient.rem_euclid(*by);
                rest.push(Term { coefficient, factors: term.factors.clone() });
            }
            None => rest.push(term.clone()),
        }
    }
    (Dim::from_terms(quotient), Dim::from_terms(rest))
}

/// The positive common factor of all terms of both, and both without it; `None` if there is none but 1.
pub(crate) fn cancel(dividend: &Dim, divisor: &Dim) -> Option<(Dim, Dim, Dim)> {
    let first = divisor.terms().first()?;
    if dividend.terms().is_empty() {
        return None;
    }
    let (mut coefficient, mut factors) = (0, first.factors.clone());
    for term in dividend.terms().iter().chain(divisor.terms()) {
        coefficient = greatest_common_divisor(coefficient, term.coefficient);
        factors = common_monomial(&factors, &term.factors);
    }
    if coefficient == 1 && factors.is_empty() {
        return None;
    }
    let factor = Dim::from_terms([Term { coefficient, factors }]);
    let (dividend, divisor) = (divide_exactly(dividend, &factor)?, divide_exactly(divisor, &factor)?);
    Some((factor, dividend, divisor))
}

pub(crate) fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    // Only of 0 and `i64::MIN`, which is no coefficient, would it not fit.
    i64::try_from(a).unwrap_or(i64::MAX)
}
