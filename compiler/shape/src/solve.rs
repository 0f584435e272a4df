//! Solving a pattern such as `4*h == 512` for its unknown.

use crate::atom::divide_monomials;
use crate::{Atom, Dim, Facts, Symbol, Term};

/// The dimension that makes `pattern == value`, where `unknown` occurs linearly in the pattern and nowhere in the
/// value; `None` when there is none, or it cannot be written exactly.
pub fn solve(pattern: &Dim, unknown: &Symbol, value: &Dim, facts: &Facts) -> Option<Dim> {
    if pattern.overflowed() || value.overflowed() || value.symbols().contains(unknown) {
        return None;
    }
    let unknown_factor = [(Atom::Symbol(unknown.clone()), 1)];
    let (mut slope, mut rest) = (Dim::default(), value.clone());
    for term in pattern.terms() {
        match divide_monomials(&term.factors, &unknown_factor) {
            Some(factors) => slope += Dim::from_terms([Term { coefficient: term.coefficient, factors }]),
            None => rest = rest - Dim::from_terms([term.clone()]),
        }
    }
    if slope.symbols().contains(unknown) || rest.symbols().contains(unknown) {
        return None;
    }
    let solution = rest.exact_div(&slope, facts)?;
    // A size below 0 is no solution.
    (!solution.overflowed() && solution.as_const().is_none_or(|size| size >= 0)).then_some(solution)
}
