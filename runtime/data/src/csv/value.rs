//! One cell of a table as a number.

use crate::{Step, steps::apply};
use tensor::{DType, bf16_to_f32, f16_to_f32, f64_to_bf16, f64_to_f16};

/// Why a cell is not a number of the wanted dtype.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Empty, or one of the words that programs write for "no value".
    Missing,
    /// Not a number at all.
    Text,
    /// A number with a fraction, for an integer.
    Fraction,
    /// A number that the dtype does not reach.
    Range,
}

/// A parsed number: floats keep their own rounding, so they are carried as the dtype's value widened exactly.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    Float(f64),
    Integer(i64),
}

pub fn trimmed(cell: &[u8]) -> &[u8] {
    cell.trim_ascii()
}

/// Whether it is written as a finite number: `inf` and `nan` are words here.
pub fn is_number(cell: &[u8]) -> bool {
    text_of_number(cell).is_some_and(|text| text.parse::<f64>().is_ok())
}

pub fn is_missing(cell: &[u8]) -> bool {
    cell.is_empty()
        || [&b"na"[..], b"n/a", b"nan", b"null"].iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// `cell` without surrounding blanks, as `dtype`; with steps, what they make of its f64.
pub fn parse(cell: &[u8], dtype: DType, steps: &[Step]) -> Result<Number, Fault> {
    if is_missing(cell) {
        return Err(Fault::Missing);
    }
    if dtype == DType::Bool {
        for (word, value) in [("true", 1), ("false", 0)] {
            if cell.eq_ignore_ascii_case(word.as_bytes()) {
                return Ok(Number::Integer(value));
            }
        }
    }
    let text = text_of_number(cell).ok_or(Fault::Text)?;
    if !steps.is_empty() {
        return rounded(apply(steps, float(text, DType::F64)?), dtype);
    }
    if dtype.is_float() {
        float(text, dtype).map(Number::Float)
    } else {
        integer(text, dtype).map(Number::Integer)
    }
}

/// The cell as text, if it begins as a number must.
fn text_of_number(cell: &[u8]) -> Option<&str> {
    let digits = cell.strip_prefix(b"-").or_else(|| cell.strip_prefix(b"+")).unwrap_or(cell);
    let starts_well = digits.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    if starts_well { std::str::from_utf8(cell).ok() } else { None }
}

fn float(text: &str, dtype: DType) -> Result<f64, Fault> {
    let wide = || text.parse::<f64>().map_err(|_| Fault::Text);
    let value = match dtype {
        // Through f64 a decimal would be rounded twice.
        DType::F32 => text.parse::<f32>().map_err(|_| Fault::Text)?.into(),
        DType::F16 => f16_to_f32(f64_to_f16(wide()?)).into(),
        DType::BF16 => bf16_to_f32(f64_to_bf16(wide()?)).into(),
        _ => wide()?,
    };
    if value.is_finite() { Ok(value) } else { Err(Fault::Range) }
}

/// A computed value as `dtype`.
fn rounded(value: f64, dtype: DType) -> Result<Number, Fault> {
    if let Some((low, high)) = dtype.integer_range().or((dtype == DType::Bool).then_some((0, 1))) {
        if !value.is_finite() {
            return Err(Fault::Range);
        }
        if value.fract() != 0.0 {
            return Err(Fault::Fraction);
        }
        // i64::MAX as f64 is one more than i64 holds.
        let fits = value >= low as f64 && value <= high as f64 && value < 9_223_372_036_854_775_808.0;
        return if fits { Ok(Number::Integer(value as i64)) } else { Err(Fault::Range) };
    }
    let value = match dtype {
        DType::F32 => f64::from(value as f32),
        DType::F16 => f16_to_f32(f64_to_f16(value)).into(),
        DType::BF16 => bf16_to_f32(f64_to_bf16(value)).into(),
        _ => value,
    };
    if value.is_finite() { Ok(Number::Float(value)) } else { Err(Fault::Range) }
}

fn integer(text: &str, dtype: DType) -> Result<i64, Fault> {
    let value = match text.parse::<i64>() {
        Ok(value) => value,
        Err(_) => {
            // Such as 3.0, 1e3, or more digits than i64 has.
            let wide: f64 = text.parse().map_err(|_| Fault::Text)?;
            if wide.is_finite() && wide.fract() != 0.0 {
                return Err(Fault::Fraction);
            }
            // Above 2^53 the text and the nearest f64 may differ.
            if wide.abs() > 9_007_199_254_740_992.0 {
                return Err(Fault::Range);
            }
            wide as i64
        }
    };
    let (low, high) = dtype.integer_range().unwrap_or((0, 1));
    if (low..=high).contains(&value) { Ok(value) } else { Err(Fault::Range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        use DType::{BF16, Bool, F16, F32, F64, I8, I32, I64, U8};
        let good = [
            ("1", F32, Number::Float(1.0)),
            ("-1.5e3", F32, Number::Float(-1500.0)),
            ("+.5", F64, Number::Float(0.5)),
            ("0.1", F32, Number::Float(f64::from(0.1f32))),
            ("65504", F16, Number::Float(65504.0)),
            ("1.00390625", BF16, Number::Float(1.0)),
            ("-7", I32, Number::Integer(-7)),
            ("3.0", I32, Number::Integer(3)),
            ("1e3", I32, Number::Integer(1000)),
            ("9223372036854775807", I64, Number::Integer(i64::MAX)),
            ("255", U8, Number::Integer(255)),
            ("1", Bool, Number::Integer(1)),
            ("False", Bool, Number::Integer(0)),
        ];
        for (text, dtype, number) in good {
            assert_eq!(parse(text.as_bytes(), dtype, &[]), Ok(number), "{text} as {dtype}");
        }
        let bad = [
            ("", F32, Fault::Missing),
            ("NaN", F32, Fault::Missing),
            ("N/A", I32, Fault::Missing),
            ("cat", F32, Fault::Text),
            ("inf", F32, Fault::Text),
            ("-", F32, Fault::Text),
            ("1,5", F32, Fault::Text),
            ("1x", I32, Fault::Text),
            ("1e39", F32, Fault::Range),
            ("1e999", F64, Fault::Range),
            ("65520", F16, Fault::Range),
            ("0.5", I32, Fault::Fraction),
            ("2147483648", I32, Fault::Range),
            ("128", I8, Fault::Range),
            ("-1", U8, Fault::Range),
            ("9223372036854775808", I64, Fault::Range),
            ("2", Bool, Fault::Range),
            ("yes", Bool, Fault::Text),
        ];
        for (text, dtype, fault) in bad {
            assert_eq!(parse(text.as_bytes(), dtype, &[]), Err(fault), "{text} as {dtype}");
        }
        let half = [Step::Divide(2.0)];
        assert_eq!(parse(b"3", F32, &half), Ok(Number::Float(1.5)));
        assert_eq!(parse(b"6", I32, &half), Ok(Number::Integer(3)));
        assert_eq!(parse(b"3", I32, &half), Err(Fault::Fraction));
        assert_eq!(parse(b"3e38", F32, &[Step::Multiply(2.0)]), Err(Fault::Range));
        assert_eq!(parse(b"9223372036854775807", I64, &[Step::Add(1.0)]), Err(Fault::Range));
        assert_eq!(parse(b"4", Bool, &half), Err(Fault::Range));
    }
}
