//! Index expressions as linear forms: `constant + Σ coefficient · atom`, coefficients being formulas of dimensions.
//!
//! An atom is a variable, or what is not linear: a quotient, a remainder, a loaded index. Quotients and remainders by
//! extents vanish where ranges prove it, and `d·(x / d) + x % d` becomes `x` again; so an index that went through a
//! reshape and back is the index it was.

use crate::{Binary, Const, DType, Expr, Unary, VarId};
use shape::{Dim, Facts, Proof};
use std::collections::BTreeMap;

/// What is known of index variables: each is at least 0 and at most this.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    pub facts: Facts,
    highest: BTreeMap<VarId, Dim>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Linear {
    /// Atoms are distinct, variables first in order; coefficients are not 0.
    pub terms: Vec<(Expr, Dim)>,
    pub constant: Dim,
}

impl Ranges {
    pub fn new(facts: Facts) -> Ranges {
        Ranges { facts, highest: BTreeMap::new() }
    }

    /// The variable runs over `0..extent`.
    pub fn bound(&mut self, var: VarId, extent: &Dim) {
        self.highest.insert(var, extent - 1);
    }

    /// The canonical form of an index expression.
    pub fn simplify(&self, expr: &Expr) -> Expr {
        Linear::of(expr, self).to_expr()
    }

    /// A condition with what the ranges decide replaced by `true` or `false`.
    pub fn decide(&self, condition: &Expr) -> Expr {
        match condition {
            Expr::Binary(Binary::And, a, b) => match (self.decide(a), self.decide(b)) {
                (Expr::Const(Const::Bool(false)), _) | (_, Expr::Const(Const::Bool(false))) => {
                    Expr::bool(false)
                }
                (a, b) => a.and(b),
            },
            Expr::Binary(op, a, b) if self.is_index(a) && self.is_index(b) => {
                let difference = Linear::of(&a.as_ref().clone().sub(b.as_ref().clone()), self);
                let (low, high) = match self.range(&difference) {
                    Some(range) => range,
                    None => return condition.clone(),
                };
                let ge = |a: &Dim, b: i64| self.at_least(a, &Dim::from(b));
                let le = |a: &Dim, b: i64| self.at_least(&Dim::from(b), a);
                let (yes, no) = match op {
                    Binary::Lt => (le(&high, -1), ge(&low, 0)),
                    Binary::Le => (le(&high, 0), ge(&low, 1)),
                    Binary::Gt => (ge(&low, 1), le(&high, 0)),
                    Binary::Ge => (ge(&low, 0), le(&high, -1)),
                    Binary::Eq => (ge(&low, 0) && le(&high, 0), ge(&low, 1) || le(&high, -1)),
                    Binary::Ne => (ge(&low, 1) || le(&high, -1), ge(&low, 0) && le(&high, 0)),
                    _ => (false, false),
                };
                match (yes, no) {
                    (true, _) => Expr::bool(true),
                    (_, true) => Expr::bool(false),
                    _ => Expr::binary(*op, self.simplify(a), self.simplify(b)),
                }
            }
            _ => condition.clone(),
        }
    }

    /// Made of constants, dimensions, loop variables and arithmetic on them.
    fn is_index(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Const(Const::Int(dtype, _)) => *dtype == DType::I64,
            Expr::Dim(_) => true,
            Expr::Var(var) => self.highest.contains_key(var),
            Expr::Unary(Unary::Neg, x) => self.is_index(x),
            Expr::Binary(Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Rem, a, b) => {
                self.is_index(a) && self.is_index(b)
            }
            _ => false,
        }
    }

    fn at_least(&self, a: &Dim, b: &Dim) -> bool {
        match (a - b).as_const() {
            Some(difference) => difference >= 0,
            None => self.facts.prove_ge(a, b) == Proof::Proved,
        }
    }

    /// Lowest and highest value, where every atom has a known range.
    pub fn range(&self, linear: &Linear) -> Option<(Dim, Dim)> {
        let (mut low, mut high) = (linear.constant.clone(), linear.constant.clone());
        for (atom, coefficient) in &linear.terms {
            let (lowest, highest) = self.atom_range(atom)?;
            let (a, b) = (coefficient * &lowest, coefficient * &highest);
            if self.at_least(coefficient, &Dim::from(0i64)) {
                low += a;
                high += b;
            } else if self.at_least(&Dim::from(0i64), coefficient) {
                low += b;
                high += a;
            } else {
                return None;
            }
        }
        Some((low, high))
    }

    /// Whether `0 <= place < extent` always.
    pub fn is_inside(&self, place: &Expr, extent: &Dim) -> bool {
        self.below(&Linear::of(place, self), extent)
    }

    fn atom_range(&self, atom: &Expr) -> Option<(Dim, Dim)> {
        let zero = Dim::from(0i64);
        match atom {
            Expr::Var(var) => Some((zero, self.highest.get(var)?.clone())),
            Expr::Binary(Binary::Rem, _, d) => {
                let d = Linear::of(d, self).as_dim()?;
                self.at_least(&d, &Dim::from(1i64)).then(|| (zero, d - 1))
            }
            Expr::Binary(Binary::Div, x, d) => {
                let d = Linear::of(d, self).as_dim()?;
                let (low, high) = self.range(&Linear::of(x, self))?;
                let fits = self.at_least(&d, &Dim::from(1i64)) && self.at_least(&low, &zero);
                fits.then(|| (zero, high.div_floor(&d)))
            }
            _ => None,
        }
    }

    /// Whether `0 <= linear < d` always.
    fn below(&self, linear: &Linear, d: &Dim) -> bool {
        self.range(linear).is_some_and(|(low, high)| {
            self.at_least(&low, &Dim::from(0i64)) && self.at_least(&(d - 1), &high)
        })
    }
}

