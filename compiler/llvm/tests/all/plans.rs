//! Entry points: workspace, constants, checks, sizes, threads.

use super::machine::*;
use base::IdVec;
use kernel::{
    Arg, ArgRole, Binary, BufferRef, Call, Check, Constant, DType, Expr, Kernel, LoopKind, Module, Plan,
    Space, Step, Stmt, Ty,
};
use llvm::{OptLevel, compile};
use shape::{Dim, Symbol};
use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, Ordering};

/// `out = (in + constant) * 2 + in`, through a temporary in the workspace, in blocks of 16 elements.
fn two_steps() -> Module {
    let n = Dim::symbol("n");
    let blocks = n.ceil_div(&Dim::from(16));
    let mut module = Module::default();
    let step = |name: &str, factor: f64| {
        let mut kernel = Kernel::new(name);
        let a = kernel.buffer("a", DType::F32, vec![n.clone()], Space::Input);
        let b = kernel.buffer("b", DType::F32, vec![Dim::from(1)], Space::Input);
        let c = kernel.buffer("c", DType::F32, vec![n.clone()], Space::Input);
        let out = kernel.buffer("out", DType::F32, vec![n.clone()], Space::Output);
        kernel.grid = blocks.clone();
        let start = Expr::var(kernel.block).mul(Expr::int(16));
        let lanes =
            Expr::binary(Binary::Lt, Expr::ramp(start.clone(), 1, 16), Expr::splat(Expr::dim(&n), 16));
        let read = |buffer| Expr::Load {
            buffer,
            index: vec![start.clone()],
            lanes: 16,
            mask: Some(Box::new(lanes.clone())),
        };
        let scalar = Expr::Load { buffer: b, index: vec![Expr::int(0)], lanes: 1, mask: None };
        let value = read(a)
            .add(Expr::splat(scalar, 16))
            .mul(Expr::splat(Expr::float(DType::F32, factor), 16))
            .add(read(c));
        kernel.body = vec![Stmt::Store { buffer: out, index: vec![start], value, mask: Some(lanes) }];
        kernel
    };
    let first = module.kernels.push(step("first", 0.5));
    let second = module.kernels.push(step("second", 2.0));
    let mut constants = IdVec::new();
    let constant = constants.push(Constant { dtype: DType::F32, shape: vec![1], bytes: f32_bytes(&[7.0]) });
    let bytes = Dim::from(64) * (n.clone() * 4i64).ceil_div(&Dim::from(64));
    let temporary = || BufferRef::Workspace { offset: Dim::from(64) };
    let arg = |name: &str, role| Arg { name: name.into(), role, dtype: DType::F32, shape: vec![n.clone()] };
    let call = |kernel, buffers| Step::Call(Call { kernel, buffers, work: n.clone() * 1000i64 });
    module.plans.push(Plan {
        name: "two_steps".into(),
        symbols: vec![Symbol::new("n")],
        args: vec![arg("x", ArgRole::Input)],
        results: vec![arg("y", ArgRole::Output)],
        constants,
        steps: vec![
            Step::Require { value: n.clone(), at_least: Dim::from(2), check: 0 },
            Step::RequireEq { a: n.modulo(&Dim::from(2)), b: Dim::from(0), check: 1 },
            call(
                first,
                vec![BufferRef::Arg(0), BufferRef::Constant(constant), BufferRef::Arg(0), temporary()],
            ),
            call(
                second,
                vec![temporary(), BufferRef::Constant(constant), BufferRef::Arg(0), BufferRef::Result(0)],
            ),
        ],
        checks: vec![
            Check { message: "n >= 2".into(), place: String::new() },
            Check { message: "n is even".into(), place: String::new() },
        ],
        workspace: bytes + 64i64,
    });
    module
}

fn expected(x: &[f32]) -> Vec<f32> {
    x.iter().map(|x| ((x + 7.0) * 0.5 + x + 7.0) * 2.0 + x).collect()
}

#[test]
fn two_kernels_and_a_workspace() {
    let module = two_steps();
    for n in [2usize, 16, 34, 1000] {
        let x: Vec<f32> = (0..n).map(|i| i as f32 * 0.25).collect();
        let (status, results) = run(&module, &[n as i64], &[f32_bytes(&x)]);
        assert_eq!((status, to_f32(&results[0])), (0, expected(&x)));
    }
}

#[test]
fn requirements_give_their_status() {
    let module = two_steps();
    for (n, wanted) in [(0, 1), (1, 1), (3, 2), (4, 0)] {
        let (status, _) = run(&module, &[n], &[f32_bytes(&vec![1.0; n as usize])]);
        assert_eq!(status, wanted, "n = {n}");
    }
}

#[test]
fn shapes_are_told_and_checked() {
    let jit = load(&two_steps(), OptLevel::O3);
    assert_eq!(shapes(&jit, "two_steps", &[17], 3), [192, 17, 17]);
    assert_eq!(shapes(&jit, "two_steps", &[0], 3), [64, 0, 0]);
    assert_eq!(shapes(&jit, "two_steps", &[i64::MAX / 2], 3), [-1, -1, -1]);
}

/// A pool for tests: as many scoped threads as `pool` points at, each taking blocks until none is left.
extern "C" fn scoped(pool: *mut c_void, function: KernelFn, cx: *mut c_void, blocks: i64) {
    // SAFETY: the test passes the address of a number that outlives the call.
    let threads = unsafe { *pool.cast::<usize>() };
    let next = AtomicI64::new(0);
    let cx = cx as usize;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let block = next.fetch_add(1, Ordering::Relaxed);
                    if block >= blocks {
                        break;
                    }
                    function(cx as *mut c_void, block, block + 1);
                }
            });
        }
    });
}

