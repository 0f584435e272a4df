//! f64, and functions of two f32: all exponents, and densely where functions do their work.

use crate::{code::Code, functions::Formula, functions::Function, units, units::Worst};
use anyhow::Result;
use tensor::philox::Stream;

const COUNT: usize = 1 << 16;

pub fn doubles(function: &Function, target: &llvm::Target) -> Result<Option<Worst>> {
    let Some(precise) = function.precise else { return Ok(None) };
    let mut code = Code::new::<f64>(function.text, 1, target.clone(), COUNT)?;
    let mut worst = Worst::default();
    let stream = Stream::new(0, function.name, 0);
    for round in 0..64 {
        for (at, x) in code.input(0)?.iter_mut().enumerate() {
            *x = double(&stream, round, (round as usize * COUNT + at) as u64);
        }
        let inputs = code.input::<f64>(0)?.to_vec();
        for (x, value) in inputs.iter().zip(code.run()?) {
            worst.see(units::double(*value, precise(*x)), [*x, 0.0]);
        }
    }
    Ok(Some(worst))
}

/// Half of the rounds of any bits, the others near 0, at all magnitudes down to 2⁻⁴⁰.
fn double(stream: &Stream, round: u32, index: u64) -> f64 {
    let [a, b, c, _] = stream.words(index);
    let bits = u64::from(a) << 32 | u64::from(b);
    match round % 4 {
        0 => f64::from_bits(bits),
        1 => (bits as f64 / 2f64.powi(63) - 1.0) * 750.0,
        2 => (bits as f64 / 2f64.powi(63) - 1.0) * 4.0,
        _ => f64::from_bits((bits & (1 << 63 | ((1 << 52) - 1))) | u64::from(983 + c % 46) << 52),
    }
}

pub fn pairs(function: &Function, target: &llvm::Target) -> Result<Worst> {
    let Formula::Two(exact) = function.exact else { return Ok(Worst::default()) };
    let mut code = Code::new::<f32>(function.text, 2, target.clone(), COUNT)?;
    let mut worst = Worst::default();
    let stream = Stream::new(0, function.name, 0);
    for round in 0..1024u64 {
        let number = |at: usize, operand: usize| {
            let words = stream.words(round * COUNT as u64 + at as u64);
            let word = words[operand];
            match round % 4 {
                0 => f32::from_bits(word),
                // Special ones against any.
                1 if words[2] % 2 == operand as u32 => SPECIAL[word as usize % SPECIAL.len()],
                1 => f32::from_bits(word),
                2 => (f64::from(word) / 2f64.powi(31) - 1.0) as f32 * 8.0,
                _ if operand == 0 => (f64::from(word) / 2f64.powi(32)) as f32 * 4.0,
                _ => (f64::from(word) / 2f64.powi(31) - 1.0) as f32 * 100.0,
            }
        };
        for operand in 0..2 {
            for (at, x) in code.input(operand)?.iter_mut().enumerate() {
                *x = number(at, operand);
            }
        }
        for (at, value) in code.run::<f32>()?.iter().enumerate() {
            let (x, z) = (f64::from(number(at, 0)), f64::from(number(at, 1)));
            worst.see(units::single(*value, exact(x, z)), [x, z]);
        }
    }
    Ok(worst)
}

const SPECIAL: &[f32] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
    3.0,
    -3.0,
    0.5,
    -0.5,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    1e-45,
    -1e-45,
    f32::MAX,
    f32::MIN,
];
