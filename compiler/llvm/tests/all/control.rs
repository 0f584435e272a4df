//! Loops, branches and the places that depend on them: interpreter and compiled code against what they mean.

use super::machine::*;
use kernel::{
    Arg, ArgRole, BufferRef, Call, Check, DType, Expr, Kernel, KernelId, LoopId, Module, Plan, SlotId, Space,
    Step, Stmt,
    interp::{Order, run_plan},
};
use shape::{Dim, Symbol};
use std::collections::BTreeMap;

const N: usize = 5;

/// `out = a * b + c` for rows of [`N`].
fn multiply_add() -> Kernel {
    let mut kernel = Kernel::new("multiply_add");
    let row = || vec![Dim::from(N as i64)];
    let [a, b, c] = ["a", "b", "c"].map(|name| kernel.buffer(name, DType::F32, row(), Space::Input));
    let out = kernel.buffer("out", DType::F32, row(), Space::Output);
    kernel.grid = Dim::from(N as i64);
    let at = Expr::var(kernel.block);
    let read = |buffer| Expr::Load { buffer, index: vec![at.clone()], lanes: 1, mask: None };
    let value = read(a).mul(read(b)).add(read(c));
    kernel.body = vec![Stmt::Store { buffer: out, index: vec![at.clone()], value, mask: None }];
    kernel
}

/// `flag = a[0] < b[0]`.
fn less() -> Kernel {
    let mut kernel = Kernel::new("less");
    let row = || vec![Dim::from(N as i64)];
    let [a, b] = ["a", "b"].map(|name| kernel.buffer(name, DType::F32, row(), Space::Input));
    let out = kernel.buffer("out", DType::Bool, vec![Dim::from(1)], Space::Output);
    let read = |buffer| Expr::Load { buffer, index: vec![Expr::int(0)], lanes: 1, mask: None };
    let value = read(a).lt(read(b));
    kernel.body = vec![Stmt::Store { buffer: out, index: vec![Expr::int(0)], value, mask: None }];
    kernel
}

struct Built {
    module: Module,
    multiply_add: KernelId,
    less: KernelId,
}

impl Built {
    fn new(args: usize, results: &[Vec<Dim>], workspace: i64) -> Built {
        let mut module = Module::default();
        let multiply_add = module.kernels.push(multiply_add());
        let less = module.kernels.push(less());
        let arg =
            |name: String, shape: Vec<Dim>| Arg { name, role: ArgRole::Input, dtype: DType::F32, shape };
        module.plans.push(Plan {
            name: "control".into(),
            symbols: vec![Symbol::new("n")],
            args: (0..args).map(|i| arg(format!("x{i}"), vec![Dim::from(N as i64)])).collect(),
            results: results
                .iter()
                .enumerate()
                .map(|(i, shape)| arg(format!("y{i}"), shape.clone()))
                .collect(),
            constants: base::IdVec::new(),
            steps: vec![],
            checks: vec![],
            workspace: Dim::from(workspace),
        });
        Built { module, multiply_add, less }
    }

    /// `out = a * b + c`.
    fn step(&self, a: BufferRef, b: BufferRef, c: BufferRef, out: BufferRef) -> Step {
        let buffers = vec![a, b, c, out];
        Step::Call(Call { kernel: self.multiply_add, buffers, work: Dim::from(1i64) })
    }

    fn run(mut self, steps: Vec<Step>, n: i64, args: &[[f32; N]]) -> Vec<Vec<f32>> {
        self.module.plans[0].steps = steps;
        kernel::verify::module(&self.module).unwrap();
        let plan = &self.module.plans[0];
        let bytes: Vec<Vec<u8>> = args.iter().map(|row| f32_bytes(row)).collect();
        let (status, results) = run(&self.module, &[n], &bytes);
        assert_eq!(status, 0);
        let compiled: Vec<Vec<f32>> = results.iter().map(|bytes| to_f32(bytes)).collect();
        let rows: Vec<Vec<f64>> =
            args.iter().map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect();
        let dims = BTreeMap::from([(Symbol::new("n"), n)]);
        for order in [Order::Ascending, Order::Descending] {
            let results = run_plan(&self.module, plan, &rows, &dims, order).unwrap();
            let interpreted: Vec<Vec<f32>> =
                results.iter().map(|row| row.iter().map(|x| *x as f32).collect()).collect();
            assert_eq!(interpreted, compiled);
        }
        compiled
    }
}

