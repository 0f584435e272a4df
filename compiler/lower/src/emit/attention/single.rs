//! A query alone, as a language model asks for the next token: nothing is computed for queries that there are not. Keys
//! are read where they lie, once; their depth is in vectors for the scores, and scores are in vectors after that.

use super::{
    Block, Row,
    phases::Stmts,
    tiles::{min, put, serial},
};
use crate::schedule::attention::Single;
use kernel::{Binary, Expr, Stmt, Ty, VarId};
use std::collections::BTreeMap;

impl Block<'_, '_> {
    /// Copies the query, zeros beyond its depth.
    pub(super) fn load_one(&mut self, single: Single) -> Vec<Stmt> {
        let (lets, value) = self.parts.queries.clone();
        let depth = self.parts.depth.clone();
        let mut body = Vec::new();
        let known = depth.extent.as_const().unwrap_or_default();
        let last = single.padded_depth - i64::from(single.depth_lanes);
        if known < single.padded_depth {
            let zeros = Expr::splat(Expr::float(self.parts.dtype, 0.0), single.depth_lanes);
            let index = vec![Expr::int(0), Expr::int(last)];
            body.push(Stmt::Store { buffer: self.buffers.queries, index, value: zeros, mask: None });
        }
        let mut copy = lets;
        let index = vec![Expr::int(0), Expr::Var(depth.var)];
        copy.push(Stmt::Store { buffer: self.buffers.queries, index, value, mask: None });
        body.extend(self.by_four(depth.var, Expr::int(0), Expr::int(known), copy));
        body
    }

    /// Scores of the keys of one part.
    pub(super) fn scores_of_one(&mut self, single: Single, from: VarId, to: VarId) -> Vec<Stmt> {
        let (keys, lanes, dtype) = (self.schedule.keys, single.depth_lanes, self.parts.dtype);
        let (place, key, depth) = (self.parts.keys.clone(), self.parts.key.clone(), self.parts.depth.clone());
        let exact = key.extent.as_const().is_some_and(|extent| extent % i64::from(keys) == 0);
        let whole = depth.extent.is_const(single.padded_depth);
        let together = place.walked.coefficient(depth.var).is_const(1);
        let kernel = &mut self.c.body.kernel;
        let tile = kernel.var("tile", Ty::INDEX);
        let mut body = Vec::new();
        let (mut offsets, mut registers) = (Vec::new(), Vec::new());
        for k in 0..keys {
            // A key beyond the last repeats it; its score is not used.
            let here = Expr::Var(tile).add(Expr::int(i64::from(k)));
            let here = if exact { here } else { min(here, Expr::dim(&(&key.extent - 1))) };
            let (row, at) = (kernel.var("key", Ty::INDEX), kernel.var("at", Ty::INDEX));
            body.push(Stmt::Let { var: row, value: here });
            body.push(Stmt::Let { var: at, value: put(&place.rest.to_expr(), key.var, &Expr::Var(row)) });
            offsets.push(at);
            let var = kernel.var("c", Ty::vector(dtype, lanes));
            body.push(Stmt::Register { var, init: Expr::splat(Expr::float(dtype, 0.0), lanes) });
            registers.push(var);
        }
        for start in (0..single.padded_depth).step_by(usize::from(lanes)) {
            let var = kernel.var("q", Ty::vector(dtype, lanes));
            let index = vec![Expr::int(0), Expr::int(start)];
            let value = Expr::Load { buffer: self.buffers.queries, index, lanes, mask: None };
            body.push(Stmt::Let { var, value });
            let ramp = |base: Expr, step: i64| if lanes == 1 { base } else { Expr::ramp(base, step, lanes) };
            let limit = Expr::splat(Expr::dim(&depth.extent), lanes);
            let mask = (!whole).then(|| Box::new(ramp(Expr::int(start), 1).lt(limit)));
            for (at, register) in offsets.iter().zip(&registers) {
                let index = match together {
                    true => Expr::Var(*at).add(put(&place.walked.to_expr(), depth.var, &Expr::int(start))),
                    false => {
                        let step = place.walked.coefficient(depth.var);
                        let lane = ramp(Expr::int(start), 1);
                        let step = Expr::splat(Expr::dim(&step), lanes);
                        Expr::splat(Expr::Var(*at), lanes).add(Expr::binary(Binary::Mul, lane, step))
                    }
                };
                let value =
                    Expr::Load { buffer: place.buffer, index: vec![index], lanes, mask: mask.clone() };
                let value = Expr::fma(value, Expr::Var(var), Expr::Var(*register));
                body.push(Stmt::Assign { var: *register, value });
            }
        }
        for (k, register) in registers.iter().enumerate() {
            let line = Expr::Var(tile).sub(Expr::Var(from)).add(Expr::int(k as i64));
            let sum = match lanes {
                1 => Expr::Var(*register),
                _ => Expr::Horizontal(Binary::Add, Box::new(Expr::Var(*register))),
            };
            let index = vec![Expr::int(0), line];
            body.push(Stmt::Store { buffer: self.buffers.scores, index, value: sum, mask: None });
        }
        vec![serial(tile, Expr::Var(from), Expr::Var(to), i64::from(keys), body)]
    }

