//! Targets other than this machine: code is made, and says what it should.

use super::machine::*;
use kernel::{DType, Expr, Unary};
use llvm::{OptLevel, Options, Target, assembly, compile, llvm_ir};

fn options_for(target: &str) -> Options {
    Options { target: Target::parse(target).unwrap(), opt_level: OptLevel::O3, jobs: 1 }
}

fn exp() -> kernel::Module {
    map(&[DType::F32], DType::F32, 16, |x| Expr::unary(Unary::Exp, x[0].clone()))
}

#[test]
fn wide_vectors_are_used_where_they_exist() {
    let text = assembly(&exp(), &options_for("x86-64-v4")).unwrap();
    assert!(text.contains("zmm") && text.contains("vfmadd"), "{text}");
    let text = assembly(&exp(), &options_for("x86-64-v3")).unwrap();
    assert!(!text.contains("zmm") && text.contains("ymm") && text.contains("vfmadd"));
    let text = assembly(&exp(), &options_for("x86-64-v2")).unwrap();
    assert!(!text.contains("ymm") && !text.contains("fmaf"));
}

#[test]
fn other_architectures() {
    let options = options_for("aarch64-unknown-linux-gnu:neoverse-n1");
    assert_eq!((options.target.vector_bits, options.target.fma), (128, true));
    assert!(assembly(&exp(), &options).unwrap().contains("fmla"));
    let object = compile(&exp(), &options).unwrap();
    assert!(object.parts.iter().all(|part| part.bytes.starts_with(b"\x7fELF")));
}

#[test]
fn unknown_targets_are_errors() {
    for name in ["z80", "x86_64-linux-gnu:z80", "wasm32", "aarch64-linux-gnu:znver4", "", "cuda:sm_90"] {
        assert_eq!(Target::parse(name).unwrap_err().diagnostic().code, "E0902", "{name}");
    }
}

#[test]
fn no_library_is_called_for_single_precision() {
    let ops = [
        Unary::Exp,
        Unary::Expm1,
        Unary::Log,
        Unary::Log1p,
        Unary::Tanh,
        Unary::Erf,
        Unary::Asin,
        Unary::Acos,
        Unary::Atan,
        Unary::Sinh,
        Unary::Cosh,
        Unary::Sqrt,
        Unary::Floor,
        Unary::Ceil,
        Unary::Round,
    ];
    for op in ops {
        let module = map(&[DType::F32], DType::F32, 16, |x| Expr::unary(op, x[0].clone()));
        let text = assembly(&module, &options_for("x86-64-v3")).unwrap();
        let calls: Vec<&str> =
            text.lines().filter(|line| line.contains("callq") && line.contains("@PLT")).collect();
        assert!(calls.is_empty(), "{op:?} calls {calls:?}");
    }
    let text = llvm_ir(&exp(), &options_for("x86-64-v3")).unwrap();
    assert!(!text.contains("llvm.exp"), "{text}");
}

/// Old processors go through the portable forms of halves and of fused multiply-add; here they can be run too.
#[test]
fn portable_code_runs_here() {
    if !Target::native().triple.starts_with("x86_64") {
        return;
    }
    let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let module = map(&[DType::F16], DType::F16, 16, |x| {
        let one = Expr::splat(Expr::float(DType::F16, 1.0009765625), 16);
        x[0].clone().mul(one)
    });
    let plan = &module.plans[0];
    let old = llvm::Jit::load(&compile(&module, &options_for("x86-64-v2")).unwrap()).unwrap();
    let (_, portable) = call(&old, plan, &[1 << 16], std::slice::from_ref(&bytes), None);
    let (_, native) =
        call(&load(&module, OptLevel::O3), plan, &[1 << 16], std::slice::from_ref(&bytes), None);
    for ((bits, a), b) in
        (0..=u16::MAX).zip(decode(DType::F16, &portable[0])).zip(decode(DType::F16, &native[0]))
    {
        assert!(same(a, b), "{bits:#x}: {a:e} and {b:e}");
    }
}
