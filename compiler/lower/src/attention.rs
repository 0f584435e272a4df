//! Attention as the graph has it: a product of two operands (the scores), what is worked out from it element by element,
//! the largest along the keys, the exponential of the difference to it, their sum, the quotient, and a product of that
//! with the values over the keys. However it was written, where this is its form, nothing between the operands and the
//! result needs memory: the sum over the keys can be taken part by part, with what was summed before scaled down where a
//! later part has a larger score.

use crate::{
    Fusion,
    place::{Analysis, Place},
};
use graph::{NodeId, Op};
use kernel::{Binary, Combine, DType, Form, Unary};
use std::collections::{BTreeMap, BTreeSet};

/// The parts of an attention, by what they are to its kernel.
#[derive(Clone, PartialEq, Debug)]
pub struct Attention {
    /// The contraction of queries and keys.
    pub scores: NodeId,
    /// The largest score of a row, and what is taken from the scores before the exponential.
    pub largest: Option<Largest>,
    /// The sum along the keys.
    pub total: NodeId,
    /// What is summed, and what the values are multiplied with before the quotient.
    pub term: NodeId,
    /// What it is divided by, or, with `Mul`, multiplied with: the same along the keys.
    pub quotient: Binary,
    pub divisor: NodeId,
    /// The operand of the second contraction.
    pub weight: NodeId,
    /// The second contraction, and which operand the weights are.
    pub result: NodeId,
    pub side: usize,
    /// Where this does not hold, a key adds nothing to the sum.
    pub seen: Option<NodeId>,
    /// The transposition that alone reads the result: its order is the one that is stored.
    pub moved: Option<NodeId>,
    /// All nodes between the two contractions.
    pub between: Vec<NodeId>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Largest {
    pub reduce: NodeId,
    /// The reduction itself, or what stands for it where it is not finite.
    pub base: NodeId,
}

impl Attention {
    /// All that takes loops, in order, with what is stored last.
    pub fn heroes(&self) -> Vec<NodeId> {
        let largest = self.largest.map(|largest| largest.reduce);
        let heroes = [Some(self.scores), largest, Some(self.total), Some(self.result), self.moved];
        heroes.into_iter().flatten().collect()
    }

    /// What its kernel stores.
    pub fn stored(&self) -> NodeId {
        self.moved.unwrap_or(self.result)
    }

    /// Whether the base is the largest score whatever that is: then a row without a finite one has no number.
    pub fn is_bare(&self) -> bool {
        self.largest.is_some_and(|largest| largest.base == largest.reduce)
    }
}

/// Nodes that may stand between the two contractions.
const LONGEST: usize = 64;

/// Nodes of a condition that are worked out again for each score.
const TESTS: usize = 24;

/// What a node between the contractions is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Class {
    /// Follows from the scores.
    Score,
    Largest,
    /// Tells whether the largest score is finite.
    Finite,
    Base,
    /// Scores less the base; with a condition, something else where that does not hold.
    Shifted {
        of: NodeId,
        only: Option<NodeId>,
    },
    /// Its exponential, and what that is multiplied with.
    Scaled {
        of: NodeId,
        only: Option<NodeId>,
    },
    /// 0 where its condition does not hold.
    Cleared {
        of: NodeId,
        by: NodeId,
    },
    Total,
    /// Follows from the sum.
    Divisor,
    Weight,
}

/// The attentions of a function whose nodes have their places.
pub fn find(analysis: &Analysis<'_>) -> Vec<Attention> {
    if analysis.options.fusion != Fusion::Groups {
        return Vec::new();
    }
    let results = results(analysis);
    let mut found = Vec::new();
    for (id, node) in analysis.function.nodes.iter() {
        let contract = matches!(node.op, Op::Contract(_)) && *analysis.place(id) == Place::Computed;
        if contract && matches!(analysis.dtype(id), DType::F32 | DType::F64) && !results.contains(&id) {
            found.extend(Search::new(analysis, id).run(&results));
        }
    }
    found
}

fn results(analysis: &Analysis<'_>) -> BTreeSet<NodeId> {
    analysis.function.results.iter().map(|(_, _, node)| *node).collect()
}

impl Attention {
    /// The transposition of the result that nothing else reads, where columns stay neighbours.
    pub fn transposition(&self, analysis: &Analysis<'_>) -> Option<NodeId> {
        let [(user, _)] = analysis.users[self.result.index()][..] else { return None };
        let Op::Transpose(transpose) = &analysis.node(user).op else { return None };
        let columns_last = transpose.perm.last().copied() == transpose.perm.len().checked_sub(1);
        (columns_last && !results(analysis).contains(&self.result)).then_some(user)
    }

