//! What stands around the products: queries brought in, the largest, exponentials, and the end.

use super::{
    Block, Row,
    tiles::{min, serial},
};
use crate::{Unsupported, emit::vector_loop::VectorLoop};
use kernel::{Binary, Expr, Stmt, Ty, Unary, VarId};

pub(super) type Stmts = Result<Vec<Stmt>, Unsupported>;

impl Block<'_, '_> {
    /// Copies the tile's queries, so that one place of all of them is a vector. One beyond the last repeats it; what follows
    /// from it is not used. Number by number: gathers take as long, and more for what is no vector.
    pub(super) fn load_queries(&mut self, first: VarId) -> Vec<Stmt> {
        let (mut body, value) = self.parts.queries.clone();
        let (query, depth) = (self.parts.query.clone(), self.parts.depth.clone());
        let lane = self.c.body.kernel.var("lane", Ty::INDEX);
        let index = vec![Expr::Var(depth.var), Expr::Var(lane)];
        body.push(Stmt::Store { buffer: self.buffers.queries, index, value, mask: None });
        let wide = self.schedule.queries();
        let here = Expr::Var(first).add(Expr::Var(lane));
        let exact = query.extent.as_const().is_some_and(|extent| extent % wide == 0);
        let here = if exact { here } else { min(here, Expr::dim(&(&query.extent - 1))) };
        let mut copy = vec![Stmt::Let { var: query.var, value: here }];
        copy.extend(self.by_four(depth.var, Expr::int(0), Expr::dim(&depth.extent), body));
        vec![serial(lane, Expr::int(0), Expr::int(wide), 1, copy)]
    }

    /// What is known before the first key.
    pub(super) fn start(&mut self) -> Vec<Stmt> {
        let mut body = vec![self.set_row(Row::Total, self.splat(0.0))];
        if self.parts.term_base.is_some() {
            body.push(self.set_row(Row::Largest, self.splat(f64::NEG_INFINITY)));
            body.push(self.set_row(Row::Base, self.splat(0.0)));
        } else {
            body.push(self.set_row(Row::Scale, self.splat(1.0)));
        }
        if !self.schedule.whole {
            let row = self.c.body.kernel.var("row", Ty::INDEX);
            let lanes = self.schedule.column_lanes;
            let zeros =
                (0..self.schedule.padded_columns).step_by(usize::from(lanes)).map(|column| Stmt::Store {
                    buffer: self.buffers.sums,
                    index: vec![Expr::Var(row), Expr::int(column)],
                    value: Expr::splat(Expr::float(self.parts.dtype, 0.0), lanes),
                    mask: None,
                });
            let zeros = zeros.collect();
            body.push(serial(row, Expr::int(0), Expr::int(self.schedule.queries()), 1, zeros));
        }
        body
    }

    fn score(&self, from: VarId) -> Expr {
        let line = Expr::Var(self.parts.key.var).sub(Expr::Var(from));
        let index = vec![line, Expr::int(0)];
        Expr::Load { buffer: self.buffers.scores, index, lanes: self.wide(), mask: None }
    }

    /// The largest score so far, the base that follows, and what earlier sums shrink by.
    pub(super) fn largest(&mut self, from: VarId, to: VarId) -> Stmts {
        let Some(compared) = self.parts.compared.clone() else { return Ok(Vec::new()) };
        let vector = self.vector();
        let kernel = &mut self.c.body.kernel;
        let (top, score) = (kernel.var("top", vector), kernel.var("score", vector));
        let (stmts, value) = self.widened(&compared, &[(compared.of, score)])?;
        let mut inner = vec![Stmt::Let { var: score, value: self.score(from) }];
        inner.extend(stmts);
        inner.push(Stmt::Assign { var: top, value: Expr::binary(Binary::Max, Expr::Var(top), value) });
        let body = vec![
            Stmt::Register { var: top, init: self.row(Row::Largest) },
            serial(self.parts.key.var, Expr::Var(from), Expr::Var(to), 1, inner),
            self.set_row(Row::Largest, Expr::Var(top)),
        ];
        self.base(body, top)
    }

    /// What follows from the largest so far.
    pub(super) fn base(&mut self, mut body: Vec<Stmt>, top: VarId) -> Stmts {
        let vector = self.vector();
        let base = match self.parts.base.clone() {
            Some(base) => {
                let given = self.c.body.kernel.var("top", vector);
                body.push(Stmt::Let { var: given, value: Expr::Var(top) });
                let (stmts, value) = self.widened(&base, &[(base.of, given)])?;
                body.extend(stmts);
                value
            }
            // Of keys without a finite score none counts; a row of such alone is settled at the end.
            None => {
                let finite = Expr::unary(Unary::IsFinite, Expr::Var(top));
                Expr::select(finite, Expr::Var(top), self.splat(0.0))
            }
        };
        let var = self.c.body.kernel.var("base", vector);
        body.push(Stmt::Let { var, value: base });
        if !self.schedule.whole {
            // The base grows, but where it was not known: there nothing has been summed.
            let less = Expr::binary(Binary::Sub, self.row(Row::Base), Expr::Var(var));
            let less = Expr::binary(Binary::Min, less, self.splat(0.0));
            body.push(self.set_row(Row::Scale, Expr::unary(Unary::Exp, less)));
        }
        body.push(self.set_row(Row::Base, Expr::Var(var)));
        Ok(body)
    }

