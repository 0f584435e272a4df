//! What is known about dimensions.

use crate::division::divide_exactly;
use crate::{Dim, Proof};

/// Every symbol is a size, so at least 0; the rest was assumed.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    nonnegative: Vec<Dim>,
    divisible: Vec<(Dim, Dim)>,
}

impl Facts {
    pub fn assume_ge(&mut self, a: Dim, b: Dim) {
        self.nonnegative.push(a - b);
    }

    pub fn assume_eq(&mut self, a: Dim, b: Dim) {
        self.nonnegative.push(&a - &b);
        self.nonnegative.push(b - a);
    }

    pub fn assume_divisible(&mut self, a: Dim, by: Dim) {
        self.divisible.push((a, by));
    }

    pub fn prove_eq(&self, a: &Dim, b: &Dim) -> Proof {
        match (a - b).as_const() {
            Some(0) => Proof::Proved,
            Some(_) => Proof::Disproved,
            None => Proof::Unknown,
        }
    }

    pub fn prove_ge(&self, a: &Dim, b: &Dim) -> Proof {
        let difference = a - b;
        match difference.as_const() {
            Some(0..) => Proof::Proved,
            Some(_) => Proof::Disproved,
            None if self.nonnegative.contains(&difference) => Proof::Proved,
            None => Proof::Unknown,
        }
    }

    pub fn prove_gt(&self, a: &Dim, b: &Dim) -> Proof {
        self.prove_ge(a, &(b + 1))
    }

    pub fn prove_divisible(&self, a: &Dim, by: &Dim) -> Proof {
        if divide_exactly(a, by).is_some() || self.divisible.iter().any(|(x, y)| x == a && y == by) {
            Proof::Proved
        } else {
            Proof::Unknown
        }
    }
}
