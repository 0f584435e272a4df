//! The adjoint of gather: updates are added along an axis at the places of an integer tensor.
//! Operands: base, index, updates (base's shape with the axis replaced by the shape of the index).

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ScatterAdd {
    pub axis: usize,
}
