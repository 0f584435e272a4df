//! The general form of a group: each output element by itself or from a loop over reduced axes, with what follows
//! from it. The body is made for one element, then widened along the axis that memory favours.

mod hero;

use self::hero::Hero;
use super::{
    Axis, Rows,
    loops::{serial, visit_accesses},
    merge_axes, name, operations,
    vector_loop::along,
};
use crate::{
    Unsupported,
    compose::Composer,
    draft::{Draft, Store},
    group::{Groups, Kind},
    place::Analysis,
    rowwise::{Rowwise, accesses},
};
use graph::NodeId;
use kernel::{
    Binary, BufferId, Combine, Expr, Form, LoopKind, Space, Stmt, Ty, VarId,
    transform::{Linear, Widen, widen},
};
use shape::Dim;
use std::collections::BTreeMap;

struct Nest<'a, 'b> {
    composer: Composer<'a, 'b>,
    out: Vec<Axis>,
    reduced: Vec<Axis>,
    heroes: Vec<Hero>,
    /// Runs for each reduced index.
    inner: Vec<Stmt>,
    /// Runs for each output index, after the loops.
    epilogue: Vec<Stmt>,
    /// The first reduced axis is walked in parts of this length, and this tells which part.
    part: Option<(VarId, i64)>,
}

/// What a nest does of a reduction.
#[derive(Clone, Copy)]
enum Stage<'s> {
    Whole,
    /// Sums of parts of the first reduced axis go to slots, one buffer a hero.
    Parts,
    /// The slots are combined in order.
    Slots {
        slots: &'s [Store],
        count: &'s Dim,
    },
}

/// Elements that one part of a cut reduction combines.
const PART_ELEMENTS: i64 = 1 << 15;
/// Fewer outputs than these cannot keep threads busy.
const FEW_OUTPUTS: i64 = 4;

pub fn emit_nest(
    analysis: &Analysis<'_>,
    groups: &Groups,
    index: usize,
    draft: &mut Draft,
) -> Result<(), Unsupported> {
    let bits = analysis.options.vector_bits;
    let mut nest = Nest::build(analysis, groups, index, Stage::Whole)?;
    nest.merge();
    let Some((length, count)) = nest.parts() else {
        draft.call(nest.emit(bits));
        return Ok(());
    };
    let outputs = groups.groups[index].shape.elements();
    let slots: Vec<Store> =
        nest.heroes.iter().map(|hero| draft.temp(hero.dtype, &outputs * &count)).collect();
    let mut parts = Nest::build(analysis, groups, index, Stage::Parts)?;
    parts.merge();
    parts.cut(length, &count, &slots);
    draft.call(parts.emit(bits));
    let mut rest = Nest::build(analysis, groups, index, Stage::Slots { slots: &slots, count: &count })?;
    rest.merge();
    draft.call(rest.emit(bits));
    Ok(())
}

