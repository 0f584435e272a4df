//! Attention in one kernel: no row of scores is in memory but a part of it, in a block's own.
//!
//! A block has a tile of queries, which lie across the lanes of vectors. For each part of the keys: scores (one key
//! broadcast, the tile's queries in vectors); the largest so far; exponentials and their sum; the product with the values
//! (one weight broadcast, the values' columns in vectors), added to what earlier parts gave, scaled down where the
//! largest grew. At the end each row is divided by its sum. Keys and values are read where they lie.

mod parts;
mod phases;
mod single;
mod tiles;

use self::parts::{Parts, Value};
use self::tiles::{min, serial};
use super::{Axis, Rows, name};
use crate::{
    Unsupported,
    attention::Attention,
    compose::Composer,
    draft::Draft,
    group::Groups,
    place::Analysis,
    schedule::attention::{self, Schedule},
};
use graph::Op;
use kernel::{
    Binary, BufferId, Expr, Space, Stmt, Ty, VarId,
    transform::{Widen, widen},
};
use shape::Dim;
use std::collections::BTreeMap;

/// Whether a kernel can be made of it; `groups` need only say what is computed elsewhere.
pub fn fits(analysis: &Analysis<'_>, groups: &Groups, attention: &Attention) -> bool {
    let mut c = Composer::new(analysis, groups, 0, String::new());
    Parts::of(&mut c, attention).is_some()
}

pub fn emit_attention(
    analysis: &Analysis<'_>,
    groups: &Groups,
    index: usize,
    attention: &Attention,
    draft: &mut Draft,
) -> Result<(), Unsupported> {
    let mut c = Composer::new(analysis, groups, index, name(analysis, groups, index));
    let node = analysis.node(attention.result);
    let parts = Parts::of(&mut c, attention);
    let parts = parts.ok_or_else(|| Unsupported::new("internal: attention without its parts", node.span))?;
    let problem = attention::Problem {
        element_bytes: parts.dtype.size(),
        vector_bits: analysis.options.vector_bits,
        queries: &parts.query.extent,
        keys: &parts.key.extent,
        columns: &parts.column.extent,
        depth: &parts.depth.extent,
    };
    let schedule = attention::choose(&problem);
    let outputs = outputs(&mut c, groups, index, attention, &parts);
    let last = schedule.last(&problem);
    let buffers = Buffers::new(&mut c, &parts, &schedule);
    Block {
        c,
        parts,
        schedule,
        last,
        buffers,
        bare: attention.is_bare(),
        quotient: attention.quotient,
        outputs,
    }
    .emit(draft)
}

/// A block's own memory.
struct Buffers {
    /// The tile's queries, `[depth][queries]`; a single one the other way round, as its scores.
    queries: BufferId,
    /// Scores, then their exponentials, `[keys][queries]`.
    scores: BufferId,
    /// Sums of values, `[queries][columns]`.
    sums: BufferId,
    /// What is known of each query, `[Row][queries]`.
    rows: BufferId,
}

/// Lines of [`Buffers::rows`].
#[derive(Clone, Copy)]
enum Row {
    Largest,
    Base,
    Total,
    /// What earlier sums are multiplied with, then the sums at the end.
    Scale,
}

impl Buffers {
    fn new(c: &mut Composer<'_, '_>, parts: &Parts, schedule: &Schedule) -> Buffers {
        let wide = Dim::from(schedule.queries());
        let depth = parts.depth.extent.clone();
        let mut local =
            |name: &str, shape: [Dim; 2]| c.body.kernel.buffer(name, parts.dtype, shape.into(), Space::Local);
        let (queries, scores) = match schedule.single {
            Some(single) => {
                ([wide.clone(), Dim::from(single.padded_depth)], [wide.clone(), Dim::from(schedule.part)])
            }
            None => ([depth, wide.clone()], [Dim::from(schedule.part), wide.clone()]),
        };
        Buffers {
            queries: local("queries", queries),
            scores: local("scores", scores),
            sums: local("sums", [wide.clone(), Dim::from(schedule.padded_columns)]),
            rows: local("rows", [Dim::from(4i64), wide]),
        }
    }
}

