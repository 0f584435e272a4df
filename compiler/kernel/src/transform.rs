//! Analyses and rewritings of kernels: index algebra, substitution, widening to vectors.

mod linear;
mod visit;
mod widen;

pub use linear::{Linear, Ranges};
pub use visit::{map_expr, map_stmt, uses, visit_expr, visit_stmts};
pub use widen::{NotWidened, Widen, widen};
