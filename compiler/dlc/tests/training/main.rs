//! Training as its users meet it.

mod compiled;
mod definition;
mod equation;
mod half;
mod inputs;
mod interrupted;
mod measured;
mod runs;
