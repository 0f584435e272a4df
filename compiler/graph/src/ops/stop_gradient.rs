//! The value itself, which derivatives see as a constant.

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StopGradient;
