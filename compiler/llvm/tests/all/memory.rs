//! Indices, masks, gathers, registers, local buffers and reductions.

use super::machine::*;
use kernel::{Binary, DType, Expr, Half, Kernel, LoopKind, Space, Stmt, Ty};
use shape::Dim;

fn serial(var: kernel::VarId, to: Expr, step: i64, body: Vec<Stmt>) -> Stmt {
    Stmt::For { var, from: Expr::int(0), to, step, kind: LoopKind::Serial, body }
}

fn load(buffer: kernel::BufferId, index: Vec<Expr>) -> Expr {
    Expr::Load { buffer, index, lanes: 1, mask: None }
}

fn store(buffer: kernel::BufferId, index: Vec<Expr>, value: Expr) -> Stmt {
    Stmt::Store { buffer, index, value, mask: None }
}

/// out[j, i] = in[i, j] with a gather down the columns and dynamic sizes.
#[test]
fn transpose_by_gather() {
    let (rows, columns) = (Dim::symbol("rows"), Dim::symbol("columns"));
    for lanes in [2u16, 8] {
        let mut kernel = Kernel::new("transpose");
        let input = kernel.buffer("in", DType::F32, vec![rows.clone(), columns.clone()], Space::Input);
        let output = kernel.buffer("out", DType::F32, vec![columns.clone(), rows.clone()], Space::Output);
        kernel.grid = columns.clone();
        let i = kernel.var("i", Ty::INDEX);
        let ramp = Expr::ramp(Expr::var(i), 1, lanes);
        let mask = Expr::binary(Binary::Lt, ramp.clone(), Expr::splat(Expr::dim(&rows), lanes));
        let block = Expr::var(kernel.block);
        let value = Expr::Load {
            buffer: input,
            index: vec![ramp, block.clone()],
            lanes,
            mask: Some(Box::new(mask.clone())),
        };
        let body = Stmt::Store { buffer: output, index: vec![block, Expr::var(i)], value, mask: Some(mask) };
        kernel.body = vec![serial(i, Expr::dim(&rows), i64::from(lanes), vec![body])];
        let module = single(kernel, &["rows", "columns"]);
        for (m, n) in [(1usize, 1usize), (7, 5), (16, 3), (0, 4), (3, 0), (19, 33)] {
            let values: Vec<f32> = (0..m * n).map(|i| i as f32).collect();
            let (status, results) = run(&module, &[m as i64, n as i64], &[f32_bytes(&values)]);
            let wanted: Vec<f32> = (0..n * m).map(|k| values[k % m * n + k / m]).collect();
            assert_eq!((status, to_f32(&results[0])), (0, wanted), "{m}x{n}");
        }
    }
}

/// Gathers and scatters with indices from memory, in the last and in the first axis.
#[test]
fn gather_and_scatter_by_data() {
    let mut kernel = Kernel::new("shuffle");
    let table = kernel.buffer("table", DType::F64, vec![Dim::from(10), Dim::from(3)], Space::Input);
    let index = kernel.buffer("index", DType::I64, vec![Dim::from(8)], Space::Input);
    let output = kernel.buffer("out", DType::F64, vec![Dim::from(3), Dim::from(8)], Space::Output);
    let places = kernel.var("places", Ty::vector(DType::I64, 4));
    let (i, j) = (kernel.var("i", Ty::INDEX), kernel.var("j", Ty::INDEX));
    let read = Expr::Load { buffer: index, index: vec![Expr::var(i)], lanes: 4, mask: None };
    let rows =
        Expr::Load { buffer: table, index: vec![Expr::var(places), Expr::var(j)], lanes: 4, mask: None };
    // Written backwards.
    let to = Expr::ramp(Expr::int(7).sub(Expr::var(i)), -1, 4);
    let put = Stmt::Store { buffer: output, index: vec![Expr::var(j), to], value: rows, mask: None };
    let body = vec![Stmt::Let { var: places, value: read }, serial(j, Expr::int(3), 1, vec![put])];
    kernel.body = vec![serial(i, Expr::int(8), 4, body)];
    let table: Vec<f64> = (0..30).map(f64::from).collect();
    let picks = [9i64, 0, 3, 3, 7, 1, 2, 8];
    let (_, results) = run(&single(kernel, &[]), &[], &[f64_bytes(&table), i64_bytes(&picks)]);
    let wanted: Vec<f64> = (0..24).map(|k| table[picks[7 - k % 8] as usize * 3 + k / 8]).collect();
    assert_eq!(to_f64(&results[0]), wanted);
}