/// What follows from the first variable, one element of the result.
type Outputs = (VarId, Vec<Stmt>);

/// The result and the group's members at one index, with their stores.
fn outputs(
    c: &mut Composer<'_, '_>,
    groups: &Groups,
    index: usize,
    attention: &Attention,
    parts: &Parts,
) -> Outputs {
    let group = &groups.groups[index];
    let sum = c.body.kernel.var("sum", Ty::scalar(parts.dtype));
    c.known.push((attention.result, parts.out_index.clone(), Expr::Var(sum)));
    let at: &Vec<Expr> = &match attention.moved.map(|moved| &c.analysis.node(moved).op) {
        Some(Op::Transpose(moved)) => moved.perm.iter().map(|axis| parts.out_index[*axis].clone()).collect(),
        _ => parts.out_index.clone(),
    };
    let (mut body, stores) = c.scope(|c| {
        let mut stores = Vec::new();
        for node in std::iter::once(&attention.stored()).chain(&group.members) {
            let value = match *node == attention.stored() {
                true => Expr::Var(sum),
                false => {
                    let value = c.element(*node, at, None);
                    c.bind(value)
                }
            };
            c.known.push((*node, at.clone(), value.clone()));
            if groups.stored[node.index()] {
                let buffer = c.output(*node);
                let place = c.offset(&group.shape, at);
                stores.push(Stmt::Store { buffer, index: vec![place], value, mask: None });
            }
        }
        stores
    });
    body.extend(stores);
    (sum, body)
}

struct Block<'a, 'b> {
    c: Composer<'a, 'b>,
    parts: Parts,
    schedule: Schedule,
    /// Another one for the last tile.
    last: Option<Schedule>,
    buffers: Buffers,
    bare: bool,
    quotient: Binary,
    outputs: Outputs,
}

impl Block<'_, '_> {
    fn emit(mut self, draft: &mut Draft) -> Result<(), Unsupported> {
        let Parts { query, key, column, depth, .. } = &self.parts;
        let (query, key, column, depth) = (query.clone(), key.clone(), column.clone(), depth.clone());
        let wide = self.schedule.queries();
        let tiles = query.extent.ceil_div(&Dim::from(wide));
        let (tile, tile_value) = self.c.axis("tile", &tiles);
        let first = self.c.body.kernel.var("first", Ty::INDEX);
        let until = self.c.body.kernel.var("until", Ty::INDEX);
        let end = Expr::Var(first).add(Expr::int(wide));
        let mut body = vec![
            Stmt::Let { var: first, value: tile_value.mul(Expr::int(wide)) },
            Stmt::Let { var: until, value: min(end, Expr::dim(&query.extent)) },
        ];
        // Keys that some query of the tile sees.
        let keys = self.c.body.kernel.var("keys", Ty::INDEX);
        let value = match self.parts.seen.clone() {
            Some(by) => {
                let bound = min(Expr::Var(until).add(by), Expr::dim(&key.extent));
                Expr::binary(Binary::Max, bound, Expr::int(0))
            }
            None => Expr::dim(&key.extent),
        };
        body.push(Stmt::Let { var: keys, value });
        let tile_body = self.tile(first, until, keys)?;
        match self.last {
            Some(last) => {
                let condition = Expr::Var(until).sub(Expr::Var(first)).lt(Expr::int(last.queries() + 1));
                self.schedule = last;
                let then = self.tile(first, until, keys)?;
                body.push(Stmt::If { condition, then, otherwise: tile_body });
            }
            None => body.extend(tile_body),
        }

        let mut owners = self.parts.owners.clone();
        owners.push(Axis { var: tile, extent: tiles });
        let each = |extent: &Dim| extent.as_const().unwrap_or(256).max(1);
        let work = wide.saturating_mul(each(&key.extent)) / 8 * (each(&depth.extent) + each(&column.extent));
        Rows::for_work(work).set(&mut self.c.body.kernel, &owners, body);
        let rows: Dim = self.parts.owners.iter().map(|axis| axis.extent.clone()).product();
        let work = rows * &query.extent * &key.extent * (&depth.extent + &column.extent);
        if let Some(failure) = self.c.failure.take() {
            return Err(failure);
        }
        draft.call(self.c.body.finish(work));
        Ok(())
    }

