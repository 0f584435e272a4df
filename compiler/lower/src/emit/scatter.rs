//! Scatter-add: the base is copied, then whoever owns a part of the output adds all updates of that part in order.
//! Owners split the axes before the scattered one and, by chunks, those after it; so no two blocks write one place.

use super::{Axis, Rows, loops::serial, merge_axes, name, operations, vector_loop::along};
use crate::{Unsupported, compose::Composer, draft::Draft, group::Groups, place::Analysis};
use graph::{NodeId, Op};
use kernel::{
    Binary, DType, Expr, Stmt,
    transform::{Widen, widen},
};
use shape::Dim;
use std::collections::BTreeMap;

/// Bases of more elements are copied by a kernel of their own.
const SMALL_BASE: i64 = 1 << 14;

pub fn emit_scatter(
    analysis: &Analysis<'_>,
    groups: &Groups,
    index: usize,
    draft: &mut Draft,
) -> Result<(), Unsupported> {
    let hero = groups.groups[index].heroes[0];
    let node = analysis.node(hero);
    let Op::ScatterAdd(scatter) = &node.op else {
        return Err(Unsupported::new(format!("`{}` has no scatter loops", node.op.name()), node.span));
    };
    let [base, places, updates] = node.inputs[..] else {
        return Err(Unsupported::new("a scatter has three operands", node.span));
    };
    let shape = node.ty().shape.clone();
    // A large base is copied by a kernel that walks memory in its order; owners see strips of it.
    let apart = shape.elements().as_const().is_none_or(|elements| elements > SMALL_BASE);
    if apart {
        emit_base(analysis, groups, index, base, draft)?;
    }
    let mut c = Composer::new(analysis, groups, index, name(analysis, groups, index));
    let axes = |c: &mut Composer<'_, '_>, prefix: &str, extents: &[Dim]| {
        let named = extents.iter().enumerate().map(|(k, extent)| {
            let (var, _) = c.axis(&format!("{prefix}{k}"), extent);
            Axis { var, extent: extent.clone() }
        });
        named.collect::<Vec<_>>()
    };
    let before = axes(&mut c, "i", &shape[..scatter.axis]);
    let scattered = axes(&mut c, "j", &shape[scatter.axis..=scatter.axis]);
    let mut after = axes(&mut c, "v", &shape[scatter.axis + 1..]);
    let listed = axes(&mut c, "u", &analysis.ty(places).shape[scatter.lanes..]);
    let vars = |axes: &[Axis]| axes.iter().map(|axis| Expr::Var(axis.var)).collect::<Vec<_>>();
    let at = |parts: &[&[Axis]]| parts.iter().flat_map(|axes| vars(axes)).collect::<Vec<_>>();

    let output = if apart { c.update(hero) } else { c.output(hero) };
    let own = at(&[&before, &scattered, &after]);
    let mut copy = Vec::new();
    if !apart {
        let (lets, value) = c.scope(|c| c.value(base, &own, None));
        copy = lets;
        copy.push(Stmt::Store { buffer: output, index: vec![c.offset(&shape, &own)], value, mask: None });
    }

    // The row is bound outside of the loops over what follows the axis.
    let (row_lets, row) = c.scope(|c| {
        let place = c.value(places, &at(&[&before[..scatter.lanes], &listed]), None);
        let ty = c.body.kernel.ty(&place).dtype;
        let place = if ty == DType::I64 { place } else { Expr::cast(DType::I64, place) };
        c.bind(place)
    });
    let update_index = at(&[&before, &listed, &after]);
    let (mut add, value) = c.scope(|c| c.value(updates, &update_index, None));
    let mut target = vars(&before);
    target.push(row);
    target.extend(vars(&after));
    let place = c.offset(&shape, &target);
    let old = Expr::Load { buffer: output, index: vec![place.clone()], lanes: 1, mask: None };
    add.push(Stmt::Store {
        buffer: output,
        index: vec![place],
        value: Expr::binary(Binary::Add, old, value),
        mask: None,
    });
    if let Some(failure) = c.failure.take() {
        return Err(failure);
    }

    merge_axes(&mut after, &mut [&mut copy, &mut add], &mut c.ranges);
    let rows_of_index: i64 = listed.iter().map(|axis| axis.extent.as_const().unwrap_or(256)).product();
    let total: Dim = update_index_elements(&before, &listed, &after);
    let copied = if apart { Dim::from(0i64) } else { shape.elements() * operations(&copy) };
    let work = &total * operations(&add) + copied;
    let walk = |axis: &Axis, body| serial(axis.var, Expr::int(0), Expr::dim(&axis.extent), 1, body);
    let mut owners = before;
    let vector = after.pop();
    let (mut copy, mut add) = (copy, add);
    if let Some(vector) = vector {
        let lanes = analysis.options.vector_bits / 8 / analysis.dtype(hero).size().max(4) as u16;
        let chunk = i64::from(lanes) * 4;
        let count = vector.extent.ceil_div(&Dim::from(chunk));
        let (var, _) = c.axis("chunk", &count);
        let from = Expr::Var(var).mul(Expr::int(chunk));
        let to = Expr::binary(Binary::Min, from.clone().add(Expr::int(chunk)), Expr::dim(&vector.extent));
        let exact = vector.extent.as_const().is_some_and(|extent| extent % i64::from(lanes) == 0);
        let step = |c: &mut Composer<'_, '_>, body: Vec<Stmt>| {
            if body.is_empty() {
                return body;
            }
            let limit = (!exact).then(|| to.clone());
            let what = Widen { var: vector.var, lanes, limit, ranges: &c.ranges };
            let (step, body) = match widen(&mut c.body.kernel, &body, &what, &BTreeMap::new()) {
                Ok((wide, _)) => (i64::from(lanes), wide),
                Err(_) => (1, body),
            };
            let (from, to) = (from.clone(), to.clone());
            vec![serial(vector.var, from, to, step, body)]
        };
        copy = step(&mut c, copy);
        add = step(&mut c, add);
        owners.push(Axis { var, extent: count });
    }
    for axis in after.iter().rev() {
        add = vec![walk(axis, add)];
    }
    if !apart {
        copy = scattered.iter().chain(&after).rev().fold(copy, |copy, axis| vec![walk(axis, copy)]);
    }
    let mut adds = row_lets;
    adds.extend(add);
    for axis in listed.iter().rev() {
        adds = vec![walk(axis, adds)];
    }
    copy.extend(adds);
    let row_work = rows_of_index.saturating_mul(16);
    Rows::for_work(row_work).set(&mut c.body.kernel, &owners, copy);
    draft.call(c.body.finish(work));
    Ok(())
}

