//! What this machine can do at most: fused multiply-adds in registers, and copying what no cache holds.

use crate::{
    cx::Cx,
    fault::{Fault, InSession},
};
use bench_suite::{EnvironmentLine, Peaks, cache_bytes};
use driver::{NoFiles, Session, Trace};
use exec::{Arena, Dims, Pool, Program};
use kernel::{
    Arg, ArgRole, BufferRef, Call, DType, Expr, Kernel, LoopKind, Module, Plan, Space, Step, Stmt, Ty,
};
use llvm::Jit;
use shape::Dim;
use std::{collections::BTreeSet, sync::Arc, time::Instant};
use tensor::Tensor;

/// Accumulators: enough that no multiply-add waits for the one before, few enough to stay in registers.
const CHAINS: usize = 10;
const TURNS: i64 = 200_000;
/// Parts of the work, for threads to share.
const BLOCKS: i64 = 16;
const RUNS: usize = 7;
/// The scheduler may leave two threads on one processor for a while: measured long enough that it moves one.
const SECONDS: f64 = 0.3;
/// Far beyond the caches: 128 MiB of f32.
const LENGTH: usize = 32 << 20;

const COPY: &str = "model Copy(x: f32[n]) -> (y: f32[n]) { y = x + 1 }\n";

/// For each of these numbers of threads, the best of several runs.
pub fn measure(cx: &Cx, threads: &BTreeSet<usize>, environment: &EnvironmentLine) -> Result<Peaks, Fault> {
    let mut peaks = Peaks { cache_bytes: cache_bytes(environment), ..Peaks::default() };
    let adds = multiply_adds()?;
    let copy = copy(cx)?;
    let long = Tensor::zeros(tensor::DType::F32, [LENGTH])?;
    let lanes = i64::from(llvm::Target::native().vector_bits / 32);
    let flops = (2 * CHAINS as i64 * TURNS * BLOCKS * lanes) as f64;
    let alone = flops / best(&adds, &Pool::new(1)?, &[])?;
    for threads in threads {
        let pool = Pool::new(*threads)?;
        // Virtual processors may share a core for a while, and later not: what they reached together at one time is no
        // limit, but what one reaches alone, times their number, is.
        let together = flops / best(&adds, &pool, &[])?;
        peaks.flops.insert(*threads, together.max(alone * *threads as f64));
        peaks.bytes.insert(*threads, 2.0 * 4.0 * LENGTH as f64 / best(&copy, &pool, &[&long])?);
    }
    Ok(peaks)
}

fn best(program: &Program, pool: &Pool, args: &[&Tensor]) -> Result<f64, Fault> {
    let entry = program.entry("run")?;
    let (mut arena, dims) = (Arena::new(), Dims::new());
    let mut results = entry.call(&mut arena, pool, args, &dims)?;
    let (mut best, mut runs, start) = (f64::INFINITY, 0, Instant::now());
    while runs < RUNS || start.elapsed().as_secs_f64() < SECONDS {
        runs += 1;
        let began = Instant::now();
        entry.call_into(&mut arena, pool, args, &mut results.iter_mut().collect::<Vec<_>>(), &dims)?;
        best = best.min(began.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn copy(cx: &Cx) -> Result<Program, Fault> {
    let mut options = cx.options()?;
    options.sema = sema::Options::default();
    let session = Session::new("copy.model", COPY, &NoFiles, options);
    let (built, _) = session.build(None, false).within(&session)?;
    let entries = Session::entries(&built, &["run"]);
    let compiled = session.compile(&built, &entries, &cx.cache, &mut Trace::default()).within(&session)?;
    compiled.load().within(&session)
}

/// A kernel of nothing but multiply-adds on registers.
fn multiply_adds() -> Result<Program, Fault> {
    let target = llvm::Target::native();
    let lanes = (target.vector_bits / 32) as u16;
    let mut kernel = Kernel::new("multiply_adds");
    kernel.grid = Dim::from(BLOCKS);
    let shape = vec![Dim::from(BLOCKS), Dim::from(i64::from(lanes))];
    let out = kernel.buffer("out", DType::F32, shape.clone(), Space::Output);
    let vector = Ty::vector(DType::F32, lanes);
    let number = |value: f64| Expr::splat(Expr::float(DType::F32, value), lanes);
    let chains: Vec<_> = (0..CHAINS).map(|chain| kernel.var(format!("sum{chain}"), vector)).collect();
    let turn = kernel.var("turn", Ty::INDEX);
    let (sums, block) = (chains.clone(), kernel.block);
    let mut body: Vec<Stmt> = chains
        .iter()
        .enumerate()
        .map(|(chain, var)| Stmt::Register { var: *var, init: number(chain as f64 / 16.0) })
        .collect();
    // Values stay near 2: 0.5 x + 1.
    let step = |var| Stmt::Assign { var, value: Expr::fma(Expr::var(var), number(0.5), number(1.0)) };
    body.push(Stmt::For {
        var: turn,
        from: Expr::int(0),
        to: Expr::int(TURNS),
        step: 1,
        kind: LoopKind::Serial,
        body: chains.iter().map(|var| step(*var)).collect(),
    });
    let total = sums.iter().skip(1).fold(Expr::var(sums[0]), |sum, var| sum.add(Expr::var(*var)));
    body.push(Stmt::Store {
        buffer: out,
        index: vec![Expr::var(block), Expr::int(0)],
        value: total,
        mask: None,
    });
    kernel.body = body;
    let mut module = Module::default();
    let id = module.kernels.push(kernel);
    module.plans.push(Plan {
        name: "multiply_adds_plan".into(),
        symbols: Vec::new(),
        args: Vec::new(),
        results: vec![Arg { name: "out".into(), role: ArgRole::Output, dtype: DType::F32, shape }],
        constants: base::IdVec::new(),
        steps: vec![Step::Call(Call {
            kernel: id,
            buffers: vec![BufferRef::Result(0)],
            work: Dim::from(BLOCKS * TURNS * 100),
        })],
        checks: Vec::new(),
        workspace: Dim::from(0i64),
    });
    let manifest = driver::manifest("multiply_adds", &["run"], &module.plans);
    let options = llvm::Options { target, opt_level: llvm::OptLevel::O3, jobs: 1 };
    let of_llvm = |error: llvm::Error| Fault::from(error.diagnostic());
    let object = llvm::compile(&module, &options).map_err(of_llvm)?;
    let jit = Arc::new(Jit::load(&object).map_err(of_llvm)?);
    let code = jit.clone();
    Ok(Program::from_addresses(&manifest, move |name: &str| code.lookup(name), jit)?)
}
