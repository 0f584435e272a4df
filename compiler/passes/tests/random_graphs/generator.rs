//! Random well-typed modules over all operators: what does not fit is tried and left out.

use graph::{
    Builder, DType, FuncId, Function, Module, NodeId, Op, Param, Role, Type, ops,
    ops::{Contract, Distribution, Subscript},
};
use kernel::{Binary, Combine, Unary};
use shape::{Dim, Shape};

/// xorshift64*: the same graphs on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// A function of a few operations, a composite, and a `main` that calls both.
pub fn module(random: &mut Random) -> (Module, FuncId) {
    let mut module = Module::default();
    let callee = function(&module, random, "inner", 6, true);
    module.functions.push(callee);
    let mut composite = function(&module, random, "special", 6, true);
    composite.composite = Some("special".into());
    module.functions.push(composite);
    let main = function(&module, random, "main", 40, false);
    let id = module.functions.push(main);
    (module, id)
}

fn function(module: &Module, random: &mut Random, name: &str, n_nodes: usize, inner: bool) -> Function {
    let mut function = Function::new(name);
    let mut b = Builder::new(module, &mut function);
    let (n, m) = (Dim::symbol("n"), Dim::symbol("m"));
    let cube = vec![n.clone(), n.clone(), n.clone()];
    let shapes = [vec![n.clone(), m], vec![n, Dim::from(3i64)], cube, vec![Dim::from(5i64)]];
    for (index, shape) in shapes.into_iter().enumerate().take(if inner { 2 } else { 4 }) {
        let ty = Type::new(DType::Float, Shape(shape));
        b.param(Param { name: format!("x{index}"), role: Role::Input, ty });
    }
    if !inner {
        let ty = Type::new(DType::I32, Shape(vec![Dim::from(2i64)]));
        b.param(Param { name: "at".into(), role: Role::Input, ty });
    }
    // Half of the functions mostly move and reduce, so that such operations stand in chains.
    let moves = random.chance(50);
    let mut attempts = 0;
    while b.function.nodes.len() < n_nodes && attempts < 400 {
        attempts += 1;
        // What does not fit is a fault, and one more attempt.
        let _ = step(&mut b, random, moves);
    }
    let values: Vec<NodeId> =
        function.nodes.iter().filter(|(_, node)| !node.op.is_tuple()).map(|(id, _)| id).collect();
    for index in 0..4 + random.below(4) {
        let value = if index == 0 { *values.last().expect("parameters") } else { *random.pick(&values) };
        function.results.push((format!("y{index}"), Role::Output, value));
    }
    function
}

/// A value of the function; often one of the newest.
fn any(b: &Builder<'_>, random: &mut Random) -> NodeId {
    loop {
        let count = b.function.nodes.len();
        let index =
            if random.chance(50) { count - 1 - random.below(count.min(5)) } else { random.below(count) };
        let id = NodeId::new(index);
        if !b.function.nodes[id].op.is_tuple() {
            return id;
        }
    }
}

fn any_float(b: &Builder<'_>, random: &mut Random) -> NodeId {
    loop {
        let id = any(b, random);
        if b.dtype(id).is_float() {
            return id;
        }
    }
}

/// A value of the type of `like`: one that is there, or a constant that rules look for.
fn another(b: &mut Builder<'_>, random: &mut Random, like: NodeId) -> NodeId {
    let ty = b.ty(like).clone();
    let same: Vec<NodeId> = b
        .function
        .nodes
        .iter()
        .filter(|(_, node)| !node.op.is_tuple() && *node.ty() == ty)
        .map(|(id, _)| id)
        .collect();
    if random.chance(60) {
        return *random.pick(&same);
    }
    let value = if ty.dtype.is_float() {
        *random.pick(&[0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 0.75])
    } else {
        *random.pick(&[0.0, 1.0])
    };
    b.full(ty.dtype, &ty.shape, value)
}

fn axis(random: &mut Random, rank: usize) -> usize {
    random.below(rank)
}

fn permutation(random: &mut Random, rank: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..rank).collect();
    (0..rank).map(|_| left.remove(random.below(left.len()))).collect()
}

