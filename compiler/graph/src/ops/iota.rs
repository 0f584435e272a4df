//! 0, 1, 2, … along an axis, as i32.

use shape::Shape;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Iota {
    pub shape: Shape,
    pub axis: usize,
}
