//! Contractions in register tiles: one operand broadcast row by row, the other in vectors along the output's last axes.
//!
//! The output's indices fall into rows (only in the broadcast operand), columns (only in the vector operand, the run of
//! axes that ends with the last one), and the rest, which blocks share. For each block:
//! for each part of the summed range: pack the vector operand's panel; for each tile of rows: sums in registers.
//! Then what follows from the sums, row by row, in vectors.

mod shape;

use self::shape::{Shape, load_of};
use super::{Axis, Rows, name, nest::VectorLoop};
use crate::{Unsupported, compose::Composer, draft::Draft, group::Groups, place::Analysis};
use ::shape::Dim;
use graph::{NodeId, Op, ops::Contract};
use kernel::{
    Binary, BufferId, Expr, LoopKind, Space, Stmt, Ty, VarId,
    schedule::{Contract as Schedule, Operand},
    transform::{Linear, Widen, widen},
};
use std::collections::BTreeMap;

/// Emits the group in tiles. `Ok(false)` where its form does not allow it, and nothing is emitted.
pub fn emit_contract(
    analysis: &Analysis<'_>,
    groups: &Groups,
    index: usize,
    draft: &mut Draft,
) -> Result<bool, Unsupported> {
    let hero = groups.groups[index].heroes[0];
    let Op::Contract(contract) = &analysis.node(hero).op else { return Ok(false) };
    let Some(shape) = Shape::of(analysis, groups, index, contract) else { return Ok(false) };
    Tiles::new(analysis, groups, index, contract, shape).emit(draft)
}

struct Tiles<'a, 'b> {
    c: Composer<'a, 'b>,
    contract: &'b Contract,
    index: usize,
    hero: NodeId,
    shape: Shape,
    /// The row of the output, the column, and the place in each group of sums.
    row: VarId,
    column: VarId,
    sums: Vec<Axis>,
    /// So many groups of sums are walked around the panels.
    around: usize,
    shared: Vec<Axis>,
    rows_total: Dim,
    columns_total: Dim,
    /// The value of each index of the contraction.
    values: Vec<Expr>,
}

/// Digits of a number in a mixed radix, outermost first.
fn digits(number: &Expr, extents: &[Dim]) -> Vec<Expr> {
    let mut rest = number.clone();
    let mut digits = Vec::new();
    for (position, extent) in extents.iter().enumerate().rev() {
        if position == 0 {
            digits.push(rest.clone());
        } else {
            digits.push(rest.clone().rem(Expr::dim(extent)));
            rest = rest.div(Expr::dim(extent));
        }
    }
    digits.reverse();
    digits
}

fn serial(var: VarId, from: Expr, to: Expr, step: i64, body: Vec<Stmt>) -> Stmt {
    Stmt::For { var, from, to, step, kind: LoopKind::Serial, body }
}

fn min(a: Expr, b: Expr) -> Expr {
    match (a.as_int(), b.as_int()) {
        (Some(a), Some(b)) => Expr::int(a.min(b)),
        _ => Expr::binary(Binary::Min, a, b),
    }
}

