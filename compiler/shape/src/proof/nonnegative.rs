//! The search for a proof that a polynomial is at least 0.
//!
//! Symbols are at least 0, so a polynomial without negative coefficients is. Lower bounds of a symbol are substituted
//! (`h >= 4` makes `h` into `$s0 + 4`), other inequalities, and what is known about quotients, remainders and extrema,
//! are subtracted in nonnegative multiples until no negative term is left. The search is bounded: it may miss a proof.

use std::collections::{BTreeMap, BTreeSet};

use crate::atom::divide_monomials;
use crate::division::greatest_common_divisor;
use crate::{Atom, Dim, Symbol, Term};

/// Inequalities `dim >= 0`, over symbols of which the lower bounds were substituted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Constraints {
    shifts: BTreeMap<Symbol, Dim>,
    shifted: usize,
    inequalities: Vec<Dim>,
}

/// One attempt: its inequalities, and the work that it may still do.
struct Search {
    inequalities: Vec<Dim>,
    fuel: u32,
}

const FUEL: u32 = 600;
const FUEL_PER_ATOM: u32 = 5;
/// How many inequalities one proof may add up.
const MAX_STEPS: u32 = 6;
/// How deep atoms within atoms are looked into, and how many `min` and `max` are split into cases.
const MAX_LEVELS: u32 = 4;
const MAX_INEQUALITIES: usize = 48;

impl Constraints {
    pub(crate) fn add(&mut self, dim: &Dim) {
        let dim = tightened(&dim.substitute(&self.shifts));
        match self.lower_bound(&dim) {
            Some((symbol, bound)) => {
                let above = Dim::symbol(&format!("$s{}", self.shifted));
                self.shifted += 1;
                let map = BTreeMap::from([(symbol.clone(), bound + above)]);
                for shift in self.shifts.values_mut() {
                    *shift = shift.substitute(&map);
                }
                for inequality in &mut self.inequalities {
                    *inequality = tightened(&inequality.substitute(&map));
                }
                self.shifts.extend(map);
            }
            None => self.inequalities.push(dim),
        }
    }

    pub(crate) fn prove(&self, dim: &Dim) -> bool {
        let dim = dim.substitute(&self.shifts);
        if is_plainly_nonnegative(&dim) {
            return true;
        }
        if dim.overflowed() || dim.as_const().is_some() {
            return false;
        }
        let mut search = Search { inequalities: self.inequalities.clone(), fuel: FUEL };
        search.inequalities.truncate(MAX_INEQUALITIES);
        search.prove_by_cases(&dim, MAX_LEVELS)
    }

    /// A symbol that `dim >= 0` bounds from below by what is itself at least 0.
    fn lower_bound(&self, dim: &Dim) -> Option<(Symbol, Dim)> {
        dim.variable_terms().iter().find_map(|term| {
            let (1, [(Atom::Symbol(symbol), 1)]) = (term.coefficient, term.factors.as_slice()) else {
                return None;
            };
            let bound = Dim::from_terms([term.clone()]) - dim;
            (!bound.symbols().contains(symbol) && self.prove(&bound)).then(|| (symbol.clone(), bound))
        })
    }
}

impl Search {
    /// Splits on `min` and `max`, then proves each case.
    fn prove_by_cases(&mut self, dim: &Dim, levels: u32) -> bool {
        let extremum = dim.terms().iter().flat_map(|term| &term.factors).find_map(|(atom, _)| match atom {
            Atom::Min(a, b) => Some((atom.clone(), a, b, b - a)),
            Atom::Max(a, b) => Some((atom.clone(), a, b, a - b)),
            _ => None,
        });
        let Some((extremum, a, b, in_favour_of_a)) = extremum.filter(|_| levels > 0) else {
            return self.prove_with_bounds(dim, levels);
        };
        [(a, in_favour_of_a.clone()), (b, -in_favour_of_a)].into_iter().all(|(value, condition)| {
            let choose = |dim: &Dim| {
                dim.map_atoms(&mut |atom| {
                    if *atom == extremum { value.clone() } else { Dim::from_atom(atom.clone()) }
                })
            };
            let mut inequalities: Vec<Dim> = self.inequalities.iter().map(choose).collect();
            inequalities.push(tightened(&condition));
            let mut case = Search { inequalities, fuel: self.fuel };
            let proved = case.prove_by_cases(&choose(dim), levels - 1);
            self.fuel = case.fuel;
            proved
        })
    }

    fn prove_with_bounds(&mut self, dim: &Dim, levels: u32) -> bool {
        if self.subtract(dim) {
            return true;
        }
        let mut seen = BTreeSet::new();
        let mut pending = atoms_of(dim);
        for inequality in &self.inequalities {
            pending.extend(atoms_of(inequality));
        }
        let before = self.inequalities.len();
        for _ in 0..levels {
            let mut inner = Vec::new();
            for atom in pending {
                if !matches!(atom, Atom::Symbol(_))
                    && self.inequalities.len() < MAX_INEQUALITIES
                    && self.fuel >= FUEL_PER_ATOM
                    && seen.insert(atom.clone())
                {
                    self.fuel -= FUEL_PER_ATOM;
                    for bound in self.bounds(&atom, levels) {
                        inner.extend(atoms_of(&bound));
                        self.inequalities.push(tightened(&bound));
                    }
                }
            }
            pending = inner;
        }
        self.inequalities.len() > before && self.subtract(dim)
    }

