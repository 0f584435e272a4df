//! Panels of columns that lie apart, each with what is summed in a row: square blocks are read along the sum, turned in
//! registers and written along the columns.

use super::{Block, Tiles, Width};
use crate::emit::loops::serial;
use kernel::{BufferId, Expr, Half, Stmt, Ty, VarId, transform::map_expr};

impl Tiles<'_, '_> {
    /// Fills the panel; `None` where the operand does not lie so.
    pub(super) fn pack_turned(&mut self, block: &Block, panel: BufferId, width: Width) -> Option<Vec<Stmt>> {
        let lanes = i64::from(self.shape.schedule.lanes);
        let axis = self.sums.last()?.clone();
        let (from, to) = block.ranges.last()?.clone();
        let along = block.columns.summed.coefficient(axis.var).is_const(1);
        let short = axis.extent.as_const().is_some_and(|extent| extent < lanes);
        if !along || short || lanes < 4 {
            return None;
        }
        let Some(columns) = width.columns else {
            // Columns end no one knows where: only panels that are full are turned.
            let full = Width { columns: Some(self.shape.schedule.nr()), ..width };
            let then = self.pack_turned(block, panel, full)?;
            let end = block.first_column.clone().add(Expr::int(self.shape.schedule.nr()));
            let condition = Expr::dim(&self.columns_total).ge(end);
            let otherwise = self.pack_lanes(block, panel, width, 0, &block.ranges);
            return Some(vec![Stmt::If { condition, then, otherwise }]);
        };
        let whole = columns / lanes;
        if whole == 0 {
            return None;
        }
        let step = self.c.body.kernel.var("k", Ty::INDEX);
        let first = self.c.body.kernel.var("first", Ty::INDEX);
        let turned = self.turned(block, panel, axis.var, step, first);
        let turned = vec![serial(first, Expr::int(0), Expr::int(whole * lanes), lanes, turned)];
        let blocks = to.clone().sub(from.clone()).div(Expr::int(lanes)).mul(Expr::int(lanes));
        let middle = from.clone().add(blocks);
        let turned = serial(step, from.clone(), middle.clone(), lanes, turned);
        let outer = self.sums[self.around..].iter().zip(&block.ranges).rev().skip(1);
        let turned = outer.fold(turned, |body, (axis, (from, to))| {
            serial(axis.var, from.clone(), to.clone(), 1, vec![body])
        });
        let mut pack = vec![turned];
        let is_whole = from.as_int() == Some(0) && axis.extent.as_const().is_some_and(|n| n % lanes == 0);
        if !is_whole {
            let mut rest = block.ranges.clone();
            rest.pop();
            rest.push((middle, to));
            let columns = Width { nv: whole as u16, columns: Some(whole * lanes) };
            pack.extend(self.pack_lanes(block, panel, columns, 0, &rest));
        }
        if columns % lanes != 0 {
            pack.extend(self.pack_lanes(block, panel, width, whole as u16, &block.ranges));
        }
        Some(pack)
    }

    /// One square block: `lanes` columns of the panel from the `first` on, at `lanes` steps of the sum.
    fn turned(
        &mut self,
        block: &Block,
        panel: BufferId,
        summed: VarId,
        step: VarId,
        first: VarId,
    ) -> Vec<Stmt> {
        let lanes = self.shape.schedule.lanes;
        let ty = Ty::vector(self.shape.dtype, lanes);
        let at_step = |expr: &Expr, lane: i64| {
            let here = Expr::Var(step).add(Expr::int(lane));
            map_expr(expr, &mut |e| if e == Expr::Var(summed) { here.clone() } else { e })
        };
        let along = at_step(&block.columns.summed.to_expr(), 0);
        let mut body = Vec::new();
        let mut vectors: Vec<VarId> = Vec::new();
        for lane in 0..i64::from(lanes) {
            let column = block.first_column.clone().add(Expr::Var(first)).add(Expr::int(lane));
            let rest = map_expr(&block.columns.rest.to_expr(), &mut |e| {
                if e == Expr::Var(self.column) { column.clone() } else { e }
            });
            let index = vec![rest.add(along.clone())];
            let value = Expr::Load { buffer: block.columns.buffer, index, lanes, mask: None };
            vectors.push(self.c.body.kernel.var("line", ty));
            body.extend(vectors.last().map(|var| Stmt::Let { var: *var, value }));
        }
        // Each round interleaves the first half of the vectors with the second: after log2 of them rows are columns.
        for _ in 0..lanes.ilog2() {
            let (low, high) = vectors.split_at(vectors.len() / 2);
            let mut next = Vec::new();
            for (a, b) in low.iter().zip(high) {
                for half in [Half::Low, Half::High] {
                    let var = self.c.body.kernel.var("turn", ty);
                    let value = Expr::Interleave(Box::new(Expr::Var(*a)), Box::new(Expr::Var(*b)), half);
                    body.push(Stmt::Let { var, value });
                    next.push(var);
                }
            }
            vectors = next;
        }
        let row = self.panel_row(&block.ranges);
        for (lane, var) in vectors.iter().enumerate() {
            let index = vec![at_step(&row, lane as i64), Expr::Var(first)];
            body.push(Stmt::Store { buffer: panel, index, value: Expr::Var(*var), mask: None });
        }
        body
    }
}
