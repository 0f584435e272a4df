//! One tile: rows by vectors of sums in registers, and what is done with them.

use super::{Block, Tiles, Width, min};
use crate::emit::loops::serial;
use kernel::{Expr, Stmt, Ty, VarId, transform::map_expr};

impl Tiles<'_, '_> {
    /// All tiles of a block, the last of them smaller where rows end within it.
    pub(super) fn tiles(&mut self, block: &Block, width: Width) -> Vec<Stmt> {
        let mr = i64::from(self.shape.schedule.mr);
        let (from, to) = (block.rows_from.clone(), block.rows_to.clone());
        let tile = self.c.body.kernel.var("tile", Ty::INDEX);
        let Some(rest) = self.rows_total.as_const().map(|rows| rows % mr) else {
            let body = self.tile(block, width, tile, self.shape.schedule.mr, false);
            return vec![serial(tile, from, to, mr, body)];
        };
        let body = self.tile(block, width, tile, self.shape.schedule.mr, true);
        if rest == 0 {
            return vec![serial(tile, from, to, mr, body)];
        }
        // Chunks are multiples of a tile, so that what is left of any of them is what is left of all rows.
        let whole = to.clone().sub(from.clone()).div(Expr::int(mr)).mul(Expr::int(mr));
        let middle = from.clone().add(whole);
        let last = self.c.body.kernel.var("tile", Ty::INDEX);
        let smaller = self.tile(block, width, last, rest as u16, true);
        let smaller = serial(last, middle.clone(), to, rest, smaller);
        if middle == from {
            return vec![smaller];
        }
        vec![serial(tile, from, middle, mr, body), smaller]
    }

    /// One tile of `mr` rows, all of which are rows of the output where `exact`.
    fn tile(&mut self, block: &Block, width: Width, tile: VarId, mr: u16, exact: bool) -> Vec<Stmt> {
        let parts = self.shape.part.is_some();
        let mut body = Vec::new();
        let offsets = self.row_offsets(block, tile, mr, exact, &mut body);
        let (lanes, dtype) = (self.shape.schedule.lanes, self.shape.dtype);
        let vector = Ty::vector(dtype, lanes);
        let line_of = |r: u16| match parts {
            true => Expr::Var(tile).add(Expr::int(i64::from(r))).sub(block.rows_from.clone()),
            false => Expr::int(i64::from(r)),
        };
        let place = |r: u16, v: u16| vec![line_of(r), Expr::int(i64::from(v * lanes))];
        let mut registers = Vec::new();
        for r in 0..mr {
            for v in 0..width.nv {
                let var = self.c.body.kernel.var("c", vector);
                let init = match parts {
                    true => Expr::Load { buffer: block.sums, index: place(r, v), lanes, mask: None },
                    false => Expr::splat(Expr::float(dtype, 0.0), lanes),
                };
                registers.push(var);
                body.push(Stmt::Register { var, init });
            }
        }
        let line = self.line(block);
        let step = self.c.body.kernel.var("k", Ty::INDEX);
        let (panel_row, along) = match &line {
            Some(line) => {
                let along = Expr::Var(step).mul(Expr::dim(&line.stride)).add(line.start.clone());
                (Expr::Var(step), along)
            }
            None => (self.panel_row(&block.ranges), block.broadcast.summed.to_expr()),
        };
        let mut inner = Vec::new();
        let vectors = self.vectors(block, width, &panel_row, &mut inner);
        for r in 0..mr {
            let var = self.c.body.kernel.var("a", Ty::scalar(dtype));
            let index = vec![Expr::Var(offsets[usize::from(r)]).add(along.clone())];
            let value = Expr::Load { buffer: block.broadcast.buffer, index, lanes: 1, mask: None };
            inner.push(Stmt::Let { var, value });
            for (v, vector) in vectors.iter().enumerate() {
                let sum = registers[usize::from(r * width.nv) + v];
                let spread = Expr::splat(Expr::Var(var), lanes);
                let value = Expr::fma(spread, Expr::Var(*vector), Expr::Var(sum));
                inner.push(Stmt::Assign { var: sum, value });
            }
        }
        body.extend(match &line {
            Some(line) => self.line_loop(line, step, &inner),
            None => self.sum_loops(&block.ranges, inner),
        });
        for r in 0..mr {
            for v in 0..width.nv {
                let value = Expr::Var(registers[usize::from(r * width.nv + v)]);
                body.push(Stmt::Store { buffer: block.sums, index: place(r, v), value, mask: None });
            }
        }
        if !parts {
            let end = Expr::Var(tile).add(Expr::int(i64::from(mr)));
            let end = if exact { end } else { min(end, Expr::dim(&self.rows_total)) };
            let stored = Expr::Var(self.row).sub(Expr::Var(tile));
            let lines = self.finish_row(block, stored, width);
            body.push(serial(self.row, Expr::Var(tile), end, 1, lines));
        }
        body
    }

