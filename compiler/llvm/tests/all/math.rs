//! Errors of the elementary functions in units in the last place, against the system's f64 library.

use super::machine::*;
use kernel::{Binary, DType, Expr, Unary};
use llvm::{Jit, OptLevel, Options, Target, compile};

/// Every sign, every exponent, and a spread of mantissas; then the corners.
fn all_magnitudes() -> Vec<f32> {
    let mut values = vec![];
    for high in 0..1u32 << 16 {
        for low in [0u32, 0x9e37] {
            values.push(f32::from_bits(high << 16 | low));
        }
    }
    values
}

/// Evenly spread over an interval, where a function does its real work.
fn dense(low: f32, high: f32) -> Vec<f32> {
    (0..200_001).map(|i| low + (high - low) * i as f32 / 200_000.0).collect()
}

fn ulp_f32(value: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if value.to_bits() == rounded.to_bits() || (value.is_nan() && rounded.is_nan()) {
        return 0.0;
    }
    if !rounded.is_finite() || !value.is_finite() || (value == 0.0 && exact == 0.0) {
        // The largest number beside infinity is one unit away; anything else is wrong, as is a wrong zero's sign.
        let neighbours = value.abs() == f32::MAX || rounded.abs() == f32::MAX;
        return if neighbours && value.signum() == rounded.signum() { 1.0 } else { f64::INFINITY };
    }
    let exponent = (rounded.abs().to_bits() >> 23).max(1) as i32;
    (f64::from(value) - exact).abs() / 2f64.powi(exponent - 150)
}

fn ulp_f64(value: f64, exact: f64) -> f64 {
    if value.to_bits() == exact.to_bits() || (value.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    if !exact.is_finite() || !value.is_finite() || (value == 0.0 && exact == 0.0) {
        return f64::INFINITY;
    }
    (value.abs().to_bits() as i64 - exact.abs().to_bits() as i64).unsigned_abs() as f64
}

/// What docs/accuracy.md says of a function: the largest error in f32 and where it is, and the largest in f64.
struct Published {
    single: f64,
    at: f32,
    double: Option<f64>,
}

/// As this target computes it.
fn published(op: Unary, target: &Target) -> Published {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/accuracy.md");
    let text = std::fs::read_to_string(page).unwrap();
    let begin = format!("| `{}` |", format!("{op:?}").to_lowercase());
    let row =
        text.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("{op:?} has no row"));
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let (single, at) = if target.fma { (cells[2], cells[3]) } else { (cells[4], cells[5]) };
    // What is always rounded rightly has no worst place.
    let at = if at.is_empty() { 1.0 } else { at.parse().unwrap() };
    Published { single: single.parse().unwrap(), at, double: cells[6].parse().ok() }
}

/// This machine, and its architecture's least, which has no fused multiply-add.
fn targets() -> Vec<Target> {
    let least = cfg!(target_arch = "x86_64").then(|| Target::parse("x86-64-v2").unwrap());
    [Target::native()].into_iter().chain(least).collect()
}

fn compiled(module: &kernel::Module, target: &Target) -> Jit {
    let options = Options { target: target.clone(), opt_level: OptLevel::O3, jobs: 1 };
    Jit::load(&compile(module, &options).unwrap()).unwrap()
}

/// The largest error and where it is.
fn single(op: Unary, target: &Target, values: &[f32], exact: impl Fn(f64) -> f64) -> (f64, f32, f32) {
    let module = map(&[DType::F32], DType::F32, 16, |x| Expr::unary(op, x[0].clone()));
    let jit = compiled(&module, target);
    let (_, results) = call(&jit, &module.plans[0], &[values.len() as i64], &[f32_bytes(values)], None);
    let mut worst = (0.0, 0.0, 0.0);
    for (x, y) in values.iter().zip(to_f32(&results[0])) {
        let error = ulp_f32(y, exact(f64::from(*x)));
        if error > worst.0 {
            worst = (error, *x, y);
        }
    }
    worst
}

