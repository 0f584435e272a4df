//! Values as directives write them.

use graph::{Array, DType};
use libtest_mimic::Failed;

/// A value before its shape is known to fit.
pub enum Value {
    Listed {
        shape: Vec<usize>,
        values: Vec<f64>,
    },
    /// Evenly spread and reproducible, in `lo … hi`.
    Random {
        lo: f64,
        hi: f64,
    },
    /// 0, 1, 2, ….
    Ramp,
}

/// `x: f32[2, 2] = [[0, 0], [1, 3]]`
pub fn input(directive: &str) -> Result<(String, Array), Failed> {
    let (head, value) = directive.split_once('=').ok_or("`// input x: f32[2] = [1, 2]`")?;
    let (name, ty) = head.split_once(':').ok_or("an input needs a type")?;
    let (dtype, dims) = match ty.trim().split_once('[') {
        Some((dtype, dims)) => (dtype, dims.trim_end_matches(']')),
        None => (ty.trim(), ""),
    };
    let dtype = DType::parse(dtype).ok_or(format!("`{dtype}` is no dtype"))?;
    let dims = dims.split(',').map(str::trim).filter(|dim| !dim.is_empty());
    let shape: Vec<usize> =
        dims.map(|dim| dim.parse().map_err(|_| format!("`{dim}` is no size"))).collect::<Result<_, _>>()?;
    Ok((name.trim().to_string(), shaped(dtype, &shape, &parse(value)?)?))
}

/// `dense.w = [[1, 2]]`
pub fn named(directive: &str) -> Result<(String, Value), Failed> {
    let (name, value) = directive.split_once('=').ok_or("`NAME = VALUE`")?;
    Ok((name.trim().to_string(), parse(value)?))
}

/// A single number fills any shape.
pub fn shaped(dtype: DType, shape: &[usize], value: &Value) -> Result<Array, Failed> {
    let count = shape.iter().product::<usize>();
    let values = match value {
        Value::Listed { shape: listed, values } if listed.is_empty() => vec![values[0]; count],
        Value::Listed { shape: listed, values } if listed == shape => values.clone(),
        Value::Listed { shape: listed, .. } => {
            return Err(format!("the value has shape {listed:?}, needed is {shape:?}").into());
        }
        Value::Random { lo, hi } => (0..count).map(|index| spread(index as u64, *lo, *hi, dtype)).collect(),
        Value::Ramp => (0..count).map(|index| index as f64).collect(),
    };
    Array::new(dtype, shape, values).ok_or_else(|| "the value does not fit its shape".into())
}

fn spread(index: u64, lo: f64, hi: f64, dtype: DType) -> f64 {
    // SplitMix64: neighbours are unlike, equal indices are equal everywhere.
    let mut bits = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let unit = ((bits ^ (bits >> 31)) >> 40) as f64 / (1u64 << 24) as f64;
    let value = lo + (hi - lo) * unit;
    if dtype.is_float() { value } else { value.floor() }
}

fn parse(text: &str) -> Result<Value, Failed> {
    let text = text.trim();
    if text == "ramp" {
        return Ok(Value::Ramp);
    }
    if let Some(rest) = text.strip_prefix("random") {
        let bounds = rest.trim().trim_start_matches('(').trim_end_matches(')');
        if bounds.is_empty() {
            return Ok(Value::Random { lo: -1.0, hi: 1.0 });
        }
        let (lo, hi) = bounds.split_once(',').ok_or("`random(lo, hi)`")?;
        return Ok(Value::Random { lo: number(lo)?, hi: number(hi)? });
    }
    let mut values = Vec::new();
    let (shape, rest) = list(text, &mut values)?;
    if rest.trim().is_empty() {
        Ok(Value::Listed { shape, values })
    } else {
        Err(format!("`{rest}` is left over").into())
    }
}

/// A number, or a list of equals.
fn list<'t>(text: &'t str, values: &mut Vec<f64>) -> Result<(Vec<usize>, &'t str), Failed> {
    let text = text.trim_start();
    let Some(mut rest) = text.strip_prefix('[') else {
        let end = text.find([',', ']']).unwrap_or(text.len());
        values.push(number(&text[..end])?);
        return Ok((Vec::new(), &text[end..]));
    };
    let (mut inner, mut count) = (None, 0);
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(']') {
            let mut shape: Vec<usize> = inner.unwrap_or_default();
            shape.insert(0, count);
            return Ok((shape, after));
        }
        let (shape, after) = list(rest, values)?;
        if *inner.get_or_insert_with(|| shape.clone()) != shape {
            return Err("the list is ragged".into());
        }
        count += 1;
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

fn number(text: &str) -> Result<f64, Failed> {
    match text.trim() {
        "true" => Ok(1.0),
        "false" => Ok(0.0),
        text => text.parse().map_err(|_| format!("`{text}` is no number").into()),
    }
}
