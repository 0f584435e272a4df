//! What schedules rely on: a register tile stays in registers.

use super::machine::*;
use kernel::{DType, Expr, Kernel, LoopKind, Module, Space, Stmt, Ty, VarId};
use llvm::{OptLevel, Options, Target, assembly};
use shape::Dim;

/// C[6, 64] = A[6, k] B[k, 64] with 24 accumulators of 16 lanes, the loop over k unrolled by four.
fn tile(k: i64, repeat: i64) -> Module {
    let (rows, vectors) = (6usize, 4usize);
    let mut kernel = Kernel::new("tile");
    let a = kernel.buffer("a", DType::F32, vec![Dim::from(rows), Dim::from(k)], Space::Input);
    let b = kernel.buffer("b", DType::F32, vec![Dim::from(k), Dim::from(64)], Space::Input);
    let c = kernel.buffer("c", DType::F32, vec![Dim::from(rows), Dim::from(64)], Space::Output);
    kernel.grid = Dim::from(repeat);
    let ty = Ty::vector(DType::F32, 16);
    let sums: Vec<VarId> = (0..rows * vectors).map(|i| kernel.var(format!("c{i}"), ty)).collect();
    let (outer, inner) = (kernel.var("k", Ty::INDEX), kernel.var("u", Ty::INDEX));
    let columns: Vec<VarId> = (0..vectors).map(|i| kernel.var(format!("b{i}"), ty)).collect();
    let row = kernel.var("a", ty);
    let at = Expr::var(outer).add(Expr::var(inner));
    let mut body: Vec<Stmt> = (0..vectors)
        .map(|v| Stmt::Let {
            var: columns[v],
            value: Expr::Load {
                buffer: b,
                index: vec![at.clone(), Expr::int(16 * v as i64)],
                lanes: 16,
                mask: None,
            },
        })
        .collect();
    for r in 0..rows {
        let scalar =
            Expr::Load { buffer: a, index: vec![Expr::int(r as i64), at.clone()], lanes: 1, mask: None };
        body.push(Stmt::Let { var: row, value: Expr::splat(scalar, 16) });
        for v in 0..vectors {
            let sum = sums[r * vectors + v];
            let value = Expr::fma(Expr::var(row), Expr::var(columns[v]), Expr::var(sum));
            body.push(Stmt::Assign { var: sum, value });
        }
    }
    let unrolled = Stmt::For {
        var: inner,
        from: Expr::int(0),
        to: Expr::int(4),
        step: 1,
        kind: LoopKind::Unrolled,
        body,
    };
    let zero = Expr::splat(Expr::float(DType::F32, 0.0), 16);
    kernel.body = sums.iter().map(|sum| Stmt::Register { var: *sum, init: zero.clone() }).collect();
    kernel.body.push(Stmt::For {
        var: outer,
        from: Expr::int(0),
        to: Expr::int(k),
        step: 4,
        kind: LoopKind::Serial,
        body: vec![unrolled],
    });
    for (i, sum) in sums.iter().enumerate() {
        let index = vec![Expr::int((i / vectors) as i64), Expr::int(16 * (i % vectors) as i64)];
        kernel.body.push(Stmt::Store { buffer: c, index, value: Expr::var(*sum), mask: None });
    }
    single(kernel, &[])
}

#[test]
fn a_register_tile_does_not_spill() {
    let options = Options { target: Target::parse("x86-64-v4").unwrap(), opt_level: OptLevel::O3, jobs: 1 };
    let text = assembly(&tile(256, 1), &options).unwrap();
    let fused = text.lines().filter(|line| line.contains("vfmadd") && line.contains("zmm")).count();
    assert_eq!(fused, 24 * 4, "{text}");
    let spills: Vec<&str> =
        text.lines().filter(|line| line.contains("zmm") && line.contains("(%rsp)")).collect();
    assert!(spills.is_empty(), "{spills:?}");
}

#[test]
fn the_tile_multiplies() {
    let a: Vec<f32> = (0..6 * 8).map(|i| (i % 5) as f32 - 2.0).collect();
    let b: Vec<f32> = (0..8 * 64).map(|i| (i % 7) as f32 - 3.0).collect();
    let (_, results) = run(&tile(8, 1), &[], &[f32_bytes(&a), f32_bytes(&b)]);
    for (i, got) in to_f32(&results[0]).into_iter().enumerate() {
        let wanted: f32 = (0..8).map(|k| a[i / 64 * 8 + k] * b[k * 64 + i % 64]).sum();
        assert_eq!(got, wanted);
    }
}

/// Prints the speed; run it by name on a quiet machine.
#[test]
#[ignore = "a measurement"]
fn measure() {
    let repeat = 200_000;
    let module = tile(256, repeat);
    let jit = load(&module, OptLevel::O3);
    let args = [f32_bytes(&[1.0; 6 * 256]), f32_bytes(&[1.0; 256 * 64])];
    for _ in 0..3 {
        let start = std::time::Instant::now();
        call(&jit, &module.plans[0], &[], &args, None);
        let seconds = start.elapsed().as_secs_f64();
        println!("{:.1} GFLOP/s", 2.0 * 6.0 * 64.0 * 256.0 * repeat as f64 / seconds / 1e9);
    }
}

/// Prints nanoseconds an element of the functions that networks spend their time in.
#[test]
#[ignore = "a measurement"]
fn measure_functions() {
    use kernel::Unary;
    let values: Vec<f32> = (0..16384).map(|i| (i % 1000) as f32 * 0.008 - 4.0).collect();
    for op in [Unary::Exp, Unary::Log, Unary::Tanh, Unary::Erf, Unary::Sin, Unary::Sqrt] {
        let module = map(&[DType::F32], DType::F32, 16, |x| Expr::unary(op, x[0].clone()));
        let jit = load(&module, OptLevel::O3);
        let mut args = [Aligned::new(&f32_bytes(&values)), Aligned::room(4 * values.len())];
        let addresses = args.each_mut().map(Aligned::address);
        // SAFETY: the signature that compiled code has.
        let entry: EntryFn = unsafe { std::mem::transmute(jit.lookup("test_entry").unwrap()) };
        let dims = [values.len() as i64];
        let start = std::time::Instant::now();
        let rounds = 2000;
        for _ in 0..rounds {
            entry(addresses.as_ptr(), dims.as_ptr(), std::ptr::null_mut(), None, std::ptr::null_mut());
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{op:?}: {:.3} ns an element", seconds * 1e9 / f64::from(rounds) / values.len() as f64);
    }
}
