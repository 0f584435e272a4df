//! Every pair of dtypes over the numbers at which a cast could go wrong.

use super::machine::*;
use kernel::interp::Number;
use kernel::{DType, Expr};

#[test]
fn all_pairs() {
    for from in DType::ALL {
        let mut values = special(from);
        if from.is_float() {
            let more = [
                127.5,
                128.0,
                -128.9,
                255.9,
                256.0,
                32767.9,
                2147483647.0,
                2147483648.0,
                9.3e18,
                -9.3e18,
                0.9,
            ];
            values.extend(decode(from, &encode(from, &more)));
        }
        for to in DType::ALL {
            let bytes = map_all(&[(from, encode(from, &values))], to, |x, _| Expr::cast(to, x[0].clone()));
            for (x, got) in values.iter().zip(decode(to, &bytes)) {
                let wanted = match to {
                    // Rounded once, from all digits.
                    DType::F16 | DType::BF16 if from == DType::F64 => {
                        decode(to, &nearest_half(to, *x).to_le_bytes())[0]
                    }
                    _ if from.is_float() => Number::Float(*x).cast(to).to_f64(),
                    _ => Number::Int(*x as i64).cast(to).to_f64(),
                };
                assert!(same(got, wanted), "{from} {x:e} to {to}: {got:e}, not {wanted:e}");
            }
        }
    }
}

#[test]
fn every_half_survives() {
    for dtype in [DType::F16, DType::BF16] {
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let wide =
            map_all(&[(dtype, bytes.clone())], DType::F32, |x, _| Expr::cast(DType::F32, x[0].clone()));
        for (bits, got) in (0..=u16::MAX).zip(decode(DType::F32, &wide)) {
            assert!(same(got, decode(dtype, &bits.to_le_bytes())[0]), "{dtype} {bits:#x} gave {got:e}");
        }
        let back = map_all(&[(DType::F32, wide)], dtype, |x, _| Expr::cast(dtype, x[0].clone()));
        for (a, b) in decode(dtype, &bytes).into_iter().zip(decode(dtype, &back)) {
            assert!(same(a, b), "{a:e} came back as {b:e}");
        }
    }
}

#[test]
fn doubles_round_once_to_halves() {
    // Just beside a tie: rounding to f32 first would land on it.
    for dtype in [DType::F16, DType::BF16] {
        let step = if dtype == DType::F16 { 2f64.powi(-11) } else { 2f64.powi(-8) };
        let values: Vec<f64> = [1.0, 3.0, -1.0, 5.0]
            .iter()
            .flat_map(|x| [x * step, x * step * (1.0 + 1e-12), x * step * (1.0 - 1e-12)])
            .map(|x| 1.0 + x)
            .collect();
        let bytes =
            map_all(&[(DType::F64, f64_bytes(&values))], dtype, |x, _| Expr::cast(dtype, x[0].clone()));
        for (x, got) in values.iter().zip(bytes.chunks_exact(2)) {
            let wanted = nearest_half(dtype, *x);
            assert_eq!(u16::from_le_bytes(got.try_into().unwrap()), wanted, "{x:.17} to {dtype}");
        }
    }
}
