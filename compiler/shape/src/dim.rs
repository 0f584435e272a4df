//! The canonical polynomial.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::atom::{Monomial, compare_monomials, degree};
use crate::{Atom, Symbol, Term};

/// A size: a polynomial with integer coefficients over symbols and atoms, in canonical form. Cheap to clone.
///
/// Operators are those of integers; what leaves the range of i64, or grows past the limits on size, degree and nesting,
/// is a poison value that [`Dim::overflowed`] tells apart and that no proof accepts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Dim(Arc<Polynomial>);

/// Terms are ordered by [`compare_monomials`], monomials are distinct, coefficients are neither 0 nor `i64::MIN`,
/// so that every one of them can be negated.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Polynomial {
    terms: Vec<Term>,
    overflowed: bool,
    /// Nodes of the expression read as a tree, and its nesting. Both bound what walking it costs.
    size: u32,
    depth: u32,
}

const MAX_SIZE: u32 = 1 << 14;
/// Printed with at most two pairs of parentheses a level, within what the reader nests to.
const MAX_DEPTH: u32 = 96;
const MAX_DEGREE: u64 = 64;

impl Dim {
    pub fn constant(value: i64) -> Dim {
        if value == i64::MIN {
            return Dim::poison();
        }
        let terms = if value == 0 { vec![] } else { vec![Term { coefficient: value, factors: vec![] }] };
        let size = terms.len() as u32;
        Dim(Arc::new(Polynomial { terms, overflowed: false, size, depth: 0 }))
    }

    pub fn symbol(name: &str) -> Dim {
        Dim::from(Symbol::new(name))
    }

    pub fn as_const(&self) -> Option<i64> {
        match self.terms() {
            [] if !self.overflowed() => Some(0),
            [term] if term.is_constant() => Some(term.coefficient),
            _ => None,
        }
    }

    pub fn is_const(&self, value: i64) -> bool {
        self.as_const() == Some(value)
    }

    pub fn as_symbol(&self) -> Option<Symbol> {
        match self.as_atom() {
            Some(Atom::Symbol(symbol)) => Some(symbol.clone()),
            _ => None,
        }
    }

    /// Whether arithmetic left the range or a limit: a poison value, equal to other such values and to nothing else.
    pub fn overflowed(&self) -> bool {
        self.0.overflowed
    }

    /// The canonical form as data: a sum of terms. Empty for 0 (and for a poison value).
    pub fn terms(&self) -> &[Term] {
        &self.0.terms
    }

    /// All symbols, also those inside atoms.
    pub fn symbols(&self) -> BTreeSet<Symbol> {
        let mut symbols = BTreeSet::new();
        self.collect_symbols(&mut symbols);
        symbols
    }

    /// Puts dimensions in the place of symbols, all at once.
    pub fn substitute(&self, map: &BTreeMap<Symbol, Dim>) -> Dim {
        if map.is_empty() || !self.symbols().iter().any(|symbol| map.contains_key(symbol)) {
            return self.clone();
        }
        self.map_atoms(&mut |atom| match atom {
            Atom::Symbol(symbol) => map.get(symbol).cloned().unwrap_or_else(|| Dim::from(symbol)),
            compound => compound.rebuild(&mut |operand| operand.substitute(map)),
        })
    }

    pub(crate) fn poison() -> Dim {
        Dim(Arc::new(Polynomial { terms: vec![], overflowed: true, size: 0, depth: 0 }))
    }

    pub(crate) fn from_atom(atom: Atom) -> Dim {
        Dim::from_raw_terms(vec![(1, vec![(atom, 1)])])
    }

    pub(crate) fn from_terms(terms: impl IntoIterator<Item = Term>) -> Dim {
        Dim::from_raw_terms(terms.into_iter().map(|t| (i128::from(t.coefficient), t.factors)).collect())
    }

