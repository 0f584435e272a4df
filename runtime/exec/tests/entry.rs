//! Calls of a hand-written program with the convention of compiled code: results, and every way to call it wrongly.
#![allow(unsafe_code, reason = "plays the part of compiled code")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use abi::{ArgInfo, Axis, CheckInfo, MANIFEST_VERSION, Manifest, Role};
use exec::{Arena, Dims, ParallelFor, Pool, Program};
use std::{ffi::c_void, path::Path, process::Command, sync::Arc};
use tensor::{DType, Tensor};

/// `y[b, 3] = x[b, 3] * k[3] + bias[b]`, through the workspace; fails check 0 where b = 13.
unsafe extern "C" fn scale(
    buffers: *const *mut c_void,
    dims: *const i64,
    workspace: *mut c_void,
    parallel_for: Option<ParallelFor>,
    pool: *mut c_void,
) -> i32 {
    unsafe extern "C" fn row(cx: *mut c_void, from: i64, to: i64) {
        unsafe {
            let words = cx.cast::<*mut f32>();
            let (x, k, bias, y, scratch) =
                (*words, *words.add(1), *words.add(2), *words.add(3), *words.add(4));
            for row in from as usize..to as usize {
                for column in 0..3 {
                    let at = row * 3 + column;
                    *scratch.add(at) = *x.add(at) * *k.add(column);
                    *y.add(at) = *scratch.add(at) + *bias.add(row);
                }
            }
        }
    }
    unsafe {
        let batch = *dims;
        if batch == 13 {
            return 1;
        }
        if batch == 14 {
            return 7;
        }
        let mut cx = [*buffers, *buffers.add(1), *buffers.add(2), *buffers.add(3), workspace];
        assert!(cx.iter().all(|address| address.addr().is_multiple_of(64)));
        let cx = cx.as_mut_ptr().cast();
        match parallel_for {
            Some(parallel_for) => parallel_for(pool, row, cx, batch),
            None => row(cx, 0, batch),
        }
    }
    0
}

unsafe extern "C" fn scale_shapes(dims: *const i64, out: *mut i64) {
    unsafe {
        let batch = *dims;
        // workspace, x, k, bias, y
        let sizes = [batch * 12, batch, 3, 3, batch, batch, 3];
        std::ptr::copy_nonoverlapping(sizes.as_ptr(), out, sizes.len());
    }
}

/// A result of a size below zero where the dimension is small.
unsafe extern "C" fn shrink_shapes(dims: *const i64, out: *mut i64) {
    unsafe {
        *out = 0;
        *out.add(1) = *dims - 5;
    }
}

unsafe extern "C" fn shrink(
    _: *const *mut c_void,
    _: *const i64,
    _: *mut c_void,
    _: Option<ParallelFor>,
    _: *mut c_void,
) -> i32 {
    0
}

fn value(name: &str, role: Role, shape: &[&str]) -> ArgInfo {
    let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
    ArgInfo { name: name.into(), role, dtype: "f32".into(), rank: shape.len(), shape }
}

fn manifest() -> Manifest {
    let run = abi::Entry {
        name: "run".into(),
        symbol: "scale".into(),
        symbols: vec!["batch".into()],
        args: vec![
            value("x", Role::Input, &["batch", "3"]),
            value("k", Role::Weight, &["3"]),
            value("bias", Role::Input, &["batch"]),
        ],
        results: vec![value("y", Role::Output, &["batch", "3"])],
        checks: vec![CheckInfo { message: "batch must not be 13".into(), place: "scale.model:2:5".into() }],
        bind: vec![Some(Axis { arg: 0, axis: 0 })],
    };
    let shrink = abi::Entry {
        name: "shrink".into(),
        symbol: "shrink".into(),
        symbols: vec!["n".into()],
        args: Vec::new(),
        results: vec![value("y", Role::Output, &["n - 5"])],
        checks: Vec::new(),
        bind: vec![None],
    };
    Manifest {
        version: MANIFEST_VERSION,
        model: "Scale".into(),
        style: "compiled".into(),
        entries: vec![run, shrink],
    }
}

fn lookup(symbol: &str) -> Option<*const ()> {
    match symbol {
        "scale" => Some(scale as *const ()),
        "scale_shapes" => Some(scale_shapes as *const ()),
        "shrink" => Some(shrink as *const ()),
        "shrink_shapes" => Some(shrink_shapes as *const ()),
        _ => None,
    }
}