/// Where the mask is false nothing is touched: the index is far outside there.
#[test]
fn masked_off_accesses_touch_nothing() {
    for lanes in [1u16, 8] {
        let mut kernel = Kernel::new("shifted");
        let input = kernel.buffer("in", DType::I32, vec![Dim::from(16)], Space::Input);
        let output = kernel.buffer("out", DType::I32, vec![Dim::from(16)], Space::Output);
        let i = kernel.var("i", Ty::INDEX);
        let far = Expr::var(i).mul(Expr::int(1 << 40));
        let whole = Expr::binary(Binary::Lt, Expr::var(i), Expr::int(1));
        let value = Expr::Load { buffer: input, index: vec![far], lanes, mask: Some(Box::new(whole)) };
        kernel.body =
            vec![serial(i, Expr::int(16), i64::from(lanes), vec![store(output, vec![Expr::var(i)], value)])];
        let values: Vec<f64> = (5..21).map(f64::from).collect();
        let (_, results) = run(&single(kernel, &[]), &[], &[encode(DType::I32, &values)]);
        let kept = usize::from(lanes);
        let wanted: Vec<f64> = (0..16).map(|i| if i < kept { values[i] } else { 0.0 }).collect();
        assert_eq!(decode(DType::I32, &results[0]), wanted, "{lanes} lanes");
    }
}

/// A row sum with lane-wise partial sums, a horizontal tree and a scalar tail.
#[test]
fn reduction_in_registers() {
    let n = Dim::symbol("n");
    let mut kernel = Kernel::new("row_sum");
    let input = kernel.buffer("in", DType::F32, vec![Dim::from(3), n.clone()], Space::Input);
    let output = kernel.buffer("out", DType::F32, vec![Dim::from(3)], Space::Output);
    kernel.grid = Dim::from(3);
    let lanes = 8u16;
    let (i, k) = (kernel.var("i", Ty::INDEX), kernel.var("k", Ty::INDEX));
    let sums = kernel.var("sums", Ty::vector(DType::F32, lanes));
    let total = kernel.var("total", Ty::scalar(DType::F32));
    let block = Expr::var(kernel.block);
    let whole = Expr::dim(&(Dim::from(8) * n.div_floor(&Dim::from(8))));
    let vector = Expr::Load { buffer: input, index: vec![block.clone(), Expr::var(i)], lanes, mask: None };
    let zero = Expr::splat(Expr::float(DType::F32, 0.0), lanes);
    kernel.body = vec![
        Stmt::Register { var: sums, init: zero },
        serial(i, whole.clone(), 8, vec![Stmt::Assign { var: sums, value: Expr::var(sums).add(vector) }]),
        Stmt::Register { var: total, init: Expr::Horizontal(Binary::Add, Box::new(Expr::var(sums))) },
        Stmt::For {
            var: k,
            from: whole,
            to: Expr::dim(&n),
            step: 1,
            kind: LoopKind::Serial,
            body: vec![Stmt::Assign {
                var: total,
                value: Expr::var(total).add(load(input, vec![block.clone(), Expr::var(k)])),
            }],
        },
        store(output, vec![block], Expr::var(total)),
    ];
    let module = single(kernel, &["n"]);
    for n in [0usize, 1, 8, 21, 100] {
        let values: Vec<f32> = (0..3 * n).map(|i| ((i * 37) % 11) as f32 * 0.1 - 0.3).collect();
        let (_, results) = run(&module, &[n as i64], &[f32_bytes(&values)]);
        for (row, got) in to_f32(&results[0]).into_iter().enumerate() {
            let row = &values[row * n..(row + 1) * n];
            let mut lanes = [0f32; 8];
            for chunk in row.chunks_exact(8) {
                lanes.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
            }
            let mut width = 4;
            while width > 0 {
                (0..width).for_each(|lane| lanes[lane] += lanes[lane + width]);
                width /= 2;
            }
            let wanted = row[n / 8 * 8..].iter().fold(lanes[0], |sum, x| sum + x);
            assert_eq!(got.to_bits(), wanted.to_bits(), "{n}");
        }
    }
}

