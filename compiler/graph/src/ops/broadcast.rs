//! NumPy's broadcast of one operand, aligned at the right: axes that are literally 1 stretch, leading axes are added.

use shape::Shape;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Broadcast {
    pub shape: Shape,
}
