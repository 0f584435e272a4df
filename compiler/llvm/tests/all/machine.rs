//! Compiles a module at every level, runs its entry point, and insists that the bits agree.

use kernel::{Arg, ArgRole, BufferRef, Call, DType, Expr, Kernel, Module, Plan, Space, Step, Stmt, Ty};
use llvm::{Jit, OptLevel, Options, Target, compile};
use shape::{Dim, Symbol};
use std::ffi::c_void;

pub type ParallelFor = extern "C" fn(*mut c_void, KernelFn, *mut c_void, i64);
pub type KernelFn = extern "C" fn(*mut c_void, i64, i64);
pub type EntryFn =
    extern "C" fn(*const *mut c_void, *const i64, *mut c_void, Option<ParallelFor>, *mut c_void) -> i32;
pub type ShapesFn = extern "C" fn(*const i64, *mut i64);

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes at a multiple of 64, with a guard behind them that must stay as it is.
pub struct Aligned {
    lines: Vec<Line>,
    bytes: usize,
}

const GUARD: u8 = 0xa5;

impl Aligned {
    pub fn new(bytes: &[u8]) -> Aligned {
        let mut aligned = Aligned::room(bytes.len());
        aligned.slice_mut()[..bytes.len()].copy_from_slice(bytes);
        aligned
    }

    pub fn room(bytes: usize) -> Aligned {
        Aligned { lines: vec![Line([GUARD; 64]); bytes / 64 + 2], bytes }
    }

    pub fn address(&mut self) -> *mut c_void {
        self.lines.as_mut_ptr().cast()
    }

    fn slice_mut(&mut self) -> &mut [u8] {
        // SAFETY: the lines are plain bytes.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * 64) }
    }

    pub fn into_bytes(mut self) -> Vec<u8> {
        let used = self.bytes;
        assert!(self.slice_mut()[used..].iter().all(|byte| *byte == GUARD), "written past the end");
        self.slice_mut()[..used].to_vec()
    }
}

pub fn options(opt_level: OptLevel) -> Options {
    Options { target: Target::native(), opt_level, jobs: 1 }
}

pub fn load(module: &Module, opt_level: OptLevel) -> Jit {
    Jit::load(&compile(module, &options(opt_level)).unwrap()).unwrap()
}

pub fn shapes(jit: &Jit, name: &str, dims: &[i64], count: usize) -> Vec<i64> {
    let address = jit.lookup(&format!("{name}_shapes")).unwrap();
    // SAFETY: the signature that compiled code has.
    let shapes: ShapesFn = unsafe { std::mem::transmute(address) };
    let mut out = vec![i64::MIN; count];
    shapes(dims.as_ptr(), out.as_mut_ptr());
    out
}

/// Status and results of one call.
pub fn call(
    jit: &Jit,
    plan: &Plan,
    dims: &[i64],
    args: &[Vec<u8>],
    pool: Option<(ParallelFor, *mut c_void)>,
) -> (i32, Vec<Vec<u8>>) {
    let axes = plan.args.iter().chain(&plan.results).map(|arg| arg.shape.len()).sum::<usize>();
    let sizes = shapes(jit, &plan.name, dims, axes + 1);
    let mut axis = 1 + plan.args.iter().map(|arg| arg.shape.len()).sum::<usize>();
    let mut buffers: Vec<Aligned> = args.iter().map(|bytes| Aligned::new(bytes)).collect();
    for result in &plan.results {
        let elements: i64 = sizes[axis..axis + result.shape.len()].iter().product();
        axis += result.shape.len();
        buffers.push(Aligned::room(elements as usize * result.dtype.size()));
    }
    let mut workspace = Aligned::room(sizes[0] as usize);
    let addresses: Vec<*mut c_void> = buffers.iter_mut().map(Aligned::address).collect();
    // SAFETY: the signature that compiled code has.
    let entry: EntryFn = unsafe { std::mem::transmute(jit.lookup(&plan.name).unwrap()) };
    let (parallel_for, pool) = pool.map_or((None, std::ptr::null_mut()), |(f, pool)| (Some(f), pool));
    let status = entry(addresses.as_ptr(), dims.as_ptr(), workspace.address(), parallel_for, pool);
    workspace.into_bytes();
    let mut bytes: Vec<Vec<u8>> = buffers.into_iter().map(Aligned::into_bytes).collect();
    for (before, after) in args.iter().zip(&bytes) {
        assert_eq!(before, after, "an argument was written");
    }
    (status, bytes.split_off(args.len()))
}

