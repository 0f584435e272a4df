//! Stage ③: the tensor IR.
//! Input: calls of [`Builder`] (from `sema`, from the rules of operators, from passes) or its text form.
//! Output: a [`Module`] of [`Function`]s in single assignment form; a reference interpreter in f64.
//! Invariants: inputs of a node come before it; every node's type is what its operator infers; elementwise operators
//! take equal shapes (broadcasts are nodes); rules build nodes of this same IR. No operator is known outside `ops`.

mod array;
mod attribute;
mod builder;
mod dtype;
mod flops;
mod function;
pub mod interp;
pub mod ops;
pub mod parse;
mod phase;
pub mod print;
mod rules;
mod scope;
mod specialise;
pub mod verify;

pub use array::Array;
pub use attribute::{binary_name, combine_name, distribution_name, unary_name};
pub use builder::Builder;
pub use dtype::{DType, Type};
pub use flops::flops;
pub use function::{Effect, FuncId, Function, Module, Node, NodeId, Param, Role};
pub use ops::Op;
pub use phase::{Phase, phases};
pub use rules::{Axis, ElementCx, EvalError, Fault, Grad, Operator, Sample};
pub use scope::Scope;
pub use specialise::{assume_in_dims, specialise};
