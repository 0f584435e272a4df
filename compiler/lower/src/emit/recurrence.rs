//! Recurrences: one walk along the axis with the last value in a register. Rows, and what stands beside the axis, are
//! shared among blocks and lanes; so each element is read and written once.

use super::{Axis, Rows, loops::serial, merge_axes, name, operations};
use crate::{Unsupported, compose::Composer, draft::Draft, group::Groups, place::Analysis};
use graph::NodeId;
use kernel::{
    Binary, Expr, Form, Stmt, Ty, VarId,
    transform::{Widen, widen},
};
use shape::Dim;
use std::collections::BTreeMap;

/// Vectors that one walk carries where there is much beside the axis: whole cache lines, and independent sums.
const VECTORS: u16 = 2;

pub fn emit_recurrence(
    analysis: &Analysis<'_>,
    groups: &Groups,
    index: usize,
    draft: &mut Draft,
) -> Result<(), Unsupported> {
    let hero = groups.groups[index].heroes[0];
    let node = analysis.node(hero);
    let Some(Form::Recurrence { axis, reverse }) = analysis.form(hero).cloned() else {
        return Err(Unsupported::new(format!("`{}` is no recurrence", node.op.name()), node.span));
    };
    let shape = node.ty().shape.clone();
    let extent = shape[axis].clone();
    let mut c = Composer::new(analysis, groups, index, name(analysis, groups, index));
    let mut outer = Vec::new();
    let mut at: Vec<Expr> = Vec::new();
    for (k, size) in shape.iter().enumerate() {
        if k == axis {
            at.push(Expr::int(0));
            continue;
        }
        let (var, place) = c.axis(&format!("i{k}"), size);
        at.push(place);
        outer.push(Axis { var, extent: size.clone() });
    }
    let (step, _) = c.axis("t", &(&extent - 1));
    let last = c.body.kernel.var("h", Ty::scalar(analysis.dtype(hero).accumulator()));
    let place = |from_start: Expr| match reverse {
        false => from_start,
        true => Expr::dim(&(&extent - 1)).sub(from_start),
    };
    at[axis] = place(Expr::int(0));
    let mut first = advance(&mut c, hero, &at, None, last);
    at[axis] = place(Expr::Var(step).add(Expr::int(1)));
    let mut body = advance(&mut c, hero, &at, Some(last), last);
    if let Some(failure) = c.failure.take() {
        return Err(failure);
    }
    let mut after = outer.split_off(axis);
    merge_axes(&mut after, &mut [&mut first, &mut body], &mut c.ranges);
    if after.is_empty() {
        merge_axes(&mut outer, &mut [&mut first, &mut body], &mut c.ranges);
    }
    let beside = !after.is_empty();
    let mut owners = outer;
    owners.extend(after);
    let each = operations(&body);
    let work = shape.elements() * each;
    let walk = extent.as_const().unwrap_or(256).max(1).saturating_mul(each);

    first.push(serial(step, Expr::int(0), Expr::dim(&(&extent - 1)), 1, body));
    let mut body = first;
    if extent.as_const().is_none_or(|extent| extent <= 0) {
        let condition = Expr::dim(&extent).ge(Expr::int(1));
        body = vec![Stmt::If { condition, then: body, otherwise: Vec::new() }];
    }
    let full = analysis.options.vector_bits / 8 / analysis.dtype(hero).size().max(4) as u16;
    // Rows in lanes are read with gathers, which pay for a vector of them, not for more.
    let lanes = if beside { full * VECTORS } else { full };
    match owners.pop() {
        Some(vector) if vector.extent.as_const().is_none_or(|extent| extent >= i64::from(full) / 2) => {
            let lanes = match vector.extent.as_const() {
                Some(extent) if extent < i64::from(lanes) => full,
                _ => lanes,
            };
            let chunk = i64::from(lanes);
            let count = vector.extent.ceil_div(&Dim::from(chunk));
            let (var, _) = c.axis("chunk", &count);
            let from = Expr::Var(var).mul(Expr::int(chunk));
            let body = in_lanes(&mut c, &vector, from, lanes, !beside, body);
            owners.push(Axis { var, extent: count });
            Rows::for_work(walk.saturating_mul(chunk / 4)).set(&mut c.body.kernel, &owners, body);
        }
        vector => {
            owners.extend(vector);
            Rows::for_work(walk).set(&mut c.body.kernel, &owners, body);
        }
    }
    draft.call(c.body.finish(work));
    Ok(())
}

/// Computes one element, keeps it in the register `last` and stores it; without `before` it is the first.
fn advance(
    c: &mut Composer<'_, '_>,
    hero: NodeId,
    at: &[Expr],
    before: Option<VarId>,
    last: VarId,
) -> Vec<Stmt> {
    let wide = c.body.kernel.vars[last].ty.dtype;
    let dtype = c.analysis.dtype(hero);
    let shape = c.analysis.ty(hero).shape.clone();
    let mut asked = at.to_vec();
    asked.push(before.map_or(Expr::number(wide, 0.0), Expr::Var));
    let (mut stmts, (value, index)) = c.scope(|c| {
        let value = c.element(hero, &asked, None);
        (value, c.offset(&shape, at))
    });
    stmts.push(match before {
        None => Stmt::Register { var: last, init: value },
        Some(_) => Stmt::Assign { var: last, value },
    });
    let value = if wide == dtype { Expr::Var(last) } else { Expr::cast(dtype, Expr::Var(last)) };
    let buffer = c.output(hero);
    stmts.push(Stmt::Store { buffer, index: vec![index], value, mask: None });
    stmts
}

/// The body for `lanes` values of the axis' variable from `from` on, those past the end left out. Where neighbours lie
/// apart, a rest that does not fill the lanes is taken one by one: gathers cost as much for one lane as for all.
fn in_lanes(
    c: &mut Composer<'_, '_>,
    axis: &Axis,
    from: Expr,
    lanes: u16,
    apart: bool,
    body: Vec<Stmt>,
) -> Vec<Stmt> {
    let extent = Expr::dim(&axis.extent);
    let end = from.clone().add(Expr::int(i64::from(lanes)));
    let exact = axis.extent.as_const().is_some_and(|extent| extent % i64::from(lanes) == 0);
    let mut wide = |limit: Option<Expr>| {
        let what = Widen { var: axis.var, lanes, limit, ranges: &c.ranges };
        widen(&mut c.body.kernel, &body, &what, &BTreeMap::new()).ok().map(|(stmts, _)| stmts)
    };
    let bind = |body: Vec<Stmt>| {
        let mut stmts = vec![Stmt::Let { var: axis.var, value: from.clone() }];
        stmts.extend(body);
        stmts
    };
    let whole = wide(None);
    let masked = if apart { None } else { wide(Some(extent.clone())) };
    let to = Expr::binary(Binary::Min, end.clone(), extent.clone());
    let one_by_one = || {
        let (from, to, body) = (from.clone(), to.clone(), body.clone());
        vec![serial(axis.var, from, to, 1, body)]
    };
    let Some(whole) = whole else { return one_by_one() };
    if exact {
        return bind(whole);
    }
    let otherwise = masked.map_or_else(one_by_one, bind);
    vec![Stmt::If { condition: Expr::binary(Binary::Le, end, extent), then: bind(whole), otherwise }]
}
