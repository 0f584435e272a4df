//! One result of a call.

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Get {
    pub index: usize,
}
