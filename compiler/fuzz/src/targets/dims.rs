//! Dimensions: what is read prints as what reads as itself, and has the value that the text has.

use shape::{Dim, Symbol};
use std::collections::BTreeMap;

pub fn run(text: &str) -> Result<bool, String> {
    let Ok(dim) = text.parse::<Dim>() else { return Ok(false) };
    let printed = dim.to_string();
    let again: Dim = printed.parse().map_err(|error| format!("`{printed}` does not read back: {error}"))?;
    if again != dim {
        return Err(format!("`{printed}` reads back as `{again}`"));
    }
    for base in [1i64, 2, 7] {
        let values: BTreeMap<Symbol, i64> = dim.symbols().into_iter().zip(base..).collect();
        let (a, b) = (dim.eval(&values), again.eval(&values));
        if a != b {
            return Err(format!("`{printed}` is {a:?} and {b:?}"));
        }
        // All names known, the same number comes of putting them in one by one.
        let known = values.iter().map(|(symbol, value)| (symbol.clone(), Dim::from(*value))).collect();
        let put_in = dim.substitute(&known);
        if let (Ok(value), Some(constant)) = (&a, put_in.as_const())
            && *value != constant
        {
            return Err(format!("`{printed}` evaluates to {value}, with numbers put in to {constant}"));
        }
    }
    Ok(true)
}