    /// What says which keys are seen, and costs less to work out again than to be kept for all queries and keys.
    pub fn cheap_tests(&self, analysis: &Analysis<'_>) -> Vec<NodeId> {
        let results = results(analysis);
        let mut found = Vec::new();
        let mut pending: Vec<NodeId> = self.seen.into_iter().collect();
        while let Some(id) = pending.pop() {
            let node = analysis.node(id);
            let readable = matches!(analysis.place(id), Place::Argument(_) | Place::Data);
            if readable || found.contains(&id) {
                continue;
            }
            let simple = match &node.op {
                Op::Unary(unary) => unary.op == Unary::Not,
                Op::Binary(binary) => {
                    let arithmetic =
                        [Binary::Add, Binary::Sub, Binary::And, Binary::Or, Binary::Min, Binary::Max];
                    binary.op.is_comparison() || arithmetic.contains(&binary.op)
                }
                Op::Reshape(_) => true,
                Op::Broadcast(_)
                | Op::Transpose(_)
                | Op::Iota(_)
                | Op::Cast(_)
                | Op::Constant(_)
                | Op::Size(_) => true,
                _ => false,
            };
            let single =
                |(user, _): &(NodeId, usize)| matches!(analysis.form(*user), Some(Form::Map | Form::Alias));
            let free = !results.contains(&id) && analysis.users[id.index()].iter().all(single);
            if !simple || !free || found.len() >= TESTS {
                return Vec::new();
            }
            found.push(id);
            pending.extend(&node.inputs);
        }
        found
    }
}

struct Search<'a, 'b> {
    analysis: &'b Analysis<'a>,
    scores: NodeId,
    classes: BTreeMap<NodeId, Class>,
    /// The operand of the reduction to the largest, that reduction, and the base.
    compared: Option<NodeId>,
    largest: Option<NodeId>,
    base: Option<NodeId>,
    total: Option<NodeId>,
    term: Option<NodeId>,
    quotient: Option<(Binary, NodeId, NodeId)>,
    seen: Option<NodeId>,
}

impl<'a, 'b> Search<'a, 'b> {
    fn new(analysis: &'b Analysis<'a>, scores: NodeId) -> Search<'a, 'b> {
        Search {
            analysis,
            scores,
            classes: BTreeMap::from([(scores, Class::Score)]),
            compared: None,
            largest: None,
            base: None,
            total: None,
            term: None,
            quotient: None,
            seen: None,
        }
    }

    /// Walks all that follows from the scores, in order, up to the one contraction where it must end.
    fn run(mut self, results: &BTreeSet<NodeId>) -> Option<Attention> {
        let mut pending: BTreeSet<NodeId> = self.users(self.scores);
        while let Some(id) = pending.pop_first() {
            if let Op::Contract(_) = &self.analysis.node(id).op {
                return if pending.is_empty() { self.end(id) } else { None };
            }
            if results.contains(&id) || self.classes.len() > LONGEST {
                return None;
            }
            let class = self.classify(id)?;
            self.classes.insert(id, class);
            pending.extend(self.users(id));
        }
        None
    }

    fn users(&self, id: NodeId) -> BTreeSet<NodeId> {
        self.analysis.users[id.index()].iter().map(|(user, _)| *user).collect()
    }

    fn end(self, result: NodeId) -> Option<Attention> {
        let inputs = &self.analysis.node(result).inputs;
        let weights: Vec<usize> =
            (0..2).filter(|side| self.class(inputs[*side]) == Some(Class::Weight)).collect();
        let [side] = weights[..] else { return None };
        // The other operand has nothing to do with the scores.
        if self.class(inputs[1 - side]).is_some()
            || self.analysis.dtype(result) != self.analysis.dtype(self.scores)
        {
            return None;
        }
        let (quotient, term, divisor) = self.quotient?;
        let largest = match (self.largest, self.base) {
            (Some(reduce), Some(base)) => Some(Largest { reduce, base }),
            (None, None) => None,
            _ => return None,
        };
        Some(Attention {
            scores: self.scores,
            largest,
            total: self.total?,
            term,
            quotient,
            divisor,
            weight: inputs[side],
            result,
            side,
            seen: self.seen,
            moved: None,
            between: self.classes.into_keys().collect(),
        })
    }

    fn class(&self, id: NodeId) -> Option<Class> {
        self.classes.get(&id).copied()
    }

    /// The value that a node has in all places, where the text says it.
    fn constant(&self, id: NodeId) -> Option<f64> {
        let node = self.analysis.node(id);
        match &node.op {
            Op::Constant(constant) if constant.bits.len() == 1 => {
                constant.bits.first().map(|bits| f64::from_bits(*bits))
            }
            Op::Broadcast(_) | Op::Reshape(_) | Op::StopGradient(_) => self.constant(node.inputs[0]),
            _ => None,
        }
    }

