//! Operands one after the other along an axis.

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Concat {
    pub axis: usize,
}
