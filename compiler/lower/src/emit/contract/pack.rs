//! Copies of the vector operand's columns into panels that the tiles walk line by line.

use super::{Block, Tiles, Width, min};
use crate::emit::loops::serial;
use kernel::{
    BufferId, Expr, Stmt, Ty,
    schedule::Operand,
    transform::{Linear, Widen, map_expr, widen},
};
use shape::Dim;
use std::collections::BTreeMap;

impl Tiles<'_, '_> {
    /// Fills the panel for the summed indices of its ranges, zeros beyond the last column.
    pub(super) fn pack(&mut self, block: &Block, panel: BufferId, width: Width) -> Vec<Stmt> {
        let inner = self.shape.columns.last().map(|index| self.shape.indices[*index].extent.clone());
        match (self.shape.schedule.operand, inner.and_then(|extent| extent.as_const())) {
            (Operand::Runs, Some(run)) => self.pack_runs(block, panel, width, run),
            (Operand::Panel, _) if self.columns_are_neighbours(block) => self.pack_lines(block, panel, width),
            (Operand::Panel, _) => match self.pack_turned(block, panel, width) {
                Some(pack) => pack,
                None => self.pack_lanes(block, panel, width, 0, &block.ranges),
            },
            _ => self.pack_lanes(block, panel, width, 0, &block.ranges),
        }
    }

    fn columns_are_neighbours(&self, block: &Block) -> bool {
        block.columns.rest.coefficient(self.column).is_const(1) && !block.columns.rest.hides(self.column)
    }

    /// Line by line: what lies together is read together.
    fn pack_lines(&mut self, block: &Block, panel: BufferId, width: Width) -> Vec<Stmt> {
        let lanes = self.shape.schedule.lanes;
        let row = self.panel_row(&block.ranges);
        let copies = (0..width.nv).map(|v| {
            let index = vec![row.clone(), Expr::int(i64::from(v * lanes))];
            Stmt::Store { buffer: panel, index, value: self.load_columns(block, width, v), mask: None }
        });
        let copies = copies.collect();
        self.sum_loops(&block.ranges, copies)
    }

    /// Runs of the innermost axis: whole ones, and their parts at the panel's edges.
    fn pack_runs(&mut self, block: &Block, panel: BufferId, width: Width, run: i64) -> Vec<Stmt> {
        let schedule = self.shape.schedule;
        let (first, nr) = (&block.first_column, schedule.nr());
        let column = Expr::Var(self.column);
        let kernel = &mut self.c.body.kernel;
        let (line, lane) = (kernel.var("line", Ty::INDEX), kernel.var("lane", Ty::INDEX));
        let run_dim = Dim::from(run);
        let lines = self.columns_total.exact_div(&run_dim, &self.c.ranges.facts).unwrap_or_default();
        self.c.ranges.bound(line, &lines);
        self.c.ranges.bound(lane, &run_dim);
        let here = Expr::Var(line).mul(Expr::int(run)).add(Expr::Var(lane));
        let place =
            map_expr(&block.columns.rest.to_expr(), &mut |e| if e == column { here.clone() } else { e });
        let place = Linear::of(&place, &self.c.ranges).plus(&block.columns.summed, &self.c.ranges).to_expr();
        let at = here.sub(first.clone());
        let whole_panel = width.columns == Some(nr) && nr % run == 0;
        let inside = at.clone().ge(Expr::int(0)).and(at.clone().lt(Expr::int(nr)));
        let mask = (!whole_panel).then_some(inside);
        let row = self.panel_row(&block.ranges);
        let value = Expr::Load {
            buffer: block.columns.buffer,
            index: vec![place],
            lanes: 1,
            mask: mask.clone().map(Box::new),
        };
        let body = vec![Stmt::Store { buffer: panel, index: vec![row, at], value, mask }];
        let wide = (run as u64).next_power_of_two().min(u64::from(schedule.lanes)) as u16;
        let limit = (run % i64::from(wide) != 0).then(|| Expr::int(run));
        let what = Widen { var: lane, lanes: wide, limit, ranges: &self.c.ranges };
        let (step, body) = match widen(&mut self.c.body.kernel, &body, &what, &BTreeMap::new()) {
            Ok((wide_body, _)) if wide > 1 => (i64::from(wide), wide_body),
            _ => (1, body),
        };
        let copies = self.sum_loops(&block.ranges, body);
        let lanes_loop = serial(lane, Expr::int(0), Expr::int(run), step, copies);
        let end = min(first.clone().add(Expr::int(nr)), Expr::dim(&self.columns_total));
        let to = end.add(Expr::int(run - 1)).div(Expr::int(run));
        let from = first.clone().div(Expr::int(run));
        let mut pack = Vec::new();
        if width.columns.is_none_or(|columns| columns % i64::from(schedule.lanes) != 0) {
            pack.extend(self.zero_panel(block, panel, width));
        }
        pack.push(serial(line, from, to, 1, vec![lanes_loop]));
        pack
    }

    /// Lane by lane, wherever they are: the vectors from this one on, for these summed indices.
    pub(super) fn pack_lanes(
        &mut self,
        block: &Block,
        panel: BufferId,
        width: Width,
        skipped: u16,
        ranges: &[(Expr, Expr)],
    ) -> Vec<Stmt> {
        let schedule = self.shape.schedule;
        let lanes = i64::from(schedule.lanes);
        let (first, column) = (&block.first_column, Expr::Var(self.column));
        let at = column.clone().sub(first.clone());
        let columns = i64::from(width.nv) * lanes;
        let exact = width.columns == Some(columns);
        let mask = (!exact).then(|| Box::new(column.lt(Expr::dim(&self.columns_total))));
        let place = self.c.body.kernel.var("base", Ty::INDEX);
        let gathered = schedule.operand == Operand::Gathered;
        let rest = block.columns.rest.to_expr();
        let base = if gathered { Expr::Var(place) } else { rest.clone() };
        let index = Linear::of(&base, &self.c.ranges).plus(&block.columns.summed, &self.c.ranges).to_expr();
        let row = self.panel_row(&block.ranges);
        let value = Expr::Load { buffer: block.columns.buffer, index: vec![index], lanes: 1, mask };
        let copy = Stmt::Store { buffer: panel, index: vec![row, at], value, mask: None };
        let copies = self.sum_loops(ranges, vec![copy]);
        let mut body = Vec::new();
        if gathered {
            body.push(Stmt::Let { var: place, value: rest });
        }
        body.extend(copies);
        let what = Widen { var: self.column, lanes: schedule.lanes, limit: None, ranges: &self.c.ranges };
        let (step, body) = match widen(&mut self.c.body.kernel, &body, &what, &BTreeMap::new()) {
            Ok((wide, _)) => (lanes, wide),
            Err(_) => (1, body),
        };
        let from = first.clone().add(Expr::int(i64::from(skipped) * lanes));
        vec![serial(self.column, from, first.clone().add(Expr::int(columns)), step, body)]
    }

    fn zero_panel(&mut self, block: &Block, panel: BufferId, width: Width) -> Vec<Stmt> {
        let row = self.panel_row(&block.ranges);
        let body = self.zero_row(panel, row, width);
        self.sum_loops(&block.ranges, body)
    }
}
