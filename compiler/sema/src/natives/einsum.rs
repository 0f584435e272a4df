//! `einsum("bij,bjk->bik", a, b)`: products of tensors, summed over the letters that the result does not have.

use super::Args;
use crate::{arith::Places, checker::Checker, value::Value};
use base::{Diagnostic, Span};
use graph::{NodeId, ops};
use indexmap::IndexMap;
use shape::{Dim, Proof};

/// Axes by letter: one list an operand, and that of the result.
struct Spec {
    operands: Vec<Vec<char>>,
    result: Vec<char>,
}

/// A tensor whose axes have letters, and where it stands.
struct Term {
    id: NodeId,
    letters: Vec<char>,
    span: Span,
}

impl<'p> Checker<'p> {
    pub(super) fn einsum(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let spec = self.need(args, "spec")?;
        let Value::Text(text) = &spec.value else {
            let message =
                format!("`einsum` takes its letters as a string, but this is {}", spec.value.kind());
            return Some(self.error("E0401", spec.span, message, "as in `einsum(\"ij,jk->ik\", a, b)`"));
        };
        let parsed = match parse(text) {
            Ok(parsed) => parsed,
            Err(fault) => return Some(self.error("E0401", spec.span, fault.0, fault.1)),
        };
        let given = args.rest();
        if given.len() != parsed.operands.len() {
            let message = format!(
                "`einsum` has letters for {} tensors, but is given {}",
                parsed.operands.len(),
                given.len()
            );
            return Some(self.error(
                "E0208",
                spec.span,
                message,
                "letters of one tensor each, between commas",
            ));
        }
        let mut extents: IndexMap<char, (Dim, Span)> = IndexMap::new();
        let mut terms = Vec::new();
        for (arg, letters) in given.into_iter().zip(parsed.operands) {
            let id = self.tensor(&arg.value, None, arg.span)?;
            self.letter_axes(&mut extents, id, &letters, arg.span, spec.span)?;
            terms.push(Term { id, letters, span: arg.span });
        }
        terms.reverse();
        let mut product = terms.pop()?;
        while let Some(next) = terms.pop() {
            let is_last = terms.is_empty();
            let wanted = |letter: &char| {
                parsed.result.contains(letter) || terms.iter().any(|term| term.letters.contains(letter))
            };
            let kept = if is_last {
                parsed.result.clone()
            } else {
                extents
                    .keys()
                    .copied()
                    .filter(|letter| product.letters.contains(letter) || next.letters.contains(letter))
                    .filter(wanted)
                    .collect()
            };
            let at = Places { whole: args.span, left: product.span, right: next.span };
            let (a, b) = self.same_dtype(product.id, next.id, at, "einsum")?;
            product.id = a;
            let id = self.contract_letters(&product, &Term { id: b, ..next }, &kept, &extents, args.span)?;
            product = Term { id, letters: kept, span: args.span };
            if is_last {
                return Some(Value::Tensor(id));
            }
        }
        // One tensor alone: sums, diagonals and other orders of its axes.
        let one = self.scalar(self.ty(product.id).dtype, 1.0);
        let one = Term { id: one, letters: Vec::new(), span: args.span };
        self.contract_letters(&product, &one, &parsed.result, &extents, args.span).map(Value::Tensor)
    }

    /// Notes the extents that a tensor gives its letters; those known already must agree.
    fn letter_axes(
        &mut self,
        extents: &mut IndexMap<char, (Dim, Span)>,
        id: NodeId,
        letters: &[char],
        span: Span,
        spec: Span,
    ) -> Option<()> {
        let shape = self.shape(id);
        if shape.rank() != letters.len() {
            let message = format!("`einsum` names {} axes, but this is {}", letters.len(), self.ty(id));
            self.report(
                Diagnostic::error("E0303", message)
                    .label(span, format!("this is {}", self.ty(id)))
                    .label(spec, format!("\"{}\" is meant for it", letters.iter().collect::<String>())),
            );
            return None;
        }
        for (letter, size) in letters.iter().zip(shape.iter()) {
            let Some((known, place)) = extents.get(letter).cloned() else {
                extents.insert(*letter, (size.clone(), span));
                continue;
            };
            let proof = self.equal(&known, size);
            if proof != Proof::Proved && !(self.generic && proof == Proof::Unknown) {
                self.report(
                    Diagnostic::error(
                        "E0301",
                        format!("`{letter}` stands for {known} and for {size} elements"),
                    )
                    .label(place, format!("`{letter}` has {known} here"))
                    .label(span, format!("this is {}, where `{letter}` has {size}", self.ty(id))),
                );
                return None;
            }
        }
        Some(())
    }

    fn contract_letters(
        &mut self,
        a: &Term,
        b: &Term,
        kept: &[char],
        extents: &IndexMap<char, (Dim, Span)>,
        span: Span,
    ) -> Option<NodeId> {
        let used: Vec<char> = extents
            .keys()
            .copied()
            .filter(|letter| a.letters.contains(letter) || b.letters.contains(letter))
            .collect();
        let index = |letter: &char| used.iter().position(|known| known == letter).unwrap_or_default();
        let subscripts =
            |term: &Term| term.letters.iter().map(|letter| ops::Subscript::index(index(letter))).collect();
        let contract = ops::Contract {
            extents: used.iter().map(|letter| extents[letter].0.clone()).collect(),
            out: kept.iter().map(index).collect(),
            lhs: subscripts(a),
            rhs: subscripts(b),
        };
        self.add_at(contract.into(), &[a.id, b.id], span, &[a.span, b.span])
    }
}

/// The letters of a specification; else a message and its label.
fn parse(text: &str) -> Result<Spec, (String, String)> {
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    if let Some(odd) = plain.replace("->", "").chars().find(|c| !c.is_ascii_alphabetic() && *c != ',') {
        return Err((format!("`{odd}` is no letter of an `einsum`"), "letters, commas and one `->`".into()));
    }
    let (operands, result) = match plain.split_once("->") {
        Some((operands, result)) => (operands, Some(result)),
        None => (plain.as_str(), None),
    };
    let operands: Vec<Vec<char>> = operands.split(',').map(|part| part.chars().collect()).collect();
    let all: Vec<char> = operands.iter().flatten().copied().collect();
    let result: Vec<char> = match result {
        Some(result) => result.chars().collect(),
        // As in NumPy: those that stand once, in the order of the alphabet.
        None => {
            let mut once: Vec<char> =
                all.iter().copied().filter(|c| all.iter().filter(|other| *other == c).count() == 1).collect();
            once.sort_unstable();
            once
        }
    };
    for (place, letter) in result.iter().enumerate() {
        if !all.contains(letter) {
            return Err((
                format!("`{letter}` of the result stands in no operand"),
                format!("no tensor gives `{letter}` a size"),
            ));
        }
        if result[..place].contains(letter) {
            return Err((
                format!("`{letter}` stands twice in the result"),
                "each axis of the result is another".into(),
            ));
        }
    }
    Ok(Spec { operands, result })
}