fn arg(index: usize) -> BufferRef {
    BufferRef::Arg(index)
}

fn place(offset: i64) -> BufferRef {
    BufferRef::Workspace { offset: Dim::from(offset) }
}

/// Read at the step, and where the step writes for the next one.
fn turns(id: LoopId, first: BufferRef, even: BufferRef, odd: BufferRef) -> (BufferRef, BufferRef) {
    let (a, b) = (Box::new(even), Box::new(odd));
    let next = BufferRef::Turn { loop_id: id, first: None, even: b.clone(), odd: a.clone() };
    (BufferRef::Turn { loop_id: id, first: Some(Box::new(first)), even: a, odd: b }, next)
}

fn part(of: BufferRef, loop_id: LoopId) -> BufferRef {
    BufferRef::Part { of: Box::new(of), loop_id, stride: Dim::from(4 * N as i64) }
}

const ROWS: [[f32; N]; 5] = [
    [1.0, 2.0, 3.0, 4.0, 5.0],
    [2.0, 0.5, -1.0, 1.0, 0.0],
    [0.25, 1.5, 2.0, -2.0, 1.0],
    [3.0, 1.0, 0.5, 0.5, -1.0],
    [1.0, 1.0, 1.0, 1.0, 1.0],
];

/// `x = x * w[i] + one`, every x kept; as many steps as the dimension says, forwards and backwards.
#[test]
fn carried_stacked_and_tables() {
    for reverse in [false, true] {
        // Neighbours in the list, with gaps that are not equal, places that no list has, and rows.
        for weights in [
            vec![arg(1), arg(2), arg(3)],
            vec![arg(3), arg(1), arg(2)],
            vec![place(0), arg(1), place(64)],
            vec![place(0), place(64), place(128)],
            vec![place(128), place(0), place(64)],
        ] {
            let id = LoopId(0);
            let stacked = vec![Dim::from(3i64), Dim::from(N as i64)];
            let built = Built::new(5, &[vec![Dim::from(N as i64)], stacked], 256);
            let (read, write) = turns(id, arg(0), place(192), BufferRef::Result(0));
            let table = BufferRef::Table { loop_id: id, of: weights.clone() };
            let body = vec![
                built.step(read.clone(), table, arg(4), write.clone()),
                Step::Copy {
                    from: write,
                    to: part(BufferRef::Result(1), id),
                    bytes: Dim::from(4 * N as i64),
                },
            ];
            let steps = vec![
                Step::Copy { from: arg(2), to: place(0), bytes: Dim::from(4 * N as i64) },
                Step::Copy { from: arg(3), to: place(64), bytes: Dim::from(4 * N as i64) },
                Step::Copy { from: arg(2), to: place(128), bytes: Dim::from(4 * N as i64) },
                Step::Loop { id, count: Dim::from(3i64), reverse, body },
            ];
            let results = built.run(steps, 0, &ROWS);
            let mut x = ROWS[0];
            let mut all = [[0.0; N]; 3];
            for step in 0..3 {
                let number = if reverse { 2 - step } else { step };
                let w = match &weights[number] {
                    BufferRef::Arg(index) => ROWS[*index],
                    BufferRef::Workspace { offset } if !offset.is_const(64) => ROWS[2],
                    _ => ROWS[3],
                };
                for i in 0..N {
                    x[i] = x[i] * w[i] + 1.0;
                }
                all[number] = x;
            }
            assert_eq!(results, [x.to_vec(), all.concat()]);
        }
    }
}

/// After a loop whose count only the call knows, its turns say where the last value is; none done leaves the first.
#[test]
fn as_many_steps_as_a_dimension_says() {
    for n in 0..4 {
        let id = LoopId(3);
        let built = Built::new(5, &[vec![Dim::from(N as i64)]], 128);
        let (read, write) = turns(id, arg(0), place(0), place(64));
        let body = vec![built.step(read.clone(), arg(1), arg(4), write)];
        let steps = vec![
            Step::Loop { id, count: Dim::symbol("n"), reverse: false, body },
            Step::Copy { from: read, to: BufferRef::Result(0), bytes: Dim::from(4 * N as i64) },
        ];
        let mut x = ROWS[0];
        for _ in 0..n {
            x = std::array::from_fn(|i| x[i] * ROWS[1][i] + 1.0);
        }
        assert_eq!(built.run(steps, n, &ROWS), [x.to_vec()]);
    }
}

