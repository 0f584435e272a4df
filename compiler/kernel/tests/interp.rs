//! The interpreter finds what compiled code would get silently wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use kernel::{
    Arg, ArgRole, Binary, BufferRef, Call, DType, Expr, Kernel, LoopKind, Module, Plan, Space, Step, Stmt,
    Ty, Unary, VarId,
    interp::{Failure, Number, Order, run_plan},
    transform::{Linear, Ranges, Widen, widen},
    verify,
};
use shape::{Dim, Facts};
use std::collections::BTreeMap;

fn arg(name: &str, dtype: DType, elements: i64) -> Arg {
    Arg { name: name.into(), role: ArgRole::Input, dtype, shape: vec![Dim::from(elements)] }
}

/// A module whose plan calls the kernel once on all arguments and then all results.
fn module(kernel: Kernel) -> Module {
    let mut module = Module::default();
    let (mut args, mut results) = (Vec::new(), Vec::new());
    let mut buffers = Vec::new();
    for (_, buffer) in kernel.arguments() {
        let elements = buffer.shape.iter().cloned().product::<Dim>().as_const().unwrap();
        let list = if buffer.space == Space::Input { &mut args } else { &mut results };
        buffers.push(match buffer.space {
            Space::Input => BufferRef::Arg(list.len()),
            _ => BufferRef::Result(list.len()),
        });
        list.push(arg(&buffer.name, buffer.dtype, elements));
    }
    let call = Call { kernel: module.kernels.push(kernel), buffers, work: Dim::from(1i64) };
    module.plans.push(Plan {
        name: "plan".into(),
        symbols: vec![],
        args,
        results,
        constants: Default::default(),
        steps: vec![Step::Call(call)],
        checks: vec![],
        workspace: Dim::from(0i64),
    });
    module
}