impl<'a, 'b> Tiles<'a, 'b> {
    fn new(
        analysis: &'b Analysis<'a>,
        groups: &'b Groups,
        index: usize,
        contract: &'b Contract,
        shape: Shape,
    ) -> Tiles<'a, 'b> {
        let mut c = Composer::new(analysis, groups, index, name(analysis, groups, index));
        let extents =
            |indices: &[usize]| indices.iter().map(|i| contract.extents[*i].clone()).collect::<Vec<Dim>>();
        let total = |indices: &[usize]| extents(indices).iter().cloned().product::<Dim>();
        let (rows_total, columns_total) = (total(&shape.rows), total(&shape.columns));
        let (row, row_value) = c.axis("row", &rows_total);
        let (column, column_value) = c.axis("col", &columns_total);
        let mut values = vec![Expr::int(0); contract.extents.len()];
        let mut assign = |indices: &[usize], number: &Expr| {
            for (index, digit) in indices.iter().zip(digits(number, &extents(indices))) {
                values[*index] = digit;
            }
        };
        assign(&shape.rows, &row_value);
        assign(&shape.columns, &column_value);
        let mut sums = Vec::new();
        for group in &shape.sums {
            let extent = total(group);
            let (var, value) = c.axis("k", &extent);
            assign(group, &value);
            sums.push(Axis { var, extent });
        }
        let mut shared = Vec::new();
        for index in &shape.shared {
            let extent = contract.extents[*index].clone();
            let (var, value) = c.axis("i", &extent);
            assign(&[*index], &value);
            shared.push(Axis { var, extent });
        }
        let hero = groups.groups[index].heroes[0];
        Tiles {
            c,
            contract,
            index,
            hero,
            shape,
            row,
            column,
            sums,
            around: 0,
            shared,
            rows_total,
            columns_total,
            values,
        }
    }

    /// Where an operand is read: the part that the summed indices give, and the rest.
    fn operand(&mut self, position: usize) -> Option<(BufferId, Linear, Linear)> {
        let subscripts = if position == 0 { &self.contract.lhs } else { &self.contract.rhs };
        let at: Vec<Expr> = subscripts.iter().map(|subscript| subscript.at(&self.values)).collect();
        let input = self.c.analysis.node(self.hero).inputs[position];
        let (buffer, place) = load_of(&mut self.c, input, &at)?;
        let linear = Linear::of(&place, &self.c.ranges);
        let is_sum = |atom: &Expr| self.sums.iter().any(|axis| *atom == Expr::Var(axis.var));
        if self.sums.iter().any(|axis| linear.hides(axis.var)) {
            return None;
        }
        let (summed, rest) = linear.terms.into_iter().partition(|(atom, _)| is_sum(atom));
        let summed = Linear { terms: summed, constant: Dim::from(0i64) };
        Some((buffer, summed, Linear { terms: rest, constant: linear.constant }))
    }

