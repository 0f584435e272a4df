//! Simplification of the operations that polynomials do not have: quotients, remainders, smallest and largest.
//!
//! A quotient by a positive constant has one form: coefficients of the dividend lie in `0..divisor`, they have no factor
//! in common with the divisor, a quotient of a quotient is one quotient, and the atom is `CeilDiv` exactly where the
//! constant of the dividend is `divisor - 1`. So `div(h - 1, 2) + 1` and `ceil_div(h, 2)` are the same dimension.

use std::cmp::Ordering;

use crate::division::{cancel, greatest_common_divisor, split};
use crate::{Atom, Dim, Term};

#[derive(Clone, Copy, PartialEq)]
enum Rounding {
    Down,
    Up,
}

#[derive(Clone, Copy, PartialEq)]
enum Extremum {
    Min,
    Max,
}

impl Dim {
    /// The quotient rounded towards minus infinity.
    pub fn div_floor(&self, divisor: &Dim) -> Dim {
        quotient(self, divisor, Rounding::Down)
    }

    /// The quotient rounded towards plus infinity.
    pub fn ceil_div(&self, divisor: &Dim) -> Dim {
        quotient(self, divisor, Rounding::Up)
    }

    /// The remainder of [`Dim::div_floor`]; it has the divisor's sign.
    pub fn modulo(&self, divisor: &Dim) -> Dim {
        if self.overflowed() || divisor.overflowed() {
            return Dim::poison();
        }
        match divisor.as_const() {
            Some(0) => return Dim::from_atom(Atom::Mod(self.clone(), divisor.clone())),
            Some(by @ 1..) => return remainder_by_positive(self, by),
            _ => {}
        }
        if is_negative(divisor) {
            return -(-self).modulo(&-divisor);
        }
        // (f·a) mod (f·b) = f·(a mod b).
        if let Some((factor, dividend, divisor)) = cancel(self, divisor) {
            return factor * dividend.modulo(&divisor);
        }
        let (multiple, rest) = split(self, divisor);
        if multiple.is_const(0) && !rest.is_const(0) {
            Dim::from_atom(Atom::Mod(rest, divisor.clone()))
        } else if rest.is_const(0) {
            rest
        } else {
            rest.modulo(divisor)
        }
    }

    /// The smaller of two sizes. (On a `Dim` held by value write `Dim::min(&a, &b)`.)
    pub fn min(&self, other: &Dim) -> Dim {
        extremum(self, other, Extremum::Min)
    }

    /// The larger of two sizes. (On a `Dim` held by value write `Dim::max(&a, &b)`.)
    pub fn max(&self, other: &Dim) -> Dim {
        extremum(self, other, Extremum::Max)
    }
}

fn quotient(dividend: &Dim, divisor: &Dim, rounding: Rounding) -> Dim {
    if dividend.overflowed() || divisor.overflowed() {
        return Dim::poison();
    }
    let atom = |dividend: Dim| {
        Dim::from_atom(match rounding {
            Rounding::Down => Atom::DivFloor(dividend, divisor.clone()),
            Rounding::Up => Atom::CeilDiv(dividend, divisor.clone()),
        })
    };
    match (divisor.as_const(), rounding) {
        // Undefined: evaluation reports it.
        (Some(0), _) => return atom(dividend.clone()),
        (Some(by @ 1..), Rounding::Down) => return divide_by_positive(dividend, by),
        // ⌈a / b⌉ = -⌊-a / b⌋; a constant next to the end of the range leaves no room for what follows.
        (Some(by @ 1..), Rounding::Up) if dividend.as_const().is_some() => {
            return -divide_by_positive(&-dividend, by);
        }
        (Some(by @ 1..), Rounding::Up) => return divide_by_positive(&(dividend + (by - 1)), by),
        _ => {}
    }
    if is_negative(divisor) {
        return quotient(&-dividend, &-divisor, rounding);
    }
    if let Some((_, dividend, divisor)) = cancel(dividend, divisor) {
        return quotient(&dividend, &divisor, rounding);
    }
    let (multiple, rest) = split(dividend, divisor);
    if rest.is_const(0) {
        multiple
    } else if multiple.is_const(0) {
        atom(rest)
    } else {
        multiple + quotient(&rest, divisor, rounding)
    }
}

/// The quotient by a constant, rounded down; `by` is at least 1.
fn divide_by_positive(dividend: &Dim, by: i64) -> Dim {
    let (mut whole, mut rest, mut by) = (Dim::default(), dividend.clone(), by);
    loop {
        if rest.overflowed() || whole.overflowed() {
            return Dim::poison();
        }
        if by == 1 {
            return whole + rest;
        }
        // ⌊(by·q + r) / by⌋ = q + ⌊r / by⌋.
        let (multiple, remaining) = split(&rest, &Dim::constant(by));
        whole += multiple;
        rest = remaining;
        if rest.as_const().is_some() {
            return whole;
        }
        // ⌊(f·m + c) / (f·by)⌋ = ⌊(m + ⌊c / f⌋) / by⌋.
        let factor = common_coefficient(rest.variable_terms(), by);
        if factor > 1 {
            rest = divide_terms_down(&rest, factor);
            by /= factor;
            continue;
        }
        // ⌊(⌊m / k⌋ + n) / by⌋ = ⌊(m + k·n) / (k·by)⌋.
        match inner_quotient(&rest).and_then(|(inner, k)| Some((inner, k, k.checked_mul(by)?))) {
            Some((inner, k, product)) => {
                let (term, inner_dividend) = inner;
                let merged = inner_dividend + (&rest - term) * k;
                if merged.overflowed() {
                    break;
                }
                rest = merged;
                by = product;
            }
            None => break,
        }
    }
    let divisor = Dim::constant(by);
    whole
        + Dim::from_atom(if rest.constant_term() == by - 1 {
            Atom::CeilDiv(rest - (by - 1), divisor)
        } else {
            Atom::DivFloor(rest, divisor)
        })
}

