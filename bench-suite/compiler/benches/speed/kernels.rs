//! Kernels as models meet them, on one thread and sizes that are known only at run time.

use criterion::{Criterion, Throughput};
use driver::{NoCache, NoFiles, Options, Session, Trace};
use exec::{Arena, Dims, Pool};
use std::hint::black_box;
use tensor::Tensor;

struct Kernel {
    name: &'static str,
    /// Inputs and the result of a model.
    inputs: &'static str,
    result: &'static str,
    body: &'static str,
    shapes: &'static [&'static [usize]],
    /// Floating-point operations, or bytes moved where those are the limit.
    work: Throughput,
}

const fn flops(count: u64) -> Throughput {
    Throughput::Elements(count)
}

const KERNELS: &[Kernel] = &[
    Kernel {
        name: "matmul 512",
        inputs: "a: f32[m, k], b: f32[k, n]",
        result: "y: f32[m, n]",
        body: "a @ b",
        shapes: &[&[512, 512], &[512, 512]],
        work: flops(2 * 512 * 512 * 512),
    },
    Kernel {
        name: "matmul 1 row",
        inputs: "a: f32[m, k], b: f32[k, n]",
        result: "y: f32[m, n]",
        body: "a @ b",
        shapes: &[&[1, 1024], &[1024, 1024]],
        work: Throughput::Bytes(4 * 1024 * 1024),
    },
    Kernel {
        name: "convolution 3x3 64 56",
        inputs: "x: f32[n, 64, h, w], k: f32[64, 64, 3, 3]",
        result: "y: f32[n, 64, h, w]",
        body: "conv(x, k, padding: 1)",
        shapes: &[&[1, 64, 56, 56], &[64, 64, 3, 3]],
        work: flops(2 * 64 * 64 * 9 * 56 * 56),
    },
    Kernel {
        name: "softmax 1024x1024",
        inputs: "x: f32[m, n]",
        result: "y: f32[m, n]",
        body: "softmax(x)",
        shapes: &[&[1024, 1024]],
        work: Throughput::Bytes(2 * 4 * 1024 * 1024),
    },
    Kernel {
        name: "chain 4M",
        inputs: "x: f32[n], z: f32[n]",
        result: "y: f32[n]",
        body: "tanh(x * z + 1) * sigmoid(z) - x",
        shapes: &[&[4 << 20], &[4 << 20]],
        work: Throughput::Bytes(3 * 4 * (4 << 20)),
    },
    Kernel {
        name: "sum rows 2048x2048",
        inputs: "x: f32[m, n]",
        result: "y: f32[m]",
        body: "sum(x, axis: 1)",
        shapes: &[&[2048, 2048]],
        work: Throughput::Bytes(4 * 2048 * 2048),
    },
    Kernel {
        name: "transpose 2048",
        inputs: "x: f32[m, n]",
        result: "y: f32[n, m]",
        body: "transpose(x, [1, 0])",
        shapes: &[&[2048, 2048]],
        work: Throughput::Bytes(2 * 4 * 2048 * 2048),
    },
    Kernel {
        name: "gather 4096 rows",
        inputs: "x: f32[m, n], i: i32[k]",
        result: "y: f32[k, n]",
        body: "gather(x, i, axis: 0)",
        shapes: &[&[8192, 256], &[4096]],
        work: Throughput::Bytes(2 * 4 * 4096 * 256),
    },
];

pub fn kernels(criterion: &mut Criterion) {
    let pool = Pool::new(1).expect("a thread");
    let mut group = criterion.benchmark_group("kernel");
    for kernel in KERNELS {
        let text =
            format!("model M({}) -> ({}) {{\n    y = {}\n}}\n", kernel.inputs, kernel.result, kernel.body);
        let session = Session::new(kernel.name, &text, &NoFiles, Options::native());
        let (built, _) = session.build(None, false).unwrap_or_else(|_| panic!("{text}"));
        let entries = Session::entries(&built, &["run"]);
        let compiled = session.compile(&built, &entries, &NoCache, &mut Trace::default()).expect("code");
        let program = compiled.load().expect("code that loads");
        let entry = program.entry("run").expect("an entry");
        let tensors: Vec<Tensor> = kernel
            .shapes
            .iter()
            .enumerate()
            .map(|(index, shape)| {
                let count = shape.iter().product();
                let values = (0..count).map(|at: usize| (at * 7919 % 1024) as f64);
                let array = match entry.arg_dtype(index) {
                    tensor::DType::I32 => values.collect::<Vec<f64>>(),
                    _ => values.map(|value| value / 512.0 - 1.0).collect(),
                };
                Tensor::from_vec(shape.to_vec(), array)
                    .and_then(|array| array.cast(entry.arg_dtype(index)))
                    .expect("an array")
            })
            .collect();
        let args: Vec<&Tensor> = tensors.iter().collect();
        let (mut arena, dims) = (Arena::new(), Dims::new());
        let mut results = entry.call(&mut arena, &pool, &args, &dims).expect("a result");
        let mut targets: Vec<&mut Tensor> = results.iter_mut().collect();
        group.throughput(kernel.work.clone());
        group.bench_function(kernel.name, |b| {
            b.iter(|| {
                entry.call_into(&mut arena, &pool, black_box(&args), &mut targets, &dims).expect("a result")
            });
        });
    }
    group.finish();
}
