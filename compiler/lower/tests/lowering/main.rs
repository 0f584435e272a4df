//! Lowered plans compute what the graph's interpreter computes.

mod compare;
mod contractions;
mod network;
mod programs;
mod random;
mod samples;
