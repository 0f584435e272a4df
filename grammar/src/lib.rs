//! Stage 1: source text → tokens → syntax tree, and everything that knows only syntax.
//! Input: a `base::SourceFile`. Output: `ast::File` with the mistakes found (E01xx), tokens, or canonical source text.
//! Invariants: never fails and never panics, whatever the bytes; one mistake gives one error; depth is bounded.
//! Nothing here resolves names or knows types beyond their spelling.

pub mod ast;
mod error;
mod form;
mod lex;
mod parse;
mod print;
mod token;

pub use lex::MAX_NESTING;
pub use parse::{parse, tokens};
pub use print::format;
pub use token::{CONSTANTS, POSITIONAL, RESERVED, TokenKind};