#[test]
fn horizontal_of_all_kinds() {
    let mut kernel = Kernel::new("horizontal");
    let input = kernel.buffer("in", DType::I32, vec![Dim::from(8)], Space::Input);
    let output = kernel.buffer("out", DType::I32, vec![Dim::from(5)], Space::Output);
    let vector = || Expr::Load { buffer: input, index: vec![Expr::int(0)], lanes: 8, mask: None };
    let ops = [Binary::Add, Binary::Mul, Binary::Min, Binary::Max];
    kernel.body = ops
        .iter()
        .enumerate()
        .map(|(i, op)| store(output, vec![Expr::int(i as i64)], Expr::Horizontal(*op, Box::new(vector()))))
        .collect();
    let lane = Expr::Lane(Box::new(vector()), 5);
    kernel.body.push(store(output, vec![Expr::int(4)], lane));
    let (_, results) =
        run(&single(kernel, &[]), &[], &[encode(DType::I32, &[3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, 6.0])]);
    assert_eq!(decode(DType::I32, &results[0]), [19.0, 6480.0, -5.0, 9.0, 9.0]);
}

#[test]
fn vectors_in_turn() {
    let mut kernel = Kernel::new("turn");
    let input = kernel.buffer("in", DType::I32, vec![Dim::from(8)], Space::Input);
    let output = kernel.buffer("out", DType::I32, vec![Dim::from(8)], Space::Output);
    let half =
        |at: i64| Box::new(Expr::Load { buffer: input, index: vec![Expr::int(at)], lanes: 4, mask: None });
    for (at, which) in [(0, Half::Low), (4, Half::High)] {
        kernel.body.push(store(output, vec![Expr::int(at)], Expr::Interleave(half(0), half(4), which)));
    }
    let (_, results) =
        run(&single(kernel, &[]), &[], &[encode(DType::I32, &[1.0, 2.0, 3.0, 4.0, -1.0, -2.0, -3.0, -4.0])]);
    assert_eq!(decode(DType::I32, &results[0]), [1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 4.0, -4.0]);
}

/// A scratch buffer, an unrolled loop over it, a condition, and registers that an unrolled body declares.
#[test]
fn local_buffers_and_branches() {
    let mut kernel = Kernel::new("scratch");
    let input = kernel.buffer("in", DType::F64, vec![Dim::from(4), Dim::from(6)], Space::Input);
    let output = kernel.buffer("out", DType::F64, vec![Dim::from(4), Dim::from(6)], Space::Output);
    let local = kernel.buffer("scratch", DType::F64, vec![Dim::from(6)], Space::Local);
    kernel.grid = Dim::from(4);
    let block = Expr::var(kernel.block);
    let (i, j) = (kernel.var("i", Ty::INDEX), kernel.var("j", Ty::INDEX));
    let kept = kernel.var("kept", Ty::scalar(DType::F64));
    let unrolled = |var, body| Stmt::For {
        var,
        from: Expr::int(0),
        to: Expr::int(6),
        step: 1,
        kind: LoopKind::Unrolled,
        body,
    };
    let copy = store(local, vec![Expr::var(i)], load(input, vec![block.clone(), Expr::var(i)]));
    let even = Expr::binary(Binary::Eq, block.clone().rem(Expr::int(2)), Expr::int(0));
    let body = vec![
        Stmt::Register { var: kept, init: load(local, vec![Expr::int(5).sub(Expr::var(j))]) },
        Stmt::If {
            condition: even,
            then: vec![Stmt::Assign { var: kept, value: Expr::var(kept).mul(Expr::float(DType::F64, 10.0)) }],
            otherwise: vec![],
        },
        store(output, vec![block, Expr::var(j)], Expr::var(kept)),
    ];
    kernel.body = vec![unrolled(i, vec![copy]), unrolled(j, body)];
    let values: Vec<f64> = (0..24).map(f64::from).collect();
    let (_, results) = run(&single(kernel, &[]), &[], &[f64_bytes(&values)]);
    let wanted: Vec<f64> =
        (0..24).map(|k| values[k / 6 * 6 + 5 - k % 6] * if k / 6 % 2 == 0 { 10.0 } else { 1.0 }).collect();
    assert_eq!(to_f64(&results[0]), wanted);
}