fn program() -> Program {
    Program::from_addresses(&manifest(), lookup, Arc::new(())).unwrap()
}

fn ones(shape: &[usize]) -> Tensor {
    Tensor::from_vec(shape, vec![1f32; shape.iter().product()]).unwrap()
}

fn message(x: &Tensor, k: &Tensor, bias: &Tensor, dims: &Dims) -> String {
    let fault =
        program().entry("run").unwrap().call(&mut Arena::new(), &Pool::new(1).unwrap(), &[x, k, bias], dims);
    let fault = fault.unwrap_err();
    format!("{} {} {}", fault.code, fault.message, fault.notes.join(" "))
}

#[test]
fn results_are_right_for_any_thread_count_and_the_arena_stays() {
    let program = program();
    let run = program.entry("run").unwrap();
    let mut arena = Arena::new();
    let numbers: Vec<f32> = (0..300).map(|number| number as f32).collect();
    let x = Tensor::from_vec([100, 3], numbers).unwrap();
    let k = Tensor::from_vec([3], vec![1f32, 2.0, -3.0]).unwrap();
    let bias = Tensor::from_vec([100], (0..100).map(|row| row as f32).collect::<Vec<f32>>()).unwrap();
    let mut all = Vec::new();
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads).unwrap();
        let mut results = run.call(&mut arena, &pool, &[&x, &k, &bias], &Dims::new()).unwrap();
        all.push(results.remove(0));
    }
    assert_eq!(all[0].shape(), [100, 3]);
    assert_eq!(&all[0].as_f32().unwrap()[6..9], [8.0, 16.0, -22.0]);
    assert!(all.iter().all(|result| *result == all[0]));
    assert_eq!(arena.size(), 1200);
    let small =
        run.call(&mut arena, &Pool::new(1).unwrap(), &[&ones(&[1, 3]), &k, &ones(&[1])], &Dims::new());
    assert_eq!(small.unwrap()[0].as_f32().unwrap(), [2.0, 3.0, -2.0]);
    assert_eq!(arena.size(), 1200);

    let mut kept = Tensor::zeros(DType::F32, [100, 3]).unwrap();
    let pool = Pool::new(2).unwrap();
    run.call_into(&mut arena, &pool, &[&x, &k, &bias], &mut [&mut kept], &Dims::new()).unwrap();
    assert_eq!(kept, all[0]);
    let mut wrong = Tensor::zeros(DType::F32, [99, 3]).unwrap();
    let fault = run.call_into(&mut arena, &pool, &[&x, &k, &bias], &mut [&mut wrong], &Dims::new());
    assert_eq!(fault.unwrap_err().code, "E0803");
    assert_eq!(run.plan(&[&x, &k, &bias], &Dims::new()).unwrap(), (1200, vec![vec![100, 3]]));
}

#[test]
fn conflicting_dimensions_name_both_sides() {
    let text = message(&ones(&[4, 3]), &ones(&[3]), &ones(&[5]), &Dims::new());
    assert!(text.starts_with("E0801"), "{text}");
    assert!(text.contains("`batch` is 4 (axis 0 of `x`) and 5 (axis 0 of `bias`)"), "{text}");
    let text = message(&ones(&[4, 3]), &ones(&[3]), &ones(&[4]), &Dims::from([("batch".into(), 8)]));
    assert!(text.contains("8 (set by name) and 4 (axis 0 of `x`)"), "{text}");
}

#[test]
fn wrong_dtypes_shapes_and_counts() {
    let whole = Tensor::from_vec([4, 3], vec![0i32; 12]).unwrap();
    let text = message(&whole, &ones(&[3]), &ones(&[4]), &Dims::new());
    assert!(text.contains("E0804 `x` is f32, but the array given is i32"), "{text}");
    let text = message(&ones(&[4, 2]), &ones(&[3]), &ones(&[4]), &Dims::new());
    assert!(text.contains("E0803 `x` has the shape [4, 3], but the array given has [4, 2]"), "{text}");
    assert!(text.contains("[4, 3] stands for [batch, 3]"), "{text}");
    let text = message(&ones(&[12]), &ones(&[3]), &ones(&[4]), &Dims::new());
    assert!(text.contains("E0803 `x` has the shape [batch, 3], but the array given has [12]"), "{text}");
    let program = program();
    let fault =
        program.entry("run").unwrap().call(&mut Arena::new(), &Pool::new(1).unwrap(), &[], &Dims::new());
    assert_eq!(fault.unwrap_err().code, "E0807");
    let many = [&whole; 9];
    let fault =
        program.entry("run").unwrap().call(&mut Arena::new(), &Pool::new(1).unwrap(), &many, &Dims::new());
    assert_eq!(fault.unwrap_err().code, "E0807");
}

