//! The value of a dimension once every symbol has one.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Atom, Dim, Symbol};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EvalError {
    Unbound(Symbol),
    DivisionByZero,
    Overflow,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvalError::Unbound(symbol) => write!(f, "dimension `{symbol}` has no value"),
            EvalError::DivisionByZero => f.write_str("division by zero"),
            EvalError::Overflow => f.write_str("the value does not fit 64 bits"),
        }
    }
}

impl std::error::Error for EvalError {}

impl Dim {
    /// Intermediate values have 128 bits, the result must fit 64.
    pub fn eval(&self, env: &BTreeMap<Symbol, i64>) -> Result<i64, EvalError> {
        i64::try_from(self.eval_wide(env)?).map_err(|_| EvalError::Overflow)
    }

    fn eval_wide(&self, env: &BTreeMap<Symbol, i64>) -> Result<i128, EvalError> {
        if self.overflowed() {
            return Err(EvalError::Overflow);
        }
        let mut sum = 0i128;
        for term in self.terms() {
            let mut product = i128::from(term.coefficient);
            for (atom, power) in &term.factors {
                let value = atom.eval_wide(env)?;
                let raised = value.checked_pow(*power).ok_or(EvalError::Overflow)?;
                product = product.checked_mul(raised).ok_or(EvalError::Overflow)?;
            }
            sum = sum.checked_add(product).ok_or(EvalError::Overflow)?;
        }
        Ok(sum)
    }
}

impl Atom {
    fn eval_wide(&self, env: &BTreeMap<Symbol, i64>) -> Result<i128, EvalError> {
        let symbol = match self {
            Atom::Symbol(symbol) => symbol,
            Atom::DivFloor(a, b) => return floor_divide(a.eval_wide(env)?, b.eval_wide(env)?),
            Atom::CeilDiv(a, b) => return ceil_divide(a.eval_wide(env)?, b.eval_wide(env)?),
            Atom::Mod(a, b) => return floor_remainder(a.eval_wide(env)?, b.eval_wide(env)?),
            Atom::Min(a, b) => return Ok(a.eval_wide(env)?.min(b.eval_wide(env)?)),
            Atom::Max(a, b) => return Ok(a.eval_wide(env)?.max(b.eval_wide(env)?)),
        };
        let value = env.get(symbol).ok_or_else(|| EvalError::Unbound(symbol.clone()))?;
        Ok(i128::from(*value))
    }
}

pub(crate) fn floor_divide(a: i128, b: i128) -> Result<i128, EvalError> {
    if b == 0 {
        return Err(EvalError::DivisionByZero);
    }
    let quotient = a.checked_div(b).ok_or(EvalError::Overflow)?;
    Ok(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

pub(crate) fn ceil_divide(a: i128, b: i128) -> Result<i128, EvalError> {
    if b == 0 {
        return Err(EvalError::DivisionByZero);
    }
    let quotient = a.checked_div(b).ok_or(EvalError::Overflow)?;
    Ok(if a % b != 0 && (a < 0) == (b < 0) { quotient + 1 } else { quotient })
}

pub(crate) fn floor_remainder(a: i128, b: i128) -> Result<i128, EvalError> {
    if b == 0 {
        return Err(EvalError::DivisionByZero);
    }
    let remainder = a.checked_rem(b).ok_or(EvalError::Overflow)?;
    Ok(if remainder != 0 && (remainder < 0) != (b < 0) { remainder + b } else { remainder })
}
