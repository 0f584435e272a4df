//! From groups to kernels: loops around composed values.

mod attention;
mod contract;
mod interior;
mod loops;
mod nest;
mod order;
mod recurrence;
mod scatter;
mod vector_loop;

pub use attention::{emit_attention, fits};
pub use contract::emit_contract;
pub use loops::{Axis, Rows, decode, merge_axes, operations, visit_buffers};
pub use nest::emit_nest;
pub use order::emit_order;
pub use recurrence::emit_recurrence;
pub use scatter::emit_scatter;

use crate::{
    Unsupported,
    draft::Draft,
    group::{Groups, Kind},
    place::Analysis,
};

pub fn emit_group(
    analysis: &Analysis<'_>,
    groups: &Groups,
    index: usize,
    draft: &mut Draft,
) -> Result<(), Unsupported> {
    match &groups.groups[index].kind {
        Kind::Attention(attention) => emit_attention(analysis, groups, index, attention, draft),
        Kind::Scatter => emit_scatter(analysis, groups, index, draft),
        Kind::Recurrence => emit_recurrence(analysis, groups, index, draft),
        Kind::Order => emit_order(analysis, groups, index, draft),
        Kind::Contract { .. } if emit_contract(analysis, groups, index, draft)? => Ok(()),
        _ => emit_nest(analysis, groups, index, draft),
    }
}

/// A name that says what the group computes.
pub fn name(analysis: &Analysis<'_>, groups: &Groups, index: usize) -> String {
    let group = &groups.groups[index];
    let last = group.members.last().or(group.heroes.first()).or(group.source.as_ref());
    let what = group.heroes.first().or(last).map_or("copy", |id| analysis.node(*id).op.name());
    let node = last.map_or(0, |id| id.index());
    match group.kind {
        Kind::Copy { .. } => format!("{}_copy_{node}", analysis.options.name),
        Kind::Map => format!("{}_map_{what}_{node}", analysis.options.name),
        Kind::Attention(_) => format!("{}_attention_{node}", analysis.options.name),
        _ => format!("{}_{what}_{node}", analysis.options.name),
    }
}
