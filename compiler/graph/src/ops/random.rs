//! Random numbers that follow from (seed, path, draw) and (element, step): Philox 4x32-10 (Salmon et al., 2011).
//! Operands: seed, path (a hash of the instance's name, below 2^52), step; i64 scalars.

use crate::DType;
use shape::Shape;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Distribution {
    /// In [0, 1): 24 bits for f32 and below, 53 bits for f64.
    Uniform,
    /// Mean 0, variance 1, by Box and Muller from two uniforms of the same element.
    Normal,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Random {
    pub distribution: Distribution,
    pub dtype: DType,
    pub shape: Shape,
    /// Which draw in the source of the instance.
    pub draw: u32,
}
