//! Functions of two operands of one type, element by element: arithmetic, comparisons (result bool), logic on bools.

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Binary {
    pub op: kernel::Binary,
}
