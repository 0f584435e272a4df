//! `y[out] = Σ lhs[subscripts] · rhs[subscripts]` over all indices that the output does not have.
//! Subscripts are affine in the indices and in bounds by proof, so matrix products, batched ones, convolutions of any
//! rank, stride and dilation (of a padded operand) and their derivatives are all this operator. Groups are an index.

use shape::Dim;

/// `offset + Σ coefficient · index`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Subscript {
    /// Coefficient (not 0) and index, ascending in the index; the empty list is the constant `offset`.
    pub terms: Vec<(i64, usize)>,
    pub offset: Dim,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Contract {
    /// Extent of each index; an index is its position here.
    pub extents: Vec<Dim>,
    /// The output's indices, one an axis, each once.
    pub out: Vec<usize>,
    pub lhs: Vec<Subscript>,
    pub rhs: Vec<Subscript>,
}

impl Subscript {
    /// A bare index.
    pub fn index(index: usize) -> Subscript {
        Subscript { terms: vec![(1, index)], offset: Dim::from(0i64) }
    }
}
