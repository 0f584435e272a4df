//! The adjoint of [`super::Window`]: overlapping windows are added into axes of the given extents.

use shape::Dim;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fold {
    pub axes: Vec<usize>,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
    pub dilation: Vec<i64>,
    /// Extents of the listed axes in the result.
    pub extents: Vec<Dim>,
}
