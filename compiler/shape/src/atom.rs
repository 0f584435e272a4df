//! What a polynomial is made of: terms, and the indivisible factors within them.

use std::cmp::Ordering;

use crate::{Dim, Symbol};

/// A factor that a polynomial cannot look into.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Atom {
    Symbol(Symbol),
    /// The quotient rounded towards minus infinity.
    DivFloor(Dim, Dim),
    /// The quotient rounded towards plus infinity.
    CeilDiv(Dim, Dim),
    /// The remainder of `DivFloor`; it has the divisor's sign.
    Mod(Dim, Dim),
    Min(Dim, Dim),
    Max(Dim, Dim),
}

/// `coefficient` times the product of the factors, each raised to its power (at least 1). Factors ascend, no atom
/// stands twice; the constant term has none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Term {
    pub coefficient: i64,
    pub factors: Vec<(Atom, u32)>,
}

/// A product of powers of atoms, ascending by atom.
pub(crate) type Monomial = Vec<(Atom, u32)>;

impl Atom {
    /// The operands of a compound atom.
    pub fn operands(&self) -> Option<(&Dim, &Dim)> {
        match self {
            Atom::Symbol(_) => None,
            Atom::DivFloor(a, b)
            | Atom::CeilDiv(a, b)
            | Atom::Mod(a, b)
            | Atom::Min(a, b)
            | Atom::Max(a, b) => Some((a, b)),
        }
    }

    /// The same operation on other operands, simplified; a symbol stays as it is.
    pub(crate) fn rebuild(&self, map: &mut dyn FnMut(&Dim) -> Dim) -> Dim {
        match self {
            Atom::Symbol(symbol) => Dim::from(symbol),
            Atom::DivFloor(a, b) => map(a).div_floor(&map(b)),
            Atom::CeilDiv(a, b) => map(a).ceil_div(&map(b)),
            Atom::Mod(a, b) => map(a).modulo(&map(b)),
            Atom::Min(a, b) => Dim::min(&map(a), &map(b)),
            Atom::Max(a, b) => Dim::max(&map(a), &map(b)),
        }
    }
}

impl Term {
    pub fn is_constant(&self) -> bool {
        self.factors.is_empty()
    }
}

/// The order of terms in a canonical polynomial: by falling degree, then lexicographic. It respects multiplication,
/// which long division needs.
pub(crate) fn compare_monomials(a: &[(Atom, u32)], b: &[(Atom, u32)]) -> Ordering {
    degree(b).cmp(&degree(a)).then_with(|| {
        for ((atom_a, power_a), (atom_b, power_b)) in a.iter().zip(b) {
            let order = atom_a.cmp(atom_b).then(power_b.cmp(power_a));
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    })
}

pub(crate) fn degree(monomial: &[(Atom, u32)]) -> u64 {
    monomial.iter().map(|(_, power)| u64::from(*power)).sum()
}

pub(crate) fn multiply_monomials(a: &[(Atom, u32)], b: &[(Atom, u32)]) -> Monomial {
    let mut product = Monomial::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match a[i].0.cmp(&b[j].0) {
            Ordering::Less => {
                product.push(a[i].clone());
                i += 1;
            }
            Ordering::Greater => {
                product.push(b[j].clone());
                j += 1;
            }
            Ordering::Equal => {
                product.push((a[i].0.clone(), a[i].1.saturating_add(b[j].1)));
                i += 1;
                j += 1;
            }
        }
    }
    product.extend_from_slice(&a[i..]);
    product.extend_from_slice(&b[j..]);
    product
}

/// `a / b`, if every factor of `b` is in `a`.
pub(crate) fn divide_monomials(a: &[(Atom, u32)], b: &[(Atom, u32)]) -> Option<Monomial> {
    let mut quotient = Monomial::with_capacity(a.len());
    let mut rest = b.iter().peekable();
    for (atom, power) in a {
        let taken = rest.next_if(|(divisor, _)| divisor == atom).map_or(0, |(_, power)| *power);
        let left = power.checked_sub(taken)?;
        if left > 0 {
            quotient.push((atom.clone(), left));
        }
    }
    rest.peek().is_none().then_some(quotient)
}

/// The factors that both have.
pub(crate) fn common_monomial(a: &[(Atom, u32)], b: &[(Atom, u32)]) -> Monomial {
    a.iter()
        .filter_map(|(atom, power)| {
            let (_, other) = b.iter().find(|(candidate, _)| candidate == atom)?;
            Some((atom.clone(), *power.min(other)))
        })
        .collect()
}