    fn emit(mut self, draft: &mut Draft) -> Result<bool, Unsupported> {
        let vector = self.shape.vector;
        let Some(broadcast) = self.operand(1 - vector) else { return Ok(false) };
        let Some(columns) = self.operand(vector) else { return Ok(false) };
        let schedule = self.shape.schedule;
        let (mr, nr) = (i64::from(schedule.mr), schedule.nr());
        let parts = self.shape.part;

        // Blocks: what is shared, panels of columns, chunks of rows.
        let mut owners = self.shared.clone();
        let panels = self.columns_total.ceil_div(&Dim::from(nr));
        let (panel, panel_value) = self.c.axis("panel", &panels);
        owners.push(Axis { var: panel, extent: panels });
        let (mut rows_from, mut rows_to) = (Expr::int(0), Expr::dim(&self.rows_total));
        if self.rows_total.as_const().is_none_or(|rows| rows > schedule.block_rows) {
            let chunks = self.rows_total.ceil_div(&Dim::from(schedule.block_rows));
            let (chunk, _) = self.c.axis("chunk", &chunks);
            owners.push(Axis { var: chunk, extent: chunks });
            rows_from = Expr::Var(chunk).mul(Expr::int(schedule.block_rows));
            rows_to = min(rows_from.clone().add(Expr::int(schedule.block_rows)), rows_to);
        }
        let first_column = panel_value.mul(Expr::int(nr));

        let outputs = self.outputs();
        let kept_rows = if parts.is_some() { self.block_rows() } else { mr };
        let sums_buffer = self.c.body.kernel.buffer(
            "sums",
            self.shape.dtype,
            vec![Dim::from(kept_rows), Dim::from(nr)],
            Space::Local,
        );
        let panel_buffer = (schedule.operand != Operand::InPlace).then(|| {
            let rows = Dim::from(self.panel_rows());
            self.c.body.kernel.buffer("panel", self.shape.dtype, vec![rows, Dim::from(nr)], Space::Local)
        });

        // The part of the summed range in hand.
        let mut ranges: Vec<(Expr, Expr)> =
            self.sums.iter().map(|axis| (Expr::int(0), Expr::dim(&axis.extent))).collect();
        let part_var = self.c.body.kernel.var("part", Ty::INDEX);
        if let Some((cut, length)) = parts {
            let end = Expr::Var(part_var).add(Expr::int(length));
            ranges[cut] = (Expr::Var(part_var), min(end, Expr::dim(&self.sums[cut].extent)));
            ranges.drain(..cut);
        }
        self.around = parts.map_or(0, |(cut, _)| cut);
        let mut pass = Vec::new();
        if let Some(buffer) = panel_buffer {
            pass.extend(self.pack(buffer, &columns, &first_column, &ranges));
        }
        let tile = self.tile(
            &broadcast,
            &columns,
            panel_buffer,
            sums_buffer,
            &first_column,
            &rows_from,
            &ranges,
            outputs.clone(),
        );
        let tile_var = tile.0;
        pass.push(serial(tile_var, rows_from.clone(), rows_to.clone(), mr, tile.1));

        let mut body = Vec::new();
        if let Some((cut, length)) = parts {
            body.extend(self.clear(sums_buffer, &rows_from, &rows_to));
            let extent = Expr::dim(&self.sums[cut].extent);
            let parts = serial(part_var, Expr::int(0), extent, length, pass);
            body.push(self.sums[..cut].iter().rev().fold(parts, |inside, axis| {
                serial(axis.var, Expr::int(0), Expr::dim(&axis.extent), 1, vec![inside])
            }));
            let row = Expr::Var(self.row);
            let stored = row.sub(rows_from.clone());
            let lines = self.finish_row(sums_buffer, stored, &first_column, outputs);
            body.push(serial(self.row, rows_from, rows_to, 1, lines));
        } else {
            body.extend(pass);
        }
        let sum_length: i64 =
            self.sums.iter().map(|axis| axis.extent.as_const().unwrap_or(256).max(1)).product();
        let rows_work = self.rows_total.as_const().unwrap_or(64).min(schedule.block_rows);
        let block_work = rows_work.saturating_mul(nr / 8 + 1).saturating_mul(sum_length);
        Rows::for_work(block_work).wrap(&mut self.c.body, &owners, body);
        let work = &self.rows_total
            * &self.columns_total
            * self.shared.iter().map(|axis| axis.extent.clone()).product::<Dim>()
            * self.sums.iter().map(|axis| axis.extent.clone()).product::<Dim>();
        if let Some(failure) = self.c.failure.take() {
            return Err(failure);
        }
        draft.call(self.c.body.finish(work));
        Ok(true)
    }

    /// Rows whose sums a block keeps between parts.
    fn block_rows(&self) -> i64 {
        let mr = i64::from(self.shape.schedule.mr);
        let most = self.shape.schedule.block_rows;
        let rows = self.rows_total.as_const().unwrap_or(most).min(most);
        (rows + mr - 1) / mr * mr
    }

    /// Rows of a panel: the summed range, or the longest part of it.
    fn panel_rows(&self) -> i64 {
        let lengths = self.sums.iter().enumerate().map(|(position, axis)| match self.shape.part {
            Some((cut, _)) if position < cut => 1,
            Some((cut, length)) if cut == position => length,
            _ => axis.extent.as_const().unwrap_or(1).max(1),
        });
        lengths.product()
    }

