//! `docs/accuracy.md`: a row a function, each replaced when it is measured again.

use crate::{
    code::{Code, targets},
    functions::{FUNCTIONS, Formula, Function},
    samples,
    sweep::sweep,
    units::Worst,
};
use anyhow::{Context, Result};
use std::{fs, path::Path};

const HEAD: &str = "\
# Accuracy of functions of numbers

Largest errors of the functions as they ship, in units in the last place of the exact result: half a unit is the least
that rounding allows. Made by `cargo dev accuracy`, which compiles each function and compares it

- in f32 with f64, at every one of the 2³² numbers, and without fused multiply-add at a seventh of them, in stretches of
  2¹⁴; `pow` and `atan2` at 2²⁶ pairs, special ones among them,
- in f64 with sums of two f64, at 2²² numbers. Where it says `library`, f64 calls the system's library lane by lane.

What f32 is compared with is the system's library, or our own f64 code where there is such, held to that library at every
61st number. The system's f64 functions are right within two units of f64, which is 2⁻²⁸ units of f32.

The results depend on nothing but whether the processor has a fused multiply-add (all have it but x86-64 before v3), and
have the same bits in vectors of any width. f16 and bf16 are computed in f32 and rounded once more. A NaN, a zero's sign
or an infinity that were wrong would count as an infinite error; the last column has what comes of special numbers.
`sin`, `cos` and `tan` hold over the whole range: beyond 2²⁰ they ask the system's library, and are checked at a 61st of
the numbers there.

";
const TITLE: &str = "\
| function | f32 | where | f32 without fused multiply-add | where | f64 | where | −∞, −0, 0, ∞, NaN |
|---|---|---|---|---|---|---|---|
";
const COMPOSED: &str = "
Functions of the standard library that are composed of these lose what cancels in them. Errors in units for numbers that
are not negative; below 0, where the result nears 0 as a difference, the largest absolute error is shown.

";
const COMPOSED_TITLE: &str = "\
| function | f32 from 0 on | where | f32 below 0 | where | −∞, −0, 0, ∞, NaN |
|---|---|---|---|---|---|
";

/// The function's row.
pub fn measure(function: &Function) -> Result<String> {
    let targets = targets()?;
    let mut cells = vec![format!("`{}`", function.name)];
    if let Formula::Two(_) = function.exact {
        for target in &targets {
            let worst = samples::pairs(function, target)?;
            cells.extend([units(worst), format!("({:e}, {:e})", worst.at[0], worst.at[1])]);
        }
    } else {
        let shown = if function.composed { 1 } else { targets.len() };
        let found = sweep(function, &targets[..shown])?;
        if function.composed {
            let (units, absolute) = (found[0].units, found[0].absolute);
            cells.extend([self::units(units), place(units), format!("{:.1e}", absolute.error)]);
            cells.push(place(absolute));
        } else {
            for found in &found {
                cells.extend([units(found.units), place(found.units)]);
            }
        }
    }
    if !function.composed {
        match samples::doubles(function, &targets[0])? {
            Some(worst) => cells.extend([units(worst), place(worst)]),
            None => cells.extend(["library".into(), String::new()]),
        }
    }
    cells.push(special(function)?);
    Ok(format!("| {} |", cells.join(" | ")))
}

/// Rounded up, so that the figure is a bound.
fn units(worst: Worst) -> String {
    format!("{:.2}", (worst.error.max(0.5) * 100.0).ceil() / 100.0)
}

fn place(worst: Worst) -> String {
    if worst.error == 0.0 { String::new() } else { format!("{:e}", worst.at[0]) }
}

fn special(function: &Function) -> Result<String> {
    if matches!(function.exact, Formula::Two(_)) {
        return Ok("as C99".into());
    }
    let numbers = [f32::NEG_INFINITY, -0.0, 0.0, f32::INFINITY, f32::NAN];
    let mut code = Code::new::<f32>(function.text, 1, llvm::Target::native(), numbers.len())?;
    code.input(0)?.copy_from_slice(&numbers);
    let words = code.run::<f32>()?.iter().map(|value| match *value {
        value if value == f32::INFINITY => "∞".into(),
        value if value == f32::NEG_INFINITY => "−∞".into(),
        value if value.is_nan() => "NaN".into(),
        value => value.to_string().replace('-', "−"),
    });
    Ok(words.collect::<Vec<String>>().join(", "))
}

/// Puts the row in its place, in the order of the list.
pub fn put(path: &Path, row: &str) -> Result<()> {
    let old = fs::read_to_string(path).unwrap_or_default();
    let rows = |composed: bool| {
        let chosen = FUNCTIONS.iter().filter(move |function| function.composed == composed);
        let lines = chosen.filter_map(|function| {
            let begin = format!("| `{}` |", function.name);
            let known = old.lines().find(|line| line.starts_with(&begin));
            if row.starts_with(&begin) { Some(row) } else { known }
        });
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let composed = rows(true);
    let composed =
        if composed.is_empty() { composed } else { format!("{COMPOSED}{COMPOSED_TITLE}{composed}") };
    let text = format!("{HEAD}{TITLE}{}{composed}", rows(false));
    fs::write(path, text).context("writing docs/accuracy.md")
}
