//! Sizes of axes: polynomials over the dynamic dimensions, worked out apart from the compiler's own algebra.

use std::collections::BTreeMap;

/// Names of dynamic dimensions, and the values that models are run with.
pub const SYMBOLS: [&str; 2] = ["batch", "seq"];

/// Values of [`SYMBOLS`].
pub type Sizes = [i64; 2];

/// Coefficients by the powers of the symbols; none is 0.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Dim(BTreeMap<[u32; 2], i64>);

impl Dim {
    pub fn symbol(index: usize) -> Dim {
        let mut powers = [0; 2];
        powers[index] = 1;
        Dim(BTreeMap::from([(powers, 1)]))
    }

    pub fn plus(&self, other: &Dim) -> Dim {
        let mut terms = self.0.clone();
        for (powers, coefficient) in &other.0 {
            *terms.entry(*powers).or_default() += coefficient;
        }
        terms.retain(|_, coefficient| *coefficient != 0);
        Dim(terms)
    }

    pub fn times(&self, other: &Dim) -> Dim {
        let mut terms = BTreeMap::new();
        for (a, m) in &self.0 {
            for (b, n) in &other.0 {
                *terms.entry([a[0] + b[0], a[1] + b[1]]).or_default() += m * n;
            }
        }
        terms.retain(|_, coefficient| *coefficient != 0);
        Dim(terms)
    }

    pub fn product<'a>(dims: impl IntoIterator<Item = &'a Dim>) -> Dim {
        dims.into_iter().fold(Dim::from(1), |all, dim| all.times(dim))
    }

    /// Its value where it is no question of the run.
    pub fn known(&self) -> Option<i64> {
        match self.0.iter().next() {
            None => Some(0),
            Some((powers, value)) if self.0.len() == 1 && *powers == [0; 2] => Some(*value),
            _ => None,
        }
    }

    /// Whether it is a number or the name of one dimension, so that a parameter's type may state it.
    pub fn is_plain(&self) -> bool {
        self.known().is_some() || (0..SYMBOLS.len()).any(|index| *self == Dim::symbol(index))
    }

    pub fn at(&self, sizes: &Sizes) -> i64 {
        let term =
            |(powers, value): (&[u32; 2], &i64)| value * sizes[0].pow(powers[0]) * sizes[1].pow(powers[1]);
        self.0.iter().map(term).sum()
    }
}

impl From<i64> for Dim {
    fn from(value: i64) -> Dim {
        Dim(if value == 0 { BTreeMap::new() } else { BTreeMap::from([([0; 2], value)]) })
    }
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("0");
        }
        for (position, (powers, value)) in self.0.iter().rev().enumerate() {
            match (position, *value < 0) {
                (0, true) => f.write_str("-")?,
                (0, false) => {}
                (_, true) => f.write_str(" - ")?,
                (_, false) => f.write_str(" + ")?,
            }
            let mut factors = Vec::new();
            if value.abs() != 1 || *powers == [0; 2] {
                factors.push(value.abs().to_string());
            }
            for (name, power) in SYMBOLS.iter().zip(powers) {
                factors.extend((0..*power).map(|_| name.to_string()));
            }
            f.write_str(&factors.join(" * "))?;
        }
        Ok(())
    }
}

/// `[batch, 3]`, nothing for a scalar.
pub fn shape_text(shape: &[Dim]) -> String {
    if shape.is_empty() { String::new() } else { list_text(shape) }
}

/// `[batch, 3]`
pub fn list_text(shape: &[Dim]) -> String {
    format!("[{}]", shape.iter().map(Dim::to_string).collect::<Vec<_>>().join(", "))
}
