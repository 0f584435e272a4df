//! Rows picked along an axis by an integer tensor: that axis is replaced by the shape of the index.
//! Operands: the tensor, the index. An index out of bounds ends the run with a status.

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gather {
    pub axis: usize,
}