/// A loop within a loop: row i, column j of a table of products.
#[test]
fn nested_loops() {
    let (outer, inner) = (LoopId(0), LoopId(1));
    let shape = vec![Dim::symbol("n"), Dim::from(2i64), Dim::from(N as i64)];
    let built = Built::new(5, &[shape], 64);
    let row = BufferRef::Part {
        of: Box::new(BufferRef::Result(0)),
        loop_id: outer,
        stride: Dim::from(2 * 4 * N as i64),
    };
    let (read, write) = turns(outer, arg(0), place(0), place(64));
    let table = BufferRef::Table { loop_id: inner, of: vec![arg(1), read.clone()] };
    let mut built = built;
    built.module.plans[0].workspace = Dim::from(128i64);
    let body = vec![
        Step::Loop {
            id: inner,
            count: Dim::from(2i64),
            reverse: false,
            body: vec![built.step(read.clone(), table, arg(3), part(row, inner))],
        },
        built.step(read, arg(2), arg(4), write),
    ];
    let steps = vec![Step::Loop { id: outer, count: Dim::symbol("n"), reverse: false, body }];
    for n in [0, 1, 3] {
        let again = Built { module: built.module.clone(), ..built };
        let results = again.run(steps.clone(), n, &ROWS);
        let mut x = ROWS[0];
        let mut wanted = Vec::new();
        for _ in 0..n {
            wanted.extend((0..N).map(|i| x[i] * ROWS[1][i] + ROWS[3][i]));
            wanted.extend((0..N).map(|i| x[i] * x[i] + ROWS[3][i]));
            x = std::array::from_fn(|i| x[i] * ROWS[2][i] + 1.0);
        }
        assert_eq!(results, [wanted]);
    }
}

/// Doubles until a bound or a limit, then takes one of two branches.
#[test]
fn conditions() {
    for (limit, bound, wanted) in [(None, 20.0, 32.0), (Some(3i64), 20.0, 8.0), (None, 0.5, 1.0)] {
        let id = LoopId(0);
        let built = Built::new(3, &[vec![Dim::from(N as i64)], vec![Dim::from(N as i64)]], 256);
        let (read, write) = turns(id, arg(0), place(0), place(64));
        let flag = place(128);
        let test = |value: &BufferRef| {
            let buffers = vec![value.clone(), arg(1), flag.clone()];
            Step::Call(Call { kernel: built.less, buffers, work: Dim::from(1i64) })
        };
        let small = BufferRef::Result(0);
        let steps = vec![
            Step::While {
                id,
                condition: vec![test(&read)],
                flag: flag.clone(),
                limit: limit.map(Dim::from),
                body: vec![
                    built.step(read.clone(), arg(2), arg(2), place(192)),
                    built.step(read.clone(), arg(2), read.clone(), write),
                ],
            },
            Step::Copy { from: read, to: small.clone(), bytes: Dim::from(4 * N as i64) },
            test(&small),
            Step::If {
                flag: flag.clone(),
                then: vec![built.step(arg(2), arg(2), arg(2), BufferRef::Result(1))],
                otherwise: vec![built.step(arg(1), arg(2), arg(2), BufferRef::Result(1))],
            },
        ];
        let results = built.run(steps, 0, &[[1.0; N], [bound; N], [1.0; N]]);
        let chosen = if wanted < bound { 2.0 } else { bound + 1.0 };
        assert_eq!(results, [vec![wanted; N], vec![chosen; N]]);
    }
}

const FIRST: SlotId = SlotId(0);
const SECOND: SlotId = SlotId(1);

fn allocate(slot: SlotId, bytes: impl Into<Dim>) -> Step {
    Step::Allocate { slot, bytes: bytes.into(), check: 0 }
}

fn no_memory() -> Vec<Check> {
    vec![Check { message: "no memory".into(), place: String::new() }]
}