    /// Sorts, gathers equal monomials and checks every limit.
    pub(crate) fn from_raw_terms(mut raw: Vec<(i128, Monomial)>) -> Dim {
        raw.sort_by(|(_, a), (_, b)| compare_monomials(a, b));
        let mut gathered: Vec<(i128, Monomial)> = Vec::with_capacity(raw.len());
        for (coefficient, monomial) in raw {
            match gathered.last_mut() {
                Some((sum, last)) if *last == monomial => match sum.checked_add(coefficient) {
                    Some(total) => *sum = total,
                    None => return Dim::poison(),
                },
                _ => gathered.push((coefficient, monomial)),
            }
        }
        let mut terms = Vec::with_capacity(gathered.len());
        let (mut size, mut depth) = (0u32, 0u32);
        for (coefficient, factors) in gathered {
            if coefficient == 0 {
                continue;
            }
            let Ok(coefficient) = i64::try_from(coefficient) else { return Dim::poison() };
            if coefficient == i64::MIN || degree(&factors) > MAX_DEGREE {
                return Dim::poison();
            }
            size = size.saturating_add(1);
            for (atom, _) in &factors {
                size = size.saturating_add(1);
                if let Some((a, b)) = atom.operands() {
                    if a.overflowed() || b.overflowed() {
                        return Dim::poison();
                    }
                    size = size.saturating_add(a.0.size).saturating_add(b.0.size);
                    depth = depth.max(1 + a.0.depth.max(b.0.depth));
                }
            }
            terms.push(Term { coefficient, factors });
        }
        if size > MAX_SIZE || depth > MAX_DEPTH {
            return Dim::poison();
        }
        Dim(Arc::new(Polynomial { terms, overflowed: false, size, depth }))
    }

    /// The only atom, if the dimension is nothing else.
    pub(crate) fn as_atom(&self) -> Option<&Atom> {
        match self.terms() {
            [Term { coefficient: 1, factors }] => match factors.as_slice() {
                [(atom, 1)] => Some(atom),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn constant_term(&self) -> i64 {
        self.terms().last().filter(|term| term.is_constant()).map_or(0, |term| term.coefficient)
    }

    pub(crate) fn variable_terms(&self) -> &[Term] {
        match self.terms() {
            [variable @ .., last] if last.is_constant() => variable,
            all => all,
        }
    }

    /// The polynomial with each atom replaced.
    pub(crate) fn map_atoms(&self, map: &mut dyn FnMut(&Atom) -> Dim) -> Dim {
        if self.overflowed() {
            return Dim::poison();
        }
        self.terms()
            .iter()
            .map(|term| {
                term.factors.iter().fold(Dim::constant(term.coefficient), |product, (atom, power)| {
                    let factor = map(atom);
                    (0..*power).fold(product, |product, _| product * &factor)
                })
            })
            .sum()
    }

    fn collect_symbols(&self, symbols: &mut BTreeSet<Symbol>) {
        for (atom, _) in self.terms().iter().flat_map(|term| &term.factors) {
            match (atom, atom.operands()) {
                (Atom::Symbol(symbol), _) => {
                    symbols.insert(symbol.clone());
                }
                (_, Some((a, b))) => {
                    a.collect_symbols(symbols);
                    b.collect_symbols(symbols);
                }
                (_, None) => {}
            }
        }
    }
}

/// A total order of forms, for ordered maps; not an order of sizes. The provided `min` and `max` would pick by form
/// when called by value, where everyone means the size, so they are those of sizes too.
impl Ord for Dim {
    fn cmp(&self, other: &Dim) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }

    fn min(self, other: Dim) -> Dim {
        Dim::min(&self, &other)
    }

    fn max(self, other: Dim) -> Dim {
        Dim::max(&self, &other)
    }
}

impl PartialOrd for Dim {
    fn partial_cmp(&self, other: &Dim) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Dim {
    fn default() -> Dim {
        Dim::constant(0)
    }
}

impl From<i64> for Dim {
    fn from(value: i64) -> Dim {
        Dim::constant(value)
    }
}

impl From<i32> for Dim {
    fn from(value: i32) -> Dim {
        Dim::constant(value.into())
    }
}

impl From<usize> for Dim {
    fn from(value: usize) -> Dim {
        i64::try_from(value).map_or_else(|_| Dim::poison(), Dim::constant)
    }
}

impl From<Symbol> for Dim {
    fn from(symbol: Symbol) -> Dim {
        Dim::from_atom(Atom::Symbol(symbol))
    }
}

impl From<&Symbol> for Dim {
    fn from(symbol: &Symbol) -> Dim {
        Dim::from(symbol.clone())
    }
}

impl From<&Atom> for Dim {
    fn from(atom: &Atom) -> Dim {
        atom.rebuild(&mut Dim::clone)
    }
}