    /// Where each of the tile's rows begins. A row beyond the last repeats it; its sums are not used.
    fn row_offsets(
        &mut self,
        block: &Block,
        tile: VarId,
        mr: u16,
        exact: bool,
        body: &mut Vec<Stmt>,
    ) -> Vec<VarId> {
        let last_row = Expr::dim(&(&self.rows_total - 1));
        let rest = block.broadcast.rest.to_expr();
        let mut offsets = Vec::new();
        for r in 0..mr {
            let here = Expr::Var(tile).add(Expr::int(i64::from(r)));
            let here = if exact { here } else { min(here, last_row.clone()) };
            let kernel = &mut self.c.body.kernel;
            let (row, offset) = (kernel.var("m", Ty::INDEX), kernel.var("at", Ty::INDEX));
            let value = map_expr(&rest, &mut |e| if e == Expr::Var(self.row) { Expr::Var(row) } else { e });
            body.push(Stmt::Let { var: row, value: here });
            body.push(Stmt::Let { var: offset, value });
            offsets.push(offset);
        }
        offsets
    }

    /// Loads of the vector operand at one step of the sum: from the panel, or from where it lies.
    fn vectors(&mut self, block: &Block, width: Width, row: &Expr, inner: &mut Vec<Stmt>) -> Vec<VarId> {
        let (lanes, dtype) = (self.shape.schedule.lanes, self.shape.dtype);
        let mut vectors = Vec::new();
        for v in 0..width.nv {
            let shift = i64::from(v * lanes);
            let value = match block.panel {
                Some(buffer) => {
                    let index = vec![row.clone(), Expr::int(shift)];
                    Expr::Load { buffer, index, lanes, mask: None }
                }
                None => self.load_columns(block, width, v),
            };
            let var = self.c.body.kernel.var("b", Ty::vector(dtype, lanes));
            inner.push(Stmt::Let { var, value });
            vectors.push(var);
        }
        vectors
    }

    /// One vector of columns, read where it lies; zeros beyond the last column.
    pub(super) fn load_columns(&self, block: &Block, width: Width, v: u16) -> Expr {
        let lanes = self.shape.schedule.lanes;
        let column = block.first_column.clone().add(Expr::int(i64::from(v * lanes)));
        let rest = map_expr(&block.columns.rest.to_expr(), &mut |e| {
            if e == Expr::Var(self.column) { column.clone() } else { e }
        });
        let index = vec![block.columns.summed.to_expr().add(rest)];
        let whole = width.columns.is_some_and(|columns| i64::from((v + 1) * lanes) <= columns);
        let mask = (!whole).then(|| {
            let ramp = Expr::ramp(column, 1, lanes);
            Box::new(ramp.lt(Expr::splat(Expr::dim(&self.columns_total), lanes)))
        });
        Expr::Load { buffer: block.columns.buffer, index, lanes, mask }
    }
}
