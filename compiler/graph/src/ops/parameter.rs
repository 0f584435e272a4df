//! A parameter of the function: stands for the operand that the caller gives.

/// The parameter at `index`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Parameter {
    pub index: usize,
}
