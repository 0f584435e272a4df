//! Every f32, on all cores.

use crate::{
    code::Code,
    functions::{Formula, Function, Mirror},
    units,
    units::Worst,
};
use anyhow::{Context, Result, bail};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// What the second cache holds.
const CHUNK: u32 = 1 << 14;

/// What is found for each target.
pub fn sweep(function: &Function, targets: &[llvm::Target]) -> Result<Vec<Found>> {
    let next = AtomicU32::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| work(function, targets, &next))).collect();
        let mut common = vec![Found::default(); targets.len()];
        for worker in workers {
            let found = worker.join().ok().context("a thread that checks has ended")??;
            for (common, found) in common.iter_mut().zip(found) {
                *common = Found {
                    units: common.units.with(found.units),
                    absolute: common.absolute.with(found.absolute),
                };
            }
        }
        Ok(common)
    })
}

#[derive(Clone, Copy, Default)]
pub struct Found {
    pub units: Worst,
    /// Of composed functions of negative numbers.
    pub absolute: Worst,
}

/// The target that comes first at every number, others at every seventh stretch.
const STRETCHES: u32 = 7;
/// Beyond this, circular functions are the system's own, which are checked at some stretches only.
const LIBRARY: f64 = 1_048_576.0;
const LIBRARY_STRETCHES: u32 = 61;
/// How often what is right is compared with the system's library.
const PROBES: usize = 61;

fn work(function: &Function, targets: &[llvm::Target], next: &AtomicU32) -> Result<Vec<Found>> {
    let Formula::One(exact) = function.exact else { return Ok(vec![]) };
    let codes = targets.iter().map(|target| {
        Ok((Code::new::<f32>(function.text, 1, target.clone(), CHUNK as usize)?, Found::default()))
    });
    let mut codes: Vec<(Code, Found)> = codes.collect::<Result<_>>()?;
    let mut reference = Reference::new(function, exact)?;
    loop {
        let chunk = next.fetch_add(1, Ordering::Relaxed);
        let Some(first) = chunk.checked_mul(CHUNK) else { break };
        let stretch: Vec<f32> = (first..=first + (CHUNK - 1)).map(f32::from_bits).collect();
        let sign = if first >> 31 == 0 { 1.0 } else { -1.0 };
        let circular = matches!(function.name, "sin" | "cos" | "tan");
        if circular && f64::from(stretch[0].abs()) > LIBRARY && !chunk.is_multiple_of(LIBRARY_STRETCHES) {
            continue;
        }
        if function.mirror != Mirror::None && sign < 0.0 {
            // The positive numbers are compared with what is right, these with them.
            mirrored(function, &mut codes[0], &stretch)?;
            continue;
        }
        let wanted = reference.of(&stretch)?;
        for (number, (code, found)) in codes.iter_mut().enumerate() {
            if number > 0 && !chunk.is_multiple_of(STRETCHES) {
                continue;
            }
            code.input(0)?.copy_from_slice(&stretch);
            let values = code.run::<f32>()?;
            for ((x, value), wanted) in stretch.iter().zip(values).zip(wanted) {
                if value.to_bits() == (*wanted as f32).to_bits() {
                    continue;
                }
                let x = f64::from(*x);
                if function.composed && x < 0.0 && x.is_finite() {
                    found.absolute.see((f64::from(*value) - wanted).abs(), [x, 0.0]);
                } else {
                    found.units.see(units::single(*value, *wanted), [x, 0.0]);
                }
            }
        }
    }
    Ok(codes.into_iter().map(|(_, found)| found).collect())
}

fn mirrored(function: &Function, (code, found): &mut (Code, Found), stretch: &[f32]) -> Result<()> {
    code.input(0)?.copy_from_slice(stretch);
    let below = code.run::<f32>()?.to_vec();
    for (to, x) in code.input::<f32>(0)?.iter_mut().zip(stretch) {
        *to = -x;
    }
    for ((value, above), x) in below.iter().zip(code.run::<f32>()?).zip(stretch) {
        let wanted = if function.mirror == Mirror::Odd { -above } else { *above };
        if value.to_bits() != wanted.to_bits() && !(value.is_nan() && wanted.is_nan()) {
            found.units.see(f64::INFINITY, [f64::from(*x), 0.0]);
        }
    }
    Ok(())
}

/// What is right: where f64 is our own code, that code, which is fast and held to more digits at samples, and to the
/// system's library at every 61st number here; elsewhere the library.
struct Reference {
    exact: fn(f64) -> f64,
    double: Option<Code>,
    values: Vec<f64>,
}

impl Reference {
    fn new(function: &Function, exact: fn(f64) -> f64) -> Result<Reference> {
        let code = || Code::new::<f64>(function.text, 1, llvm::Target::native(), CHUNK as usize);
        let double = function.precise.map(|_| code()).transpose()?;
        Ok(Reference { exact, double, values: vec![0.0; CHUNK as usize] })
    }

    fn of(&mut self, stretch: &[f32]) -> Result<&[f64]> {
        let Some(code) = &mut self.double else {
            for (value, x) in self.values.iter_mut().zip(stretch) {
                *value = (self.exact)(f64::from(*x));
            }
            return Ok(&self.values);
        };
        for (to, x) in code.input(0)?.iter_mut().zip(stretch) {
            *to = f64::from(*x);
        }
        let values = code.run::<f64>()?;
        for (x, value) in stretch.iter().zip(values).step_by(PROBES) {
            let library = (self.exact)(f64::from(*x));
            // What lies below f32 does not matter.
            let close = (value - library).abs() <= 1e-15 * library.abs() + 1e-300;
            if !close && value != &library && !(value.is_nan() && library.is_nan()) {
                bail!("in f64, {x:e} gives {value:e}, and {library:e} by the system's library");
            }
        }
        Ok(values)
    }
}
