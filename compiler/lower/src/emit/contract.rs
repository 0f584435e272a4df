//! Contractions in register tiles: one operand broadcast row by row, the other in vectors along the output's last axes.
//!
//! The output's indices fall into rows (only in the broadcast operand), columns (only in the vector operand, the run of
//! axes that ends with the last one), and the rest, which blocks share. For each block, a panel of columns by a chunk of
//! rows, and each part of the summed range: pack the vector operand's panel; for each tile of rows: sums in registers.
//! Then what follows from the sums, row by row, in vectors. Where rows or columns are no multiple of the tile, the last
//! tile of either is a smaller one.

mod pack;
mod shape;
mod sums;
mod tile;
mod transpose;

use self::shape::{Shape, load_of};
use super::{Axis, Rows, loops::serial, name, vector_loop::VectorLoop};
use crate::{Unsupported, compose::Composer, draft::Draft, group::Groups, place::Analysis};
use ::shape::Dim;
use graph::{NodeId, Op, ops::Contract};
use kernel::{
    Binary, BufferId, Expr, LoopKind, Space, Stmt, Ty, VarId, schedule::Operand, transform::Linear,
};

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

/// Where an operand is read: what the summed indices add, and the rest.
struct Read {
    buffer: BufferId,
    summed: Linear,
    rest: Linear,
}

/// What one block computes with.
struct Block {
    broadcast: Read,
    columns: Read,
    first_column: Expr,
    rows_from: Expr,
    rows_to: Expr,
    /// Bounds of the summed indices within a panel.
    ranges: Vec<(Expr, Expr)>,
    sums: BufferId,
    panel: Option<BufferId>,
    outputs: Outputs,
}

/// The columns of a block: so many vectors, the last of them full unless columns end within.
#[derive(Clone, Copy)]
struct Width {
    nv: u16,
    /// Columns of the output in it, where that is known.
    columns: Option<i64>,
}