    /// The row of the panel that the present summed indices have.
    fn panel_row(&self, ranges: &[(Expr, Expr)]) -> Expr {
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

    /// Loops over the summed indices; the innermost, where long, four steps at a time.
    fn sum_loops(&mut self, ranges: &[(Expr, Expr)], body: Vec<Stmt>, unroll: bool) -> Vec<Stmt> {
        let mut body = body;
        let within_panel = self.sums[self.around..].to_vec();
        for (position, (axis, (from, to))) in within_panel.iter().zip(ranges).enumerate().rev() {
            let constant = axis.extent.as_const().filter(|_| from.as_int() == Some(0));
            let innermost = position + 1 == within_panel.len();
            body = match constant {
                Some(extent) if innermost && unroll && extent <= 8 => {
                    let (from, to) = (from.clone(), to.clone());
                    vec![Stmt::For { var: axis.var, from, to, step: 1, kind: LoopKind::Unrolled, body }]
                }
                _ if innermost && unroll => {
                    let by = Expr::int(4);
                    let step = self.c.body.kernel.var("k4", Ty::INDEX);
                    let within = self.c.body.kernel.var("u", Ty::INDEX);
                    let whole = to.clone().sub(from.clone()).div(by.clone()).mul(by);
                    let middle = from.clone().add(whole);
                    let bound = Expr::Var(step).add(Expr::Var(within));
                    let mut four = vec![Stmt::Let { var: axis.var, value: bound }];
                    four.extend(body.clone());
                    let four = Stmt::For {
                        var: within,
                        from: Expr::int(0),
                        to: Expr::int(4),
                        step: 1,
                        kind: LoopKind::Unrolled,
                        body: four,
                    };
                    let mut loops = vec![serial(step, from.clone(), middle.clone(), 4, vec![four])];
                    if constant.is_none_or(|extent| extent % 4 != 0) {
                        loops.push(serial(axis.var, middle, to.clone(), 1, body));
                    }
                    loops
                }
                _ => vec![serial(axis.var, from.clone(), to.clone(), 1, body)],
            };
        }
        body
    }

    /// Copies the vector operand's columns of this panel, zeros beyond the last.
    fn pack(
        &mut self,
        panel: BufferId,
        operand: &(BufferId, Linear, Linear),
        first: &Expr,
        ranges: &[(Expr, Expr)],
    ) -> Vec<Stmt> {
        let (source, summed, rest) = operand;
        let schedule = self.shape.schedule;
        let (nr, lanes) = (schedule.nr(), schedule.lanes);
        let last = Expr::dim(&self.columns_total);
        let row = self.panel_row(ranges);
        let column = Expr::Var(self.column);
        let copy = |place: Expr, mask: Option<Expr>, store_mask: Option<Expr>, at: Expr| {
            let value =
                Expr::Load { buffer: *source, index: vec![place], lanes: 1, mask: mask.map(Box::new) };
            Stmt::Store { buffer: panel, index: vec![row.clone(), at], value, mask: store_mask }
        };
        let exact = self.columns_total.as_const().is_some_and(|columns| columns % nr == 0);
        let inner = self.shape.columns.last().map(|index| self.contract.extents[*index].clone());
        if let (Operand::Runs, Some(run)) = (schedule.operand, inner.and_then(|extent| extent.as_const())) {
            // Runs of the innermost axis: whole ones, and their parts at the panel's edges.
            let (line, lane) =
                (self.c.body.kernel.var("line", Ty::INDEX), self.c.body.kernel.var("lane", Ty::INDEX));
            let run_dim = Dim::from(run);
            let lines = self.columns_total.exact_div(&run_dim, &self.c.ranges.facts).unwrap_or_default();
            self.c.ranges.bound(line, &lines);
            self.c.ranges.bound(lane, &run_dim);
            let here = Expr::Var(line).mul(Expr::int(run)).add(Expr::Var(lane));
            let place = kernel::transform::map_expr(&rest.to_expr(), &mut |e| {
                if e == column { here.clone() } else { e }
            });
            let place = Linear::of(&place, &self.c.ranges).plus(summed, &self.c.ranges).to_expr();
            let at = here.clone().sub(first.clone());
            let whole_panel = exact && nr % run == 0;
            let inside = at.clone().ge(Expr::int(0)).and(at.clone().lt(Expr::int(nr)));
            let mask = (!whole_panel).then_some(inside);
            let body = vec![copy(place, mask.clone(), mask, at)];
            let wide = (run as u64).next_power_of_two().min(u64::from(lanes)) as u16;
            let limit = (run % i64::from(wide) != 0).then(|| Expr::int(run));
            let what = Widen { var: lane, lanes: wide, limit, ranges: &self.c.ranges };
            let (step, body) = match widen(&mut self.c.body.kernel, &body, &what, &BTreeMap::new()) {
                Ok((wide_body, _)) if wide > 1 => (i64::from(wide), wide_body),
                _ => (1, body),
            };
            let copies = self.sum_loops(ranges, body, false);
            let lanes_loop = serial(lane, Expr::int(0), Expr::int(run), step, copies);
            let end = min(first.clone().add(Expr::int(nr)), last);
            let to = end.add(Expr::int(run - 1)).div(Expr::int(run));
            let from = first.clone().div(Expr::int(run));
            let mut pack = Vec::new();
            if !exact {
                pack.extend(self.zero_panel(panel, ranges));
            }
            pack.push(serial(line, from, to, 1, vec![lanes_loop]));
            return pack;
        }
        let at = column.clone().sub(first.clone());
        let mask = (!exact).then(|| column.clone().lt(last));
        let place = self.c.body.kernel.var("base", Ty::INDEX);
        let gathered = schedule.operand == Operand::Gathered;
        let base = if gathered { Expr::Var(place) } else { rest.to_expr() };
        let index = Linear::of(&base, &self.c.ranges).plus(summed, &self.c.ranges).to_expr();
        let copies = self.sum_loops(ranges, vec![copy(index, mask, None, at)], false);
        let mut body = Vec::new();
        if gathered {
            body.push(Stmt::Let { var: place, value: rest.to_expr() });
        }
        body.extend(copies);
        let what = Widen { var: self.column, lanes, limit: None, ranges: &self.c.ranges };
        let (step, body) = match widen(&mut self.c.body.kernel, &body, &what, &BTreeMap::new()) {
            Ok((wide, _)) => (i64::from(lanes), wide),
            Err(_) => (1, body),
        };
        vec![serial(self.column, first.clone(), first.clone().add(Expr::int(nr)), step, body)]
    }

    fn zero_panel(&mut self, panel: BufferId, ranges: &[(Expr, Expr)]) -> Vec<Stmt> {
        let row = self.panel_row(ranges);
        let body = self.zero_row(panel, row);
        self.sum_loops(ranges, body, false)
    }

    fn zero_row(&mut self, buffer: BufferId, row: Expr) -> Vec<Stmt> {
        let Schedule { lanes, nv, .. } = self.shape.schedule;
        let zero = Expr::splat(Expr::float(self.shape.dtype, 0.0), lanes);
        (0..nv)
            .map(|v| {
                let at = Expr::int(i64::from(v * lanes));
                Stmt::Store { buffer, index: vec![row.clone(), at], value: zero.clone(), mask: None }
            })
            .collect()
    }

    /// Sets the sums of the block's rows to zero, with those of the last tile that are no rows.
    fn clear(&mut self, sums: BufferId, from: &Expr, to: &Expr) -> Vec<Stmt> {
        let mr = i64::from(self.shape.schedule.mr);
        let row = self.c.body.kernel.var("r", Ty::INDEX);
        let body = self.zero_row(sums, Expr::Var(row));
        let rows = to.clone().sub(from.clone());
        let tiles = rows.add(Expr::int(mr - 1)).div(Expr::int(mr)).mul(Expr::int(mr));
        vec![serial(row, Expr::int(0), tiles, 1, body)]
    }

    /// One tile: its first row's variable, and the statements.
    #[allow(clippy::too_many_arguments, reason = "the parts of one loop nest, used here only")]
    fn tile(
        &mut self,
        broadcast: &(BufferId, Linear, Linear),
        columns: &(BufferId, Linear, Linear),
        panel: Option<BufferId>,
        sums: BufferId,
        first: &Expr,
        rows_from: &Expr,
        ranges: &[(Expr, Expr)],
        outputs: Outputs,
    ) -> (VarId, Vec<Stmt>) {
        let Schedule { mr, nv, lanes, .. } = self.shape.schedule;
        let parts = self.shape.part.is_some();
        let dtype = self.shape.dtype;
        let kernel = &mut self.c.body.kernel;
        let tile = kernel.var("tile", Ty::INDEX);
        let last_row = Expr::dim(&(&self.rows_total - 1));
        let mut body = Vec::new();
        let mut offsets = Vec::new();
        let (row_source, row_summed, row_rest) = broadcast;
        for r in 0..mr {
            // A row beyond the last repeats it; its sums are not used.
            let here = Expr::Var(tile).add(Expr::int(i64::from(r)));
            let exact = self.rows_total.as_const().is_some_and(|rows| rows % i64::from(mr) == 0);
            let here = if exact { here } else { min(here, last_row.clone()) };
            let row = kernel.var("m", Ty::INDEX);
            body.push(Stmt::Let { var: row, value: here });
            let offset = kernel.var("at", Ty::INDEX);
            let value = kernel::transform::map_expr(&row_rest.to_expr(), &mut |e| {
                if e == Expr::Var(self.row) { Expr::Var(row) } else { e }
            });
            body.push(Stmt::Let { var: offset, value });
            offsets.push(offset);
        }
        let vector = Ty::vector(dtype, lanes);
        let mut registers = Vec::new();
        for r in 0..mr {
            for v in 0..nv {
                let var = kernel.var("c", vector);
                registers.push(var);
                let kept = Expr::Var(tile).add(Expr::int(i64::from(r))).sub(rows_from.clone());
                let at = vec![kept, Expr::int(i64::from(v * lanes))];
                let init = match parts {
                    true => Expr::Load { buffer: sums, index: at, lanes, mask: None },
                    false => Expr::splat(Expr::float(dtype, 0.0), lanes),
                };
                body.push(Stmt::Register { var, init });
            }
        }
        let mut inner = Vec::new();
        let exact = self.columns_total.as_const().is_some_and(|n| n % self.shape.schedule.nr() == 0);
        let panel_row = self.panel_row(ranges);
        let mut vectors = Vec::new();
        for v in 0..nv {
            let kernel = &mut self.c.body.kernel;
            let shift = i64::from(v * lanes);
            let value = match panel {
                Some(buffer) => {
                    let index = vec![panel_row.clone(), Expr::int(shift)];
                    Expr::Load { buffer, index, lanes, mask: None }
                }
                None => {
                    let (buffer, summed, rest) = columns;
                    let column = first.clone().add(Expr::int(shift));
                    let rest = kernel::transform::map_expr(&rest.to_expr(), &mut |e| {
                        if e == Expr::Var(self.column) { column.clone() } else { e }
                    });
                    let index = vec![summed.to_expr().add(rest)];
                    let mask = (!exact).then(|| {
                        let ramp = Expr::ramp(column, 1, lanes);
                        Box::new(ramp.lt(Expr::splat(Expr::dim(&self.columns_total), lanes)))
                    });
                    Expr::Load { buffer: *buffer, index, lanes, mask }
                }
            };
            let var = kernel.var("b", vector);
            inner.push(Stmt::Let { var, value });
            vectors.push(var);
        }
        for r in 0..usize::from(mr) {
            let kernel = &mut self.c.body.kernel;
            let var = kernel.var("a", Ty::scalar(dtype));
            let index = vec![Expr::Var(offsets[r]).add(row_summed.to_expr())];
            inner.push(Stmt::Let {
                var,
                value: Expr::Load { buffer: *row_source, index, lanes: 1, mask: None },
            });
            for v in 0..usize::from(nv) {
                let sum = registers[r * usize::from(nv) + v];
                let spread = Expr::splat(Expr::Var(var), lanes);
                let value = Expr::fma(spread, Expr::Var(vectors[v]), Expr::Var(sum));
                inner.push(Stmt::Assign { var: sum, value });
            }
        }
        body.extend(self.sum_loops(ranges, inner, true));
        for r in 0..mr {
            for v in 0..nv {
                let sum = registers[usize::from(r * nv + v)];
                let kept = if parts {
                    Expr::Var(tile).add(Expr::int(i64::from(r))).sub(rows_from.clone())
                } else {
                    Expr::int(i64::from(r))
                };
                let index = vec![kept, Expr::int(i64::from(v * lanes))];
                body.push(Stmt::Store { buffer: sums, index, value: Expr::Var(sum), mask: None });
            }
        }
        if !parts {
            let end = min(Expr::Var(tile).add(Expr::int(i64::from(mr))), Expr::dim(&self.rows_total));
            let stored = Expr::Var(self.row).sub(Expr::Var(tile));
            let lines = self.finish_row(sums, stored, first, outputs);
            body.push(serial(self.row, Expr::Var(tile), end, 1, lines));
        }
        (tile, body)
    }

    /// What follows from one row's sums: the group's members and stores, for one element.
    fn outputs(&mut self) -> Outputs {
        let groups = self.c.groups;
        let group = &groups.groups[self.index];
        let out_index: Vec<Expr> =
            self.contract.out.iter().map(|index| self.values[*index].clone()).collect();
        let out_index: Vec<Expr> = out_index.iter().map(|i| self.c.ranges.simplify(i)).collect();
        let sum = self.c.body.kernel.var("sum", Ty::scalar(self.shape.dtype));
        self.c.known.push((self.hero, out_index.clone(), Expr::Var(sum)));
        let (lets, stores) = self.c.scope(|c| {
            let mut stores = Vec::new();
            for node in group.heroes.iter().chain(&group.members) {
                let value = match *node == self.hero {
                    true => Expr::Var(sum),
                    false => {
                        let value = c.element(*node, &out_index, None);
                        c.bind(value)
                    }
                };
                c.known.push((*node, out_index.clone(), value.clone()));
                if groups.stored[node.index()] {
                    let buffer = c.output(*node);
                    let at = c.offset(&group.shape, &out_index);
                    stores.push(Stmt::Store { buffer, index: vec![at], value, mask: None });
                }
            }
            stores
        });
        Outputs { sum, body: lets.into_iter().chain(stores).collect() }
    }

    /// The loop over one row's columns, reading sums from this line of their buffer.
    fn finish_row(&mut self, sums: BufferId, line: Expr, first: &Expr, outputs: Outputs) -> Vec<Stmt> {
        let at = Expr::Var(self.column).sub(first.clone());
        let value = Expr::Load { buffer: sums, index: vec![line, at], lanes: 1, mask: None };
        let mut body = vec![Stmt::Let { var: outputs.sum, value }];
        body.extend(outputs.body);
        let nr = self.shape.schedule.nr();
        let to = min(first.clone().add(Expr::int(nr)), Expr::dim(&self.columns_total));
        let axis = Axis { var: self.column, extent: self.columns_total.clone() };
        let exact = self.columns_total.as_const().is_some_and(|columns| columns % nr == 0);
        VectorLoop { axis: &axis, from: first.clone(), to, lanes: self.shape.schedule.lanes, exact }
            .emit(&mut self.c, body)
    }
}

/// The statements that follow from a sum.
#[derive(Clone)]
struct Outputs {
    sum: VarId,
    body: Vec<Stmt>,
}