/// Against a function that is itself right within `doubt` units.
fn double(op: Unary, exact: impl Fn(f64) -> f64, doubt: f64) {
    let mut values: Vec<f64> = vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, -5e-324];
    for high in 0..1u64 << 16 {
        values.push(f64::from_bits(high << 48 | 0x9e37_79b9_7f4a));
    }
    values.extend((0..100_000).map(|i| -50.0 + f64::from(i) * 1e-3));
    let ours = SINGLES.iter().any(|(known, ..)| *known == op);
    let published = ours.then(|| published(op, &Target::native()).double).flatten();
    let bound = published.unwrap_or(0.0) + doubt;
    let module = map(&[DType::F64], DType::F64, 8, |x| Expr::unary(op, x[0].clone()));
    for target in targets() {
        let jit = compiled(&module, &target);
        let (_, results) = call(&jit, &module.plans[0], &[values.len() as i64], &[f64_bytes(&values)], None);
        for (x, y) in values.iter().zip(to_f64(&results[0])) {
            let error = ulp_f64(y, exact(*x));
            assert!(error <= bound, "{op:?}({x:e}) gave {y:e}: {error} ulp on {}", target.cpu);
        }
    }
}

fn erf(x: f64) -> f64 {
    // The series with positive terms, exact enough in f64.
    if x.is_nan() {
        return x;
    }
    if x.abs() > 6.0 {
        return 1f64.copysign(x);
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > sum.abs() * 1e-17 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp()
}

fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}

/// Operator, exact function, and the interval where it is sampled densely.
type Function = (Unary, fn(f64) -> f64, f32, f32);

const SINGLES: &[Function] = &[
    (Unary::Exp, f64::exp, -104.0, 90.0),
    (Unary::Expm1, f64::exp_m1, -3.0, 3.0),
    (Unary::Log, f64::ln, 0.0, 4.0),
    (Unary::Log1p, f64::ln_1p, -1.0, 3.0),
    (Unary::Sinh, f64::sinh, -4.0, 4.0),
    (Unary::Cosh, f64::cosh, -4.0, 4.0),
    (Unary::Tanh, f64::tanh, -10.0, 10.0),
    (Unary::Sigmoid, sigmoid, -20.0, 20.0),
    (Unary::Erf, erf, -4.5, 4.5),
];

/// Computed in f64 and rounded, or by an instruction; held to one unit at samples.
const ROUNDED: &[Function] = &[
    (Unary::Sin, f64::sin, -30.0, 30.0),
    (Unary::Cos, f64::cos, -30.0, 30.0),
    (Unary::Tan, f64::tan, -30.0, 30.0),
    (Unary::Asin, f64::asin, -1.0, 1.0),
    (Unary::Acos, f64::acos, -1.0, 1.0),
    (Unary::Atan, f64::atan, -10.0, 10.0),
    (Unary::Sqrt, f64::sqrt, 0.0, 100.0),
];

#[test]
fn rounded_functions_are_within_one_unit() {
    let everywhere = all_magnitudes();
    for target in targets() {
        for (op, exact, low, high) in ROUNDED {
            for values in [&everywhere, &dense(*low, *high)] {
                let (error, x, y) = single(*op, &target, values, exact);
                assert!(error <= 1.0, "{op:?}({x:e}) gave {y:e}: {error} ulp on {}", target.cpu);
            }
        }
    }
}

#[test]
fn singles_are_as_good_as_published() {
    let everywhere = all_magnitudes();
    for target in targets() {
        for (op, exact, low, high) in SINGLES {
            let Published { single: bound, at, .. } = published(*op, &target);
            assert!(bound <= 2.0, "{op:?} is published with {bound} ulp");
            for values in [&everywhere, &dense(*low, *high)] {
                let (error, x, y) = single(*op, &target, values, exact);
                assert!(error <= bound, "{op:?}({x:e}) gave {y:e}: {error} ulp on {}", target.cpu);
            }
            let (error, ..) = single(*op, &target, &[at], exact);
            let found = (error.max(0.5) * 100.0).ceil() / 100.0;
            assert_eq!(found, bound, "{op:?}({at:e}) on {} is published otherwise", target.cpu);
        }
    }
}