    /// What one tile of queries takes.
    fn tile(&mut self, first: VarId, until: VarId, keys: VarId) -> Result<Vec<Stmt>, Unsupported> {
        let single = self.schedule.single;
        let mut body = match single {
            Some(single) => self.load_one(single),
            None => self.load_queries(first),
        };
        body.push(Stmt::Let { var: self.parts.query.var, value: Expr::Var(first) });
        body.extend(self.start());
        let from = self.c.body.kernel.var("part", Ty::INDEX);
        let to = self.c.body.kernel.var("to", Ty::INDEX);
        let part = self.schedule.part;
        let mut pass =
            vec![Stmt::Let { var: to, value: min(Expr::Var(from).add(Expr::int(part)), Expr::Var(keys)) }];
        match single {
            Some(single) => {
                pass.extend(self.scores_of_one(single, from, to));
                pass.extend(self.largest_of_one(single, from, to)?);
                pass.extend(self.terms_of_one(single, from, to)?);
            }
            None => {
                pass.extend(self.scores(from, to));
                pass.extend(self.largest(from, to)?);
                pass.extend(self.terms(from, to)?);
            }
        }
        pass.extend(self.sums(first, until, from, to));
        if self.schedule.whole {
            body.push(Stmt::Let { var: from, value: Expr::int(0) });
            body.extend(pass);
        } else {
            body.push(serial(from, Expr::int(0), Expr::Var(keys), part, pass));
        }
        body.extend(self.finish(first, until)?);
        Ok(body)
    }

    /// Lanes of all the block's queries.
    fn wide(&self) -> u16 {
        self.schedule.lanes * self.schedule.vectors
    }

    fn vector(&self) -> Ty {
        Ty::vector(self.parts.dtype, self.wide())
    }

    fn splat(&self, value: f64) -> Expr {
        Expr::splat(Expr::float(self.parts.dtype, value), self.wide())
    }

    fn row(&self, row: Row) -> Expr {
        let index = vec![Expr::int(row as i64), Expr::int(0)];
        Expr::Load { buffer: self.buffers.rows, index, lanes: self.wide(), mask: None }
    }

    fn set_row(&self, row: Row, value: Expr) -> Stmt {
        let index = vec![Expr::int(row as i64), Expr::int(0)];
        Stmt::Store { buffer: self.buffers.rows, index, value, mask: None }
    }

    /// What a value is for all the tile's queries; those past the last read nothing.
    fn widened(&mut self, value: &Value, given: &[(VarId, VarId)]) -> Result<(Vec<Stmt>, Expr), Unsupported> {
        let known: BTreeMap<VarId, VarId> = given.iter().copied().collect();
        self.across(&value.lets, &value.value, &known)
    }

    fn across(
        &mut self,
        lets: &[Stmt],
        value: &Expr,
        known: &BTreeMap<VarId, VarId>,
    ) -> Result<(Vec<Stmt>, Expr), Unsupported> {
        let query = &self.parts.query;
        let wide = self.schedule.queries();
        let exact = query.extent.as_const().is_some_and(|extent| extent % wide == 0);
        let limit = (!exact).then(|| Expr::dim(&query.extent));
        self.along((query.var, self.wide(), limit), lets, value, known)
    }

    /// What a value is for so many steps of a variable; those past the limit read nothing.
    fn along(
        &mut self,
        (var, lanes, limit): (VarId, u16, Option<Expr>),
        lets: &[Stmt],
        value: &Expr,
        known: &BTreeMap<VarId, VarId>,
    ) -> Result<(Vec<Stmt>, Expr), Unsupported> {
        let what = Widen { var, lanes, limit, ranges: &self.c.ranges };
        let made = widen(&mut self.c.body.kernel, lets, &what, known);
        let (stmts, wide) = made.map_err(|why| Unsupported::new(format!("internal: {}", why.0), None))?;
        let value = match value {
            Expr::Var(var) if wide.contains_key(var) => Expr::Var(wide[var]),
            other => Expr::splat(other.clone(), lanes),
        };
        Ok((stmts, value))
    }
}
