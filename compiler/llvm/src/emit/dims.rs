//! Formulas of the dynamic dimensions as i64 arithmetic, each computed once, in the entry block.

use crate::Error;
use crate::ir::{Ir, Value};
use llvm_sys::LLVMIntPredicate::*;
use shape::{Atom, Dim, Symbol};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

pub(crate) struct Dims<'a> {
    ir: &'a Ir,
    array: Value,
    symbols: &'a [Symbol],
    known: RefCell<BTreeMap<Dim, Value>>,
    /// In checked mode, an i1: whether any formula so far left 64 bits or divided by zero.
    failed: Option<Cell<Value>>,
}

impl<'a> Dims<'a> {
    /// `array` holds one i64 a symbol. What the host has validated wraps silently here.
    pub fn new(ir: &'a Ir, array: Value, symbols: &'a [Symbol]) -> Dims<'a> {
        Dims { ir, array, symbols, known: RefCell::default(), failed: None }
    }

    /// The same, noting every fault for [`Dims::failed`].
    pub fn checked(ir: &'a Ir, array: Value, symbols: &'a [Symbol]) -> Dims<'a> {
        Dims { failed: Some(Cell::new(ir.bool(false))), ..Dims::new(ir, array, symbols) }
    }

    pub fn failed(&self) -> Value {
        self.failed.as_ref().map_or_else(|| self.ir.bool(false), Cell::get)
    }

    pub fn value(&self, dim: &Dim) -> Result<Value, Error> {
        if let Some(constant) = dim.as_const() {
            return Ok(self.ir.i64(constant));
        }
        self.ir.in_entry(|| self.in_entry(dim))
    }

    fn in_entry(&self, dim: &Dim) -> Result<Value, Error> {
        if let Some(constant) = dim.as_const() {
            return Ok(self.ir.i64(constant));
        }
        if let Some(value) = self.known.borrow().get(dim) {
            return Ok(*value);
        }
        if dim.overflowed() {
            return Err(Error::Unsupported("a size does not fit 64 bits".into()));
        }
        let mut sum = None;
        for term in dim.terms() {
            let mut product = None;
            for (atom, power) in &term.factors {
                let factor = self.atom(atom)?;
                for _ in 0..*power {
                    product = Some(match product {
                        None => factor,
                        Some(product) => self.multiply(product, factor),
                    });
                }
            }
            let coefficient = self.ir.i64(term.coefficient);
            let value = match product {
                None => coefficient,
                Some(product) if term.coefficient == 1 => product,
                Some(product) => self.multiply(product, coefficient),
            };
            sum = Some(match sum {
                None => value,
                Some(sum) => self.sum(sum, value),
            });
        }
        let value = sum.unwrap_or_else(|| self.ir.i64(0));
        self.known.borrow_mut().insert(dim.clone(), value);
        Ok(value)
    }

    fn atom(&self, atom: &Atom) -> Result<Value, Error> {
        let ir = self.ir;
        if let Atom::Symbol(symbol) = atom {
            let Some(index) = self.symbols.iter().position(|known| known == symbol) else {
                return Err(Error::Bug(format!("dimension `{symbol}` is not among the plan's")));
            };
            let place = ir.element(ir.int(64), self.array, ir.i64(index as i64));
            let value = ir.load(ir.int(64), place, 8);
            self.known.borrow_mut().insert(Dim::from(symbol), value);
            return Ok(value);
        }
        let Some((a, b)) = atom.operands() else { return Err(Error::Bug("an atom without operands".into())) };
        let (a, b) = (self.in_entry(a)?, self.in_entry(b)?);
        Ok(match atom {
            Atom::Min(..) => ir.intrinsic("llvm.smin", &[ir.int(64)], &[a, b]),
            Atom::Max(..) => ir.intrinsic("llvm.smax", &[ir.int(64)], &[a, b]),
            Atom::Mod(..) => self.divide(a, b).1,
            Atom::CeilDiv(..) => {
                let (quotient, remainder) = self.divide(a, b);
                let inexact = ir.icmp(LLVMIntNE, remainder, ir.i64(0));
                ir.add(quotient, ir.zext(inexact, ir.int(64)))
            }
            _ => self.divide(a, b).0,
        })
    }

    /// Floor division and its remainder.
    fn divide(&self, a: Value, b: Value) -> (Value, Value) {
        let ir = self.ir;
        self.note(ir.icmp(LLVMIntEQ, b, ir.i64(0)));
        super::arithmetic::floor_division(ir, a, b, true)
    }

    fn multiply(&self, a: Value, b: Value) -> Value {
        self.overflowing("llvm.smul.with.overflow", a, b, Ir::mul)
    }

    fn sum(&self, a: Value, b: Value) -> Value {
        self.overflowing("llvm.sadd.with.overflow", a, b, Ir::add)
    }

    fn overflowing(
        &self,
        name: &str,
        a: Value,
        b: Value,
        plain: impl FnOnce(&Ir, Value, Value) -> Value,
    ) -> Value {
        if self.failed.is_none() {
            return plain(self.ir, a, b);
        }
        let pair = self.ir.intrinsic(name, &[self.ir.int(64)], &[a, b]);
        self.note(self.ir.field(pair, 1));
        self.ir.field(pair, 0)
    }

    fn note(&self, fault: Value) {
        if let Some(failed) = &self.failed {
            failed.set(self.ir.or(failed.get(), fault));
        }
    }
}
