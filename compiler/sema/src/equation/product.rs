//! Sums of products: contractions of two factors after the other, with the subscripts as the equation has them.
//!
//! Factors without the summed indices are taken out of the sum. What is no access is computed before, unless it varies
//! with all indices at hand: then the product is summed as it is computed, and is never in memory.

use super::{
    Equation,
    access::renumbered,
    elements::positions,
    labelled::union,
    term::{Affine, Kind, Labelled, Lowered, Subscript, Term},
};
use crate::{arith::Places, value::Value};
use base::Span;
use grammar::ast::{BinaryOp, UnaryOp};
use graph::{NodeId, ops};
use kernel::Combine;
use shape::Dim;

/// What a dynamic extent counts for in the choice of an order.
const TYPICAL_EXTENT: f64 = 64.0;
/// So many factors are looked at for the cheapest pair; products of more are rare, and every pair is a choice.
const MAX_CHOICES: usize = 12;

/// A factor of the body of a sum.
struct Factor<'t, 'p> {
    term: &'t Term<'p>,
    divides: bool,
}

/// A factor that varies with summed indices.
#[derive(Clone)]
struct Operand {
    id: NodeId,
    /// Subscripts of a tensor that is read in place; `None` where the tensor has an axis an index.
    subscripts: Option<Vec<Affine>>,
    labels: Vec<usize>,
    span: Span,
}

