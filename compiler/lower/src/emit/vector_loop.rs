//! Loops in steps of vectors along one axis.

use super::{Axis, Rows, interior::interior, loops::serial};
use crate::compose::Composer;
use kernel::{
    Binary, Expr, Stmt, Ty, VarId,
    transform::{Widen, widen},
};
use shape::Dim;
use std::collections::BTreeMap;

/// A loop over `from..to` in steps of vectors, and one masked step for the rest.
pub struct VectorLoop<'l> {
    pub axis: &'l Axis,
    pub from: Expr,
    pub to: Expr,
    pub lanes: u16,
    /// There is no rest.
    pub exact: bool,
}

impl VectorLoop<'_> {
    /// Widens a body for one element; stays with single elements where it cannot be.
    pub fn emit(self, composer: &mut Composer<'_, '_>, body: Vec<Stmt>) -> Vec<Stmt> {
        let VectorLoop { axis, from, to, lanes, exact } = self;
        if lanes == 1 {
            return vec![serial(axis.var, from, to, 1, body)];
        }
        let wide = i64::from(lanes);
        let widened = |composer: &mut Composer<'_, '_>, limit: Option<Expr>| {
            let what = Widen { var: axis.var, lanes, limit, ranges: &composer.ranges };
            widen(&mut composer.body.kernel, &body, &what, &BTreeMap::new()).map(|(stmts, _)| stmts)
        };
        let short = axis.extent.as_const().is_some_and(|extent| extent < wide);
        let mut loops = Vec::new();
        let mut rest = from.clone();
        if !short {
            match widened(composer, None) {
                Ok(main) => {
                    let whole = to.clone().sub(from.clone()).div(Expr::int(wide)).mul(Expr::int(wide));
                    rest = if exact { to.clone() } else { from.clone().add(whole) };
                    match interior_loops(composer, &body, axis.var, (&from, &rest, lanes, exact), &main) {
                        Some(parts) => loops.extend(parts),
                        None => loops.push(serial(axis.var, from.clone(), rest.clone(), wide, main)),
                    }
                }
                Err(_) => return vec![serial(axis.var, from, to, 1, body)],
            }
        }
        if !exact || short {
            match widened(composer, Some(to.clone())) {
                Ok(tail) => loops.push(serial(axis.var, rest, to, wide, tail)),
                Err(_) => loops.push(serial(axis.var, rest, to, 1, body.clone())),
            }
        }
        loops
    }
}

/// The whole vectors of an axis in three loops, the middle one with conditions that hold away from the ends; `None` where
/// there are none.
fn interior_loops(
    composer: &mut Composer<'_, '_>,
    body: &[Stmt],
    var: VarId,
    (from, to, lanes, exact): (&Expr, &Expr, u16, bool),
    main: &[Stmt],
) -> Option<Vec<Stmt>> {
    let wide = i64::from(lanes);
    let (0, whole) = (from.as_int()?, to.as_int()?) else { return None };
    let inner = composer.body.kernel.var("x", Ty::INDEX);
    // With a masked rest behind it, the last whole vector is away from the end as well.
    let ends = [whole, whole - wide].into_iter().skip(usize::from(exact)).filter(|end| *end > wide);
    for end in ends {
        let place = (wide, inner, end - wide);
        let Some(middle) = interior(body, var, place, &mut composer.ranges) else { continue };
        let what = Widen { var: inner, lanes, limit: None, ranges: &composer.ranges };
        let (middle, _) = widen(&mut composer.body.kernel, &middle, &what, &BTreeMap::new()).ok()?;
        let walk = |var, from, to, body| serial(var, Expr::int(from), Expr::int(to), wide, body);
        let mut loops = vec![walk(var, 0, wide, main.to_vec()), walk(inner, 0, end - wide, middle)];
        if end < whole {
            loops.push(walk(var, end, whole, main.to_vec()));
        }
        return Some(loops);
    }
    None
}

/// The loop of one axis, and how the rows of the others are shared among blocks; an axis that is cut into chunks is one more
/// of them. `each` is the work of one element.
pub fn along(
    composer: &mut Composer<'_, '_>,
    outer: &mut Vec<Axis>,
    axis: &Axis,
    each: i64,
    lanes: u16,
    body: Vec<Stmt>,
) -> (Rows, Vec<Stmt>) {
    let blocks = Blocks::split(&axis.extent, outer, each, lanes);
    let (mut from, mut to) = (Expr::int(0), Expr::dim(&axis.extent));
    if let Some(chunk) = blocks.chunk {
        let count = axis.extent.ceil_div(&Dim::from(chunk));
        let (var, _) = composer.axis("chunk", &count);
        outer.push(Axis { var, extent: count });
        from = Expr::Var(var).mul(Expr::int(chunk));
        let end = from.clone().add(Expr::int(chunk));
        let exact = axis.extent.as_const().is_some_and(|extent| extent % chunk == 0);
        to = if exact { end } else { Expr::binary(Binary::Min, end, to) };
    }
    let wide = i64::from(lanes);
    let exact = axis.extent.as_const().is_some_and(|extent| extent % wide == 0)
        && blocks.chunk.is_none_or(|chunk| chunk % wide == 0);
    let loops = VectorLoop { axis, from, to, lanes, exact }.emit(composer, body);
    (blocks.rows, loops)
}

/// How the vector axis and the rows are shared among blocks.
struct Blocks {
    rows: Rows,
    /// Elements of the vector axis that one block takes, where the axis is cut.
    chunk: Option<i64>,
}

impl Blocks {
    fn split(extent: &Dim, outer: &[Axis], each: i64, lanes: u16) -> Blocks {
        const BLOCK_WORK: i64 = 1 << 15;
        let lanes = i64::from(lanes);
        let each = each.max(1);
        let chunk = (BLOCK_WORK / each / lanes).max(1) * lanes;
        let length = extent.as_const();
        let few_rows = outer.iter().all(|axis| axis.extent.as_const().is_some_and(|extent| extent < 16));
        let long = length.is_none_or(|length| length >= 2 * chunk);
        if few_rows && long {
            return Blocks { rows: Rows { per_block: 1 }, chunk: Some(chunk) };
        }
        Blocks { rows: Rows::for_work(each.saturating_mul(length.unwrap_or(1024))), chunk: None }
    }
}
