//! What compiled code tests before it goes on: conditions on dimensions, and indices that data brings.

use crate::{
    compose::Composer,
    draft::{Draft, DraftCall},
    emit::{Axis, Rows, operations},
    group::Groups,
    place::{Analysis, Place},
};
use graph::{Effect, NodeId, Op};
use kernel::{Binary, Check, DType, Expr, Step, Stmt};
use shape::Dim;

/// Indices that must be below an extent wherever they are read.
#[derive(Clone, PartialEq, Debug)]
pub struct Bound {
    pub index: NodeId,
    pub extent: Dim,
    /// The check's number in the plan.
    pub check: u32,
    /// The first group that may rely on it: all that the index is made of is there.
    pub before: usize,
}

/// Tests on dimensions, as the plan's first steps.
pub fn requirements(analysis: &Analysis<'_>, checks: &mut Vec<Check>) -> Vec<Step> {
    let mut steps = Vec::new();
    for effect in &analysis.function.effects {
        let check = checks.len() as u32;
        let (message, span) = match effect {
            Effect::RequireGe { message, span, .. } | Effect::RequireEq { message, span, .. } => {
                (message, span)
            }
        };
        let place = span.map(analysis.options.place).unwrap_or_default();
        checks.push(Check { message: message.clone(), place });
        steps.push(match effect {
            Effect::RequireGe { value, at_least, .. } => {
                Step::Require { value: value.clone(), at_least: at_least.clone(), check }
            }
            Effect::RequireEq { a, b, .. } => Step::RequireEq { a: a.clone(), b: b.clone(), check },
        });
    }
    steps
}

/// The index operands of gathers and scatters, each with its extent once.
pub fn bounds(analysis: &Analysis<'_>, groups: &Groups, checks: &mut Vec<Check>) -> Vec<Bound> {
    let mut bounds: Vec<Bound> = Vec::new();
    for (id, node) in analysis.function.nodes.iter() {
        if *analysis.place(id) == Place::Dead {
            continue;
        }
        let axis = match &node.op {
            Op::Gather(gather) => gather.axis,
            Op::ScatterAdd(scatter) => scatter.axis,
            _ => continue,
        };
        let extent = analysis.ty(node.inputs[0]).shape[axis].clone();
        let index = node.inputs[1];
        if bounds.iter().any(|bound| bound.index == index && bound.extent == extent) {
            continue;
        }
        let check = checks.len() as u32;
        let place = node.span.map(analysis.options.place).unwrap_or_default();
        checks.push(Check { message: format!("an index is not in 0..{extent}"), place });
        bounds.push(Bound { index, extent, check, before: after_inputs(analysis, groups, index) });
    }
    bounds
}

/// The first group after all that compute what the node reads.
fn after_inputs(analysis: &Analysis<'_>, groups: &Groups, id: NodeId) -> usize {
    match (analysis.place(id), groups.group_of[id.index()]) {
        (_, Some(group)) => group + 1,
        (Place::Inline | Place::View, None) => {
            let inputs = &analysis.node(id).inputs;
            inputs.iter().map(|input| after_inputs(analysis, groups, *input)).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// A kernel that looks at every index.
pub fn emit_bound(analysis: &Analysis<'_>, groups: &Groups, bound: &Bound, draft: &mut Draft) {
    let name = format!("{}_bounds_{}", analysis.options.name, bound.index.index());
    let mut c = Composer::new(analysis, groups, usize::MAX, name);
    let shape = analysis.ty(bound.index).shape.clone();
    let mut axes = Vec::new();
    let mut at = Vec::new();
    for (k, extent) in shape.iter().enumerate() {
        let (var, place) = c.axis(&format!("i{k}"), extent);
        axes.push(Axis { var, extent: extent.clone() });
        at.push(place);
    }
    let (mut body, value) = c.scope(|c| {
        let value = c.value(bound.index, &at, None);
        let wide =
            if c.body.kernel.ty(&value).dtype == DType::I64 { value } else { Expr::cast(DType::I64, value) };
        c.bind(wide)
    });
    let condition =
        value.clone().ge(Expr::int(0)).and(Expr::binary(Binary::Lt, value, Expr::dim(&bound.extent)));
    body.push(Stmt::Check { condition, check: bound.check });
    let each = operations(&body);
    Rows::for_work(each).set(&mut c.body.kernel, &axes, body);
    let call: DraftCall = c.body.finish(shape.elements() * each);
    draft.call(call);
}