/// `y = ((x * x + x) * x + x) …`, each value in memory of its own.
#[test]
fn values_are_allocated_step_by_step() {
    let id = LoopId(0);
    let bytes = 4 * N as i64;
    let mut built = Built::new(1, &[vec![Dim::from(N as i64)]], 64);
    built.module.plans[0].checks = no_memory();
    let (first, second) = (BufferRef::Allocated(FIRST), BufferRef::Allocated(SECOND));
    let (read, write) = turns(id, arg(0), place(0), first.clone());
    let body = vec![
        allocate(SECOND, bytes),
        built.step(read.clone(), arg(0), arg(0), second.clone()),
        Step::Copy { from: second, to: write, bytes: Dim::from(bytes) },
        Step::Free { slot: SECOND },
    ];
    let steps = vec![
        allocate(FIRST, bytes),
        Step::Loop { id, count: Dim::symbol("n"), reverse: false, body },
        Step::Copy { from: read, to: BufferRef::Result(0), bytes: Dim::from(bytes) },
        Step::Free { slot: FIRST },
    ];
    let results = built.run(steps, 3, &[ROWS[0]]);
    let wanted = ROWS[0].map(|x| (0..3).fold(x, |y, _| y * x + x));
    assert_eq!(results, [wanted.to_vec()]);
}

#[test]
fn memory_that_is_not_there_ends_the_call() {
    let mut built = Built::new(1, &[vec![Dim::from(1i64)]], 0);
    let plan = &mut built.module.plans[0];
    plan.checks = no_memory();
    plan.steps = vec![
        allocate(FIRST, 64i64),
        allocate(SECOND, Dim::symbol("n")),
        Step::Copy { from: arg(0), to: BufferRef::Result(0), bytes: Dim::from(4i64) },
        Step::Free { slot: SECOND },
        Step::Free { slot: FIRST },
    ];
    kernel::verify::module(&built.module).unwrap();
    let args = [f32_bytes(&ROWS[0])];
    assert_eq!(run(&built.module, &[0], &args).0, 0);
    assert_eq!(run(&built.module, &[1 << 60], &args).0, 1);
}

/// The rules that keep the steps' numbers meaningful.
#[test]
fn what_plans_must_not_say() {
    let id = LoopId(0);
    let copy = |from| Step::Copy { from, to: BufferRef::Result(0), bytes: Dim::from(4i64) };
    let turn =
        BufferRef::Turn { loop_id: id, first: None, even: Box::new(place(0)), odd: Box::new(place(64)) };
    let repeat = |count: i64, body| Step::Loop { id, count: Dim::from(count), reverse: false, body };
    let faults = [
        (vec![copy(part(arg(0), id))], "has no numbered steps here"),
        (vec![repeat(1, vec![]), copy(part(arg(0), id))], "has no numbered steps here"),
        (vec![copy(turn.clone()), repeat(1, vec![])], "does not run here"),
        (
            vec![repeat(3, vec![copy(BufferRef::Table { loop_id: id, of: vec![arg(0)] })])],
            "a table of 1 places",
        ),
        (vec![repeat(1, vec![]), repeat(1, vec![])], "the number 0"),
        (vec![Step::If { flag: arg(0), then: vec![], otherwise: vec![] }], "a bool must"),
        (vec![Step::Copy { from: place(0), to: arg(0), bytes: Dim::from(4i64) }], "read only"),
        (vec![allocate(FIRST, 4i64)], "does not free"),
        (vec![repeat(2, vec![allocate(FIRST, 4i64)]), Step::Free { slot: FIRST }], "does not free"),
        (vec![allocate(FIRST, 4i64), repeat(2, vec![Step::Free { slot: FIRST }])], "frees what it has not"),
        (vec![Step::Free { slot: FIRST }], "is not allocated"),
        (vec![copy(BufferRef::Allocated(FIRST))], "is not allocated here"),
        (
            vec![
                allocate(FIRST, 4i64),
                Step::Free { slot: FIRST },
                allocate(FIRST, 4i64),
                Step::Free { slot: FIRST },
            ],
            "two steps allocate",
        ),
    ];
    for (steps, wanted) in faults {
        let mut built = Built::new(1, &[vec![Dim::from(1i64)]], 128);
        built.module.plans[0].steps = steps;
        built.module.plans[0].checks = no_memory();
        let message = kernel::verify::module(&built.module).unwrap_err().0;
        assert!(message.contains(wanted), "{message}");
    }
}
