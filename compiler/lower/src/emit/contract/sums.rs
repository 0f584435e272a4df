//! The summed range: its parts, the loops over it, the sums that are kept between parts.

use super::{Block, Tiles, Width, min, unrolled};
use crate::emit::Axis;
use crate::emit::loops::serial;
use kernel::{Expr, Stmt, Ty, VarId, transform::Linear};
use shape::Dim;

/// Steps of the summed range that stand one after the other in a loop's body.
const UNROLL: i64 = 4;
/// Short ranges, such as a convolution's window, are wholly unrolled while a body has no more steps than this.
const WINDOW: i64 = 9;

/// A panel's rows as one range that the broadcast operand walks at one stride.
pub(super) struct Line {
    /// Where the operand is at the range's begin, beyond what rows add.
    pub start: Expr,
    pub stride: Dim,
    pub length: Expr,
    /// The length, where it is known.
    pub constant: Option<i64>,
}

impl Tiles<'_, '_> {
    /// Bounds of the summed indices that a panel holds; `part` is where the present part begins.
    pub(super) fn panel_ranges(&self, part: VarId) -> Vec<(Expr, Expr)> {
        let mut ranges: Vec<(Expr, Expr)> =
            self.sums.iter().map(|axis| (Expr::int(0), Expr::dim(&axis.extent))).collect();
        if let Some((cut, length)) = self.shape.part {
            let end = Expr::Var(part).add(Expr::int(length));
            ranges[cut] = (Expr::Var(part), min(end, Expr::dim(&self.sums[cut].extent)));
            ranges.drain(..cut);
        }
        ranges
    }

    /// Rows whose sums a block keeps between parts.
    pub(super) fn block_rows(&self) -> i64 {
        let mr = i64::from(self.shape.schedule.mr);
        let most = self.shape.schedule.block_rows;
        let rows = self.rows_total.as_const().unwrap_or(most).min(most);
        (rows + mr - 1) / mr * mr
    }

    /// Rows of a panel: the summed range, or the longest part of it.
    pub(super) fn panel_rows(&self) -> i64 {
        let lengths = self.sums.iter().enumerate().map(|(position, axis)| match self.shape.part {
            Some((cut, _)) if position < cut => 1,
            Some((cut, length)) if cut == position => length,
            _ => axis.extent.as_const().unwrap_or(1).max(1),
        });
        lengths.product()
    }

    /// The row of the panel that the present summed indices have.
    pub(super) fn panel_row(&self, ranges: &[(Expr, Expr)]) -> Expr {
        let mut row = Expr::int(0);
        for (axis, (from, _)) in self.sums[self.around..].iter().zip(ranges) {
            let extent = match axis.extent.as_const() {
                Some(extent) if from.as_int() == Some(0) => extent,
                _ => self.shape.part.map_or(1, |(_, length)| length),
            };
            row = row.mul(Expr::int(extent)).add(Expr::Var(axis.var).sub(from.clone()));
        }
        row
    }

    /// The panel's rows as one range, where the broadcast operand walks all its indices as one.
    pub(super) fn line(&self, block: &Block) -> Option<Line> {
        block.panel?;
        let summed = &block.broadcast.summed;
        let within = &self.sums[self.around..];
        let (first, inner) = within.split_first()?;
        let coefficients: Vec<Dim> = within.iter().map(|axis| summed.coefficient(axis.var)).collect();
        let walks_on = (1..within.len())
            .all(|position| coefficients[position - 1] == &coefficients[position] * &within[position].extent);
        let inside: i64 = inner.iter().map(|axis| axis.extent.as_const()).product::<Option<i64>>()?;
        if !walks_on {
            return None;
        }
        let (from, to) = block.ranges.first()?;
        let is_around =
            |atom: &Expr| self.sums[..self.around].iter().any(|axis| *atom == Expr::Var(axis.var));
        let around = summed.terms.iter().filter(|(atom, _)| is_around(atom)).cloned().collect();
        let around = Linear { terms: around, constant: Dim::from(0i64) };
        let start = around.to_expr().add(from.clone().mul(Expr::dim(&coefficients[0])));
        let whole = from.as_int() == Some(0);
        let constant = first.extent.as_const().filter(|_| whole).map(|extent| extent * inside);
        let length = to.clone().sub(from.clone()).mul(Expr::int(inside));
        Some(Line { start, stride: coefficients.last()?.clone(), length, constant })
    }