impl<'p> Equation<'_, 'p> {
    pub(super) fn mean(&mut self, indices: &[usize], body: &Term<'p>, span: Span) -> Option<Lowered<'p>> {
        let total = self.sum(indices, body, span)?;
        if let Some(dtype) = self.dtype_of(&total).filter(|dtype| !dtype.is_float()) {
            let message = format!("`mean` needs a floating tensor, but this is {dtype}");
            self.checker.error("E0302", body.span, message, dtype.to_string());
            return None;
        }
        let total = match total {
            Lowered::Tensor(tensor) => tensor,
            number => self.labelled(number, None, span)?,
        };
        let count = indices.iter().map(|index| self.extent(*index)).product();
        self.with_count(BinaryOp::Div, Lowered::Tensor(total), &count, span)
    }

    pub(super) fn sum(&mut self, indices: &[usize], body: &Term<'p>, span: Span) -> Option<Lowered<'p>> {
        let (mut factors, mut negative) = (Vec::new(), false);
        flatten(body, false, &mut factors, &mut negative);
        let of_count = |dim: &Dim| self.labels_of(dim);
        let varies = |factor: &Factor<'_, 'p>| {
            factor.term.labels(&of_count).iter().any(|label| indices.contains(label))
        };
        let (inside, outside): (Vec<_>, Vec<_>) = factors.into_iter().partition(varies);
        let mut total = self.sum_inside(indices, &inside, span)?;
        // A sum over an index that nothing varies with counts it.
        let missing: Dim = indices
            .iter()
            .filter(|index| !inside.iter().any(|f| f.term.labels(&|dim| self.labels_of(dim)).contains(index)))
            .map(|index| self.extent(*index))
            .product();
        if !missing.is_const(1) {
            total = Some(match total {
                None => Lowered::Known(Value::dim(missing)),
                Some(total) => self.with_count(BinaryOp::Mul, total, &missing, span)?,
            });
        }
        for factor in outside {
            let value = self.lower(factor.term)?;
            let op = if factor.divides { BinaryOp::Div } else { BinaryOp::Mul };
            total = Some(match total {
                None if !factor.divides => value,
                total => {
                    let total = total.unwrap_or(Lowered::Known(Value::Int(1)));
                    let at = Places { whole: span, left: body.span, right: factor.term.span };
                    self.binary(op, total, value, at)?
                }
            });
        }
        let total = total.unwrap_or(Lowered::Known(Value::Int(1)));
        if negative { self.negated(total, span) } else { Some(total) }
    }

    fn negated(&mut self, value: Lowered<'p>, span: Span) -> Option<Lowered<'p>> {
        let minus = Lowered::Known(Value::Int(-1));
        match value {
            Lowered::Tensor(tensor) => {
                let value = self.checker.negate(Value::Tensor(tensor.id), span);
                self.over(value, tensor.labels)
            }
            number => self.binary(BinaryOp::Mul, minus, number, Places::all(span)),
        }
    }

    /// The sum of the product of what varies; `None` inside where nothing does.
    fn sum_inside(
        &mut self,
        indices: &[usize],
        factors: &[Factor<'_, 'p>],
        span: Span,
    ) -> Option<Option<Lowered<'p>>> {
        let multiplied: Vec<&Term<'p>> =
            factors.iter().filter(|factor| !factor.divides).map(|factor| factor.term).collect();
        let divisors: Vec<&Term<'p>> =
            factors.iter().filter(|factor| factor.divides).map(|factor| factor.term).collect();
        if multiplied.is_empty() && divisors.is_empty() {
            return Some(None);
        }
        let mut dtype = None;
        let mut operands = Vec::new();
        let mut numbers = Vec::new();
        for term in multiplied {
            if let Kind::Count(_) = term.kind {
                numbers.push(term);
                continue;
            }
            let operand = self.factor(term)?;
            dtype = dtype.or(Some(self.checker.ty(operand.id).dtype));
            operands.push(operand);
        }
        for term in numbers {
            let value = self.lower(term)?;
            let tensor = self.labelled(value, dtype, term.span)?;
            operands.push(operand_of(tensor, term.span));
        }
        for term in divisors {
            self.divide(&mut operands, term)?;
        }
        let dtype_of_first = self.checker.ty(operands[0].id).dtype;
        // One dtype for all, as between the sides of `*`.
        if operands.len() > 1 {
            for position in 1..operands.len() {
                let at = Places { whole: span, left: operands[0].span, right: operands[position].span };
                let (a, b) = self.checker.same_dtype(operands[0].id, operands[position].id, at, "*")?;
                (operands[0].id, operands[position].id) = (a, b);
            }
            let wide = self.checker.ty(operands[0].id).dtype;
            if wide != dtype_of_first {
                for operand in &mut operands[1..] {
                    operand.id = self.checker.cast(operand.id, wide, span)?;
                }
            }
        }
        let total = self.contracted(operands, indices, span)?;
        Some(Some(Lowered::Tensor(total)))
    }

    /// A factor as an operand of a contraction: read in place where it is an access that allows it.
    fn factor(&mut self, term: &Term<'p>) -> Option<Operand> {
        if let Kind::Access(access) = &term.kind
            && !self.checker.ty(access.base).dtype.is_bool()
        {
            let affine = |(subscript, _): &(Subscript<'p>, Span)| match subscript {
                Subscript::Affine(affine) => Some(self.placed(affine)),
                _ => None,
            };
            let subscripts: Vec<Option<Affine>> = access.subscripts.iter().map(affine).collect();
            if self.entangled(&subscripts).is_none()
                && let Some(subscripts) = subscripts.into_iter().collect::<Option<Vec<Affine>>>()
            {
                let labels = term.labels(&|dim| self.labels_of(dim));
                return Some(Operand {
                    id: access.base,
                    subscripts: Some(subscripts),
                    labels,
                    span: term.span,
                });
            }
        }
        let value = self.lower(term)?;
        let tensor = self.labelled(value, None, term.span)?;
        Some(operand_of(tensor, term.span))
    }

    /// Divides the factor that varies with most of what the divisor varies with.
    fn divide(&mut self, operands: &mut Vec<Operand>, term: &Term<'p>) -> Option<()> {
        let divisor = self.lower(term)?;
        let labels = self.labels(&divisor);
        let covers = |operand: &Operand| labels.iter().all(|label| operand.labels.contains(label));
        let position = operands.iter().position(covers);
        let (numerator, span) = match position {
            Some(position) => {
                let operand = operands.remove(position);
                let span = operand.span;
                (Lowered::Tensor(self.as_labelled(&operand)?), span)
            }
            None => (Lowered::Known(Value::Int(1)), term.span),
        };
        let at = Places { whole: term.span, left: span, right: term.span };
        let quotient = self.binary(BinaryOp::Div, numerator, divisor, at)?;
        let quotient = self.labelled(quotient, None, term.span)?;
        operands.insert(position.unwrap_or(operands.len()), operand_of(quotient, span));
        Some(())
    }

    fn as_labelled(&mut self, operand: &Operand) -> Option<Labelled> {
        match &operand.subscripts {
            None => Some(Labelled { id: operand.id, labels: operand.labels.clone() }),
            Some(subscripts) => self.affine_read(operand.id, subscripts, &[], operand.span),
        }
    }

    /// The sum over the indices of the product of all operands.
    fn contracted(&mut self, mut operands: Vec<Operand>, indices: &[usize], span: Span) -> Option<Labelled> {
        if operands.len() > 1 {
            self.sum_each(&mut operands, indices)?;
        }
        let all = operands.iter().fold(Vec::new(), |all, operand| union(&all, &operand.labels));
        let is_whole = |operand: &Operand| operand.subscripts.is_none() && operand.labels == all;
        if operands.iter().any(is_whole) {
            return self.multiplied_out(&operands, indices, span);
        }
        while operands.len() > 1 {
            let (i, j) = self.cheapest(&operands, indices);
            let b = operands.remove(j);
            let a = operands.remove(i);
            let needed = |label: &usize| operands.iter().any(|other| other.labels.contains(label));
            let both = union(&a.labels, &b.labels);
            let summed: Vec<usize> =
                both.iter().copied().filter(|label| indices.contains(label) && !needed(label)).collect();
            let place = a.span;
            let product = self.pair(a, b, both, &summed, span)?;
            operands.insert(i, operand_of(product, place));
        }
        let operand = operands.pop()?;
        let summed: Vec<usize> =
            operand.labels.iter().copied().filter(|label| indices.contains(label)).collect();
        let tensor = self.as_labelled(&operand)?;
        self.summed(tensor, &summed, span)
    }

    /// Sums each operand over what no other varies with: Σᵢⱼ aᵢ bⱼ is Σᵢ aᵢ · Σⱼ bⱼ.
    fn sum_each(&mut self, operands: &mut [Operand], indices: &[usize]) -> Option<()> {
        for position in 0..operands.len() {
            let others = || operands.iter().enumerate().filter(|(other, _)| *other != position);
            let own =
                |label: &usize| indices.contains(label) && !others().any(|(_, o)| o.labels.contains(label));
            let summed: Vec<usize> = operands[position].labels.iter().copied().filter(own).collect();
            if !summed.is_empty() {
                let operand = operands[position].clone();
                let tensor = self.as_labelled(&operand)?;
                let sum = self.summed(tensor, &summed, operand.span)?;
                operands[position] = operand_of(sum, operand.span);
            }
        }
        Some(())
    }

    fn pair(
        &mut self,
        a: Operand,
        b: Operand,
        both: Vec<usize>,
        summed: &[usize],
        span: Span,
    ) -> Option<Labelled> {
        let is_whole = |operand: &Operand| operand.subscripts.is_none() && operand.labels == both;
        if summed.is_empty() || is_whole(&a) || is_whole(&b) {
            return self.multiplied_out(&[a, b], summed, span);
        }
        let kept: Vec<usize> = both.into_iter().filter(|label| !summed.contains(label)).collect();
        let [lhs, rhs] = [&a, &b].map(|operand| match &operand.subscripts {
            Some(subscripts) => subscripts.clone(),
            None => operand.labels.iter().map(|label| Affine::bare(*label)).collect(),
        });
        // Indices of the result first; those summed in the order in which the operands read them.
        let mut order = kept.clone();
        for (_, label) in lhs.iter().chain(&rhs).flat_map(|subscript| &subscript.terms) {
            if !order.contains(label) {
                order.push(*label);
            }
        }
        let contract = ops::Contract {
            extents: order.iter().map(|label| self.extent(*label)).collect(),
            out: (0..kept.len()).collect(),
            lhs: lhs.iter().map(|subscript| renumbered(subscript, &order)).collect(),
            rhs: rhs.iter().map(|subscript| renumbered(subscript, &order)).collect(),
        };
        let id = self.checker.add_at(contract.into(), &[a.id, b.id], span, &[a.span, b.span])?;
        Some(Labelled { id, labels: kept })
    }

    /// The product element by element, and its sum.
    fn multiplied_out(&mut self, operands: &[Operand], summed: &[usize], span: Span) -> Option<Labelled> {
        let mut product: Option<Lowered<'p>> = None;
        for operand in operands {
            let factor = Lowered::Tensor(self.as_labelled(operand)?);
            product = Some(match product {
                None => factor,
                Some(product) => {
                    let at = Places { whole: span, left: operands[0].span, right: operand.span };
                    self.binary(BinaryOp::Mul, product, factor, at)?
                }
            });
        }
        let product = self.labelled(product?, None, span)?;
        self.summed(product, summed, span)
    }

    fn summed(&mut self, tensor: Labelled, indices: &[usize], span: Span) -> Option<Labelled> {
        let axes = positions(&tensor.labels, indices);
        if axes.is_empty() {
            return Some(tensor);
        }
        let labels = tensor.labels.iter().copied().filter(|label| !indices.contains(label)).collect();
        let reduce = ops::Reduce { combine: Combine::Sum, axes };
        let id = self.checker.add_at(reduce.into(), &[tensor.id], span, &[span])?;
        Some(Labelled { id, labels })
    }

    /// The two operands whose product costs least, by what is known of sizes.
    fn cheapest(&self, operands: &[Operand], indices: &[usize]) -> (usize, usize) {
        let size = |label: &usize| self.extent(*label).as_const().map_or(TYPICAL_EXTENT, |n| n as f64);
        let mut best = ((0, 1), f64::INFINITY);
        let n_choices = operands.len().min(MAX_CHOICES);
        for i in 0..n_choices {
            for j in i + 1..n_choices {
                let both = union(&operands[i].labels, &operands[j].labels);
                let others = operands.iter().enumerate().filter(|(k, _)| *k != i && *k != j);
                let needed = |label: &usize| others.clone().any(|(_, other)| other.labels.contains(label));
                let kept = both.iter().filter(|label| !indices.contains(label) || needed(label));
                let cost = both.iter().map(size).product::<f64>() + kept.map(size).product::<f64>();
                if cost < best.1 {
                    best = ((i, j), cost);
                }
            }
        }
        best.0
    }
}

fn operand_of(tensor: Labelled, span: Span) -> Operand {
    Operand { id: tensor.id, subscripts: None, labels: tensor.labels, span }
}

/// The factors of a product, signs apart.
fn flatten<'t, 'p>(
    term: &'t Term<'p>,
    divides: bool,
    factors: &mut Vec<Factor<'t, 'p>>,
    negative: &mut bool,
) {
    match &term.kind {
        Kind::Binary(BinaryOp::Mul, sides) => {
            sides.iter().for_each(|side| flatten(side, divides, factors, negative))
        }
        Kind::Binary(BinaryOp::Div, sides) => {
            flatten(&sides[0], divides, factors, negative);
            flatten(&sides[1], !divides, factors, negative);
        }
        Kind::Unary(UnaryOp::Neg, operand) => {
            *negative = !*negative;
            flatten(operand, divides, factors, negative);
        }
        _ => factors.push(Factor { term, divides }),
    }
}
