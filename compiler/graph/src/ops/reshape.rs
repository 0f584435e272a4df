//! Another shape for the same elements in row-major order.

use shape::Shape;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reshape {
    pub shape: Shape,
}