/// Small dtypes through masked vectors: bytes and halves at a ragged end.
#[test]
fn ragged_ends_of_small_dtypes() {
    for dtype in [DType::U8, DType::I8, DType::Bool, DType::I16, DType::F16, DType::BF16] {
        let values: Vec<f64> = (0..45).map(|i| f64::from(i % 2)).collect();
        let bytes = map_all(&[(dtype, encode(dtype, &values))], dtype, |x, _| x[0].clone());
        assert_eq!(decode(dtype, &bytes), values, "{dtype}");
    }
}

/// Lanes a few elements apart, forwards and backwards: each reads and writes its own element and no other.
#[test]
fn strided_vectors() {
    for dtype in [DType::F32, DType::F64, DType::U8] {
        for (lanes, stride) in [(4u16, 2i64), (16, 2), (16, -2), (8, 3), (16, 4), (2, 4), (8, -1), (16, -4)] {
            for masked in [false, true] {
                strided_copy(dtype, lanes, stride, masked);
            }
        }
    }
}

/// out[s·lane] = in[s·lane] for the lanes of one vector that ends with the buffers' last element.
fn strided_copy(dtype: DType, lanes: u16, stride: i64, masked: bool) {
    let n = i64::from(lanes - 1) * stride.abs() + 1;
    let mut kernel = Kernel::new("strided");
    let input = kernel.buffer("in", dtype, vec![Dim::from(n)], Space::Input);
    let output = kernel.buffer("out", dtype, vec![Dim::from(n)], Space::Output);
    let i = kernel.var("i", Ty::INDEX);
    let first = if stride < 0 { n - 1 } else { 0 };
    let places = || Expr::ramp(Expr::int(first), stride, lanes);
    let number = Expr::ramp(Expr::int(0), 1, lanes);
    let mask = masked.then(|| Expr::binary(Binary::Ne, number, Expr::splat(Expr::int(1), lanes)));
    let value = Expr::Load { buffer: input, index: vec![places()], lanes, mask: mask.clone().map(Box::new) };
    kernel.body = vec![
        serial(i, Expr::int(n), 1, vec![store(output, vec![Expr::var(i)], Expr::number(dtype, 7.0))]),
        Stmt::Store { buffer: output, index: vec![places()], value, mask },
    ];
    let values: Vec<f64> = (0..n).map(|i| (100 + i) as f64).collect();
    let (_, results) = run(&single(kernel, &[]), &[], &[encode(dtype, &values)]);
    let mut wanted = vec![7.0; n as usize];
    for lane in (0..i64::from(lanes)).filter(|lane| !masked || *lane != 1) {
        let place = (first + lane * stride) as usize;
        wanted[place] = values[place];
    }
    assert_eq!(decode(dtype, &results[0]), wanted, "{dtype} {lanes} lanes, stride {stride}, {masked}");
}
