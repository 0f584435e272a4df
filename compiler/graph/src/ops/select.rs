//! `select(condition, yes, no)`, element by element; the condition is bool and of the same shape.

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Select;
