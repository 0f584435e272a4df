//! A strided part: result element `i` of an axis is operand element `start + stride * i`, in bounds by proof.

use shape::Dim;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slice {
    pub start: Vec<Dim>,
    /// Elements of each axis of the result.
    pub extent: Vec<Dim>,
    /// Not 0; negative walks backwards.
    pub stride: Vec<i64>,
}
