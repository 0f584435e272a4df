//! Tests of stored values: after the kernel that computes one comes a kernel that ends the call where an element is not
//! finite.

use crate::{
    compose::Composer,
    draft::{Draft, DraftCall},
    emit::{Axis, Rows, operations},
    group::{Groups, Kind},
    place::{Analysis, Place},
};
use base::Span;
use graph::{Function, NodeId, Op, Scope};
use kernel::{Binary, Check, Combine, Expr, Stmt, Unary};
use std::sync::Arc;

/// A check with the value that it tests.
pub struct Watched {
    pub check: u32,
    /// The node of the entry; `None` in bodies of loops and branches.
    pub node: Option<NodeId>,
    /// The operator's name, and where it stands.
    pub op: &'static str,
    pub span: Option<Span>,
    pub scope: Option<Arc<Scope>>,
}

/// The checks of one entry and of what it runs.
#[derive(Default)]
pub struct Watch {
    pub watched: Vec<Watched>,
    functions: usize,
    infinities: Vec<bool>,
}

impl Watch {
    /// The next function that is lowered.
    pub fn enter(&mut self, function: &Function) {
        self.functions += 1;
        self.infinities = deliberate_infinities(function);
    }

    pub fn infinities(&self) -> Vec<bool> {
        self.infinities.clone()
    }

    /// Whether the function entered last is the entry: it comes before its bodies.
    pub fn in_entry(&self) -> bool {
        self.functions == 1
    }
}

/// What is tested of one function.
pub struct Tested<'a, 'b> {
    pub analysis: &'b Analysis<'a>,
    pub groups: &'b Groups,
    /// Values in which an infinity is no accident.
    pub infinite: &'b [bool],
    pub is_entry: bool,
}

impl Tested<'_, '_> {
    /// Tests what the group has stored.
    pub fn emit(&self, group: usize, draft: &mut Draft, checks: &mut Vec<Check>, watched: &mut Vec<Watched>) {
        let Tested { analysis, groups, .. } = *self;
        let members = &groups.groups[group];
        if members.kind == Kind::Control {
            return;
        }
        for id in members.heroes.iter().chain(&members.members).copied() {
            let stored = groups.stored[id.index()] && *analysis.place(id) == Place::Computed;
            if !stored || !analysis.dtype(id).is_float() {
                continue;
            }
            let check = checks.len() as u32;
            let node = analysis.node(id);
            let place = node.span.map(analysis.options.place).unwrap_or_default();
            let op = node.op.name();
            checks.push(Check { message: format!("a value of `{op}` is not finite"), place });
            let (span, scope) = (node.span, node.scope.clone());
            watched.push(Watched { check, node: self.is_entry.then_some(id), op, span, scope });
            draft.call(test(analysis, groups, id, self.infinite[id.index()], check));
        }
    }
}

fn test(
    analysis: &Analysis<'_>,
    groups: &Groups,
    id: NodeId,
    may_be_infinite: bool,
    check: u32,
) -> DraftCall {
    let name = format!("{}_finite_{}", analysis.options.name, id.index());
    let mut c = Composer::new(analysis, groups, usize::MAX, name);
    let shape = analysis.ty(id).shape.clone();
    let (mut axes, mut at) = (Vec::new(), Vec::new());
    for (k, extent) in shape.iter().enumerate() {
        let (var, place) = c.axis(&format!("i{k}"), extent);
        axes.push(Axis { var, extent: extent.clone() });
        at.push(place);
    }
    let (mut body, value) = c.scope(|c| {
        let value = c.value(id, &at, None);
        c.bind(value)
    });
    let condition = match may_be_infinite {
        true => Expr::unary(Unary::Not, Expr::unary(Unary::IsNan, value)),
        false => Expr::unary(Unary::IsFinite, value),
    };
    body.push(Stmt::Check { condition, check });
    let each = operations(&body);
    Rows::for_work(each).set(&mut c.body.kernel, &axes, body);
    c.body.finish(shape.elements() * each)
}

/// Values in which an infinity is no accident: literal ones, as masks have them, and what passes them on. NaN never is.
fn deliberate_infinities(function: &Function) -> Vec<bool> {
    let mut found: Vec<bool> = Vec::with_capacity(function.nodes.len());
    for (_, node) in function.nodes.iter() {
        let passed_on = || node.inputs.iter().any(|input| found[input.index()]);
        found.push(match &node.op {
            Op::Constant(constant) => {
                node.ty().dtype.is_float()
                    && constant.bits.iter().any(|bits| f64::from_bits(*bits).is_infinite())
            }
            Op::Binary(binary) => {
                let keeps = matches!(binary.op, Binary::Add | Binary::Sub | Binary::Min | Binary::Max);
                keeps && passed_on()
            }
            Op::Unary(unary) => unary.op == Unary::Neg && passed_on(),
            Op::Reduce(reduce) => matches!(reduce.combine, Combine::Max | Combine::Min) && passed_on(),
            Op::Select(_)
            | Op::Cast(_)
            | Op::Broadcast(_)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice(_)
            | Op::Pad(_)
            | Op::Concat(_)
            | Op::Window(_)
            | Op::Gather(_)
            | Op::StopGradient(_)
            | Op::Barrier(_) => passed_on(),
            _ => false,
        });
    }
    found
}
