//! Sums, differences and products, for dimensions and integers in all mixes.

use std::iter::{Product, Sum};
use std::ops::{Add, AddAssign, Mul, Neg, Sub};

use crate::Dim;
use crate::atom::multiply_monomials;

/// A product that would have more terms than this is not expanded.
const MAX_PRODUCT_TERMS: usize = 1 << 12;

fn add(a: &Dim, b: &Dim) -> Dim {
    add_scaled(a, b, 1)
}

fn sub(a: &Dim, b: &Dim) -> Dim {
    add_scaled(a, b, -1)
}

fn mul(a: &Dim, b: &Dim) -> Dim {
    if a.overflowed() || b.overflowed() || a.terms().len().saturating_mul(b.terms().len()) > MAX_PRODUCT_TERMS
    {
        return Dim::poison();
    }
    let mut raw = Vec::with_capacity(a.terms().len() * b.terms().len());
    for x in a.terms() {
        for y in b.terms() {
            let coefficient = i128::from(x.coefficient) * i128::from(y.coefficient);
            raw.push((coefficient, multiply_monomials(&x.factors, &y.factors)));
        }
    }
    Dim::from_raw_terms(raw)
}

fn add_scaled(a: &Dim, b: &Dim, scale: i128) -> Dim {
    if a.overflowed() || b.overflowed() {
        return Dim::poison();
    }
    if b.terms().is_empty() {
        return a.clone();
    }
    let left = a.terms().iter().map(|term| (i128::from(term.coefficient), term.factors.clone()));
    let right = b.terms().iter().map(|term| (i128::from(term.coefficient) * scale, term.factors.clone()));
    Dim::from_raw_terms(left.chain(right).collect())
}

macro_rules! operator {
    ($Trait:ident, $method:ident, $function:ident) => {
        operator!($Trait, $method, $function, Dim, Dim, |a| a, |b| b);
        operator!($Trait, $method, $function, Dim, &Dim, |a| a, |b| b);
        operator!($Trait, $method, $function, &Dim, Dim, |a| a, |b| b);
        operator!($Trait, $method, $function, &Dim, &Dim, |a| a, |b| b);
        operator!($Trait, $method, $function, Dim, i64, |a| a, |b| Dim::constant(b));
        operator!($Trait, $method, $function, &Dim, i64, |a| a, |b| Dim::constant(b));
        operator!($Trait, $method, $function, i64, Dim, |a| Dim::constant(a), |b| b);
        operator!($Trait, $method, $function, i64, &Dim, |a| Dim::constant(a), |b| b);
    };
    ($Trait:ident, $method:ident, $function:ident, $Left:ty, $Right:ty, |$a:ident| $left:expr, |$b:ident| $right:expr) => {
        impl $Trait<$Right> for $Left {
            type Output = Dim;

            fn $method(self, other: $Right) -> Dim {
                let ($a, $b) = (self, other);
                $function(std::borrow::Borrow::borrow(&$left), std::borrow::Borrow::borrow(&$right))
            }
        }
    };
}

operator!(Add, add, add);
operator!(Sub, sub, sub);
operator!(Mul, mul, mul);

impl Neg for &Dim {
    type Output = Dim;

    fn neg(self) -> Dim {
        mul(self, &Dim::constant(-1))
    }
}

impl Neg for Dim {
    type Output = Dim;

    fn neg(self) -> Dim {
        -&self
    }
}

impl AddAssign for Dim {
    fn add_assign(&mut self, other: Dim) {
        *self = add(self, &other);
    }
}

impl Sum for Dim {
    fn sum<I: Iterator<Item = Dim>>(dims: I) -> Dim {
        dims.fold(Dim::default(), |sum, dim| sum + dim)
    }
}

impl<'a> Sum<&'a Dim> for Dim {
    fn sum<I: Iterator<Item = &'a Dim>>(dims: I) -> Dim {
        dims.fold(Dim::default(), |sum, dim| sum + dim)
    }
}

impl Product for Dim {
    fn product<I: Iterator<Item = Dim>>(dims: I) -> Dim {
        dims.fold(Dim::constant(1), |product, dim| product * dim)
    }
}

impl<'a> Product<&'a Dim> for Dim {
    fn product<I: Iterator<Item = &'a Dim>>(dims: I) -> Dim {
        dims.fold(Dim::constant(1), |product, dim| product * dim)
    }
}
