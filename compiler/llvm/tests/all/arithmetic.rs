//! Every operator over the numbers at which it could go wrong, against the reference interpreter.

use super::machine::*;
use kernel::interp::{self, Number};
use kernel::{Binary, DType, Expr, Unary};

fn number(dtype: DType, value: f64) -> Number {
    if dtype.is_float() { Number::Float(value) } else { Number::Int(value as i64) }
}

const FLOAT_UNARY: &[Unary] = &[
    Unary::Neg,
    Unary::Abs,
    Unary::Sign,
    Unary::Floor,
    Unary::Ceil,
    Unary::Round,
    Unary::Sqrt,
    Unary::IsNan,
    Unary::IsInf,
    Unary::IsFinite,
];
const INT_UNARY: &[Unary] = &[Unary::Neg, Unary::Abs, Unary::Sign, Unary::Not, Unary::IsNan, Unary::IsFinite];
const COMPARISONS: &[Binary] = &[Binary::Lt, Binary::Le, Binary::Gt, Binary::Ge, Binary::Eq, Binary::Ne];
const FLOAT_BINARY: &[Binary] =
    &[Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Rem, Binary::Min, Binary::Max];
const INT_BINARY: &[Binary] = &[
    Binary::Add,
    Binary::Sub,
    Binary::Mul,
    Binary::Div,
    Binary::Rem,
    Binary::Min,
    Binary::Max,
    Binary::And,
    Binary::Or,
    Binary::Xor,
    Binary::Shl,
    Binary::Shr,
    Binary::Pow,
];

#[test]
fn unary_operators() {
    for dtype in DType::ALL {
        let ops = match dtype {
            DType::Bool => &[Unary::Not, Unary::IsNan, Unary::IsFinite],
            dtype if dtype.is_float() => FLOAT_UNARY,
            _ => INT_UNARY,
        };
        let values = special(dtype);
        for op in ops {
            let out = match op {
                Unary::IsNan | Unary::IsInf | Unary::IsFinite => DType::Bool,
                _ => dtype,
            };
            let bytes =
                map_all(&[(dtype, encode(dtype, &values))], out, |x, _| Expr::unary(*op, x[0].clone()));
            for (x, got) in values.iter().zip(decode(out, &bytes)) {
                let wanted = interp::unary(*op, dtype, number(dtype, *x)).to_f64();
                assert!(same(got, wanted), "{op:?} {dtype} {x:e}: {got:e}, not {wanted:e}");
            }
        }
    }
}

#[test]
fn binary_operators() {
    for dtype in DType::ALL {
        let ops: Vec<Binary> = match dtype {
            DType::Bool => vec![Binary::And, Binary::Or, Binary::Xor, Binary::Min, Binary::Max],
            dtype if dtype.is_float() => FLOAT_BINARY.to_vec(),
            DType::I64 => [INT_BINARY, &[Binary::MulHi32]].concat(),
            _ => INT_BINARY.to_vec(),
        };
        let values = special(dtype);
        let a: Vec<f64> = values.iter().flat_map(|x| vec![*x; values.len()]).collect();
        let b: Vec<f64> = values.iter().flat_map(|_| values.clone()).collect();
        for op in ops.iter().chain(COMPARISONS) {
            let out = if op.is_comparison() { DType::Bool } else { dtype };
            let inputs = [(dtype, encode(dtype, &a)), (dtype, encode(dtype, &b))];
            let bytes = map_all(&inputs, out, |x, _| Expr::binary(*op, x[0].clone(), x[1].clone()));
            for ((x, y), got) in a.iter().zip(&b).zip(decode(out, &bytes)) {
                // Shifts by what is no number of bits are left open.
                if matches!(op, Binary::Shl | Binary::Shr) && !(0.0..256.0).contains(y) {
                    continue;
                }
                let wanted = interp::binary(*op, dtype, number(dtype, *x), number(dtype, *y)).to_f64();
                assert!(same(got, wanted), "{x:e} {op:?} {y:e} of {dtype}: {got:e}, not {wanted:e}");
            }
        }
    }
}