fn step(b: &mut Builder<'_>, random: &mut Random, moves: bool) -> Option<NodeId> {
    let x = any(b, random);
    let shape = b.ty(x).shape.clone();
    let rank = shape.rank();
    let one = Dim::from(1i64);
    let kind = if moves && random.chance(80) {
        *random.pick(&[8, 9, 10, 10, 12, 16, 17, 18])
    } else {
        random.below(24)
    };
    let (op, inputs): (Op, Vec<NodeId>) = match kind {
        0 | 1 => {
            let unary = *random.pick(&[
                Unary::Neg,
                Unary::Abs,
                Unary::Sign,
                Unary::Not,
                Unary::Floor,
                Unary::Sqrt,
                Unary::Exp,
                Unary::Tanh,
                Unary::Sigmoid,
                Unary::Sin,
                Unary::Erf,
                Unary::IsNan,
                Unary::Neg,
            ]);
            (ops::Unary { op: unary }.into(), vec![x])
        }
        2..=5 => {
            let binary = *random.pick(&[
                Binary::Add,
                Binary::Sub,
                Binary::Mul,
                Binary::Div,
                Binary::Pow,
                Binary::Min,
                Binary::Max,
                Binary::Lt,
                Binary::Ge,
                Binary::Eq,
                Binary::And,
                Binary::Or,
            ]);
            let mut inputs = vec![x, another(b, random, x)];
            if random.chance(30) {
                inputs.reverse();
            }
            (ops::Binary { op: binary }.into(), inputs)
        }
        6 => {
            let condition = Type::new(DType::BOOL, shape.clone());
            let known = b
                .function
                .nodes
                .iter()
                .rev()
                .find(|(_, node)| !node.op.is_tuple() && *node.ty() == condition)
                .map(|(id, _)| id);
            let condition = match known {
                Some(id) if random.chance(80) => id,
                _ => b.full(DType::BOOL, &shape, 1.0),
            };
            (ops::Select.into(), vec![condition, x, another(b, random, x)])
        }
        7 => {
            let to = *random.pick(&[DType::Float, DType::F64, DType::I32, DType::I64, DType::BOOL]);
            (ops::Cast { to }.into(), vec![x])
        }
        8 => {
            let lead = random.pick(&[Dim::symbol("n"), Dim::from(2i64), one.clone()]).clone();
            let stretched = shape
                .iter()
                .map(|dim| if dim.is_const(1) && random.chance(50) { Dim::from(3i64) } else { dim.clone() });
            let shape: Shape = std::iter::once(lead).chain(stretched).collect();
            (ops::Broadcast { shape }.into(), vec![x])
        }
        9 => {
            let shape = match random.below(3) {
                0 => Shape(vec![shape.elements()]),
                1 => std::iter::once(one.clone()).chain(shape.iter().cloned()).collect(),
                _ => shape.iter().filter(|dim| !dim.is_const(1)).cloned().chain([one.clone()]).collect(),
            };
            (ops::Reshape { shape }.into(), vec![x])
        }
        10 | 11 => (ops::Transpose { perm: permutation(random, rank) }.into(), vec![x]),
        12 => {
            let mut slice = ops::Slice::whole(&shape);
            if rank > 0 && random.chance(80) {
                let axis = axis(random, rank);
                let size = shape[axis].as_const().filter(|size| *size >= 2);
                match size {
                    Some(size) if random.chance(50) => {
                        slice.start[axis] = Dim::from(size - 1);
                        slice.extent[axis] = Dim::from(size / 2);
                        slice.stride[axis] = -2;
                    }
                    Some(size) => {
                        slice.start[axis] = one.clone();
                        slice.extent[axis] = Dim::from(size - 1);
                    }
                    None => {
                        slice.start[axis] = &shape[axis] - 1;
                        slice.stride[axis] = -1;
                    }
                }
            }
            (slice.into(), vec![x])
        }
        13 => {
            let value = b.scalar(b.dtype(x), *random.pick(&[0.0, 1.0]));
            let mut amount = || (0..rank).map(|_| Dim::from(random.below(2))).collect();
            let (low, high) = (amount(), amount());
            let interior = (0..rank).map(|_| random.below(2) as i64).collect();
            (ops::Pad { low, high, interior }.into(), vec![x, value])
        }
        14 => {
            let mut inputs = vec![x, another(b, random, x)];
            inputs.truncate(1 + random.below(2));
            (ops::Concat { axis: axis(random, rank) }.into(), inputs)
        }
        15 => {
            let window = (vec![axis(random, rank)], vec![2], vec![1 + random.below(2) as i64], vec![1]);
            let (axes, size, stride, dilation) = window;
            let extents = axes.iter().filter_map(|axis| shape.get(*axis).cloned()).collect();
            let sliding: Op = ops::Window {
                axes: axes.clone(),
                size: size.clone(),
                stride: stride.clone(),
                dilation: dilation.clone(),
            }
            .into();
            let windows = b.try_add(sliding, &[x]).ok()?;
            if random.chance(50) {
                return Some(windows);
            }
            (ops::Fold { axes, size, stride, dilation, extents }.into(), vec![windows])
        }
        16 | 17 => {
            let combine = *random.pick(&[
                Combine::Sum,
                Combine::Sum,
                Combine::Max,
                Combine::Min,
                Combine::Product,
                Combine::Any,
                Combine::ArgMax,
            ]);
            let axes: Vec<usize> = (0..rank).filter(|_| random.chance(50)).collect();
            (ops::Reduce { combine, axes }.into(), vec![x])
        }
        18 | 19 => {
            let (x, y) = (if b.dtype(x).is_float() { x } else { any_float(b, random) }, any_float(b, random));
            (contract(b, random, x, y)?.into(), vec![x, y])
        }
        20 => {
            let at = NodeId::new(4);
            let at = if b.function.params.len() > 4 { at } else { b.scalar(DType::I32, 0.0) };
            if random.chance(50) || rank == 0 {
                (ops::Gather { axis: axis(random, rank), lanes: 0 }.into(), vec![x, at])
            } else {
                let axis = axis(random, rank);
                let picked = b.try_add(ops::Gather { axis, lanes: 0 }.into(), &[x, at]).ok()?;
                (ops::ScatterAdd { axis, lanes: 0 }.into(), vec![x, at, picked])
            }
        }
        21 => match random.below(3) {
            0 => (ops::Iota { shape, axis: axis(random, rank) }.into(), vec![]),
            1 => {
                let dim = shape.elements() + 1;
                (ops::Size { dim, dtype: *random.pick(&[DType::Float, DType::I64]) }.into(), vec![])
            }
            _ => {
                let seed = b.scalar(DType::I64, random.below(3) as f64);
                let draw = random.below(2) as u32;
                let distribution = *random.pick(&[Distribution::Uniform, Distribution::Normal]);
                let random = ops::Random { distribution, dtype: DType::Float, shape, draw };
                (random.into(), vec![seed, seed, seed])
            }
        },
        22 => match random.below(4) {
            3 => (ops::Barrier.into(), vec![x]),
            0 => (ops::StopGradient.into(), vec![x]),
            1 => {
                let (reverse, leading) = (random.chance(50), random.chance(50));
                let cumulative = ops::Cumulative { axis: axis(random, rank), reverse, leading };
                (cumulative.into(), vec![x, another(b, random, x)])
            }
            _ => (ops::Argsort { axis: axis(random, rank), descending: random.chance(50) }.into(), vec![x]),
        },
        _ => {
            let callee = FuncId::new(random.below(2));
            let callee_results = b.module.functions.get(callee)?.results.len();
            let operands = [any_float(b, random), any_float(b, random)];
            let call = b.try_add(ops::Call { callee }.into(), &operands).ok()?;
            let index = random.below(callee_results);
            (ops::Get { index }.into(), vec![call])
        }
    };
    b.try_add(op, &inputs).ok()
}