#[test]
fn failed_checks_carry_their_text() {
    let text = message(&ones(&[13, 3]), &ones(&[3]), &ones(&[13]), &Dims::new());
    assert_eq!(text, "E0806 batch must not be 13 required at scale.model:2:5");
    let text = message(&ones(&[14, 3]), &ones(&[3]), &ones(&[14]), &Dims::new());
    assert!(text.contains("status 7"), "{text}");
}

#[test]
fn dimensions_without_argument_come_by_name() {
    let program = program();
    let shrink = program.entry("shrink").unwrap();
    let (mut arena, pool) = (Arena::new(), Pool::new(1).unwrap());
    let mut call = |dims: &Dims| shrink.call(&mut arena, &pool, &[], dims);
    assert_eq!(call(&Dims::new()).unwrap_err().code, "E0802");
    assert_eq!(call(&Dims::from([("n".into(), 9)])).unwrap()[0].shape(), [4]);
    let fault = call(&Dims::from([("n".into(), 2)])).unwrap_err();
    assert_eq!((fault.code, fault.notes), ("E0808", vec!["with n = 2".to_string()]));
    assert_eq!(call(&Dims::from([("n".into(), -2)])).unwrap_err().code, "E0808");
    // No machine has this much memory: an error, no abort.
    assert_eq!(call(&Dims::from([("n".into(), i64::MAX / 8)])).unwrap_err().code, "E0608");
}

#[test]
fn unusable_artifacts_are_refused() {
    let lacking = |symbol: &str| lookup(symbol).filter(|_| symbol != "scale_shapes");
    let fault = Program::from_addresses(&manifest(), lacking, Arc::new(())).err().unwrap();
    assert!(fault.message.contains("lacks the symbol `scale_shapes`"), "{}", fault.message);
    let mut odd = manifest();
    odd.entries[0].args[1].dtype = "f31".into();
    let fault = Program::from_addresses(&odd, lookup, Arc::new(())).err().unwrap();
    assert!(fault.message.contains("unknown dtype `f31`"), "{}", fault.message);
    assert_eq!(fault.code, "E0805");
    let fault = program().entry("rnu").err().unwrap();
    assert_eq!(fault.help.as_deref(), Some("did you mean `run`?"));
    let missing = Path::new("no/such/file.so");
    assert_eq!(Program::open_shared(missing, &manifest()).err().unwrap().code, "E0805");
}

#[test]
fn a_shared_object_runs() {
    let code = r"
        #include <stdint.h>
        void twice_shapes(const int64_t *dims, int64_t *out) { out[0] = 0; out[1] = dims[0]; out[2] = dims[0]; }
        int32_t twice(void *const *buffers, const int64_t *dims, void *work, void *parallel_for, void *pool) {
            const float *x = buffers[0];
            float *y = buffers[1];
            (void)work; (void)parallel_for; (void)pool;
            for (int64_t i = 0; i < dims[0]; i++) y[i] = 2 * x[i];
            return 0;
        }";
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("twice.c"), folder.path().join("twice.so"));
    std::fs::write(&source, code).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&object).arg(&source).status();
    assert!(compiled.is_ok_and(|status| status.success()));
    let twice = abi::Entry {
        name: "run".into(),
        symbol: "twice".into(),
        symbols: vec!["n".into()],
        args: vec![value("x", Role::Input, &["n"])],
        results: vec![value("y", Role::Output, &["n"])],
        checks: Vec::new(),
        bind: vec![Some(Axis { arg: 0, axis: 0 })],
    };
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        model: "Twice".into(),
        style: "compiled".into(),
        entries: vec![twice],
    };
    let program = Program::open_shared(&object, &manifest).unwrap();
    let run = program.entry("run").unwrap();
    let results = run.call(&mut Arena::new(), &Pool::new(1).unwrap(), &[&ones(&[5])], &Dims::new()).unwrap();
    assert_eq!(results[0].as_f32().unwrap(), [2.0; 5]);
}
