//! What is known about dimensions.
//!
//! Equations and divisibilities that determine a symbol are kept as replacements of it (`d % heads == 0` makes `d` a
//! product `heads * $q0`), so that they reach into every atom; the others as inequalities. Symbols that are introduced
//! here begin with `$` and never leave.

use std::collections::BTreeMap;

use crate::division::{divide_exactly, greatest_common_divisor};
use crate::proof::nonnegative::{Constraints, tightened};
use crate::{Atom, Dim, Proof, Symbol, Term};

/// One thing that was assumed, as it was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Assumption {
    /// The first is at least the second.
    Ge(Dim, Dim),
    Eq(Dim, Dim),
    /// The second divides the first.
    Divisible(Dim, Dim),
}

/// Every symbol is a size, so at least 0; the rest was assumed.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// In the order in which they came, for printing and for assuming them elsewhere.
    assumptions: Vec<Assumption>,
    /// No replaced symbol occurs in a replacement.
    replacements: BTreeMap<Symbol, Dim>,
    /// Assumed to be at least 0, after replacement.
    assumed: Vec<Dim>,
    /// What divides what, after replacement, where it could not be made a replacement.
    divisible: Vec<(Dim, Dim)>,
    introduced: usize,
    /// Derived from `assumed`.
    constraints: Constraints,
}

impl Facts {
    /// All that was assumed, in order.
    pub fn assumptions(&self) -> &[Assumption] {
        &self.assumptions
    }

    /// Assumes what was assumed elsewhere.
    pub fn assume(&mut self, assumption: Assumption) {
        match assumption {
            Assumption::Ge(a, b) => self.assume_ge(a, b),
            Assumption::Eq(a, b) => self.assume_eq(a, b),
            Assumption::Divisible(a, by) => self.assume_divisible(a, by),
        }
    }

    pub fn assume_ge(&mut self, a: Dim, b: Dim) {
        self.assumptions.push(Assumption::Ge(a.clone(), b.clone()));
        let difference = self.replace(&(a - b));
        self.assume_nonnegative(difference);
    }

    pub fn assume_eq(&mut self, a: Dim, b: Dim) {
        self.assumptions.push(Assumption::Eq(a.clone(), b.clone()));
        let difference = without_common_factor(&self.replace(&(a - b)));
        let candidates: Vec<(Symbol, Dim)> = isolated(&difference).collect();
        let known_size = candidates.iter().find(|(_, value)| self.is_nonnegative(value));
        match known_size.or(candidates.first()).cloned() {
            Some((symbol, value)) => {
                self.introduce(symbol, value.clone());
                self.assume_nonnegative(value);
            }
            None => {
                self.assume_nonnegative(-&difference);
                self.assume_nonnegative(difference);
            }
        }
    }

    /// Also that `by` is not 0.
    pub fn assume_divisible(&mut self, a: Dim, by: Dim) {
        self.assumptions.push(Assumption::Divisible(a.clone(), by.clone()));
        let (a, by) = (self.replace(&a), self.replace(&by));
        if self.is_nonnegative(&by) {
            self.assume_nonnegative(&by - 1);
        }
        if self.prove_divisible(&a, &by) == Proof::Proved {
            return;
        }
        let divisor_symbols = by.symbols();
        let candidate = isolated(&a).find(|(symbol, _)| !divisor_symbols.contains(symbol));
        match candidate {
            Some((symbol, root)) if self.is_nonnegative(&a) && self.is_nonnegative(&by) => {
                let quotient = Dim::symbol(&format!("$q{}", self.introduced));
                self.introduced += 1;
                // a = ±(symbol - root) = by·quotient.
                let value = if (&a + &root).as_symbol() == Some(symbol.clone()) {
                    root + by * quotient
                } else {
                    root - by * quotient
                };
                self.introduce(symbol, value.clone());
                self.assume_nonnegative(value);
            }
            _ => self.divisible.push((a, by)),
        }
    }

    /// What is known to divide what, besides what replacement shows.
    pub(crate) fn divisible(&self) -> &[(Dim, Dim)] {
        &self.divisible
    }

    pub(crate) fn replace(&self, dim: &Dim) -> Dim {
        dim.substitute(&self.replacements)
    }

    /// Whether a dimension, after replacement, is shown to be at least 0.
    pub(crate) fn is_nonnegative(&self, dim: &Dim) -> bool {
        self.constraints.prove(dim)
    }

    /// The exact quotient after replacement, if no introduced symbol is left in it.
    pub(crate) fn divide_in_own_symbols(&self, dividend: &Dim, divisor: &Dim) -> Option<Dim> {
        let quotient = divide_exactly(&self.replace(dividend), &self.replace(divisor))?;
        let introduced = quotient.symbols().iter().any(|symbol| symbol.name().starts_with('$'));
        (!introduced).then_some(quotient)
    }

    fn assume_nonnegative(&mut self, dim: Dim) {
        if !dim.overflowed() && !self.is_nonnegative(&dim) {
            self.constraints.add(&dim);
            self.assumed.push(tightened(&dim));
        }
    }

    fn introduce(&mut self, symbol: Symbol, value: Dim) {
        if value.overflowed() {
            return;
        }
        let map = BTreeMap::from([(symbol.clone(), value.clone())]);
        for replacement in self.replacements.values_mut() {
            *replacement = replacement.substitute(&map);
        }
        for (a, by) in &mut self.divisible {
            (*a, *by) = (a.substitute(&map), by.substitute(&map));
        }
        self.replacements.insert(symbol, value);
        self.constraints = Constraints::default();
        for dim in std::mem::take(&mut self.assumed) {
            self.assume_nonnegative(dim.substitute(&map));
        }
    }
}

/// The symbols that an equation `dim == 0` determines, each with its value.
fn isolated(dim: &Dim) -> impl Iterator<Item = (Symbol, Dim)> + '_ {
    dim.variable_terms().iter().filter_map(move |term| {
        let [(Atom::Symbol(symbol), 1)] = term.factors.as_slice() else { return None };
        let rest = dim - Dim::from_terms([term.clone()]);
        let value = match term.coefficient {
            1 => -&rest,
            -1 => rest,
            _ => return None,
        };
        (!value.symbols().contains(symbol)).then(|| (symbol.clone(), value))
    })
}

/// `4*h - 8` as `h - 2`.
fn without_common_factor(dim: &Dim) -> Dim {
    let factor = dim.terms().iter().fold(0, |factor, term| greatest_common_divisor(factor, term.coefficient));
    if factor <= 1 {
        return dim.clone();
    }
    Dim::from_terms(
        dim.terms()
            .iter()
            .map(|term| Term { coefficient: term.coefficient / factor, factors: term.factors.clone() }),
    )
}