#[test]
fn threads_do_not_change_the_bits() {
    let module = two_steps();
    let plan = &module.plans[0];
    let jit = load(&module, OptLevel::O3);
    let x: Vec<f32> = (0..5000).map(|i| (i as f32).sin()).collect();
    let alone = call(&jit, plan, &[5000], &[f32_bytes(&x)], None);
    for threads in [1usize, 2, 4] {
        let mut threads = threads;
        let pool: *mut usize = &mut threads;
        let together = call(&jit, plan, &[5000], &[f32_bytes(&x)], Some((scoped, pool.cast())));
        assert_eq!(alone, together);
    }
    assert_eq!(alone.0, 0);
}

/// `out[i] = table[index[i]]`, with both ends of the index checked.
fn checked_gather() -> Module {
    let n = Dim::symbol("n");
    let mut kernel = Kernel::new("gather");
    let index = kernel.buffer("index", DType::I64, vec![n.clone()], Space::Input);
    let output = kernel.buffer("out", DType::I64, vec![n.clone()], Space::Output);
    kernel.grid = n.clone();
    let at = kernel.var("at", Ty::INDEX);
    let block = Expr::var(kernel.block);
    kernel.body = vec![
        Stmt::Let {
            var: at,
            value: Expr::Load { buffer: index, index: vec![block.clone()], lanes: 1, mask: None },
        },
        Stmt::Check { condition: Expr::var(at).ge(Expr::int(0)), check: 4 },
        Stmt::Check { condition: Expr::var(at).lt(Expr::int(10)), check: 2 },
        Stmt::Store { buffer: output, index: vec![block], value: Expr::var(at), mask: None },
    ];
    single(kernel, &["n"])
}

#[test]
fn failed_checks_do_not_depend_on_threads() {
    let module = checked_gather();
    let mut threads = 3usize;
    let pool: *mut usize = &mut threads;
    for (values, wanted) in [
        (vec![0i64, 9, 3], 0),
        (vec![1, -1, 3], 5),
        (vec![1, 10, 3], 3),
        // The first of the checks that fail, wherever it does.
        (vec![-1, 5, 10], 3),
        (vec![10, 5, -1], 3),
    ] {
        let args = [i64_bytes(&values)];
        let (status, _) = run(&module, &[3], &args);
        assert_eq!(status, wanted);
        let mut parallel = module.clone();
        let Step::Call(step) = &mut parallel.plans[0].steps[0] else { panic!() };
        step.work = Dim::from(1 << 20);
        let jit = load(&parallel, OptLevel::O3);
        let (status, _) = call(&jit, &parallel.plans[0], &[3], &args, Some((scoped, pool.cast())));
        assert_eq!(status, wanted);
    }
}

/// Plans with other dimensions share a kernel: each lays them out as the kernel expects.
#[test]
fn plans_with_other_dimensions_share_kernels() {
    let (n, m) = (Dim::symbol("n"), Dim::symbol("m"));
    let mut kernel = Kernel::new("sizes");
    let output = kernel.buffer("out", DType::I64, vec![Dim::from(1)], Space::Output);
    kernel.body = vec![Stmt::Store {
        buffer: output,
        index: vec![Expr::int(0)],
        value: Expr::dim(&(n.clone() * 3i64 + 1i64)),
        mask: None,
    }];
    let mut module = single(kernel, &["n"]);
    let mut other = module.plans[0].clone();
    other.name = "other_entry".into();
    other.symbols = vec![Symbol::new("m"), Symbol::new("n")];
    other.steps.push(Step::Require { value: m, at_least: n, check: 0 });
    module.plans.push(other);
    for level in [OptLevel::O0, OptLevel::O3] {
        let jit = load(&module, level);
        assert_eq!(call(&jit, &module.plans[0], &[5], &[], None).1[0], i64_bytes(&[16]));
        assert_eq!(call(&jit, &module.plans[1], &[9, 7], &[], None), (0, vec![i64_bytes(&[22])]));
        assert_eq!(call(&jit, &module.plans[1], &[6, 7], &[], None).0, 1);
    }
}

#[test]
fn compiled_bytes_do_not_depend_on_jobs() {
    let module = two_steps();
    let mut wide = options(OptLevel::O3);
    wide.jobs = 4;
    let one = compile(&module, &options(OptLevel::O3)).unwrap();
    assert_eq!(one, compile(&module, &wide).unwrap());
    assert_eq!(one.parts.len(), 3);
}

#[test]
fn what_only_gpus_have_is_refused() {
    let mut kernel = Kernel::new("gpu");
    kernel.body = vec![Stmt::Barrier];
    let fault = compile(&single(kernel, &[]), &options(OptLevel::O0)).unwrap_err();
    assert_eq!(fault.diagnostic().code, "E0901");
    let mut kernel = Kernel::new("open");
    let i = kernel.var("i", Ty::INDEX);
    let output = kernel.buffer("out", DType::I64, vec![Dim::from(1)], Space::Output);
    let body =
        vec![Stmt::Store { buffer: output, index: vec![Expr::int(0)], value: Expr::var(i), mask: None }];
    kernel.body = vec![
        Stmt::For {
            var: i,
            from: Expr::int(0),
            to: Expr::int(1),
            step: 1,
            kind: LoopKind::Serial,
            body: body.clone(),
        },
        body[0].clone(),
    ];
    let fault = compile(&single(kernel, &[]), &options(OptLevel::O0)).unwrap_err();
    assert_eq!(fault.diagnostic().code, "E0999");
}