    fn classify(&mut self, id: NodeId) -> Option<Class> {
        let analysis = self.analysis;
        let node = analysis.node(id);
        match analysis.form(id)? {
            Form::Map | Form::Alias => {}
            Form::Reduce { extents, combine } if extents.len() == 1 => return self.reduction(id, *combine),
            _ => return None,
        }
        let classes: Vec<Option<Class>> = node.inputs.iter().map(|input| self.class(*input)).collect();
        let of_scores = |class: &Option<Class>| matches!(class, None | Some(Class::Score));
        if classes.iter().all(of_scores) {
            return Some(Class::Score);
        }
        if classes.iter().all(|class| matches!(class, None | Some(Class::Total | Class::Divisor))) {
            return Some(Class::Divisor);
        }
        match (&node.op, classes.as_slice()) {
            // What only moves elements.
            (
                Op::Reshape(_) | Op::Broadcast(_) | Op::Transpose(_) | Op::StopGradient(_) | Op::Barrier(_),
                [class],
            ) => match class {
                Some(Class::Shifted { only: Some(_), .. } | Class::Scaled { only: Some(_), .. }) => None,
                class => *class,
            },
            (Op::Unary(unary), [Some(Class::Largest)]) if unary.op == Unary::IsFinite => Some(Class::Finite),
            (Op::Unary(unary), [Some(Class::Shifted { of, only })]) if unary.op == Unary::Exp => {
                Some(Class::Scaled { of: *of, only: *only })
            }
            (Op::Select(_), [Some(Class::Finite), Some(Class::Largest), None]) => {
                let zero = self.constant(node.inputs[2]) == Some(0.0);
                (zero && self.base.replace(id).is_none()).then_some(Class::Base)
            }
            (Op::Select(_), [None, Some(Class::Shifted { of, only: None }), None]) => {
                Some(Class::Shifted { of: *of, only: Some(node.inputs[0]) })
            }
            (Op::Select(_), [None, Some(Class::Scaled { of, only }), None]) => {
                let cleared = self.constant(node.inputs[2]) == Some(0.0);
                let same = only.is_none_or(|only| only == node.inputs[0]);
                (cleared && same).then_some(Class::Cleared { of: *of, by: node.inputs[0] })
            }
            (Op::Binary(binary), classes) => self.binary(id, binary.op, classes),
            _ => None,
        }
    }

    fn binary(&mut self, id: NodeId, op: Binary, classes: &[Option<Class>]) -> Option<Class> {
        let inputs = &self.analysis.node(id).inputs;
        match (op, classes) {
            (Binary::Sub, [Some(Class::Score), Some(base @ (Class::Base | Class::Largest))]) => {
                if *base == Class::Largest {
                    // The largest score itself is the base; nothing may take another one.
                    let reduce = self.largest?;
                    if self.base.replace(reduce).is_some_and(|other| other != reduce) {
                        return None;
                    }
                }
                Some(Class::Shifted { of: inputs[0], only: None })
            }
            (Binary::Div | Binary::Mul, [Some(term), Some(Class::Divisor | Class::Total)]) => {
                self.weight(op, *term, inputs[0], inputs[1])
            }
            (Binary::Mul, [Some(Class::Divisor), Some(term)]) => self.weight(op, *term, inputs[1], inputs[0]),
            _ => None,
        }
    }

    fn weight(&mut self, op: Binary, class: Class, term: NodeId, divisor: NodeId) -> Option<Class> {
        let scaled = matches!(class, Class::Score | Class::Scaled { only: None, .. } | Class::Cleared { .. });
        let first = self.quotient.replace((op, term, divisor)).is_none();
        (scaled && first && Some(term) == self.term).then_some(Class::Weight)
    }

    fn reduction(&mut self, id: NodeId, combine: Combine) -> Option<Class> {
        let operand = self.analysis.node(id).inputs[0];
        match (combine, self.class(operand)?) {
            (Combine::Max, Class::Score) => {
                self.compared = Some(operand);
                self.largest.replace(id).is_none().then_some(Class::Largest)
            }
            (Combine::Sum, class) => {
                self.term = Some(operand);
                self.seen = match class {
                    Class::Cleared { by, .. } => Some(by),
                    _ => self
                        .compared
                        .and_then(|compared| self.masked(compared))
                        .map(|(condition, _)| condition),
                };
                let fits = match class {
                    Class::Score => self.largest.is_none(),
                    Class::Scaled { of, only: None } => self.bounds(of, None),
                    Class::Cleared { of, by } => self.bounds(of, Some(by)),
                    _ => false,
                };
                (fits && self.total.replace(id).is_none()).then_some(Class::Total)
            }
            _ => None,
        }
    }

    /// Whether what is compared bounds what the base is taken from wherever that counts.
    fn bounds(&self, of: NodeId, by: Option<NodeId>) -> bool {
        let Some(compared) = self.compared else { return false };
        let masked = self.masked(compared);
        compared == of || masked.is_some_and(|(condition, yes)| yes == of && by == Some(condition))
    }

    /// The condition of scores that are -inf where it does not hold, and what they are where it does.
    fn masked(&self, id: NodeId) -> Option<(NodeId, NodeId)> {
        let node = self.analysis.node(id);
        let [condition, yes, no] = node.inputs[..] else { return None };
        (matches!(node.op, Op::Select(_)) && self.constant(no) == Some(f64::NEG_INFINITY))
            .then_some((condition, yes))
    }
}
