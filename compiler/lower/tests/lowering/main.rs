//! Lowered plans compute what the graph's interpreter computes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod compare;
mod contractions;
mod control;
mod network;
mod programs;
mod random;
mod samples;
