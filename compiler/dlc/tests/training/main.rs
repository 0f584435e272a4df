//! Training as its users meet it.

mod definition;
mod half;
mod interrupted;
mod measured;
mod runs;
