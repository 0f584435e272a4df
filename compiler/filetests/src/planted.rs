//! What the runners would say of a wrong claim and of a decision by a hair.

use crate::{random, run};
use graph::{Array, DType, Module, parse::parse};
use libtest_mimic::{Failed, Trial};
use shape::Symbol;
use std::collections::BTreeMap;

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("planted::wrong_shapes_are_found", wrong_shapes),
        Trial::test("planted::equal_sums_are_near_a_corner", equal_sums),
    ]
}

fn parsed(text: &str) -> Result<Module, Failed> {
    parse(text).map_err(|fault| format!("{fault:?}").into())
}

fn array(values: &[f64]) -> Result<Array, Failed> {
    Array::new(DType::F64, &[values.len()], values.to_vec()).ok_or_else(|| "an array".into())
}

fn wrong_shapes() -> Result<(), Failed> {
    let module =
        parsed("fn @main (%0: x: f64[n] input) -> (y: output) {\n  %1: f64[n] = exp %0\n  return %1\n}\n")?;
    let function = module.functions.values().first().ok_or("a function")?;
    let found = [array(&[1.0, 2.0, 3.0])?];
    let dims = |size| BTreeMap::from([(Symbol::new("n"), size)]);
    run::shape_claims(function, &found, &dims(3))?;
    match run::shape_claims(function, &found, &dims(4)) {
        Err(_) => Ok(()),
        Ok(()) => Err("[3] passes for [4]".into()),
    }
}

/// Four quarters are one by chance of their order; the largest of them is a quarter in every order.
fn equal_sums() -> Result<(), Failed> {
    let margin = |reduced: &str, limit: &str| -> Result<f64, Failed> {
        let text = format!(
            "fn @main (%0: x: f64[4] input) -> (y: output) {{\n  %1: f64 = reduce {reduced} axes=[0] %0\n  %2: f64 = const {{{limit}}}\n  %3: bool = gt %1 %2\n  return %3\n}}\n"
        );
        random::margin(&parsed(&text)?, &[array(&[0.25; 4])?]).map_err(Failed::from)
    };
    let (sum, largest) = (margin("sum", "1")?, margin("max", "0.25")?);
    if sum == 0.0 && largest.is_infinite() { Ok(()) } else { Err(format!("{sum} and {largest}").into()) }
}
