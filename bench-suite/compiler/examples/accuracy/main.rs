//! `accuracy [NAME…]`: the largest errors of the functions of numbers as they ship, compiled for this machine, into
//! `docs/accuracy.md`. f32 is checked at each of its numbers, f64 and functions of two numbers at samples.
//! `accuracy --speed [NAME…]`: what an element costs.

mod code;
mod exact;
mod functions;
mod page;
mod samples;
mod speed;
mod sweep;
mod units;

use anyhow::{Result, bail};
use functions::{FUNCTIONS, Function};
use std::{env, path::Path};

fn main() -> Result<()> {
    let mut names: Vec<String> = env::args().skip(1).collect();
    let speed = names.first().is_some_and(|word| word == "--speed");
    if speed {
        names.remove(0);
    }
    if let Some(unknown) = names.iter().find(|name| FUNCTIONS.iter().all(|known| known.name != *name)) {
        bail!("there is no function `{unknown}`; usage: accuracy [--speed] [NAME…]");
    }
    let wanted = |function: &&Function| names.is_empty() || names.iter().any(|name| name == function.name);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/accuracy.md");
    for function in FUNCTIONS.iter().filter(wanted) {
        if speed {
            println!("{}", speed::line(function)?);
        } else {
            let row = page::measure(function)?;
            println!("{row}");
            page::put(&page, &row)?;
        }
    }
    Ok(())
}