/// Axes of equal extent may share an index; some indices are summed over; one may slide.
fn contract(b: &Builder<'_>, random: &mut Random, x: NodeId, y: NodeId) -> Option<Contract> {
    let (left, right) = (b.ty(x).shape.clone(), b.ty(y).shape.clone());
    let mut extents: Vec<Dim> = left.0.clone();
    let mut lhs: Vec<Subscript> = (0..left.rank()).map(Subscript::index).collect();
    let mut rhs = Vec::new();
    for dim in &right.0 {
        let shared = (0..left.rank()).find(|index| {
            extents[*index] == *dim && !rhs.contains(&Subscript::index(*index)) && random.chance(80)
        });
        let index = shared.unwrap_or_else(|| {
            extents.push(dim.clone());
            extents.len() - 1
        });
        rhs.push(Subscript::index(index));
    }
    // A convolution along the last axis of the left side, whose kernel is the last axis of the right.
    if let (Some(signal), Some(taps)) =
        (left.last().and_then(Dim::as_const), right.last().and_then(Dim::as_const))
        && signal >= taps
        && extents.len() > left.rank()
        && rhs.last() == Some(&Subscript::index(extents.len() - 1))
    {
        let (slide, tap) = (left.rank() - 1, extents.len() - 1);
        extents[slide] = Dim::from(signal - taps + 1);
        lhs[slide].terms.push((1, tap));
    }
    let mut out: Vec<usize> = (0..extents.len()).filter(|_| random.chance(60)).collect();
    out.truncate(4);
    Some(Contract { extents, out, lhs, rhs })
}
