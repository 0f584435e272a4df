//! What an operator computes, seen from one element: the shape of its loops, and a function from index to value.

use crate::{DType, Expr};
use shape::Dim;

/// How the values of a reduced axis become one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Combine {
    Sum,
    Product,
    Max,
    Min,
    Any,
    All,
    /// Index of the first largest or smallest; the element function gives the value compared, the result is i32.
    ArgMax,
    ArgMin,
}

/// The loops an operator needs. `element` of the operator is asked at `output index ++ reduced index`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Form {
    /// Each output element by itself.
    Map,
    /// Each output element combines the elements along further axes of these extents.
    Reduce { extents: Vec<Dim>, combine: Combine },
    /// A sum of products of two operands at affine, in-bounds subscripts; extents are those of the reduced indices.
    /// The operator's own data says the subscripts; `element` gives the product for the general path.
    Contract { extents: Vec<Dim> },
    /// The output starts as operand 0; then for each index of these extents (in order, one owner an output row)
    /// the element is added at the place that the operator's own data says.
    Scatter,
    /// Each element follows from its neighbour along the axis, towards the end or, in reverse, towards the start. The
    /// element is asked at `output index ++ [the neighbour's value]`, which is 0 at the first; both it and the answer
    /// have the accumulator's dtype.
    Recurrence { axis: usize, reverse: bool },
    /// The indices, as i32, that put the elements along the axis in order: stable, NaN above all numbers. The element
    /// is what is compared, at an index of the operand.
    Order { axis: usize, descending: bool },
    /// Reinterprets operand 0: no work where the buffer can be shared.
    Alias,
}

/// How an element function reads its operands: the answer is a load, or a producer's element function fused in.
pub trait Reader {
    /// Value of operand `operand` at this index (one expression an axis of the operand).
    fn read(&mut self, operand: usize, index: &[Expr]) -> Expr;
    /// The same where `condition` holds; zero, and nothing touched in memory, where it does not.
    fn read_where(&mut self, condition: Expr, operand: usize, index: &[Expr]) -> Expr;
    /// The same value under a name, for values that an element function uses several times.
    fn bind(&mut self, value: Expr) -> Expr {
        value
    }
    fn dtype(&self, operand: usize) -> DType;
    /// The operand's shape.
    fn shape(&self, operand: usize) -> &[Dim];
}