impl Linear {
    pub fn of(expr: &Expr, ranges: &Ranges) -> Linear {
        match expr {
            Expr::Const(Const::Int(DType::I64, value)) => Linear::constant(Dim::from(*value)),
            Expr::Dim(dim) => Linear::constant(dim.clone()),
            Expr::Unary(Unary::Neg, x) => Linear::of(x, ranges).scaled(&Dim::from(-1i64)),
            Expr::Binary(Binary::Add, a, b) => Linear::of(a, ranges).plus(&Linear::of(b, ranges), ranges),
            Expr::Binary(Binary::Sub, a, b) => {
                let b = Linear::of(b, ranges).scaled(&Dim::from(-1i64));
                Linear::of(a, ranges).plus(&b, ranges)
            }
            Expr::Binary(Binary::Mul, a, b) => {
                let (a, b) = (Linear::of(a, ranges), Linear::of(b, ranges));
                match (a.as_dim(), b.as_dim()) {
                    (Some(scale), _) => b.scaled(&scale),
                    (_, Some(scale)) => a.scaled(&scale),
                    _ => Linear::atom(Expr::binary(Binary::Mul, a.to_expr(), b.to_expr())),
                }
            }
            Expr::Binary(op @ (Binary::Div | Binary::Rem), x, d) => {
                let (x, d) = (Linear::of(x, ranges), Linear::of(d, ranges));
                match d.as_dim() {
                    Some(d) if !d.is_const(0) => x.divided(*op, &d, ranges),
                    _ => Linear::atom(Expr::binary(*op, x.to_expr(), d.to_expr())),
                }
            }
            other => Linear::atom(other.clone()),
        }
    }

    pub fn constant(constant: Dim) -> Linear {
        Linear { terms: Vec::new(), constant }
    }

    pub fn atom(atom: Expr) -> Linear {
        Linear { terms: vec![(atom, Dim::from(1i64))], constant: Dim::from(0i64) }
    }

    /// The formula, where no atom is left.
    pub fn as_dim(&self) -> Option<Dim> {
        self.terms.is_empty().then(|| self.constant.clone())
    }

    /// What the variable itself is multiplied by.
    pub fn coefficient(&self, var: VarId) -> Dim {
        let term = self.terms.iter().find(|(atom, _)| *atom == Expr::Var(var));
        term.map_or(Dim::from(0i64), |(_, coefficient)| coefficient.clone())
    }

    /// Whether the variable stands within an atom that is not the variable itself.
    pub fn hides(&self, var: VarId) -> bool {
        self.terms.iter().any(|(atom, _)| *atom != Expr::Var(var) && super::uses(atom, var))
    }

    pub fn scaled(mut self, by: &Dim) -> Linear {
        if by.is_const(0) {
            return Linear::default();
        }
        for (_, coefficient) in &mut self.terms {
            *coefficient = &*coefficient * by;
        }
        self.constant = &self.constant * by;
        self
    }

    pub fn plus(mut self, other: &Linear, ranges: &Ranges) -> Linear {
        for (atom, coefficient) in &other.terms {
            self.add_term(atom.clone(), coefficient.clone());
        }
        self.constant = &self.constant + &other.constant;
        self.recombined(ranges)
    }

