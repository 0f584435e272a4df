//! Axes in another order: result axis `i` is operand axis `perm[i]`.

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Transpose {
    pub perm: Vec<usize>,
}
