//! Training as its users meet it.

mod definition;
mod interrupted;
mod runs;
