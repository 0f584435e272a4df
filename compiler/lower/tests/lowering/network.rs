//! Networks with a training step, built by hand: what real programs look like after sema.

use graph::{Array, Builder, DType, Function, Module, NodeId, Op, Param, Role, Type, ops};
use kernel::{Binary, Combine, Unary};
use shape::{Dim, Shape, Symbol};
use std::collections::BTreeMap;

/// A function under construction, with its weights.
pub struct Net {
    pub module: Module,
    pub function: Function,
    pub weights: Vec<NodeId>,
}

pub fn shape(dims: &[&Dim]) -> Shape {
    dims.iter().map(|dim| (*dim).clone()).collect()
}

pub fn fixed(dims: &[i64]) -> Shape {
    dims.iter().map(|dim| Dim::from(*dim)).collect()
}

impl Net {
    pub fn new() -> Net {
        Net { module: Module::default(), function: Function::new("step"), weights: Vec::new() }
    }

    pub fn b(&mut self) -> Builder<'_> {
        Builder::new(&self.module, &mut self.function)
    }

    pub fn input(&mut self, dtype: DType, shape: Shape) -> NodeId {
        let name = format!("x{}", self.function.params.len());
        self.b().param(Param { name, role: Role::Input, ty: Type::new(dtype, shape) })
    }

    pub fn weight(&mut self, shape: Shape) -> NodeId {
        let id = self.input(DType::Float, shape);
        self.weights.push(id);
        id
    }

    pub fn matmul(&mut self, x: NodeId, w: NodeId) -> NodeId {
        let (a, b) = (self.function.ty(x).shape.clone(), self.function.ty(w).shape.clone());
        let index = ops::Subscript::index;
        let contract = ops::Contract {
            extents: vec![a[0].clone(), b[1].clone(), a[1].clone()],
            out: vec![0, 1],
            lhs: vec![index(0), index(2)],
            rhs: vec![index(2), index(1)],
        };
        self.b().add(Op::from(contract), &[x, w])
    }

    pub fn dense(&mut self, x: NodeId, n: i64) -> NodeId {
        let k = self.function.ty(x).shape[1].clone();
        let n = Dim::from(n);
        let (w, bias) = (self.weight(shape(&[&k, &n])), self.weight(shape(&[&n])));
        let y = self.matmul(x, w);
        let ty = self.function.ty(y).shape.clone();
        let mut b = self.b();
        let bias = b.broadcast(bias, &ty);
        b.binary(Binary::Add, y, bias)
    }

    pub fn relu(&mut self, x: NodeId) -> NodeId {
        self.b().binary_with(Binary::Max, x, 0.0)
    }

    /// A 3×3 convolution of `[n, c, h, w]` that keeps height and width.
    pub fn conv(&mut self, x: NodeId, channels: i64, stride: i64) -> NodeId {
        let [n, c, h, w] = <[Dim; 4]>::try_from(self.function.ty(x).shape.to_vec()).unwrap();
        let kernel = self.weight(shape(&[&Dim::from(channels), &c, &Dim::from(3i64), &Dim::from(3i64)]));
        let mut b = self.b();
        let zero = b.scalar(DType::Float, 0.0);
        let widths = vec![Dim::from(0i64), Dim::from(0i64), Dim::from(1i64), Dim::from(1i64)];
        let pad = ops::Pad { low: widths.clone(), high: widths, interior: vec![0; 4] };
        let padded = b.add(Op::from(pad), &[x, zero]);
        let index = ops::Subscript::index;
        let sliding =
            |i: usize, u: usize| ops::Subscript { terms: vec![(stride, i), (1, u)], offset: Dim::from(0i64) };
        let (oh, ow) = (h.ceil_div(&Dim::from(stride)), w.ceil_div(&Dim::from(stride)));
        let contract = ops::Contract {
            extents: vec![n, Dim::from(channels), oh, ow, c, Dim::from(3i64), Dim::from(3i64)],
            out: vec![0, 1, 2, 3],
            lhs: vec![index(0), index(4), sliding(2, 5), sliding(3, 6)],
            rhs: vec![index(1), index(4), index(5), index(6)],
        };
        b.add(Op::from(contract), &[padded, kernel])
    }

    pub fn batch_norm(&mut self, x: NodeId) -> NodeId {
        let full = self.function.ty(x).shape.clone();
        let c = full[1].clone();
        let (scale, bias) = (self.weight(shape(&[&c])), self.weight(shape(&[&c])));
        let axes = [0, 2, 3];
        let count = &full[0] * &full[2] * &full[3];
        let mut b = self.b();
        let size = b.add(Op::from(ops::Size { dim: count, dtype: DType::Float }), &[]);
        let size = b.broadcast(size, &shape(&[&c]));
        let sum = b.reduce(Combine::Sum, &axes, x);
        let mean = b.binary(Binary::Div, sum, size);
        let mean_full = b.spread(mean, &axes, &full);
        let centred = b.binary(Binary::Sub, x, mean_full);
        let square = b.binary(Binary::Mul, centred, centred);
        let square = b.reduce(Combine::Sum, &axes, square);
        let variance = b.binary(Binary::Div, square, size);
        let variance = b.binary_with(Binary::Add, variance, 1e-5);
        let deviation = b.unary(Unary::Sqrt, variance);
        let deviation = b.spread(deviation, &axes, &full);
        let normal = b.binary(Binary::Div, centred, deviation);
        let (scale, bias) = (b.spread(scale, &axes, &full), b.spread(bias, &axes, &full));
        let scaled = b.binary(Binary::Mul, normal, scale);
        b.binary(Binary::Add, scaled, bias)
    }

    pub fn max_pool(&mut self, x: NodeId) -> NodeId {
        let window =
            ops::Window { axes: vec![2, 3], size: vec![2, 2], stride: vec![2, 2], dilation: vec![1, 1] };
        let mut b = self.b();
        let windows = b.add(Op::from(window), &[x]);
        b.reduce(Combine::Max, &[4, 5], windows)
    }

    pub fn softmax(&mut self, x: NodeId) -> NodeId {
        let full = self.function.ty(x).shape.clone();
        let last = full.rank() - 1;
        let mut b = self.b();
        let most = b.reduce(Combine::Max, &[last], x);
        let most = b.add(Op::from(ops::StopGradient), &[most]);
        let most = b.spread(most, &[last], &full);
        let shifted = b.binary(Binary::Sub, x, most);
        let powers = b.unary(Unary::Exp, shifted);
        let sum = b.reduce(Combine::Sum, &[last], powers);
        let sum = b.spread(sum, &[last], &full);
        b.binary(Binary::Div, powers, sum)
    }

    /// The mean over rows of minus the logarithm of the labelled probability.
    pub fn cross_entropy(&mut self, p: NodeId, label: NodeId) -> NodeId {
        let full = self.function.ty(p).shape.clone();
        let mut b = self.b();
        let label = b.spread(label, &[1], &full);
        let classes = b.iota(DType::I32, &full, 1);
        let hit = b.binary(Binary::Eq, label, classes);
        let log = b.unary(Unary::Log, p);
        let zero = b.zeros_like(p);
        let picked = b.select(hit, log, zero);
        let sum = b.reduce(Combine::Sum, &[0, 1], picked);
        let rows = b.add(Op::from(ops::Size { dim: full[0].clone(), dtype: DType::Float }), &[]);
        let mean = b.binary(Binary::Div, sum, rows);
        b.unary(Unary::Neg, mean)
    }

    pub fn mean_square(&mut self, x: NodeId) -> NodeId {
        let axes: Vec<usize> = (0..self.function.ty(x).rank()).collect();
        let mut b = self.b();
        let square = b.binary(Binary::Mul, x, x);
        b.reduce(Combine::Sum, &axes, square)
    }

    pub fn result(&mut self, name: &str, role: Role, id: NodeId) {
        self.function.results.push((name.into(), role, id));
    }

    /// Adds the loss and, for each weight, one step of momentum descent.
    pub fn train(&mut self, loss: NodeId) {
        let weights = self.weights.clone();
        let gradients = autodiff::grad(&mut self.module, &mut self.function, loss, &weights).unwrap();
        self.result("loss", Role::Loss, loss);
        for (k, (weight, gradient)) in weights.into_iter().zip(gradients).enumerate() {
            let ty = self.function.ty(weight).clone();
            let velocity = self.input(DType::Float, ty.shape);
            let mut b = self.b();
            let old = b.binary_with(Binary::Mul, velocity, 0.9);
            let new = b.binary(Binary::Add, old, gradient);
            let step = b.binary_with(Binary::Mul, new, 0.1);
            let moved = b.binary(Binary::Sub, weight, step);
            self.result(&format!("velocity{k}"), Role::Optimizer, new);
            self.result(&format!("weight{k}"), Role::Weight, moved);
        }
    }

    /// The finished module, after the usual passes.
    pub fn finish(self) -> (Module, graph::FuncId) {
        let Net { mut module, function, .. } = self;
        let entry = module.functions.push(function);
        let options = passes::Options::new(kernel::DType::F64);
        let mut options = options;
        options.strict = false;
        let passes: Vec<_> =
            passes::pipeline::COMPILED.iter().filter(|pass| pass.name != "precision").copied().collect();
        passes::run_pipeline(&mut module, &[entry], &passes, options).unwrap();
        (module, entry)
    }
}

/// Deterministic numbers in −1..1 for every parameter; integers are small classes.
pub fn inputs(module: &Module, entry: graph::FuncId, dims: &BTreeMap<Symbol, i64>) -> Vec<Array> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let params = module.functions[entry].params.clone();
    let array = |param: &Param| {
        let extents: Vec<usize> = param.ty.shape.iter().map(|dim| dim.eval(dims).unwrap() as usize).collect();
        Array::from_fn(param.ty.dtype, &extents, |_| match param.ty.dtype {
            dtype if dtype.is_int() => (next() * 5.0).floor(),
            _ => next() * 2.0 - 1.0,
        })
    };
    params.iter().map(array).collect()
}

pub fn dims(pairs: &[(&str, i64)]) -> BTreeMap<Symbol, i64> {
    pairs.iter().map(|(name, value)| (Symbol::new(name), *value)).collect()
}
