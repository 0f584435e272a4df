//! Which part each index of a contraction plays, and whether tiles fit at all.

use crate::{
    compose::Composer,
    group::Groups,
    place::Analysis,
    schedule::cpu::{self, Layout, Problem},
};
use graph::{NodeId, ops::Contract};
use kernel::{
    BufferId, DType, Expr, Stmt, VarId,
    schedule::{Contract as Schedule, Operand},
    transform::Linear,
};
use shape::Dim;

/// The part that each index of a contraction plays, and the tile.
pub struct Shape {
    /// Position of the operand that is read in vectors.
    pub vector: usize,
    pub rows: Vec<usize>,
    pub columns: Vec<usize>,
    pub shared: Vec<usize>,
    /// Summed indices, in groups that both operands walk as one.
    pub sums: Vec<Vec<usize>>,
    /// The group that is cut into parts, and how long a part is; groups before it are walked one by one.
    pub part: Option<(usize, i64)>,
    pub schedule: Schedule,
    pub dtype: DType,
}

impl Shape {
    pub fn of(analysis: &Analysis<'_>, groups: &Groups, index: usize, contract: &Contract) -> Option<Shape> {
        let hero = groups.groups[index].heroes[0];
        let dtype = analysis.dtype(hero);
        if !matches!(dtype, DType::F32 | DType::F64) {
            return None;
        }
        let extent = |index: usize| &contract.extents[index];
        // Where each operand is read, with a variable an index.
        let mut c = Composer::new(analysis, groups, index, String::new());
        let vars: Vec<(VarId, Expr)> = contract.extents.iter().map(|extent| c.axis("x", extent)).collect();
        let values: Vec<Expr> = vars.iter().map(|(_, value)| value.clone()).collect();
        let inputs = &analysis.node(hero).inputs;
        let mut offsets = Vec::new();
        for (subscripts, input) in [&contract.lhs, &contract.rhs].into_iter().zip(inputs) {
            let at: Vec<Expr> = subscripts.iter().map(|subscript| subscript.at(&values)).collect();
            let (_, place) = load_of(&mut c, *input, &at)?;
            let linear = Linear::of(&place, &c.ranges);
            if vars.iter().any(|(var, _)| linear.hides(*var)) {
                return None;
            }
            offsets.push(linear);
        }
        let coefficient = |operand: usize, index: usize| offsets[operand].coefficient(vars[index].0);
        let reads = |operand: usize, index: usize| !coefficient(operand, index).is_const(0);

        let wide = |index: &&usize| !extent(**index).is_const(1);
        let last = *contract.out.iter().rev().find(wide)?;
        let vector = match (reads(0, last), reads(1, last)) {
            (true, false) => 0,
            (false, true) => 1,
            _ => return None,
        };
        let only = |operand: usize, index: usize| reads(operand, index) && !reads(1 - operand, index);
        let mut columns = Vec::new();
        for index in contract.out.iter().rev().filter(wide) {
            if !only(vector, *index) {
                break;
            }
            columns.insert(0, *index);
        }
        let outer = contract.out.iter().filter(wide).filter(|index| !columns.contains(index));
        let (rows, shared): (Vec<usize>, Vec<usize>) = outer.partition(|index| only(1 - vector, **index));
        let mut sums: Vec<Vec<usize>> = Vec::new();
        for index in contract.reduced().into_iter().filter(|index| !extent(*index).is_const(1)) {
            let walks_on = |outer: usize| {
                (0..2)
                    .all(|operand| coefficient(operand, outer) == coefficient(operand, index) * extent(index))
            };
            match sums.last_mut() {
                Some(group) if walks_on(group[group.len() - 1]) => group.push(index),
                _ => sums.push(vec![index]),
            }
        }
        let product = |indices: &[usize]| indices.iter().map(|index| extent(*index).clone()).product::<Dim>();
        let one_stride = columns
            .windows(2)
            .all(|pair| coefficient(vector, pair[0]) == coefficient(vector, pair[1]) * extent(pair[1]));
        let inner = *columns.last()?;
        let neighbours = coefficient(vector, inner).is_const(1);
        let near = sums.iter().all(|group| {
            let step = coefficient(vector, group[group.len() - 1]);
            step.as_const().is_some_and(|step| step.abs() <= 512)
        });
        let layout = match (one_stride, neighbours, extent(inner).as_const()) {
            (true, true, _) => Layout::Neighbours { near },
            (true, ..) => Layout::Apart,
            (false, true, Some(run)) if run <= 256 => Layout::Runs,
            _ => Layout::Scattered,
        };
        let (rows_total, columns_total) = (product(&rows), product(&columns));
        let problem = Problem {
            element_bytes: dtype.size(),
            vector_bits: analysis.options.vector_bits,
            rows: &rows_total,
            columns: &columns_total,
            layout,
        };
        let schedule = cpu::contract(&problem)?;
        // What is dynamic goes first: it is walked around panels of constant size.
        sums.sort_by_key(|group| product(group).as_const().is_some());
        let part =
            if schedule.operand == Operand::InPlace { None } else { part_of(&sums, schedule.kc, &product) };
        Some(Shape { vector, rows, columns, shared, sums, part, schedule, dtype })
    }
}

/// Which group of summed indices to cut so that a panel holds a part of it and all groups after it; groups before it
/// are walked one by one, around the panels. `None` where a panel holds the whole range.
fn part_of(sums: &[Vec<usize>], kc: i64, product: &dyn Fn(&[usize]) -> Dim) -> Option<(usize, i64)> {
    let lengths: Vec<Option<i64>> = sums.iter().map(|group| product(group).as_const()).collect();
    let mut inner = 1i64;
    for (position, length) in lengths.iter().enumerate().rev() {
        match length.map(|length| length.max(1).saturating_mul(inner)) {
            Some(whole) if whole <= kc => inner = whole,
            _ => {
                let most = (kc / inner).max(1);
                let part = length.map_or(most, |length| {
                    let parts = (length + most - 1) / most;
                    (length + parts - 1) / parts
                });
                return Some((position, part));
            }
        }
    }
    None
}

/// The buffer and place that a value is loaded from, where it is nothing but a load.
pub fn load_of(c: &mut Composer<'_, '_>, node: NodeId, at: &[Expr]) -> Option<(BufferId, Expr)> {
    let (lets, value) = c.scope(|c| c.value(node, at, None));
    match (value, lets.as_slice()) {
        (Expr::Var(var), [Stmt::Let { var: bound, value: Expr::Load { buffer, index, mask: None, .. } }])
            if var == *bound =>
        {
            Some((*buffer, index.first()?.clone()))
        }
        _ => None,
    }
}
