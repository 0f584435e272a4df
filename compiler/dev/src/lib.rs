//! Stage: none; tools for working on this repository.
//! Input: the working tree. Output: what breaks the house rules, in words.
//! Invariants: reads only, and only files that belong to the repository; each rule is one file and one line of the list.
//! Rules that need a compiled model are tests of their crates instead.

pub mod tidy;
mod tree;

pub use tree::Tree;