    /// What holds for the value of an atom: dimensions that are at least 0.
    fn bounds(&mut self, atom: &Atom, levels: u32) -> Vec<Dim> {
        let value = Dim::from_atom(atom.clone());
        let Some((a, b)) = atom.operands() else { return vec![] };
        let mut bounds = Vec::new();
        match atom {
            Atom::Symbol(_) => {}
            Atom::Min(..) => bounds.extend([a - &value, b - &value]),
            Atom::Max(..) => bounds.extend([&value - a, &value - b]),
            Atom::DivFloor(..) | Atom::CeilDiv(..) | Atom::Mod(..) => {
                if !self.prove_inner(b, levels) {
                    return bounds;
                }
                // From here the divisor, which is not 0, is at least 1.
                bounds.push(b - 1);
                match atom {
                    Atom::Mod(..) => bounds.push(b - 1 - &value),
                    Atom::DivFloor(..) => bounds.extend([a - b * &value, b * &value - a + b - 1]),
                    _ => bounds.extend([b * &value - a, a + b - 1 - b * &value]),
                }
                if self.prove_inner(a, levels) {
                    bounds.push(a - &value);
                    bounds.push(value);
                }
            }
        }
        bounds.retain(|bound| !bound.overflowed() && !is_plainly_nonnegative(bound));
        bounds
    }

    fn prove_inner(&mut self, dim: &Dim, levels: u32) -> bool {
        is_plainly_nonnegative(dim) || levels > 0 && self.prove_with_bounds_of_own(dim, levels - 1)
    }

    fn prove_with_bounds_of_own(&mut self, dim: &Dim, levels: u32) -> bool {
        let mut inner = Search { inequalities: self.inequalities.clone(), fuel: self.fuel };
        let proved = inner.prove_with_bounds(dim, levels);
        self.fuel = inner.fuel;
        proved
    }

    /// Subtracts inequalities; few first, for most proofs are short.
    fn subtract(&mut self, dim: &Dim) -> bool {
        (0..=MAX_STEPS).any(|steps| self.subtract_at_most(dim, steps))
    }

    /// Takes away a nonnegative multiple of one inequality such that the first offending term vanishes; again and again.
    fn subtract_at_most(&mut self, dim: &Dim, steps: u32) -> bool {
        if dim.overflowed() {
            return false;
        }
        let Some(offending) = dim.terms().iter().find(|term| !is_nonnegative_term(term)) else { return true };
        if steps == 0 {
            return false;
        }
        for i in 0..self.inequalities.len() {
            let inequality = self.inequalities[i].clone();
            for term in inequality.terms() {
                if (term.coefficient < 0) != (offending.coefficient < 0) {
                    continue;
                }
                let Some(factors) = divide_monomials(&offending.factors, &term.factors) else { continue };
                let cofactor = Term { coefficient: 1, factors };
                if !is_nonnegative_term(&cofactor) {
                    continue;
                }
                if self.fuel == 0 {
                    return false;
                }
                self.fuel -= 1;
                let common = greatest_common_divisor(term.coefficient, offending.coefficient);
                let (dim_scale, scale) =
                    ((term.coefficient / common).abs(), (offending.coefficient / common).abs());
                if cofactor.is_constant() {
                    let difference = dim * dim_scale - &inequality * scale;
                    if self.subtract_at_most(&difference, steps - 1) {
                        return true;
                    }
                    // A constant need not vanish at once: the next inequality may bring some of it back.
                    if term.is_constant()
                        && scale != dim_scale
                        && self.subtract_at_most(&(dim - &inequality), steps - 1)
                    {
                        return true;
                    }
                } else {
                    // Products lead anywhere; only those that bring no further offending term are followed.
                    let product = &inequality * scale * Dim::from_terms([cofactor]);
                    let difference = dim * dim_scale - product;
                    if count_offending(&difference) <= count_offending(dim)
                        && self.subtract_at_most(&difference, steps - 1)
                    {
                        return true;
                    }
                }
            }
        }
        false
    }
}

/// `2*h - 5 >= 0` as `h - 3 >= 0`: values are whole.
pub(crate) fn tightened(dim: &Dim) -> Dim {
    let factor =
        dim.variable_terms().iter().fold(0, |factor, term| greatest_common_divisor(factor, term.coefficient));
    if factor <= 1 {
        return dim.clone();
    }
    Dim::from_terms(
        dim.terms().iter().map(|term| Term {
            coefficient: term.coefficient.div_euclid(factor),
            factors: term.factors.clone(),
        }),
    )
}

/// Whether no term is below 0, seen without a search.
fn is_plainly_nonnegative(dim: &Dim) -> bool {
    !dim.overflowed() && dim.terms().iter().all(is_nonnegative_term)
}

fn count_offending(dim: &Dim) -> usize {
    dim.terms().iter().filter(|term| !is_nonnegative_term(term)).count()
}

fn is_nonnegative_term(term: &Term) -> bool {
    term.coefficient >= 0
        && term.factors.iter().all(|(atom, power)| power % 2 == 0 || is_nonnegative_atom(atom))
}

fn is_nonnegative_atom(atom: &Atom) -> bool {
    match atom {
        Atom::Symbol(_) => true,
        Atom::DivFloor(a, b) | Atom::CeilDiv(a, b) => is_plainly_nonnegative(a) && is_plainly_nonnegative(b),
        Atom::Mod(_, b) => is_plainly_nonnegative(b),
        Atom::Min(a, b) => is_plainly_nonnegative(a) && is_plainly_nonnegative(b),
        Atom::Max(a, b) => is_plainly_nonnegative(a) || is_plainly_nonnegative(b),
    }
}

fn atoms_of(dim: &Dim) -> Vec<Atom> {
    dim.terms().iter().flat_map(|term| term.factors.iter().map(|(atom, _)| atom.clone())).collect()
}