    /// A loop over a line, some steps at a time. `body` is made for each of them.
    pub(super) fn line_loop(&mut self, line: &Line, step: VarId, body: &[Stmt]) -> Vec<Stmt> {
        self.some_at_a_time(step, &Expr::int(0), &line.length, line.constant, body)
    }

    /// Loops over the summed indices; short inner ones are unrolled, of a long one some steps at a time.
    pub(super) fn sum_loops(&mut self, ranges: &[(Expr, Expr)], body: Vec<Stmt>) -> Vec<Stmt> {
        let mut body = body;
        let mut steps = 1;
        let within: Vec<Axis> = self.sums[self.around..].to_vec();
        for (position, (axis, (from, to))) in within.iter().zip(ranges).enumerate().rev() {
            let constant = axis.extent.as_const().filter(|_| from.as_int() == Some(0));
            let innermost = position + 1 == within.len();
            body = match constant {
                Some(extent) if steps * extent.max(1) <= WINDOW => {
                    steps *= extent.max(1);
                    vec![unrolled(axis.var, extent, body)]
                }
                _ if innermost => {
                    steps = WINDOW + 1;
                    self.some_at_a_time(axis.var, from, to, constant, &body)
                }
                _ => {
                    steps = WINDOW + 1;
                    vec![serial(axis.var, from.clone(), to.clone(), 1, body)]
                }
            };
        }
        body
    }

    fn some_at_a_time(
        &mut self,
        var: VarId,
        from: &Expr,
        to: &Expr,
        length: Option<i64>,
        body: &[Stmt],
    ) -> Vec<Stmt> {
        if let Some(length) = length.filter(|length| *length <= UNROLL) {
            return vec![unrolled(var, length, body.to_vec())];
        }
        let kernel = &mut self.c.body.kernel;
        let (step, within) = (kernel.var("k4", Ty::INDEX), kernel.var("u", Ty::INDEX));
        let by = Expr::int(UNROLL);
        let middle = from.clone().add(to.clone().sub(from.clone()).div(by.clone()).mul(by));
        let mut several = vec![Stmt::Let { var, value: Expr::Var(step).add(Expr::Var(within)) }];
        several.extend(body.iter().cloned());
        let several = unrolled(within, UNROLL, several);
        let mut loops = vec![serial(step, from.clone(), middle.clone(), UNROLL, vec![several])];
        if length.is_none_or(|length| length % UNROLL != 0) {
            loops.push(serial(var, middle, to.clone(), 1, body.to_vec()));
        }
        loops
    }

    /// Sets the sums of the block's rows to zero, with those of the last tile that are no rows.
    pub(super) fn clear(&mut self, block: &Block, width: Width) -> Vec<Stmt> {
        let mr = i64::from(self.shape.schedule.mr);
        let row = self.c.body.kernel.var("r", Ty::INDEX);
        let body = self.zero_row(block.sums, Expr::Var(row), width);
        let rows = block.rows_to.clone().sub(block.rows_from.clone());
        let tiles = rows.add(Expr::int(mr - 1)).div(Expr::int(mr)).mul(Expr::int(mr));
        vec![serial(row, Expr::int(0), tiles, 1, body)]
    }

    pub(super) fn zero_row(&self, buffer: kernel::BufferId, row: Expr, width: Width) -> Vec<Stmt> {
        let lanes = self.shape.schedule.lanes;
        let zero = Expr::splat(Expr::float(self.shape.dtype, 0.0), lanes);
        let vectors = (0..width.nv).map(|v| {
            let at = Expr::int(i64::from(v * lanes));
            Stmt::Store { buffer, index: vec![row.clone(), at], value: zero.clone(), mask: None }
        });
        vectors.collect()
    }
}
