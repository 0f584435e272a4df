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
    let mut results = bytes.split_off(args.len());
    for (result, bytes) in plan.results.iter().zip(&mut results) {
        one_nan(result.dtype, bytes);
    }
    (status, results)
}

/// Makes all NaNs one: which of them an operation gives is left open, as everywhere.
fn one_nan(dtype: DType, bytes: &mut [u8]) {
    if !dtype.is_float() {
        return;
    }
    let nan = encode(dtype, &[f64::NAN]);
    for element in bytes.chunks_exact_mut(dtype.size()) {
        if decode(dtype, element)[0].is_nan() {
            element.copy_from_slice(&nan);
        }
    }
}

/// Runs at both levels and gives the common result.
pub fn run(module: &Module, dims: &[i64], args: &[Vec<u8>]) -> (i32, Vec<Vec<u8>>) {
    let plan = &module.plans[0];
    let slow = call(&load(module, OptLevel::O0), plan, dims, args, None);
    let fast = call(&load(module, OptLevel::O3), plan, dims, args, None);
    assert!(slow == fast, "O0 and O3 differ");
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
    let store = Stmt::Store { buffer: output, index: vec![Expr::var(i)], value: f(&loads), mask: Some(mask) };
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
            Some(common) => assert!(common == &result, "{lanes} lanes differ from one"),
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

/// The elements of a buffer, as exact f64s (i64 within 2⁵³).
pub fn decode(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    bytes
        .chunks_exact(dtype.size())
        .map(|element| {
            let mut word = [0; 8];
            word[..element.len()].copy_from_slice(element);
            let word = u64::from_le_bytes(word);
            match dtype {
                DType::F64 => f64::from_bits(word),
                DType::F32 => f64::from(f32::from_bits(word as u32)),
                DType::BF16 => f64::from(f32::from_bits((word as u32) << 16)),
                DType::F16 => half_to_f64(word as u16),
                DType::I64 => word as i64 as f64,
                DType::I32 => f64::from(word as i32),
                DType::I16 => f64::from(word as i16),
                DType::I8 => f64::from(word as i8),
                DType::U8 => word as f64,
                DType::Bool => {
                    assert!(word <= 1, "a bool of {word}");
                    word as f64
                }
            }
        })
        .collect()
}

/// The nearest elements of a dtype; saturating for integers.
pub fn encode(dtype: DType, values: &[f64]) -> Vec<u8> {
    let mut bytes = vec![];
    for value in values {
        match dtype {
            DType::F64 => bytes.extend(value.to_le_bytes()),
            DType::F32 => bytes.extend((*value as f32).to_le_bytes()),
            DType::BF16 => bytes.extend(nearest_half(dtype, *value).to_le_bytes()),
            DType::F16 => bytes.extend(nearest_half(dtype, *value).to_le_bytes()),
            DType::I64 => bytes.extend((*value as i64).to_le_bytes()),
            DType::I32 => bytes.extend((*value as i32).to_le_bytes()),
            DType::I16 => bytes.extend((*value as i16).to_le_bytes()),
            DType::I8 => bytes.extend((*value as i8).to_le_bytes()),
            DType::U8 => bytes.push(*value as u8),
            DType::Bool => bytes.push(u8::from(*value != 0.0)),
        }
    }
    bytes
}

pub fn half_to_f64(bits: u16) -> f64 {
    let (exponent, fraction) = ((bits >> 10) & 31, f64::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * 2f64.powi(i32::from(e) - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// The nearest f16 or bf16, ties to even, found by trying all: slow and plain.
pub fn nearest_half(dtype: DType, value: f64) -> u16 {
    let decode = |bits: u16| match dtype {
        DType::F16 => half_to_f64(bits),
        _ => f64::from(f32::from_bits(u32::from(bits) << 16)),
    };
    let infinity: u16 = if dtype == DType::F16 { 0x7c00 } else { 0x7f80 };
    if value.is_nan() {
        return infinity | 1 << 6;
    }
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let magnitude = value.abs();
    // Bits of positive halves ascend with their values: the first that is not below.
    let (mut low, mut high) = (0, infinity);
    while low < high {
        let middle = (low + high) / 2;
        if decode(middle) < magnitude { low = middle + 1 } else { high = middle }
    }
    if low == 0 || decode(low) == magnitude {
        return sign | low;
    }
    // Infinity stands where the next number of the same spacing would be.
    let above = if low == infinity {
        let last = decode(infinity - 1);
        last + (last - decode(infinity - 2))
    } else {
        decode(low)
    };
    let below = decode(low - 1);
    let middle = below + (above - below) / 2.0;
    let up = magnitude > middle || (magnitude == middle && low % 2 == 0);
    sign | if up { low } else { low - 1 }
}

/// Whether two results are the same number; NaNs are.
pub fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Numbers at which arithmetic goes wrong, as far as the dtype has them.
pub fn special(dtype: DType) -> Vec<f64> {
    let numbers: &[f64] = match dtype {
        DType::Bool => &[0.0, 1.0],
        DType::U8 => &[0.0, 1.0, 2.0, 3.0, 7.0, 127.0, 128.0, 200.0, 255.0],
        DType::I8 => &[0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 7.0, -7.0, 100.0, 127.0, -128.0],
        DType::I16 => &[0.0, 1.0, -1.0, 2.0, -3.0, 7.0, -7.0, 15.0, 300.0, 32767.0, -32768.0],
        DType::I32 => &[0.0, 1.0, -1.0, 2.0, -3.0, 7.0, -7.0, 31.0, 65536.0, 2147483647.0, -2147483648.0],
        DType::I64 => &[0.0, 1.0, -1.0, 2.0, -3.0, 7.0, -7.0, 63.0, 65.0, 4294967295.0, -9007199254740992.0],
        _ => &[
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -0.5,
            1.5,
            -1.5,
            2.5,
            -2.5,
            3.0,
            -3.0,
            0.1,
            1e-7,
            6e-8,
            -3e-8,
            1e-40,
            100.25,
            -65504.0,
            65519.0,
            65520.0,
            3e9,
            -3e9,
            1e20,
            -1e20,
            1e39,
            3.4e38,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ],
    };
    // As the dtype has them.
    decode(dtype, &encode(dtype, numbers))
}