    /// The sum of earlier parts.
    pub(super) fn total_before(&self) -> Expr {
        match self.schedule.whole {
            true => self.row(Row::Total),
            false => Expr::binary(Binary::Mul, self.row(Row::Total), self.row(Row::Scale)),
        }
    }

    /// What is summed, in the place of the scores, and its sum.
    pub(super) fn terms(&mut self, from: VarId, to: VarId) -> Stmts {
        let term = self.parts.term.clone();
        let vector = self.vector();
        let kernel = &mut self.c.body.kernel;
        let (score, total) = (kernel.var("score", vector), kernel.var("total", vector));
        let mut body = Vec::new();
        let mut given = vec![(term.of, score)];
        if let Some(base) = self.parts.term_base {
            let var = self.c.body.kernel.var("base", vector);
            body.push(Stmt::Let { var, value: self.row(Row::Base) });
            given.push((base, var));
        }
        body.push(Stmt::Register { var: total, init: self.total_before() });
        let mut inner = vec![Stmt::Let { var: score, value: self.score(from) }];
        let (stmts, value) = self.widened(&term, &given)?;
        inner.extend(stmts);
        let line = Expr::Var(self.parts.key.var).sub(Expr::Var(from));
        let index = vec![line, Expr::int(0)];
        inner.push(Stmt::Store { buffer: self.buffers.scores, index, value: value.clone(), mask: None });
        inner.push(Stmt::Assign { var: total, value: Expr::binary(Binary::Add, Expr::Var(total), value) });
        body.push(serial(self.parts.key.var, Expr::Var(from), Expr::Var(to), 1, inner));
        body.push(self.set_row(Row::Total, Expr::Var(total)));
        Ok(body)
    }

    /// The quotients, and what follows from them.
    pub(super) fn finish(&mut self, first: VarId, until: VarId) -> Stmts {
        let divisor = self.parts.divisor.clone();
        let vector = self.vector();
        let total = self.c.body.kernel.var("total", vector);
        let mut body = vec![Stmt::Let { var: total, value: self.row(Row::Total) }];
        let (stmts, value) = self.widened(&divisor, &[(divisor.of, total)])?;
        body.extend(stmts);
        let mut scale = match self.quotient {
            Binary::Div => Expr::binary(Binary::Div, self.splat(1.0), value),
            _ => value,
        };
        if self.bare {
            let finite = Expr::unary(Unary::IsFinite, self.row(Row::Largest));
            scale = Expr::select(finite, scale, self.splat(f64::NAN));
        }
        let keys = self.parts.key.extent.clone();
        if keys.as_const().is_none_or(|keys| keys < 1) {
            // Without keys the sum is 0, whatever the quotient is.
            scale = Expr::select(Expr::dim(&keys).ge(Expr::int(1)), scale, self.splat(0.0));
        }
        body.push(self.set_row(Row::Scale, scale));

        let (sum, outputs) = self.outputs.clone();
        let (query, column) = (self.parts.query.clone(), self.parts.column.clone());
        let line = Expr::Var(query.var).sub(Expr::Var(first));
        let scale = self.c.body.kernel.var("scale", Ty::scalar(self.parts.dtype));
        let index = vec![Expr::int(Row::Scale as i64), line.clone()];
        let value = Expr::Load { buffer: self.buffers.rows, index, lanes: 1, mask: None };
        let mut row = vec![Stmt::Let { var: scale, value }];
        let index = vec![line, Expr::Var(column.var)];
        let value = Expr::Load { buffer: self.buffers.sums, index, lanes: 1, mask: None };
        let value = Expr::binary(Binary::Mul, value, Expr::Var(scale));
        let mut element = vec![Stmt::Let { var: sum, value }];
        element.extend(outputs);
        let lanes = self.schedule.column_lanes;
        let exact = column.extent.as_const().is_some_and(|extent| extent % i64::from(lanes) == 0);
        let (from, to) = (Expr::int(0), Expr::dim(&column.extent));
        row.extend(VectorLoop { axis: &column, from, to, lanes, exact }.emit(&mut self.c, element));
        body.push(serial(query.var, Expr::Var(first), Expr::Var(until), 1, row));
        Ok(body)
    }
}