#[test]
fn division_by_constants() {
    let values: Vec<f64> = (-70..70).map(f64::from).chain([9e15, -9e15]).collect();
    for divisor in [1i64, 2, 3, 8, 10, 64, -1, -3, -8, 0] {
        for op in [Binary::Div, Binary::Rem] {
            let bytes = map_all(&[(DType::I64, encode(DType::I64, &values))], DType::I64, |x, lanes| {
                let constant = Expr::splat(Expr::int(divisor), lanes);
                Expr::Binary(op, Box::new(x[0].clone()), Box::new(constant))
            });
            for (x, got) in values.iter().zip(to_i64(&bytes)) {
                let wanted = interp::binary(op, DType::I64, Number::Int(*x as i64), Number::Int(divisor));
                assert_eq!(Number::Int(got), wanted, "{x} {op:?} {divisor}");
            }
        }
    }
}

#[test]
fn fma_rounds_once() {
    for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
        let values = special(dtype);
        let a: Vec<f64> = values.iter().flat_map(|x| vec![*x; values.len()]).collect();
        let b: Vec<f64> = values.iter().flat_map(|_| values.clone()).collect();
        let c: Vec<f64> = a.iter().zip(&b).map(|(x, y)| -(x * y)).collect();
        let c = decode(dtype, &encode(dtype, &c));
        let inputs = [&a, &b, &c].map(|values| (dtype, encode(dtype, values)));
        let bytes = map_all(&inputs, dtype, |x, _| Expr::fma(x[0].clone(), x[1].clone(), x[2].clone()));
        if !llvm::Target::native().fma {
            continue;
        }
        for (i, got) in decode(dtype, &bytes).into_iter().enumerate() {
            let n = |values: &[f64]| number(dtype, values[i]);
            let wanted = interp::fma(dtype, n(&a), n(&b), n(&c)).to_f64();
            assert!(
                same(got, wanted),
                "fma({:e}, {:e}, {:e}) of {dtype}: {got:e}, not {wanted:e}",
                a[i],
                b[i],
                c[i]
            );
        }
    }
}

#[test]
fn select_by_lane() {
    let x: Vec<f64> = (0..37).map(|i| f64::from(i) - 18.0).collect();
    let bytes = map_all(&[(DType::F32, encode(DType::F32, &x))], DType::F32, |x, lanes| {
        let zero = Expr::splat(Expr::float(DType::F32, 0.0), lanes);
        Expr::select(Expr::binary(Binary::Gt, x[0].clone(), zero.clone()), x[0].clone(), zero)
    });
    let wanted: Vec<f64> = x.iter().map(|x| x.max(0.0)).collect();
    assert_eq!(decode(DType::F32, &bytes), wanted);
}

/// The functions that have no exact answer agree with the reference within the bounds of their single tests.
#[test]
fn functions_of_halves() {
    let ops = [Unary::Exp, Unary::Log, Unary::Tanh, Unary::Sin, Unary::Erf, Unary::Log1p, Unary::Expm1];
    for dtype in [DType::F16, DType::BF16] {
        let values: Vec<f64> =
            (0..1u32 << 16).step_by(7).map(|bits| decode(dtype, &(bits as u16).to_le_bytes())[0]).collect();
        for op in ops {
            let bytes =
                map_all(&[(dtype, encode(dtype, &values))], dtype, |x, _| Expr::unary(op, x[0].clone()));
            for (x, got) in values.iter().zip(decode(dtype, &bytes)) {
                let wanted = interp::unary(op, dtype, Number::Float(*x)).to_f64();
                // The f32 result may fall on the other side of a tie.
                let (a, b) = (nearest_half(dtype, got), nearest_half(dtype, wanted));
                let near = same(got, wanted) || (a as i16).wrapping_sub(b as i16).unsigned_abs() <= 1;
                assert!(near, "{op:?} of {dtype} {x:e}: {got:e}, not {wanted:e}");
            }
        }
    }
}
