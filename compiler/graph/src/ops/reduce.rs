//! One value from all along some axes, which vanish.

use kernel::Combine;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reduce {
    pub combine: Combine,
    /// Ascending.
    pub axes: Vec<usize>,
}
