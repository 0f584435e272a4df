//! Shapes and broadcasting.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use crate::{Dim, Facts, Proof, Symbol};

/// The sizes of a tensor's axes, outermost first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Shape(pub Vec<Dim>);

/// Two axes that do not go together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BroadcastError {
    /// 0 is the innermost axis.
    pub axis_from_right: usize,
    pub left: Dim,
    pub right: Dim,
    /// The sizes can never agree; else they were only not proved to.
    pub disproved: bool,
}

impl Shape {
    pub fn scalar() -> Shape {
        Shape(vec![])
    }

    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The number of elements.
    pub fn elements(&self) -> Dim {
        self.iter().product()
    }

    pub fn substitute(&self, map: &BTreeMap<Symbol, Dim>) -> Shape {
        self.iter().map(|dim| dim.substitute(map)).collect()
    }

    /// All sizes, if none is symbolic.
    pub fn as_consts(&self) -> Option<Vec<i64>> {
        self.iter().map(Dim::as_const).collect()
    }
}

impl Facts {
    /// The shape of an elementwise operation: axes are matched from the right, a missing leading axis or a literal 1
    /// stretches. A symbolic dimension never does, though it may turn out to be 1.
    pub fn broadcast(&self, a: &Shape, b: &Shape) -> Result<Shape, BroadcastError> {
        let rank = a.rank().max(b.rank());
        let mut dims = Vec::with_capacity(rank);
        for axis_from_right in (0..rank).rev() {
            let axis = |shape: &Shape| shape.iter().rev().nth(axis_from_right).cloned();
            dims.push(match (axis(a), axis(b)) {
                (Some(left), Some(right)) => self.stretch(left, right, axis_from_right)?,
                (one, other) => one.or(other).unwrap_or_default(),
            });
        }
        Ok(Shape(dims))
    }

    fn stretch(&self, left: Dim, right: Dim, axis_from_right: usize) -> Result<Dim, BroadcastError> {
        if right.is_const(1) || left == right && !left.overflowed() {
            return Ok(left);
        }
        if left.is_const(1) {
            return Ok(right);
        }
        match self.prove_eq(&left, &right) {
            Proof::Proved if right.as_const().is_some() => Ok(right),
            Proof::Proved => Ok(left),
            proof => {
                Err(BroadcastError { axis_from_right, left, right, disproved: proof == Proof::Disproved })
            }
        }
    }
}

impl fmt::Display for BroadcastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.disproved { "differ" } else { "are not known to be equal" };
        write!(f, "sizes {} and {} of axis -{} {verdict}", self.left, self.right, self.axis_from_right + 1)
    }
}

impl std::error::Error for BroadcastError {}

impl Deref for Shape {
    type Target = [Dim];

    fn deref(&self) -> &[Dim] {
        &self.0
    }
}

impl FromIterator<Dim> for Shape {
    fn from_iter<I: IntoIterator<Item = Dim>>(dims: I) -> Shape {
        Shape(dims.into_iter().collect())
    }
}

impl From<Vec<Dim>> for Shape {
    fn from(dims: Vec<Dim>) -> Shape {
        Shape(dims)
    }
}

impl<'a> IntoIterator for &'a Shape {
    type Item = &'a Dim;
    type IntoIter = std::slice::Iter<'a, Dim>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Shape {
    type Item = Dim;
    type IntoIter = std::vec::IntoIter<Dim>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, dim) in self.iter().enumerate() {
            write!(f, "{}{dim}", if axis == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}