    /// Which keys of a vector there are.
    fn present(&self, single: Single, to: VarId) -> Expr {
        let ramp = Expr::ramp(Expr::Var(self.parts.key.var), 1, single.lanes);
        ramp.lt(Expr::splat(Expr::Var(to), single.lanes))
    }

    /// Scores from a key on, 0 beyond the last.
    fn scores_from(&self, single: Single, from: VarId, present: VarId) -> Expr {
        let line = Expr::Var(self.parts.key.var).sub(Expr::Var(from));
        let (index, mask) = (vec![Expr::int(0), line], Some(Box::new(Expr::Var(present))));
        Expr::Load { buffer: self.buffers.scores, index, lanes: single.lanes, mask }
    }

    pub(super) fn largest_of_one(&mut self, single: Single, from: VarId, to: VarId) -> Stmts {
        let Some(compared) = self.parts.compared.clone() else { return Ok(Vec::new()) };
        let (lanes, dtype, key) = (single.lanes, self.parts.dtype, self.parts.key.clone());
        let none = Expr::splat(Expr::float(dtype, f64::NEG_INFINITY), lanes);
        let kernel = &mut self.c.body.kernel;
        let (across, score) =
            (kernel.var("top", Ty::vector(dtype, lanes)), kernel.var("score", Ty::vector(dtype, lanes)));
        let (present, top) = (
            kernel.var("present", Ty::vector(kernel::DType::Bool, lanes)),
            kernel.var("top", Ty::scalar(dtype)),
        );
        let known = BTreeMap::from([(compared.of, score)]);
        let steps = (key.var, lanes, Some(Expr::Var(to)));
        let (stmts, value) = self.along(steps, &compared.lets, &compared.value, &known)?;
        let mut inner = vec![
            Stmt::Let { var: present, value: self.present(single, to) },
            Stmt::Let { var: score, value: self.scores_from(single, from, present) },
        ];
        inner.extend(stmts);
        let value = Expr::select(Expr::Var(present), value, none.clone());
        inner.push(Stmt::Assign { var: across, value: Expr::binary(Binary::Max, Expr::Var(across), value) });
        let largest = Expr::Horizontal(Binary::Max, Box::new(Expr::Var(across)));
        let body = vec![
            Stmt::Register { var: across, init: none },
            serial(key.var, Expr::Var(from), Expr::Var(to), i64::from(lanes), inner),
            Stmt::Let { var: top, value: Expr::binary(Binary::Max, self.row(Row::Largest), largest) },
            self.set_row(Row::Largest, Expr::Var(top)),
        ];
        self.base(body, top)
    }

    pub(super) fn terms_of_one(&mut self, single: Single, from: VarId, to: VarId) -> Stmts {
        let term = self.parts.term.clone();
        let (lanes, dtype, key) = (single.lanes, self.parts.dtype, self.parts.key.clone());
        let zeros = Expr::splat(Expr::float(dtype, 0.0), lanes);
        let vector = Ty::vector(dtype, lanes);
        let kernel = &mut self.c.body.kernel;
        let (score, total) = (kernel.var("score", vector), kernel.var("total", vector));
        let present = kernel.var("present", Ty::vector(kernel::DType::Bool, lanes));
        let mut known = BTreeMap::from([(term.of, score)]);
        let mut body = vec![Stmt::Register { var: total, init: zeros.clone() }];
        if let Some(base) = self.parts.term_base {
            let var = self.c.body.kernel.var("base", vector);
            body.push(Stmt::Let { var, value: Expr::splat(self.row(Row::Base), lanes) });
            known.insert(base, var);
        }
        let mut inner = vec![
            Stmt::Let { var: present, value: self.present(single, to) },
            Stmt::Let { var: score, value: self.scores_from(single, from, present) },
        ];
        let steps = (key.var, lanes, Some(Expr::Var(to)));
        let (stmts, value) = self.along(steps, &term.lets, &term.value, &known)?;
        inner.extend(stmts);
        let value = Expr::select(Expr::Var(present), value, zeros);
        let here = self.c.body.kernel.var("term", vector);
        inner.push(Stmt::Let { var: here, value });
        let line = Expr::Var(key.var).sub(Expr::Var(from));
        inner.push(Stmt::Store {
            buffer: self.buffers.scores,
            index: vec![Expr::int(0), line],
            value: Expr::Var(here),
            mask: Some(Expr::Var(present)),
        });
        let sum = Expr::binary(Binary::Add, Expr::Var(total), Expr::Var(here));
        inner.push(Stmt::Assign { var: total, value: sum });
        body.push(serial(key.var, Expr::Var(from), Expr::Var(to), i64::from(lanes), inner));
        let sum = Expr::Horizontal(Binary::Add, Box::new(Expr::Var(total)));
        body.push(self.set_row(Row::Total, Expr::binary(Binary::Add, self.total_before(), sum)));
        Ok(body)
    }
}
