//! Random expressions, with their values by plain integer arithmetic.

use std::collections::BTreeMap;
use std::ops::Range;

use shape::{Dim, Symbol};

/// Xorshift with a multiplier; the same numbers in each run.
pub struct Rng(u64);

#[derive(Clone, Debug)]
pub enum Expression {
    Constant(i64),
    Symbol(&'static str),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

#[derive(Clone, Copy, Debug)]
pub enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    CeilDiv,
    Mod,
    Min,
    Max,
}

const SYMBOLS: [&str; 4] = ["b", "h", "s", "w"];
const OPERATORS: [Operator; 8] = [
    Operator::Add,
    Operator::Sub,
    Operator::Mul,
    Operator::Div,
    Operator::CeilDiv,
    Operator::Mod,
    Operator::Min,
    Operator::Max,
];

pub fn environment(rng: &mut Rng, range: Range<i64>) -> BTreeMap<Symbol, i64> {
    let width = (range.end - range.start) as u64;
    SYMBOLS.iter().map(|name| (Symbol::new(name), range.start + rng.below(width) as i64)).collect()
}

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

impl Expression {
    pub fn random(rng: &mut Rng, depth: usize) -> Expression {
        if depth == 0 || rng.below(8) == 0 {
            return match rng.below(40) {
                // The ends of the range.
                0 => Expression::Constant(i64::MAX - rng.below(3) as i64),
                1 => Expression::Constant(rng.below(3) as i64 - i64::MAX),
                2..20 => Expression::Constant(rng.below(12) as i64 - 3),
                _ => Expression::Symbol(SYMBOLS[rng.below(4) as usize]),
            };
        }
        let operator = OPERATORS[rng.below(8) as usize];
        let left = Expression::random(rng, depth - 1);
        // Half of the divisors are constants, as in most models.
        let right = if rng.below(2) == 0 { 0 } else { depth - 1 };
        Expression::binary(operator, left, Expression::random(rng, right))
    }

    /// A close relative: equal, larger by a constant, or a part of it rewritten by a law of arithmetic.
    pub fn perturbed(&self, rng: &mut Rng) -> Expression {
        let constant = Expression::Constant(rng.below(5) as i64 - 2);
        match (rng.below(3), self) {
            (0, _) => Expression::binary(Operator::Add, self.clone(), constant),
            (1, Expression::Binary(Operator::Mod, a, b)) => {
                let quotient = Expression::binary(Operator::Div, (**a).clone(), (**b).clone());
                let multiple = Expression::binary(Operator::Mul, quotient, (**b).clone());
                Expression::binary(Operator::Sub, (**a).clone(), multiple)
            }
            (1, Expression::Binary(operator, a, b)) => {
                Expression::binary(*operator, a.perturbed(rng), (**b).clone())
            }
            _ => {
                let factor = Expression::Constant(1 + rng.below(4) as i64);
                Expression::binary(Operator::Mul, self.clone(), factor)
            }
        }
    }

    fn binary(operator: Operator, a: Expression, b: Expression) -> Expression {
        Expression::Binary(operator, Box::new(a), Box::new(b))
    }

    pub fn dim(&self) -> Dim {
        match self {
            Expression::Constant(value) => Dim::constant(*value),
            Expression::Symbol(name) => Dim::symbol(name),
            Expression::Binary(operator, a, b) => {
                let (a, b) = (a.dim(), b.dim());
                match operator {
                    Operator::Add => a + b,
                    Operator::Sub => a - b,
                    Operator::Mul => a * b,
                    Operator::Div => a.div_floor(&b),
                    Operator::CeilDiv => a.ceil_div(&b),
                    Operator::Mod => a.modulo(&b),
                    Operator::Min => Dim::min(&a, &b),
                    Operator::Max => Dim::max(&a, &b),
                }
            }
        }
    }

    /// `None` where a division by 0 or an overflow occurs anywhere within.
    pub fn eval(&self, env: &BTreeMap<Symbol, i64>) -> Option<i64> {
        match self {
            Expression::Constant(value) => Some(*value),
            Expression::Symbol(name) => env.get(*name).copied(),
            Expression::Binary(operator, a, b) => {
                let (a, b) = (a.eval(env)?, b.eval(env)?);
                match operator {
                    Operator::Add => a.checked_add(b),
                    Operator::Sub => a.checked_sub(b),
                    Operator::Mul => a.checked_mul(b),
                    Operator::Div => floor(a, b),
                    Operator::CeilDiv => floor(a.checked_neg()?, b)?.checked_neg(),
                    Operator::Mod => a.checked_sub(b.checked_mul(floor(a, b)?)?),
                    Operator::Min => Some(a.min(b)),
                    Operator::Max => Some(a.max(b)),
                }
            }
        }
    }
}

/// With a positive divisor the Euclidean quotient is the one rounded down.
fn floor(a: i64, b: i64) -> Option<i64> {
    let (a, b) = if b < 0 { (a.checked_neg()?, b.checked_neg()?) } else { (a, b) };
    (b != 0).then(|| a.div_euclid(b))
}
