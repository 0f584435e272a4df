//! Local rewrites: `x * 1` becomes `x`. Each rule is a function with its mathematics above it, in a table by topic;
//! rules have a direction and never make worse code, so they are applied until none applies.
//!
//! What rules may change of a float: under `strict` nothing; else the sign of a zero, the payload of a NaN, the order of a
//! sum, and what is said at the rule.

mod arithmetic;
mod contract;
mod conversion;
mod reduce;
mod shape_ops;

use crate::{
    Changed, Pass, PassCx,
    fold::splat,
    rebuild::{Uses, each_function, rebuild_with_uses},
};
use graph::{Builder, DType, Module, Node, NodeId, Op, Type};
use kernel::{Binary, Unary};

pub const PASS: Pass =
    Pass { name: "simplify", summary: "apply local rewrite rules until none applies", run };

/// A rule gives a value of the node's type for the same value, or nothing.
pub struct Rule {
    pub name: &'static str,
    apply: fn(&mut Match<'_, '_>) -> Option<NodeId>,
}

/// All tables, in the order in which they are tried.
pub const TOPICS: &[(&str, &[Rule])] = &[
    ("arithmetic", arithmetic::RULES),
    ("conversion", conversion::RULES),
    ("shape_ops", shape_ops::RULES),
    ("reduce", reduce::RULES),
    ("contract", contract::RULES),
];

/// More rounds than this mean that one rule undoes another.
const MAX_ROUNDS: usize = 1000;

fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    each_function(module, cx, |module, function| {
        let mut changed = Changed::No;
        for _ in 0..MAX_ROUNDS {
            let round = rebuild_with_uses(module, function, |b, node, uses| Ok(simplify(b, node, cx, uses)))?;
            if round == Changed::No {
                return Ok(changed);
            }
            changed = Changed::Yes;
        }
        Err(format!("the rules did not come to an end on `{}`", function.name))
    })
}

fn simplify(b: &mut Builder<'_>, node: &Node, cx: &PassCx<'_>, uses: &Uses) -> Option<NodeId> {
    if node.op.is_tuple() {
        return None;
    }
    let mut candidate = Match { b, node, cx, uses };
    TOPICS.iter().flat_map(|(_, rules)| *rules).find_map(|rule| (rule.apply)(&mut candidate))
}

/// A node that rules look at, its operands already simplified.
pub(crate) struct Match<'a, 'm> {
    b: &'a mut Builder<'m>,
    node: &'a Node,
    cx: &'a PassCx<'a>,
    uses: &'a Uses,
}

impl Match<'_, '_> {
    fn input(&self, index: usize) -> NodeId {
        self.node.inputs[index]
    }

    fn of(&self, id: NodeId) -> &Node {
        &self.b.function.nodes[id]
    }

    fn ty(&self) -> &Type {
        self.node.ty()
    }

    fn is_float(&self) -> bool {
        self.ty().dtype.is_float()
    }

    /// The operands, if the node is this function.
    fn binary(&self, op: Binary) -> Option<(NodeId, NodeId)> {
        as_binary(self.node, op)
    }

    fn unary(&self, op: Unary) -> Option<NodeId> {
        as_unary(self.node, op)
    }

    /// The operand of the node `id`, if that is this function.
    fn unary_of(&self, id: NodeId, op: Unary) -> Option<NodeId> {
        as_unary(self.of(id), op)
    }

    /// The value that all elements of `id` have.
    fn splat(&self, id: NodeId) -> Option<f64> {
        splat(self.b, id)
    }

    /// Bits included, so that −0 is not 0.
    fn is_splat(&self, id: NodeId, value: f64) -> bool {
        self.splat(id).is_some_and(|found| found.to_bits() == value.to_bits())
    }

    fn same_type(&self, id: NodeId) -> bool {
        self.b.ty(id).dtype == self.ty().dtype && self.same_shape(id)
    }

    fn same_shape(&self, id: NodeId) -> bool {
        let (a, b) = (&self.b.ty(id).shape, &self.ty().shape);
        a.rank() == b.rank()
            && a.iter()
                .zip(b.iter())
                .all(|(a, b)| a == b || self.b.facts().prove_eq(a, b) == shape::Proof::Proved)
    }

    fn concrete(&self, dtype: DType) -> kernel::DType {
        dtype.concrete(self.cx.float)
    }

    /// Adds an operation; nothing where its operands do not fit provably.
    fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Option<NodeId> {
        self.b.try_add(op.into(), inputs).ok()
    }

    /// The same, where the result must have the node's type.
    fn replace(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Option<NodeId> {
        self.add(op, inputs).filter(|id| self.same_type(*id))
    }
}

fn as_binary(node: &Node, op: Binary) -> Option<(NodeId, NodeId)> {
    match &node.op {
        Op::Binary(binary) if binary.op == op => Some((node.inputs[0], node.inputs[1])),
        _ => None,
    }
}

fn as_unary(node: &Node, op: Unary) -> Option<NodeId> {
    match &node.op {
        Op::Unary(unary) if unary.op == op => Some(node.inputs[0]),
        _ => None,
    }
}

/// A table of rules, each named as its function.
macro_rules! rules {
    ($($name:ident,)*) => {
        pub(super) const RULES: &[crate::simplify::Rule] =
            &[$(crate::simplify::Rule { name: stringify!($name), apply: $name },)*];
    };
}
use rules;
