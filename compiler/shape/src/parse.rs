//! Reading the printed form: `+ - * / %`, `div`, `ceil_div`, `min`, `max`, numbers, names, parentheses.

use std::fmt;
use std::str::FromStr;

use crate::{Dim, Facts};

/// Parentheses and calls nest to this.
const MAX_NESTING: u32 = 200;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseDimError {
    /// In bytes.
    pub offset: usize,
    pub message: String,
}

impl fmt::Display for ParseDimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.message, self.offset)
    }
}

impl std::error::Error for ParseDimError {}

impl FromStr for Dim {
    type Err = ParseDimError;

    fn from_str(text: &str) -> Result<Dim, ParseDimError> {
        let mut parser = Parser { text, offset: 0, nesting: 0 };
        let dim = parser.sum()?;
        parser.skip_spaces();
        if parser.offset < text.len() {
            return Err(parser.expected("an operator"));
        }
        if dim.overflowed() {
            return Err(ParseDimError { offset: 0, message: "dimension out of range".into() });
        }
        Ok(dim)
    }
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
    nesting: u32,
}

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Dim, ParseDimError> {
        let mut sum = self.product()?;
        loop {
            if self.eat('+') {
                sum += self.product()?;
            } else if self.eat('-') {
                sum = sum - self.product()?;
            } else {
                return Ok(sum);
            }
        }
    }

    fn product(&mut self) -> Result<Dim, ParseDimError> {
        let mut product = self.factor()?;
        loop {
            if self.eat('*') {
                product = product * self.factor()?;
            } else if self.eat('%') {
                product = product.modulo(&self.factor()?);
            } else if self.eat('/') {
                self.skip_spaces();
                let offset = self.offset;
                let divisor = self.factor()?;
                product = product.exact_div(&divisor, &Facts::default()).ok_or_else(|| ParseDimError {
                    offset,
                    message: format!("{product} is not known to be divisible by {divisor}"),
                })?;
            } else {
                return Ok(product);
            }
        }
    }

    fn factor(&mut self) -> Result<Dim, ParseDimError> {
        if self.nesting == MAX_NESTING {
            return Err(ParseDimError { offset: self.offset, message: "nested too deeply".into() });
        }
        self.nesting += 1;
        let factor = self.unguarded_factor();
        self.nesting -= 1;
        factor
    }

    fn unguarded_factor(&mut self) -> Result<Dim, ParseDimError> {
        if self.eat('-') {
            return Ok(-self.factor()?);
        }
        if self.eat('(') {
            let inner = self.sum()?;
            self.expect(')')?;
            return Ok(inner);
        }
        let number = self.word(|c| c.is_ascii_digit());
        if !number.is_empty() {
            return self.number(number);
        }
        let name = self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$'));
        if name.is_empty() {
            return Err(self.expected("a dimension"));
        }
        let combine = match name {
            "div" => Dim::div_floor,
            "ceil_div" => Dim::ceil_div,
            "min" => Dim::min,
            "max" => Dim::max,
            _ => return Ok(Dim::symbol(name)),
        };
        if !self.eat('(') {
            return Ok(Dim::symbol(name));
        }
        let mut operands = vec![self.sum()?];
        self.expect(',')?;
        operands.push(self.sum()?);
        while matches!(name, "min" | "max") && self.eat(',') {
            operands.push(self.sum()?);
        }
        self.expect(')')?;
        let mut operands = operands.into_iter();
        let first = operands.next().unwrap_or_default();
        Ok(operands.fold(first, |combined, operand| combine(&combined, &operand)))
    }

    fn number(&self, digits: &str) -> Result<Dim, ParseDimError> {
        digits.parse::<i64>().map(Dim::constant).map_err(|_| ParseDimError {
            offset: self.offset - digits.len(),
            message: format!("{digits} does not fit 64 bits"),
        })
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        self.skip_spaces();
        let rest = &self.text[self.offset..];
        let word = &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())];
        self.offset += word.len();
        word
    }

    fn eat(&mut self, symbol: char) -> bool {
        self.skip_spaces();
        let found = self.text[self.offset..].starts_with(symbol);
        if found {
            self.offset += symbol.len_utf8();
        }
        found
    }

    fn expect(&mut self, symbol: char) -> Result<(), ParseDimError> {
        if self.eat(symbol) { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    fn expected(&self, what: &str) -> ParseDimError {
        ParseDimError { offset: self.offset, message: format!("expected {what}") }
    }

    fn skip_spaces(&mut self) {
        let rest = &self.text[self.offset..];
        self.offset += rest.len() - rest.trim_start().len();
    }
}