/// The only summand that is itself a quotient by a constant: that summand, its dividend when rounded down, its divisor.
fn inner_quotient(dim: &Dim) -> Option<((Dim, Dim), i64)> {
    let mut quotients = dim.variable_terms().iter().filter_map(|term| {
        let (1, [(atom, 1)]) = (term.coefficient, term.factors.as_slice()) else { return None };
        match atom {
            Atom::DivFloor(inner, by) => {
                Some(((Dim::from_atom(atom.clone()), inner.clone()), by.as_const().filter(|by| *by > 0)?))
            }
            Atom::CeilDiv(inner, by) => {
                let by = by.as_const().filter(|by| *by > 0)?;
                Some(((Dim::from_atom(atom.clone()), inner + (by - 1)), by))
            }
            _ => None,
        }
    });
    let only = quotients.next()?;
    quotients.next().is_none().then_some(only)
}

/// The remainder of division by a constant; `by` is at least 1.
fn remainder_by_positive(dividend: &Dim, by: i64) -> Dim {
    let (_, rest) = split(&without_inner_remainders(dividend, by), &Dim::constant(by));
    if rest.overflowed() || rest.as_const().is_some() {
        return rest;
    }
    // (f·m + c) mod (f·by) = f·((m + ⌊c / f⌋) mod by) + c mod f.
    let factor = common_coefficient(rest.variable_terms(), by);
    if factor > 1 {
        let reduced = remainder_by_positive(&divide_terms_down(&rest, factor), by / factor);
        return reduced * factor + rest.constant_term().rem_euclid(factor);
    }
    Dim::from_atom(Atom::Mod(rest, Dim::constant(by)))
}

/// c·(m mod k) ≡ c·m modulo `by`, where `by` divides c·k.
fn without_inner_remainders(dividend: &Dim, by: i64) -> Dim {
    let mut result = Dim::default();
    for term in dividend.terms() {
        let absorbed = term.factors.iter().position(|(atom, _)| match atom {
            Atom::Mod(_, inner) => inner.as_const().is_some_and(|k| {
                k != 0 && i128::from(term.coefficient) * i128::from(k) % i128::from(by) == 0
            }),
            _ => false,
        });
        let Some(position) = absorbed else {
            result += Dim::from_terms([term.clone()]);
            continue;
        };
        let mut remaining = term.clone();
        let factor = &mut remaining.factors[position];
        let inner = factor.0.operands().map(|(inner, _)| inner.clone()).unwrap_or_default();
        factor.1 -= 1;
        remaining.factors.retain(|(_, power)| *power > 0);
        result += without_inner_remainders(&(Dim::from_terms([remaining]) * inner), by);
    }
    result
}

fn extremum(a: &Dim, b: &Dim, kind: Extremum) -> Dim {
    if a.overflowed() || b.overflowed() {
        return Dim::poison();
    }
    let mut operands = Vec::new();
    flatten(a, kind, &mut operands);
    flatten(b, kind, &mut operands);
    operands.sort();
    let mut kept: Vec<Dim> = Vec::with_capacity(operands.len());
    for operand in operands {
        let related = kept.iter().enumerate().find_map(|(i, other)| Some((i, order(&operand, other)?)));
        let wanted = if kind == Extremum::Min { Ordering::Less } else { Ordering::Greater };
        match related {
            None => kept.push(operand),
            Some((i, order)) if order == wanted => kept[i] = operand,
            Some(_) => {}
        }
    }
    kept.sort();
    let last = kept.pop().unwrap_or_default();
    kept.into_iter().rev().fold(last, |rest, operand| {
        Dim::from_atom(match kind {
            Extremum::Min => Atom::Min(operand, rest),
            Extremum::Max => Atom::Max(operand, rest),
        })
    })
}

/// What differs by a constant is ordered for good.
fn order(a: &Dim, b: &Dim) -> Option<Ordering> {
    match (a.as_const(), b.as_const()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => Some((a - b).as_const()?.cmp(&0)),
    }
}

fn flatten(dim: &Dim, kind: Extremum, operands: &mut Vec<Dim>) {
    match (dim.as_atom(), kind) {
        (Some(Atom::Min(a, b)), Extremum::Min) | (Some(Atom::Max(a, b)), Extremum::Max) => {
            flatten(a, kind, operands);
            flatten(b, kind, operands);
        }
        _ => operands.push(dim.clone()),
    }
}

/// Whether the leading coefficient is below 0: of a divisor and its opposite, one is the canonical one.
fn is_negative(divisor: &Dim) -> bool {
    divisor.terms().first().is_some_and(|term| term.coefficient < 0)
}

fn common_coefficient(terms: &[Term], start: i64) -> i64 {
    terms.iter().fold(start, |common, term| greatest_common_divisor(common, term.coefficient))
}

fn divide_terms_down(dim: &Dim, by: i64) -> Dim {
    Dim::from_terms(
        dim.terms()
            .iter()
            .map(|term| Term { coefficient: term.coefficient.div_euclid(by), factors: term.factors.clone() }),
    )
}