/// The statements that follow from a sum.
#[derive(Clone)]
struct Outputs {
    sum: VarId,
    body: Vec<Stmt>,
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

fn unrolled(var: VarId, to: i64, body: Vec<Stmt>) -> Stmt {
    Stmt::For { var, from: Expr::int(0), to: Expr::int(to), step: 1, kind: LoopKind::Unrolled, body }
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
        let extents = |indices: &[usize]| {
            indices.iter().map(|i| shape.indices[*i].extent.clone()).collect::<Vec<Dim>>()
        };
        let total = |indices: &[usize]| extents(indices).iter().cloned().product::<Dim>();
        let (rows_total, columns_total) = (total(&shape.rows), total(&shape.columns));
        let (row, row_value) = c.axis("row", &rows_total);
        let (column, column_value) = c.axis("col", &columns_total);
        let mut parts: Vec<Option<(Expr, Dim)>> = vec![None; shape.indices.len()];
        let mut assign = |indices: &[usize], number: &Expr| {
            let joined: Vec<&[usize]> =
                indices.chunk_by(|a, b| shape.indices[*a].of == shape.indices[*b].of).collect();
            let lengths: Vec<Dim> = joined.iter().map(|digits| total(digits)).collect();
            for ((digits, value), length) in joined.iter().zip(digits(number, &lengths)).zip(&lengths) {
                parts[digits[0]] = Some((value, length.clone()));
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
            let extent = shape.indices[*index].extent.clone();
            let (var, value) = c.axis("i", &extent);
            assign(&[*index], &value);
            shared.push(Axis { var, extent });
        }
        let mut values = vec![Expr::int(0); contract.extents.len()];
        for (index, part) in shape.indices.iter().zip(parts) {
            if let Some((part, length)) = part {
                let outer = std::mem::replace(&mut values[index.of], Expr::int(0));
                values[index.of] = outer.mul(Expr::dim(&length)).add(part);
            }
        }
        let hero = groups.groups[index].heroes[0];
        let around = shape.part.map_or(0, |(cut, _)| cut);
        Tiles {
            c,
            contract,
            index,
            hero,
            shape,
            row,
            column,
            sums,
            around,
            shared,
            rows_total,
            columns_total,
            values,
        }
    }

    fn operand(&mut self, position: usize) -> Option<Read> {
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
        Some(Read { buffer, summed, rest: Linear { terms: rest, constant: linear.constant } })
    }

    fn emit(mut self, draft: &mut Draft) -> Result<bool, Unsupported> {
        let vector = self.shape.vector;
        let Some(broadcast) = self.operand(1 - vector) else { return Ok(false) };
        let Some(columns) = self.operand(vector) else { return Ok(false) };
        let schedule = self.shape.schedule;
        let (mr, nr) = (i64::from(schedule.mr), schedule.nr());

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

        let outputs = self.outputs();
        let kept_rows = if self.shape.part.is_some() { self.block_rows() } else { mr };
        let dtype = self.shape.dtype;
        let kernel = &mut self.c.body.kernel;
        let sums = kernel.buffer("sums", dtype, vec![Dim::from(kept_rows), Dim::from(nr)], Space::Local);
        let panel_rows = self.panel_rows();
        let panel_buffer = (schedule.operand != Operand::InPlace).then(|| {
            let shape = vec![Dim::from(panel_rows), Dim::from(nr)];
            self.c.body.kernel.buffer("panel", dtype, shape, Space::Local)
        });
        let part = self.c.body.kernel.var("part", Ty::INDEX);
        let block = Block {
            broadcast,
            columns,
            first_column: panel_value.clone().mul(Expr::int(nr)),
            rows_from,
            rows_to,
            ranges: self.panel_ranges(part),
            sums,
            panel: panel_buffer,
            outputs,
        };

        let full = Width { nv: schedule.nv, columns: Some(nr) };
        let body = match self.columns_total.as_const() {
            None => self.panel(&block, part, Width { nv: schedule.nv, columns: None }),
            Some(columns) if columns % nr == 0 => self.panel(&block, part, full),
            Some(columns) => {
                let (whole, rest) = (columns / nr, columns % nr);
                let lanes = i64::from(schedule.lanes);
                let narrow = Width { nv: ((rest + lanes - 1) / lanes) as u16, columns: Some(rest) };
                let narrow = self.panel(&block, part, narrow);
                if whole == 0 {
                    narrow
                } else {
                    let condition = panel_value.lt(Expr::int(whole));
                    let then = self.panel(&block, part, full);
                    vec![Stmt::If { condition, then, otherwise: narrow }]
                }
            }
        };
        let sum_length: i64 =
            self.sums.iter().map(|axis| axis.extent.as_const().unwrap_or(256).max(1)).product();
        let rows_work = self.rows_total.as_const().unwrap_or(64).min(schedule.block_rows);
        let block_work = rows_work.saturating_mul(nr / 8 + 1).saturating_mul(sum_length);
        Rows::for_work(block_work).set(&mut self.c.body.kernel, &owners, body);
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

    /// All of a block, for a panel of this width.
    fn panel(&mut self, block: &Block, part: VarId, width: Width) -> Vec<Stmt> {
        let mut pass = Vec::new();
        if let Some(panel) = block.panel {
            pass.extend(self.pack(block, panel, width));
        }
        pass.extend(self.tiles(block, width));
        let Some((cut, length)) = self.shape.part else { return pass };
        let mut body = self.clear(block, width);
        let extent = Expr::dim(&self.sums[cut].extent);
        let parts = serial(part, Expr::int(0), extent, length, pass);
        body.push(self.sums[..cut].iter().rev().fold(parts, |inside, axis| {
            serial(axis.var, Expr::int(0), Expr::dim(&axis.extent), 1, vec![inside])
        }));
        let stored = Expr::Var(self.row).sub(block.rows_from.clone());
        let lines = self.finish_row(block, stored, width);
        body.push(serial(self.row, block.rows_from.clone(), block.rows_to.clone(), 1, lines));
        body
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
    fn finish_row(&mut self, block: &Block, line: Expr, width: Width) -> Vec<Stmt> {
        let first = block.first_column.clone();
        let at = Expr::Var(self.column).sub(first.clone());
        let value = Expr::Load { buffer: block.sums, index: vec![line, at], lanes: 1, mask: None };
        let mut body = vec![Stmt::Let { var: block.outputs.sum, value }];
        body.extend(block.outputs.body.iter().cloned());
        let lanes = self.shape.schedule.lanes;
        let to = match width.columns {
            Some(columns) => first.clone().add(Expr::int(columns)),
            None => {
                min(first.clone().add(Expr::int(self.shape.schedule.nr())), Expr::dim(&self.columns_total))
            }
        };
        let exact = width.columns.is_some_and(|columns| columns % i64::from(lanes) == 0);
        let axis = Axis { var: self.column, extent: self.columns_total.clone() };
        VectorLoop { axis: &axis, from: first, to, lanes, exact }.emit(&mut self.c, body)
    }
}