    fn add_term(&mut self, atom: Expr, coefficient: Dim) {
        match self.terms.iter_mut().find(|(other, _)| *other == atom) {
            Some((_, sum)) => *sum = &*sum + &coefficient,
            None => self.terms.push((atom, coefficient)),
        }
        self.terms.retain(|(_, coefficient)| !coefficient.is_const(0));
        self.terms.sort_by_key(|(atom, _)| match atom {
            Expr::Var(var) => var.index(),
            _ => usize::MAX,
        });
    }

    /// `c·d·(x / d) + c·(x % d)` is `c·x`.
    fn recombined(mut self, ranges: &Ranges) -> Linear {
        let found = self.terms.iter().find_map(|(atom, c)| {
            let Expr::Binary(Binary::Rem, x, d) = atom else { return None };
            let step = c * &Linear::of(d, ranges).as_dim()?;
            // The quotient of x may itself have been simplified to other atoms.
            let quotient = Linear::of(&Expr::Binary(Binary::Div, x.clone(), d.clone()), ranges);
            let stands = |(atom, coefficient): &(Expr, Dim)| {
                self.terms.iter().any(|(other, has)| other == atom && *has == coefficient * &step)
            };
            let all = !quotient.terms.is_empty() && quotient.terms.iter().all(stands);
            all.then(|| (atom.clone(), x.as_ref().clone(), c.clone(), quotient.scaled(&step)))
        });
        let Some((remainder, x, c, quotient)) = found else { return self };
        self.terms
            .retain(|(atom, _)| *atom != remainder && !quotient.terms.iter().any(|(other, _)| other == atom));
        self.constant = &self.constant - &quotient.constant;
        self.plus(&Linear::of(&x, ranges).scaled(&c), ranges)
    }

    /// `self / d` or `self % d`: what d divides comes out, the rest stays inside unless its range decides.
    fn divided(&self, op: Binary, d: &Dim, ranges: &Ranges) -> Linear {
        if d.is_const(1) {
            return if op == Binary::Div { self.clone() } else { Linear::default() };
        }
        let (mut quotient, mut rest) = (Linear::default(), Linear::default());
        for (atom, coefficient) in &self.terms {
            match coefficient.exact_div(d, &ranges.facts) {
                Some(outside) => quotient.terms.push((atom.clone(), outside)),
                None => rest.terms.push((atom.clone(), coefficient.clone())),
            }
        }
        match (self.constant.as_const(), d.as_const()) {
            (Some(value), Some(d)) if d > 0 => {
                quotient.constant = Dim::from(value.div_euclid(d));
                rest.constant = Dim::from(value.rem_euclid(d));
            }
            _ => match self.constant.exact_div(d, &ranges.facts) {
                Some(outside) => quotient.constant = outside,
                None => rest.constant = self.constant.clone(),
            },
        }
        // A quotient of a quotient is one quotient: (x / a) / b = x / (a·b) for a, b above 0.
        if op == Binary::Div
            && rest.constant.is_const(0)
            && let [(Expr::Binary(Binary::Div, x, a), one)] = rest.terms.as_slice()
            && one.is_const(1)
            && let Some(a) = Linear::of(a, ranges).as_dim()
            && ranges.at_least(&a, &Dim::from(1i64))
            && ranges.at_least(d, &Dim::from(1i64))
        {
            return quotient.plus(&Linear::of(x, ranges).divided(Binary::Div, &(a * d), ranges), ranges);
        }
        let decided = ranges.below(&rest, d);
        let inner = || Linear::atom(Expr::binary(op, rest.to_expr(), Expr::dim(d)));
        match (op, decided, rest.as_dim()) {
            (Binary::Div, true, _) => quotient,
            (Binary::Div, false, Some(rest)) => quotient.plus(&Linear::constant(rest.div_floor(d)), ranges),
            (Binary::Div, false, None) => quotient.plus(&inner(), ranges),
            (_, true, _) => rest,
            (_, false, Some(rest)) => Linear::constant(rest.modulo(d)),
            (_, false, None) => inner(),
        }
    }

    pub fn to_expr(&self) -> Expr {
        let mut sum: Option<Expr> = None;
        for (atom, coefficient) in &self.terms {
            let term = atom.clone().mul(Expr::dim(coefficient));
            sum = Some(match sum {
                Some(sum) => sum.add(term),
                None => term,
            });
        }
        let constant = Expr::dim(&self.constant);
        match sum {
            Some(sum) => sum.add(constant),
            None => constant,
        }
    }
}
