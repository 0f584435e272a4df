//! Large results are written past caches where that is safe, and are the same wherever they lie.

use super::machine::*;
use kernel::{DType, Expr, Kernel, LoopKind, Module, Space, Stmt, Ty};
use llvm::{OptLevel, Options, Target, assembly};
use shape::Dim;
use std::ffi::c_void;

const LANES: u16 = 16;
const BLOCK: i64 = 1 << 16;

/// Squares of the first numbers, from an index on, in vectors.
fn squares(elements: i64, from: i64) -> Module {
    let mut kernel = Kernel::new("squares");
    let out = kernel.buffer("out", DType::F32, vec![Dim::from(elements)], Space::Output);
    kernel.grid = Dim::from(elements / BLOCK);
    let (first, i) = (kernel.var("first", Ty::INDEX), kernel.var("i", Ty::INDEX));
    let x = kernel.var("x", Ty::vector(DType::F32, LANES));
    let at = Expr::Var(first).add(Expr::Var(i));
    let number = Expr::cast(DType::F32, Expr::ramp(at.clone(), 1, LANES));
    let store = Stmt::Store {
        buffer: out,
        index: vec![at.add(Expr::int(from))],
        value: Expr::Var(x).mul(Expr::Var(x)),
        mask: None,
    };
    kernel.body = vec![
        Stmt::Let { var: first, value: Expr::Var(kernel.block).mul(Expr::int(BLOCK)) },
        Stmt::For {
            var: i,
            from: Expr::int(0),
            to: Expr::int(BLOCK - i64::from(LANES)),
            step: i64::from(LANES),
            kind: LoopKind::Serial,
            body: vec![Stmt::Let { var: x, value: number }, store],
        },
    ];
    single(kernel, &[])
}

fn text(module: &Module, target: &str) -> String {
    let options = Options { target: Target::parse(target).unwrap(), opt_level: OptLevel::O3, jobs: 1 };
    assembly(module, &options).unwrap()
}

const LARGE: i64 = 8 << 20;

#[test]
fn whole_lines_of_large_results_go_past_caches() {
    for target in ["x86-64-v2", "x86-64-v3", "x86-64-v4"] {
        let large = text(&squares(LARGE, 0), target);
        assert!(large.contains("movntps") && large.contains("sfence"), "{target}: {large}");
        for (elements, from) in [(LARGE / 2, 0), (LARGE, 1), (LARGE, 8)] {
            let other = text(&squares(elements, from), target);
            assert!(!other.contains("movnt"), "{target}, {elements} elements from {from}");
        }
    }
    assert!(!text(&squares(LARGE, 0), "aarch64-unknown-linux-gnu:neoverse-n1").contains("stnp"));
}

/// A caller's memory may begin in the middle of a line.
#[test]
fn results_may_begin_anywhere() {
    let module = squares(LARGE, 0);
    let jit = load(&module, OptLevel::O3);
    // SAFETY: the signature that compiled code has.
    let entry: EntryFn = unsafe { std::mem::transmute(jit.lookup("test_entry").unwrap()) };
    for offset in [0, 1, 16] {
        let mut memory = vec![-1f32; LARGE as usize + 64];
        let start = memory.as_ptr().align_offset(64) + offset;
        let mut workspace = Aligned::room(0);
        let addresses = [memory[start..].as_mut_ptr().cast::<c_void>()];
        let status =
            entry(addresses.as_ptr(), std::ptr::null(), workspace.address(), None, std::ptr::null_mut());
        assert_eq!(status, 0);
        assert!(memory[..start].iter().all(|x| *x == -1.0), "written before the result");
        for (at, x) in memory[start..start + LARGE as usize].iter().enumerate() {
            let written = at as i64 % BLOCK < BLOCK - i64::from(LANES);
            let wanted = if written { at as f32 * at as f32 } else { -1.0 };
            assert!(*x == wanted, "{x} at {at}, begun at {offset}");
        }
    }
}