fn run(module: &Module, args: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Failure> {
    run_plan(module, &module.plans[0], args, &BTreeMap::new(), Order::Ascending)
}

fn message(result: Result<Vec<Vec<f64>>, Failure>) -> String {
    result.unwrap_err().to_string()
}

fn for_loop(var: VarId, to: i64, body: Vec<Stmt>) -> Stmt {
    Stmt::For { var, from: Expr::int(0), to: Expr::int(to), step: 1, kind: LoopKind::Serial, body }
}

/// `y[i] = x[i + shift]` for i below `count`, of 4 elements.
fn copy(shift: i64, count: i64) -> Kernel {
    let mut kernel = Kernel::new("copy");
    let x = kernel.buffer("x", DType::F32, vec![Dim::from(4i64)], Space::Input);
    let y = kernel.buffer("y", DType::F32, vec![Dim::from(4i64)], Space::Output);
    let i = kernel.var("i", Ty::INDEX);
    let value =
        Expr::Load { buffer: x, index: vec![Expr::Var(i).add(Expr::int(shift))], lanes: 1, mask: None };
    let store = Stmt::Store { buffer: y, index: vec![Expr::Var(i)], value, mask: None };
    kernel.body = vec![for_loop(i, count, vec![store])];
    kernel
}

const FOUR: [f64; 4] = [1.0, 2.0, 3.0, 4.0];

#[test]
fn a_copy_copies() {
    assert_eq!(run(&module(copy(0, 4)), &[FOUR.to_vec()]), Ok(vec![FOUR.to_vec()]));
}

#[test]
fn indices_and_uninitialised_memory_are_faults() {
    let args = [FOUR.to_vec()];
    assert!(message(run(&module(copy(1, 4)), &args)).contains("index 4 of x, axis 0 of extent 4"));
    assert!(message(run(&module(copy(-1, 4)), &args)).contains("index -1 of x"));
    assert!(message(run(&module(copy(0, 3)), &args)).contains("nothing was written"));
}

#[test]
fn blocks_must_not_meet() {
    let mut kernel = copy(0, 4);
    kernel.grid = Dim::from(2i64);
    assert!(message(run(&module(kernel), &[FOUR.to_vec()])).contains("write the same place"));
}

#[test]
fn masked_lanes_touch_nothing() {
    let mut kernel = copy(0, 4);
    let i = VarId::new(1);
    let Stmt::For { body, .. } = kernel.body[0].clone() else { panic!("a loop") };
    let ranges = Ranges::new(Facts::default());
    let what = Widen { var: i, lanes: 8, limit: Some(Expr::int(4)), ranges: &ranges };
    let (wide, _) = widen(&mut kernel, &body, &what, &BTreeMap::new()).unwrap();
    kernel.body = vec![for_loop(i, 1, wide.clone())];
    let good = module(kernel.clone());
    verify::module(&good).unwrap();
    assert_eq!(run(&good, &[FOUR.to_vec()]), Ok(vec![FOUR.to_vec()]));
    let Stmt::Store { buffer, index, value, .. } = wide[0].clone() else { panic!("a store") };
    kernel.body = vec![for_loop(i, 1, vec![Stmt::Store { buffer, index, value, mask: None }])];
    assert!(message(run(&module(kernel), &[FOUR.to_vec()])).contains("index 4 of y"));
}

#[test]
fn reversal_becomes_a_gather() {
    let mut kernel = copy(0, 4);
    let i = VarId::new(1);
    let x = kernel.buffers.ids().next().unwrap();
    let Stmt::For { body, .. } = &mut kernel.body[0] else { panic!("a loop") };
    let Stmt::Store { value, .. } = &mut body[0] else { panic!("a store") };
    *value = Expr::Load { buffer: x, index: vec![Expr::int(3).sub(Expr::Var(i))], lanes: 1, mask: None };
    let body = body.clone();
    let ranges = Ranges::new(Facts::default());
    let what = Widen { var: i, lanes: 4, limit: None, ranges: &ranges };
    let (wide, _) = widen(&mut kernel, &body, &what, &BTreeMap::new()).unwrap();
    kernel.body = vec![for_loop(i, 1, wide)];
    let mut reversed = FOUR.to_vec();
    reversed.reverse();
    assert_eq!(run(&module(kernel), &[FOUR.to_vec()]), Ok(vec![reversed]));
}

#[test]
fn the_verifier_sees_types_scopes_and_spaces() {
    let kernel = copy(0, 4);
    verify::kernel(&kernel).unwrap();
    let broken = |change: &dyn Fn(&mut Kernel)| {
        let mut kernel = kernel.clone();
        change(&mut kernel);
        verify::kernel(&kernel).unwrap_err().0
    };
    let first = |kernel: &mut Kernel, f: &dyn Fn(&mut Stmt)| {
        let Stmt::For { body, .. } = &mut kernel.body[0] else { panic!("a loop") };
        f(&mut body[0]);
    };
    let store_value = |value: Expr| {
        broken(&|kernel| {
            first(kernel, &|stmt| {
                let Stmt::Store { value: old, .. } = stmt else { panic!("a store") };
                *old = value.clone();
            });
        })
    };
    assert!(store_value(Expr::float(DType::F64, 1.0)).contains("stores f64 into y"));
    assert!(store_value(Expr::Unary(Unary::Exp, Box::new(Expr::int(1)))).contains("Exp of i64"));
    let mixed = Expr::Binary(Binary::Add, Box::new(Expr::int(1)), Box::new(Expr::bool(true)));
    assert!(store_value(mixed).contains("operands of types i64 and bool"));
    let out_of_scope = broken(&|kernel| {
        let Stmt::For { body, .. } = kernel.body[0].clone() else { panic!("a loop") };
        kernel.body = body;
    });
    assert!(out_of_scope.contains("i is not bound here"));
    let much = broken(&|kernel| {
        kernel.buffer("scratch", DType::F64, vec![Dim::from(1i64 << 20)], Space::Local);
    });
    assert!(much.contains("bytes of local buffers"));
}

#[test]
fn an_index_survives_reshapes() {
    let mut kernel = Kernel::new("k");
    let mut ranges = Ranges::new(Facts::default());
    let p = kernel.var("p", Ty::INDEX);
    ranges.bound(p, &(Dim::symbol("n") * 60));
    let x = Expr::Var(p);
    let (a, b, c) = (
        x.clone().div(Expr::int(12)),
        x.clone().div(Expr::int(4)).rem(Expr::int(3)),
        x.clone().rem(Expr::int(4)),
    );
    let back = a.mul(Expr::int(12)).add(b.mul(Expr::int(4))).add(c);
    assert_eq!(ranges.simplify(&back), x);
    let q = kernel.var("q", Ty::INDEX);
    ranges.bound(q, &Dim::from(4i64));
    let mixed = x.clone().mul(Expr::int(4)).add(Expr::Var(q));
    assert_eq!(ranges.simplify(&mixed.clone().div(Expr::int(4))), x);
    assert_eq!(ranges.simplify(&mixed.clone().rem(Expr::int(4))), Expr::Var(q));
    assert_eq!(Linear::of(&mixed, &ranges).coefficient(p), Dim::from(4i64));
    assert_eq!(ranges.decide(&Expr::Var(q).lt(Expr::int(4))), Expr::bool(true));
    assert_eq!(ranges.decide(&Expr::Var(q).ge(Expr::int(4))), Expr::bool(false));
    let open = Expr::Var(q).lt(Expr::int(3));
    assert_eq!(ranges.decide(&open), open);
}

#[test]
fn numbers_follow_the_stated_semantics() {
    use kernel::interp::{binary, fma, round, unary};
    let int = |op, a, b| binary(op, DType::I32, Number::Int(a), Number::Int(b));
    assert_eq!(int(Binary::Div, -7, 2), Number::Int(-4));
    assert_eq!(int(Binary::Rem, -7, 2), Number::Int(1));
    assert_eq!(int(Binary::Div, 5, 0), Number::Int(0));
    assert_eq!(int(Binary::Add, i64::from(i32::MAX), 1), Number::Int(i64::from(i32::MIN)));
    assert_eq!(Number::Float(-3.9).cast(DType::U8), Number::Int(0));
    assert_eq!(Number::Float(f64::NAN).cast(DType::I32), Number::Int(0));
    assert_eq!(Number::Float(1e30).cast(DType::I16), Number::Int(32767));
    let nan = binary(Binary::Max, DType::F32, Number::Float(f64::NAN), Number::Float(1.0));
    assert!(nan.to_f64().is_nan());
    assert_eq!(round(DType::F16, 2049.0), 2048.0);
    assert_eq!(round(DType::F16, 70000.0), f64::INFINITY);
    assert_eq!(round(DType::BF16, 257.0), 256.0);
    let third = f64::from(1f32 / 3.0);
    let once = fma(DType::F32, Number::Float(third), Number::Float(3.0), Number::Float(-1.0));
    assert_eq!(once, Number::Float(f64::from((1f32 / 3.0).mul_add(3.0, -1.0))));
    for (x, sigmoid) in
        [(-3.0, 0.04742587317756678), (0.5, 0.6224593312018546), (-1000.0, 0.0), (1000.0, 1.0)]
    {
        let found = unary(Unary::Sigmoid, DType::F64, Number::Float(x)).to_f64();
        assert!((found - sigmoid).abs() < 1e-15, "sigmoid({x}) = {found}");
    }
    for (x, erf) in [(0.5, 0.5204998778130465), (2.0, 0.9953222650189527), (-1.0, -0.8427007929497149)] {
        let found = unary(Unary::Erf, DType::F64, Number::Float(x)).to_f64();
        assert!((found - erf).abs() < 1e-15, "erf({x}) = {found}");
    }
}
