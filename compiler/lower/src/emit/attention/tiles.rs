//! The two products in register tiles.

use super::{Block, Row};
use kernel::{Binary, Expr, LoopKind, Stmt, Ty, VarId, transform::map_expr};

pub fn serial(var: VarId, from: Expr, to: Expr, step: i64, body: Vec<Stmt>) -> Stmt {
    Stmt::For { var, from, to, step, kind: LoopKind::Serial, body }
}

pub fn min(a: Expr, b: Expr) -> Expr {
    match (a.as_int(), b.as_int()) {
        (Some(a), Some(b)) => Expr::int(a.min(b)),
        _ => Expr::binary(Binary::Min, a, b),
    }
}

impl Block<'_, '_> {
    /// A loop four steps at a time, and what is left one by one.
    pub(super) fn by_four(&mut self, var: VarId, from: Expr, to: Expr, body: Vec<Stmt>) -> Vec<Stmt> {
        let step = self.c.body.kernel.var("step", Ty::INDEX);
        let within = self.c.body.kernel.var("u", Ty::INDEX);
        let length = to.clone().sub(from.clone());
        let middle = from.clone().add(length.clone().div(Expr::int(4)).mul(Expr::int(4)));
        let mut four = vec![Stmt::Let { var, value: Expr::Var(step).add(Expr::Var(within)) }];
        four.extend(body.clone());
        let (one, most) = (Expr::int(0), Expr::int(4));
        let four =
            Stmt::For { var: within, from: one, to: most, step: 1, kind: LoopKind::Unrolled, body: four };
        let mut loops = vec![serial(step, from, middle.clone(), 4, vec![four])];
        if length.as_int().is_none_or(|length| length % 4 != 0) {
            loops.push(serial(var, middle, to, 1, body));
        }
        loops
    }

    /// Scores of the keys of one part, each with all the tile's queries.
    pub(super) fn scores(&mut self, from: VarId, to: VarId) -> Vec<Stmt> {
        let schedule = self.schedule;
        let (keys, vectors, lanes) = (schedule.keys, schedule.vectors, schedule.lanes);
        let (dtype, place) = (self.parts.dtype, self.parts.keys.clone());
        let (key, depth) = (self.parts.key.clone(), self.parts.depth.clone());
        let kernel = &mut self.c.body.kernel;
        let tile = kernel.var("tile", Ty::INDEX);
        let exact = key.extent.as_const().is_some_and(|extent| extent % i64::from(keys) == 0);
        let mut body = Vec::new();
        let mut offsets = Vec::new();
        for k in 0..keys {
            // A key beyond the last repeats it; its scores are not used.
            let here = Expr::Var(tile).add(Expr::int(i64::from(k)));
            let here = if exact { here } else { min(here, Expr::dim(&(&key.extent - 1))) };
            let row = kernel.var("key", Ty::INDEX);
            body.push(Stmt::Let { var: row, value: here });
            let at = kernel.var("at", Ty::INDEX);
            body.push(Stmt::Let { var: at, value: put(&place.rest.to_expr(), key.var, &Expr::Var(row)) });
            offsets.push(at);
        }
        let mut registers = Vec::new();
        for _ in 0..keys * vectors {
            let var = kernel.var("c", Ty::vector(dtype, lanes));
            let init = Expr::splat(Expr::float(dtype, 0.0), lanes);
            body.push(Stmt::Register { var, init });
            registers.push(var);
        }
        let mut inner = Vec::new();
        let mut across = Vec::new();
        for v in 0..vectors {
            let var = kernel.var("q", Ty::vector(dtype, lanes));
            let index = vec![Expr::Var(depth.var), Expr::int(i64::from(v * lanes))];
            inner.push(Stmt::Let {
                var,
                value: Expr::Load { buffer: self.buffers.queries, index, lanes, mask: None },
            });
            across.push(var);
        }
        for k in 0..usize::from(keys) {
            let var = kernel.var("k", Ty::scalar(dtype));
            let index = vec![Expr::Var(offsets[k]).add(place.walked.to_expr())];
            inner.push(Stmt::Let {
                var,
                value: Expr::Load { buffer: place.buffer, index, lanes: 1, mask: None },
            });
            inner.extend(multiplied(var, &across, &registers[k * usize::from(vectors)..], lanes));
        }
        body.extend(self.by_four(depth.var, Expr::int(0), Expr::dim(&depth.extent), inner));
        for k in 0..keys {
            for v in 0..vectors {
                let row = Expr::Var(tile).sub(Expr::Var(from)).add(Expr::int(i64::from(k)));
                let index = vec![row, Expr::int(i64::from(v * lanes))];
                let value = Expr::Var(registers[usize::from(k * vectors + v)]);
                body.push(Stmt::Store { buffer: self.buffers.scores, index, value, mask: None });
            }
        }
        vec![serial(tile, Expr::Var(from), Expr::Var(to), i64::from(keys), body)]
    }

