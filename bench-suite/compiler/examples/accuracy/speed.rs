//! What an element costs, on one core, in arrays that the second cache holds.

use crate::{code::Code, functions::Formula, functions::Function};
use anyhow::Result;
use std::time::Instant;

const COUNT: usize = 1 << 15;
const BATCHES: usize = 300;
const CALLS: usize = 10;

pub fn line(function: &Function) -> Result<String> {
    let operands = if matches!(function.exact, Formula::One(_)) { 1 } else { 2 };
    let (low, high) = function.busy;
    let spread = |at: usize| low + (high - low) * (at * 7919 % COUNT) as f64 / COUNT as f64;
    let target = llvm::Target::native();
    let mut single = Code::new::<f32>(function.text, operands, target.clone(), COUNT)?;
    let mut double = Code::new::<f64>(function.text, operands, target, COUNT)?;
    for operand in 0..operands {
        for (at, x) in single.input::<f32>(operand)?.iter_mut().enumerate() {
            *x = spread(at) as f32;
        }
        for (at, x) in double.input::<f64>(operand)?.iter_mut().enumerate() {
            *x = spread(at);
        }
    }
    let single = nanoseconds(|| single.run::<f32>().map(drop))?;
    let double = nanoseconds(|| double.run::<f64>().map(drop))?;
    Ok(format!("{:10} f32 {single:.3} ns  f64 {double:.3} ns", function.name))
}

/// The least of the batches: nothing makes code faster than it is.
fn nanoseconds(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..CALLS {
            call()?;
        }
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least * 1e9 / (COUNT * CALLS) as f64)
}