#[test]
fn doubles_are_as_good_as_published() {
    /// The system's functions are right within one unit.
    const SYSTEM: f64 = 1.0;
    double(Unary::Exp, f64::exp, SYSTEM);
    double(Unary::Expm1, f64::exp_m1, SYSTEM);
    double(Unary::Log, f64::ln, SYSTEM);
    double(Unary::Log1p, f64::ln_1p, SYSTEM);
    double(Unary::Sinh, f64::sinh, SYSTEM);
    double(Unary::Cosh, f64::cosh, SYSTEM);
    double(Unary::Tanh, f64::tanh, SYSTEM);
    // An exponential, a sum and a quotient.
    double(Unary::Sigmoid, sigmoid, SYSTEM + 1.0);
    double(Unary::Sin, f64::sin, SYSTEM);
    double(Unary::Atan, f64::atan, SYSTEM);
}

/// Scalars, vectors of every width and both levels of optimisation give the same bits.
#[test]
fn widths_agree() {
    let values: Vec<f32> = all_magnitudes().into_iter().step_by(17).collect();
    for (op, ..) in SINGLES.iter().chain(ROUNDED) {
        map_all(&[(DType::F32, f32_bytes(&values))], DType::F32, |x, _| Expr::unary(*op, x[0].clone()));
    }
}

/// What a processor has beyond fused multiply-add makes code faster and changes no bit.
#[test]
#[cfg(target_arch = "x86_64")]
fn processors_agree() {
    let native = Target::native();
    let other = Target::parse(if native.fma { "x86-64-v3" } else { "x86-64-v2" }).unwrap();
    let values = all_magnitudes();
    for (op, ..) in SINGLES.iter().chain(ROUNDED) {
        let module = map(&[DType::F32], DType::F32, 16, |x| Expr::unary(*op, x[0].clone()));
        let of = |target: &Target| {
            let jit = compiled(&module, target);
            call(&jit, &module.plans[0], &[values.len() as i64], &[f32_bytes(&values)], None)
        };
        assert!(of(&native) == of(&other), "{op:?} differs between {} and {}", native.cpu, other.cpu);
    }
}

fn pairs() -> (Vec<f32>, Vec<f32>) {
    let corners = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        2.0,
        -2.0,
        3.0,
        -3.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        1e-45,
        f32::MAX,
        f32::MIN_POSITIVE,
        1e10,
        -1e10,
    ];
    let (mut a, mut b) = (vec![], vec![]);
    for x in corners {
        for y in corners {
            a.push(x);
            b.push(y);
        }
    }
    for i in 0..300u32 {
        for j in 0..300u32 {
            a.push(0.01 + i as f32 * 0.07);
            b.push(j as f32 * 0.11 - 16.0);
        }
    }
    (a, b)
}

fn binary(op: Binary, bound: f64, exact: impl Fn(f64, f64) -> f64) {
    let (a, b) = pairs();
    let module =
        map(&[DType::F32, DType::F32], DType::F32, 16, |x| Expr::binary(op, x[0].clone(), x[1].clone()));
    let args = [f32_bytes(&a), f32_bytes(&b)];
    let (_, results) = call(&load(&module, OptLevel::O3), &module.plans[0], &[a.len() as i64], &args, None);
    for ((x, y), z) in a.iter().zip(&b).zip(to_f32(&results[0])) {
        let wanted = exact(f64::from(*x), f64::from(*y));
        let error = ulp_f32(z, wanted);
        assert!(error <= bound, "{op:?}({x:e}, {y:e}) gave {z:e}, not {wanted:e}: {error} ulp");
    }
}

#[test]
fn powers_and_angles() {
    binary(Binary::Pow, 1.0, f64::powf);
    binary(Binary::Atan2, 1.0, f64::atan2);
}