    /// Adds the values of one part, each times its weight, to the tile's sums.
    pub(super) fn sums(&mut self, first: VarId, until: VarId, from: VarId, to: VarId) -> Vec<Stmt> {
        let schedule = self.schedule;
        let (rows, vectors, lanes) = (schedule.rows, schedule.column_vectors, schedule.column_lanes);
        let (dtype, place) = (self.parts.dtype, self.parts.values.clone());
        let (key, column) = (self.parts.key.clone(), self.parts.column.clone());
        let (sums, exact) = (self.buffers.sums, column.extent.is_const(schedule.padded_columns));
        let kernel = &mut self.c.body.kernel;
        let (tile, panel) = (kernel.var("tile", Ty::INDEX), kernel.var("panel", Ty::INDEX));
        let mut body = Vec::new();
        let mut registers = Vec::new();
        let at = |row: u16, v: u16| {
            let row = Expr::Var(tile).add(Expr::int(i64::from(row)));
            vec![row, Expr::Var(panel).add(Expr::int(i64::from(v * lanes)))]
        };
        for r in 0..rows {
            let scale = kernel.var("scale", Ty::scalar(dtype));
            if !schedule.whole {
                let index = vec![Expr::int(Row::Scale as i64), Expr::Var(tile).add(Expr::int(i64::from(r)))];
                let value = Expr::Load { buffer: self.buffers.rows, index, lanes: 1, mask: None };
                body.push(Stmt::Let { var: scale, value });
            }
            for v in 0..vectors {
                let var = kernel.var("c", Ty::vector(dtype, lanes));
                let before = Expr::Load { buffer: sums, index: at(r, v), lanes, mask: None };
                let init = match schedule.whole {
                    true => Expr::splat(Expr::float(dtype, 0.0), lanes),
                    false => Expr::binary(Binary::Mul, before, Expr::splat(Expr::Var(scale), lanes)),
                };
                body.push(Stmt::Register { var, init });
                registers.push(var);
            }
        }
        let mut inner = Vec::new();
        let mut across = Vec::new();
        for v in 0..vectors {
            let here = Expr::Var(panel).add(Expr::int(i64::from(v * lanes)));
            let index = vec![put(&place.rest.to_expr(), column.var, &here).add(place.walked.to_expr())];
            let mask = (!exact).then(|| {
                let limit = Expr::splat(Expr::dim(&column.extent), lanes);
                let ramp = if lanes == 1 { here } else { Expr::ramp(here, 1, lanes) };
                Box::new(ramp.lt(limit))
            });
            let var = kernel.var("v", Ty::vector(dtype, lanes));
            inner.push(Stmt::Let { var, value: Expr::Load { buffer: place.buffer, index, lanes, mask } });
            across.push(var);
        }
        for r in 0..usize::from(rows) {
            let var = kernel.var("w", Ty::scalar(dtype));
            let line = Expr::Var(key.var).sub(Expr::Var(from));
            let row = Expr::Var(tile).add(Expr::int(r as i64));
            let index = if schedule.single.is_some() { vec![row, line] } else { vec![line, row] };
            inner.push(Stmt::Let {
                var,
                value: Expr::Load { buffer: self.buffers.scores, index, lanes: 1, mask: None },
            });
            inner.extend(multiplied(var, &across, &registers[r * usize::from(vectors)..], lanes));
        }
        body.extend(self.by_four(key.var, Expr::Var(from), Expr::Var(to), inner));
        for r in 0..rows {
            for v in 0..vectors {
                let value = Expr::Var(registers[usize::from(r * vectors + v)]);
                body.push(Stmt::Store { buffer: sums, index: at(r, v), value, mask: None });
            }
        }
        let step = i64::from(lanes) * i64::from(vectors);
        let panels = serial(panel, Expr::int(0), Expr::int(schedule.padded_columns), step, body);
        let queries = Expr::Var(until).sub(Expr::Var(first));
        vec![serial(tile, Expr::int(0), queries, i64::from(rows), vec![panels])]
    }
}

/// One number times a row of vectors, added to registers.
fn multiplied(number: VarId, row: &[VarId], registers: &[VarId], lanes: u16) -> Vec<Stmt> {
    let add = |(vector, register): (&VarId, &VarId)| {
        let spread = Expr::splat(Expr::Var(number), lanes);
        let value = Expr::fma(spread, Expr::Var(*vector), Expr::Var(*register));
        Stmt::Assign { var: *register, value }
    };
    row.iter().zip(registers).map(add).collect()
}

/// The expression with another one for a variable.
pub fn put(expr: &Expr, var: VarId, value: &Expr) -> Expr {
    map_expr(expr, &mut |e| if e == Expr::Var(var) { value.clone() } else { e })
}
