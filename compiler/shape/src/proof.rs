//! The outcome of a proof.

/// What the facts say about a statement, wherever both of its sides are defined.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Proof {
    /// True for every assignment that satisfies the facts.
    Proved,
    /// False for every assignment that satisfies the facts.
    Disproved,
    /// Neither was shown.
    Unknown,
}
