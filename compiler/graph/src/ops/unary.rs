//! Functions of one operand, element by element.

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Unary {
    pub op: kernel::Unary,
}