impl<'a, 'b> Nest<'a, 'b> {
    fn build(
        analysis: &'b Analysis<'a>,
        groups: &'b Groups,
        index: usize,
        stage: Stage<'_>,
    ) -> Result<Nest<'a, 'b>, Unsupported> {
        let group = &groups.groups[index];
        let mut composer = Composer::new(analysis, groups, index, name(analysis, groups, index));
        let axes = |composer: &mut Composer<'a, 'b>, prefix: &str, extents: &[Dim]| {
            let (mut kept, mut at) = (Vec::new(), Vec::new());
            for (k, extent) in extents.iter().enumerate() {
                let (var, place) = composer.axis(&format!("{prefix}{k}"), extent);
                at.push(place);
                if !extent.is_const(1) {
                    kept.push(Axis { var, extent: extent.clone() });
                }
            }
            (kept, at)
        };
        let (out, out_index) = axes(&mut composer, "i", &group.shape);
        let extents: &[Dim] = match (&group.kind, stage) {
            (_, Stage::Slots { count, .. }) => std::slice::from_ref(count),
            (Kind::Reduce { extents } | Kind::Contract { extents }, _) => extents,
            _ => &[],
        };
        let (reduced, reduced_index) = axes(&mut composer, "k", extents);
        let full_index: Vec<Expr> = out_index.iter().chain(&reduced_index).cloned().collect();

        let mut heroes = Vec::new();
        let (mut inner, values) = composer.scope(|c| {
            let element = |(position, hero): (usize, &NodeId)| match stage {
                Stage::Slots { slots, count } => {
                    c.slot(slots[position], *hero, &group.shape, count, &full_index)
                }
                _ => c.element(*hero, &full_index, None),
            };
            group.heroes.iter().enumerate().map(element).collect::<Vec<_>>()
        });
        for (node, value) in group.heroes.iter().zip(values) {
            let combine = match analysis.form(*node) {
                Some(Form::Reduce { combine, .. }) => *combine,
                _ => Combine::Sum,
            };
            let hero = Hero::new(&mut composer, *node, combine, &value);
            hero.accumulate(&mut composer, value, reduced_index.first(), &mut inner);
            heroes.push(hero);
        }
        for hero in &heroes {
            composer.known.push((hero.node, out_index.clone(), Expr::Var(hero.result)));
        }
        let (mut epilogue, stores) = composer.scope(|c| {
            let mut stores: Vec<Stmt> = Vec::new();
            if let Stage::Parts = stage {
                return stores;
            }
            for node in group.heroes.iter().chain(&group.members) {
                let value = match group.heroes.contains(node) {
                    true => c.value(*node, &out_index, None),
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
            if let (Kind::Copy { result }, Some(source)) = (&group.kind, group.source) {
                let value = c.value(source, &out_index, None);
                let (dtype, elements) = (analysis.dtype(source), group.shape.elements());
                let buffer = c.body.buffer(Store::Result(*result), "copy", dtype, elements, Space::Output);
                let at = c.offset(&group.shape, &out_index);
                stores.push(Stmt::Store { buffer, index: vec![at], value, mask: None });
            }
            stores
        });
        epilogue.extend(stores);
        if let Some(failure) = composer.failure.take() {
            return Err(failure);
        }
        Ok(Nest { composer, out, reduced, heroes, inner, epilogue, part: None })
    }

    fn merge(&mut self) {
        let ranges = &mut self.composer.ranges;
        merge_axes(&mut self.out, &mut [&mut self.inner, &mut self.epilogue], ranges);
        if self.heroes.iter().all(|hero| hero.position.is_none()) {
            merge_axes(&mut self.reduced, &mut [&mut self.inner], ranges);
        }
    }

    /// Length and number of the parts in which a long reduction to few outputs is done; both follow from shapes alone.
    fn parts(&self) -> Option<(i64, Dim)> {
        let few = self.out.iter().map(|axis| axis.extent.as_const()).product::<Option<i64>>()? <= FEW_OUTPUTS;
        let plain = self.heroes.iter().all(|hero| hero.position.is_none());
        let (first, others) = self.reduced.split_first()?;
        let rest = others.iter().map(|axis| axis.extent.as_const()).product::<Option<i64>>()?.max(1);
        let long =
            first.extent.as_const().is_none_or(|length| length.saturating_mul(rest) > 4 * PART_ELEMENTS);
        let length = (PART_ELEMENTS / rest).max(1);
        (few && plain && long).then(|| (length, first.extent.ceil_div(&Dim::from(length))))
    }

    /// Makes the nest combine one part of its first reduced axis at a time, each into its slot.
    fn cut(&mut self, length: i64, count: &Dim, slots: &[Store]) {
        let composer = &mut self.composer;
        let (part, _) = composer.axis("part", count);
        let shape: Vec<Dim> = self.out.iter().map(|axis| axis.extent.clone()).collect();
        let at: Vec<Expr> = self.out.iter().map(|axis| Expr::Var(axis.var)).collect();
        let output = composer.offset(&shape, &at).mul(Expr::dim(count)).add(Expr::Var(part));
        let elements = shape.iter().cloned().product::<Dim>() * count;
        for (hero, slot) in self.heroes.iter_mut().zip(slots) {
            let buffer = composer.body.buffer(*slot, "slots", hero.dtype, elements.clone(), Space::Output);
            hero.result = composer.body.kernel.var("r", Ty::scalar(hero.dtype));
            hero.partial = true;
            let value = Expr::Var(hero.result);
            self.epilogue.push(Stmt::Store { buffer, index: vec![output.clone()], value, mask: None });
        }
        self.out.insert(0, Axis { var: part, extent: count.clone() });
        self.part = Some((part, length));
    }

    /// Where the loop over a reduced axis begins and ends.
    fn bounds(&self, position: usize) -> (Expr, Expr) {
        let extent = Expr::dim(&self.reduced[position].extent);
        match self.part {
            Some((part, length)) if position == 0 => {
                let from = Expr::Var(part).mul(Expr::int(length));
                let to = Expr::binary(Binary::Min, from.clone().add(Expr::int(length)), extent);
                (from, to)
            }
            _ => (Expr::int(0), extent),
        }
    }

    /// Lanes of a vector of the widest dtype that the nest computes with.
    fn lanes(&self, vector_bits: u16) -> u16 {
        let kernel = &self.composer.body.kernel;
        let widest = kernel.buffers.values().iter().map(|buffer| buffer.dtype.size()).max().unwrap_or(4);
        vector_bits / 8 / widest.max(4) as u16
    }

    /// How many loads and stores walk the axis element by element, less those that jump; `None` for no access at all.
    fn contiguity(&self, var: VarId) -> i64 {
        let mut score = 0;
        let mut access = |index: &Expr| {
            let linear = Linear::of(index, &self.composer.ranges);
            let coefficient = linear.coefficient(var);
            // What does not change during the reduction is read once.
            let walked = |axis: &Axis| linear.hides(axis.var) || !linear.coefficient(axis.var).is_const(0);
            if !self.reduced.iter().any(walked) {
                return;
            }
            score += if linear.hides(var) {
                -1
            } else if coefficient.is_const(1) {
                4
            } else if coefficient.is_const(0) {
                0
            } else {
                -1
            };
        };
        visit_accesses(&self.inner, &mut access, &mut |_| {});
        score
    }

    fn emit(mut self, vector_bits: u16) -> crate::draft::DraftCall {
        let full = self.lanes(vector_bits);
        let total: Dim = self.out.iter().chain(&self.reduced).map(|axis| axis.extent.clone()).product();
        let work = &total
            * (operations(&self.inner)
                + if self.reduced.is_empty() { operations(&self.epilogue) } else { 0 });
        match self.vector_side(full) {
            Side::Reduced(lanes) => self.emit_across(lanes),
            Side::Output(lanes) => self.emit_along(lanes),
            Side::None => self.emit_along(1),
        }
        self.composer.body.finish(work)
    }

    /// Does this for each row of the output axes that are left; tells neighbours of the same rows about it.
    fn for_each_row(&mut self, rows: Rows, inside: Vec<Stmt>) {
        if self.part.is_none() {
            self.composer.body.rowwise = self.rowwise(&self.out, &rows, &inside);
        }
        rows.set(&mut self.composer.body.kernel, &self.out, inside);
    }

    fn rowwise(&self, axes: &[Axis], rows: &Rows, inside: &[Stmt]) -> Option<Rowwise> {
        let store_of = |buffer: BufferId| self.composer.body.arguments.get(buffer.index()).copied();
        let element = [&self.inner[..], &self.epilogue[..]];
        let accesses = accesses(&element, axes, &self.composer.ranges, &store_of)?;
        Some(Rowwise { axes: axes.to_vec(), inside: inside.to_vec(), per_block: rows.per_block, accesses })
    }

    fn vector_side(&self, full: u16) -> Side {
        let fitting = |extent: &Dim| match extent.as_const() {
            Some(extent) if extent < i64::from(full) => (extent.max(1) as u64).next_power_of_two() as u16,
            _ => full,
        };
        let positions = self.heroes.iter().any(|hero| hero.position.is_some());
        let reduced = self.reduced.last().filter(|_| !positions);
        match (self.out.last(), reduced) {
            (None, None) => Side::None,
            (Some(out), None) => Side::Output(fitting(&out.extent)),
            (None, Some(reduced)) => Side::Reduced(self.accumulator_lanes(&reduced.extent, full)),
            (Some(out), Some(reduced)) => {
                let (along, across) = (self.contiguity(out.var), self.contiguity(reduced.var));
                let short =
                    |extent: &Dim| extent.as_const().is_some_and(|extent| extent < i64::from(full) / 2);
                let prefers_out = match (short(&out.extent), short(&reduced.extent)) {
                    (false, true) => true,
                    (true, false) => across < 0 && along > across,
                    (true, true) => out.extent.as_const() >= reduced.extent.as_const(),
                    _ => along >= across,
                };
                if prefers_out {
                    Side::Output(fitting(&out.extent))
                } else {
                    Side::Reduced(self.accumulator_lanes(&reduced.extent, full))
                }
            }
        }
    }

    /// Several vectors' lanes where the axis is long: independent sums hide the latency of one.
    fn accumulator_lanes(&self, extent: &Dim, full: u16) -> u16 {
        let most = if self.heroes.len() == 1 { 4 } else { 2 };
        match extent.as_const() {
            Some(extent) if extent < i64::from(full) => (extent.max(1) as u64).next_power_of_two() as u16,
            Some(extent) => {
                let vectors = (extent / i64::from(full)).clamp(1, most) as u64;
                full * (vectors + 1).next_power_of_two().div_euclid(2).max(1) as u16
            }
            None => full * 2,
        }
    }

    /// The loops over reduced axes around a body, the last of them left out if `but_last`.
    fn reduction_loops(&self, body: Vec<Stmt>, but_last: bool) -> Vec<Stmt> {
        let axes = &self.reduced[..self.reduced.len() - usize::from(but_last)];
        let constant: Option<i64> = axes.iter().map(|axis| axis.extent.as_const()).product();
        let unrolled = constant.is_some_and(|n| n <= 16) && !but_last && self.part.is_none();
        let kind = if unrolled { LoopKind::Unrolled } else { LoopKind::Serial };
        axes.iter().enumerate().rev().fold(body, |body, (position, axis)| {
            let (from, to) = self.bounds(position);
            vec![Stmt::For { var: axis.var, from, to, step: 1, kind, body }]
        })
    }

    fn finals(&self, value: impl Fn(&Hero) -> Expr) -> Vec<Stmt> {
        let composer = &self.composer;
        let finals = self.heroes.iter().map(|hero| {
            let to = if hero.partial { hero.dtype } else { composer.analysis.dtype(hero.node) };
            let value = match hero.position {
                Some(position) => Expr::Var(position),
                None => value(hero),
            };
            let value =
                if hero.position.is_none() && hero.dtype != to { Expr::cast(to, value) } else { value };
            Stmt::Let { var: hero.result, value }
        });
        finals.collect()
    }

    /// Vectors along the last output axis; every reduction has its registers.
    fn emit_along(&mut self, lanes: u16) {
        let mut body: Vec<Stmt> = self.heroes.iter().flat_map(Hero::registers).collect();
        if !self.heroes.is_empty() {
            body.extend(self.reduction_loops(self.inner.clone(), false));
        }
        body.extend(self.finals(|hero| Expr::Var(hero.accumulator)));
        body.extend(self.epilogue.clone());
        let reduced: i64 =
            self.reduced.iter().map(|axis| axis.extent.as_const().unwrap_or(64).max(1)).product();
        let each = operations(&self.inner).saturating_mul(reduced).saturating_add(operations(&self.epilogue));
        let Some(vector) = self.out.pop() else {
            self.for_each_row(Rows { per_block: 1 }, body);
            return;
        };
        if self.heroes.is_empty() && self.out.is_empty() {
            let (axes, rows) = (std::slice::from_ref(&vector), Rows::for_work(each));
            self.composer.body.elementwise = self.rowwise(axes, &rows, &body).map(Box::new);
        }
        let (rows, loops) = along(&mut self.composer, &mut self.out, &vector, each, lanes, body);
        self.for_each_row(rows, loops);
    }

    /// Vectors along the last reduced axis: lanes hold partial results that are combined at the end.
    fn emit_across(&mut self, lanes: u16) {
        let Some(axis) = self.reduced.last().cloned() else { return self.emit_along(1) };
        let wide = i64::from(lanes);
        let (from, to) = self.bounds(self.reduced.len() - 1);
        let whole_axis = from.as_int() == Some(0);
        let short = whole_axis && axis.extent.as_const().is_some_and(|extent| extent < wide);
        let exact = whole_axis && axis.extent.as_const().is_some_and(|extent| extent % wide == 0);
        let registers: Vec<Stmt> = self.heroes.iter().flat_map(Hero::registers).collect();
        let composer = &mut self.composer;
        let accumulators: BTreeMap<VarId, VarId> = self
            .heroes
            .iter()
            .map(|hero| {
                let ty = Ty::vector(hero.dtype, lanes);
                (hero.accumulator, composer.body.kernel.var("lanes", ty))
            })
            .collect();
        let ranges = composer.ranges.clone();
        let widened = |composer: &mut Composer<'_, '_>, body: &[Stmt], limit: Option<Expr>| {
            let what = Widen { var: axis.var, lanes, limit, ranges: &ranges };
            widen(&mut composer.body.kernel, body, &what, &accumulators).map(|(stmts, _)| stmts)
        };
        let inside = Expr::Var(axis.var).lt(to.clone());
        let guarded: Vec<Stmt> = self
            .inner
            .iter()
            .map(|stmt| match stmt {
                Stmt::Assign { var, value } => {
                    let kept = Expr::select(inside.clone(), value.clone(), Expr::Var(*var));
                    Stmt::Assign { var: *var, value: kept }
                }
                other => other.clone(),
            })
            .collect();
        let made = widened(composer, &registers, None).and_then(|registers| {
            let main = widened(composer, &self.inner, None)?;
            let tail = widened(composer, &guarded, Some(to.clone()))?;
            Ok((registers, main, tail))
        });
        let Ok((registers, main, tail)) = made else { return self.emit_along(1) };
        let mut loops = Vec::new();
        let mut rest = from.clone();
        if !short {
            let length = to.clone().sub(from.clone());
            rest = from.clone().add(length.div(Expr::int(wide)).mul(Expr::int(wide)));
            loops.push(serial(axis.var, from, rest.clone(), wide, main));
        }
        if !exact {
            loops.push(serial(axis.var, rest, to, wide, tail));
        }
        let mut body = registers;
        body.extend(self.reduction_loops(loops, true));
        body.extend(self.finals(|hero| {
            let lanes = Expr::Var(accumulators[&hero.accumulator]);
            Expr::Horizontal(hero.operation(), Box::new(lanes))
        }));
        body.extend(self.epilogue.clone());
        let reduced: i64 =
            self.reduced.iter().map(|axis| axis.extent.as_const().unwrap_or(256).max(1)).product();
        let row_work = operations(&self.inner).saturating_mul(reduced) / 4 + operations(&self.epilogue);
        self.for_each_row(Rows::for_work(row_work), body);
    }
}

enum Side {
    /// Along the last output axis, this many lanes.
    Output(u16),
    /// Along the last reduced axis.
    Reduced(u16),
    None,
}
