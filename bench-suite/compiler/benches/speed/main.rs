//! `cargo bench -p compiler-bench [FILTER]`: the compiler's stages and kernels, in one program, since linking LLVM takes longer
//! than most of what is timed.

mod compiler;
mod kernels;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
}

criterion_group! { name = stages; config = short(); targets = compiler::stages, kernels::kernels }
criterion_main!(stages);