/// Runs at both levels and gives the common result.
pub fn run(module: &Module, dims: &[i64], args: &[Vec<u8>]) -> (i32, Vec<Vec<u8>>) {
    let plan = &module.plans[0];
    let slow = call(&load(module, OptLevel::O0), plan, dims, args, None);
    let fast = call(&load(module, OptLevel::O3), plan, dims, args, None);
    assert_eq!(slow, fast, "O0 and O3 differ");
    fast
}

/// A module with one kernel whose arguments are the plan's: its inputs, then its outputs.
pub fn single(kernel: Kernel, symbols: &[&str]) -> Module {
    let mut module = Module::default();
    let mut plan = Plan {
        name: "test_entry".into(),
        symbols: symbols.iter().map(|name| Symbol::new(name)).collect(),
        args: vec![],
        results: vec![],
        constants: base::IdVec::new(),
        steps: vec![],
        checks: vec![],
        workspace: Dim::from(0i64),
    };
    let mut buffers = vec![];
    for (_, buffer) in kernel.arguments() {
        let arg = Arg {
            name: buffer.name.clone(),
            role: ArgRole::Input,
            dtype: buffer.dtype,
            shape: buffer.shape.clone(),
        };
        if buffer.space == Space::Input {
            buffers.push(BufferRef::Arg(plan.args.len()));
            plan.args.push(arg);
        } else {
            buffers.push(BufferRef::Result(plan.results.len()));
            plan.results.push(arg);
        }
    }
    let kernel = module.kernels.push(kernel);
    plan.steps.push(Step::Call(Call { kernel, buffers, work: Dim::from(1i64) }));
    module.plans.push(plan);
    module
}

/// `out[i] = f(inputs at i)` for vectors of `n` elements, `lanes` at a time with a masked tail.
pub fn map(inputs: &[DType], out: DType, lanes: u16, f: impl Fn(&[Expr]) -> Expr) -> Module {
    let n = Dim::symbol("n");
    let mut kernel = Kernel::new("map");
    let buffers: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(i, dtype)| kernel.buffer(format!("in{i}"), *dtype, vec![n.clone()], Space::Input))
        .collect();
    let output = kernel.buffer("out", out, vec![n.clone()], Space::Output);
    let i = kernel.var("i", Ty::INDEX);
    let at = Expr::ramp(Expr::var(i), 1, lanes);
    let mask = Expr::binary(kernel::Binary::Lt, at, Expr::splat(Expr::dim(&n), lanes));
    let loads: Vec<Expr> = buffers
        .iter()
        .map(|buffer| Expr::Load {
            buffer: *buffer,
            index: vec![Expr::var(i)],
            lanes,
            mask: Some(Box::new(mask.clone())),
        })
        .collect();
    let store =
        Stmt::Store { buffer: output, index: vec![Expr::var(i)], value: f(&loads), mask: Some(mask) };
    kernel.body = vec![Stmt::For {
        var: i,
        from: Expr::int(0),
        to: Expr::dim(&n),
        step: i64::from(lanes),
        kind: kernel::LoopKind::Serial,
        body: vec![store],
    }];
    single(kernel, &["n"])
}

/// The result of a [`map`] on these inputs, for several widths of vectors that must agree.
pub fn map_all(inputs: &[(DType, Vec<u8>)], out: DType, f: impl Fn(&[Expr], u16) -> Expr) -> Vec<u8> {
    let dtypes: Vec<DType> = inputs.iter().map(|(dtype, _)| *dtype).collect();
    let args: Vec<Vec<u8>> = inputs.iter().map(|(_, bytes)| bytes.clone()).collect();
    let n = args[0].len() / dtypes[0].size();
    let mut common: Option<Vec<u8>> = None;
    for lanes in [1, 4, 16] {
        let module = map(&dtypes, out, lanes, |loads| f(loads, lanes));
        let (status, mut results) = run(&module, &[n as i64], &args);
        assert_eq!(status, 0);
        let result = results.remove(0);
        match &common {
            None => common = Some(result),
            Some(common) => assert_eq!(common, &result, "{lanes} lanes differ from one"),
        }
    }
    common.unwrap()
}

pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub fn f64_bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub fn i64_bytes(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub fn to_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
}

pub fn to_f64(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(8).map(|word| f64::from_le_bytes(word.try_into().unwrap())).collect()
}

pub fn to_i64(bytes: &[u8]) -> Vec<i64> {
    bytes.chunks_exact(8).map(|word| i64::from_le_bytes(word.try_into().unwrap())).collect()
}