/// Copies the base to the output.
fn emit_base(
    analysis: &Analysis<'_>,
    groups: &Groups,
    index: usize,
    base: NodeId,
    draft: &mut Draft,
) -> Result<(), Unsupported> {
    let hero = groups.groups[index].heroes[0];
    let shape = analysis.ty(hero).shape.clone();
    let name = format!("{}_base", name(analysis, groups, index));
    let mut c = Composer::new(analysis, groups, index, name);
    let mut axes: Vec<Axis> = Vec::new();
    let mut own = Vec::new();
    for extent in shape.iter() {
        let (var, value) = c.axis("i", extent);
        axes.push(Axis { var, extent: extent.clone() });
        own.push(value);
    }
    let output = c.output(hero);
    let (mut copy, value) = c.scope(|c| c.value(base, &own, None));
    copy.push(Stmt::Store { buffer: output, index: vec![c.offset(&shape, &own)], value, mask: None });
    if let Some(failure) = c.failure.take() {
        return Err(failure);
    }
    axes.retain(|axis| !axis.extent.is_const(1));
    merge_axes(&mut axes, &mut [&mut copy], &mut c.ranges);
    let each = operations(&copy);
    let work = shape.elements() * each;
    let (rows, body) = match axes.pop() {
        Some(vector) => {
            let lanes = analysis.options.vector_bits / 8 / analysis.dtype(hero).size().max(4) as u16;
            along(&mut c, &mut axes, &vector, each, lanes, copy)
        }
        None => (Rows { per_block: 1 }, copy),
    };
    rows.set(&mut c.body.kernel, &axes, body);
    draft.call(c.body.finish(work));
    Ok(())
}

fn update_index_elements(before: &[Axis], listed: &[Axis], after: &[Axis]) -> Dim {
    before.iter().chain(listed).chain(after).map(|axis| axis.extent.clone()).product()
}
