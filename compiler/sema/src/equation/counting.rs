//! Whole numbers made of indices as tensors.

use super::{
    Equation,
    labelled::union,
    term::{Labelled, Lowered},
};
use crate::arith::Places;
use base::Span;
use grammar::ast::BinaryOp;
use graph::{DType, ops};
use kernel::Binary;
use shape::{Atom, Dim};

impl<'p> Equation<'_, 'p> {
    /// The number over its indices, in this dtype.
    pub(super) fn counted(&mut self, dim: &Dim, dtype: DType, span: Span) -> Option<Labelled> {
        // Exact as long as it can be: sums and products are not rounded on the way.
        let is_index = dim.as_symbol().and_then(|symbol| self.index_of(&symbol));
        let exact = match is_index {
            Some(index) if self.start(index).is_const(0) => DType::I32,
            _ if dtype == DType::I32 => DType::I32,
            _ => DType::I64,
        };
        let value = self.whole(dim, exact, span)?;
        let id = self.checker.cast(value.id, dtype, span)?;
        Some(Labelled { id, labels: value.labels })
    }

    fn whole(&mut self, dim: &Dim, dtype: DType, span: Span) -> Option<Labelled> {
        let (mut sum, mut offset): (Option<Labelled>, _) = (None, Dim::default());
        for term in dim.terms() {
            let (mut product, mut scale): (Option<Labelled>, _) = (None, Dim::from(term.coefficient));
            for (atom, power) in &term.factors {
                let part = Dim::from(atom);
                for _ in 0..*power {
                    if self.labels_of(&part).is_empty() {
                        scale = scale * &part;
                        continue;
                    }
                    let factor = self.atom(atom, dtype, span)?;
                    product = Some(match product {
                        Some(product) => self.combined(Binary::Mul, product, factor, span)?,
                        None => factor,
                    });
                }
            }
            let Some(mut product) = product else {
                offset += scale;
                continue;
            };
            if !scale.is_const(1) {
                let scale = self.size(&scale, dtype, span)?;
                product = self.combined(Binary::Mul, product, scale, span)?;
            }
            sum = Some(match sum {
                Some(sum) => self.combined(Binary::Add, sum, product, span)?,
                None => product,
            });
        }
        match sum {
            None => self.size(&offset, dtype, span),
            Some(sum) if offset.is_const(0) => Some(sum),
            Some(sum) => {
                let offset = self.size(&offset, dtype, span)?;
                self.combined(Binary::Add, sum, offset, span)
            }
        }
    }

    fn atom(&mut self, atom: &Atom, dtype: DType, span: Span) -> Option<Labelled> {
        let (op, a, b) = match atom {
            Atom::Symbol(symbol) => {
                let index = self.index_of(symbol)?;
                let shape = self.space(&[index]);
                let id = self.checker.add(ops::Iota { shape, axis: 0 }, &[], span)?;
                let id = self.checker.cast(id, dtype, span)?;
                let counted = Labelled { id, labels: vec![index] };
                let start = self.start(index);
                if start.is_const(0) {
                    return Some(counted);
                }
                let start = self.size(&start, dtype, span)?;
                return self.combined(Binary::Add, counted, start, span);
            }
            // Division of integers rounds towards minus infinity.
            Atom::DivFloor(a, b) => (Binary::Div, a.clone(), b),
            Atom::CeilDiv(a, b) => (Binary::Div, a + b - 1, b),
            Atom::Mod(a, b) => (Binary::Rem, a.clone(), b),
            Atom::Min(a, b) => (Binary::Min, a.clone(), b),
            Atom::Max(a, b) => (Binary::Max, a.clone(), b),
        };
        let a = self.whole(&a, dtype, span)?;
        let b = self.whole(b, dtype, span)?;
        self.combined(op, a, b, span)
    }

    /// A number without indices.
    fn size(&mut self, dim: &Dim, dtype: DType, span: Span) -> Option<Labelled> {
        let id = match dim.as_const() {
            Some(number) => self.checker.scalar(dtype, number as f64),
            None => self.checker.add(ops::Size { dim: dim.clone(), dtype }, &[], span)?,
        };
        Some(Labelled { id, labels: Vec::new() })
    }

    fn combined(&mut self, op: Binary, a: Labelled, b: Labelled, span: Span) -> Option<Labelled> {
        let labels = union(&a.labels, &b.labels);
        let inputs = [self.aligned(&a, &labels, span)?, self.aligned(&b, &labels, span)?];
        let id = self.checker.add(ops::Binary { op }, &inputs, span)?;
        Some(Labelled { id, labels })
    }

    /// `value op count` for a count of elements that is known or a dimension.
    pub(super) fn with_count(
        &mut self,
        op: BinaryOp,
        value: Lowered<'p>,
        count: &Dim,
        span: Span,
    ) -> Option<Lowered<'p>> {
        let count = Lowered::Known(crate::value::Value::dim(count.clone()));
        self.binary(op, value, count, Places::all(span))
    }
}
