//! Which part each index of a contraction plays, and whether tiles fit at all.

use crate::{
    compose::Composer,
    group::Groups,
    place::Analysis,
    schedule::cpu::{self, Layout, Problem},
};
use graph::{NodeId, ops::Contract};
use kernel::{
    Binary, BufferId, DType, Expr, Stmt, VarId,
    schedule::{Contract as Schedule, Operand},
    transform::{Linear, visit_expr},
};
use shape::Dim;

/// An index of a contraction, or a digit of one that an operand reads in parts: heads that a reshape has merged are
/// two axes in memory.
pub struct Index {
    pub of: usize,
    pub extent: Dim,
}

/// The part that each index of a contraction plays, and the tile.
pub struct Shape {
    /// All indices, digits of one in a row, the outermost first; what follows are numbers of these.
    pub indices: Vec<Index>,
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
        let mut indices: Vec<Index> = contract.extents.iter().enumerate().map(whole_index).collect();
        let (vars, offsets) = loop {
            match places(analysis, groups, index, contract, &indices)? {
                Places::Linear { vars, offsets } => break (vars, offsets),
                Places::InDigits { index, inner } => {
                    let Index { of, extent } = indices.remove(index);
                    let outer = Dim::from(extent.as_const()? / inner);
                    let inner = Dim::from(inner);
                    indices.splice(index..index, [outer, inner].map(|extent| Index { of, extent }));
                }
            }
        };
        let extent = |index: usize| &indices[index].extent;
        let coefficient = |operand: usize, index: usize| offsets[operand].coefficient(vars[index]);
        let reads = |operand: usize, index: usize| !coefficient(operand, index).is_const(0);
        let digits = |of: &usize| {
            let of = *of;
            indices.iter().enumerate().filter(move |(_, index)| index.of == of).map(|(number, _)| number)
        };

        let wide = |index: &&usize| !extent(**index).is_const(1);
        let out: Vec<usize> = contract.out.iter().flat_map(digits).collect();
        let last = *out.iter().rev().find(wide)?;
        let vector = match (reads(0, last), reads(1, last)) {
            (true, false) => 0,
            (false, true) => 1,
            _ => return None,
        };
        let only = |operand: usize, index: usize| reads(operand, index) && !reads(1 - operand, index);
        let mut columns = Vec::new();
        for index in out.iter().rev().filter(wide) {
            if !only(vector, *index) {
                break;
            }
            columns.insert(0, *index);
        }
        let outer = out.iter().filter(wide).filter(|index| !columns.contains(index));
        let (rows, shared): (Vec<usize>, Vec<usize>) = outer.partition(|index| only(1 - vector, **index));
        let mut sums: Vec<Vec<usize>> = Vec::new();
        let reduced = contract.reduced();
        for index in reduced.iter().flat_map(digits).filter(|index| !extent(*index).is_const(1)) {
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
        let (rows_total, columns_total, beside) = (product(&rows), product(&columns), product(&shared));
        let problem = Problem {
            element_bytes: dtype.size(),
            vector_bits: analysis.options.vector_bits,
            rows: &rows_total,
            columns: &columns_total,
            shared: &beside,
            layout,
        };
        let schedule = cpu::contract(&problem)?;
        // What is dynamic goes first: it is walked around panels of constant size.
        sums.sort_by_key(|group| product(group).as_const().is_some());
        let part =
            if schedule.operand == Operand::InPlace { None } else { part_of(&sums, schedule.kc, &product) };
        Some(Shape { indices, vector, rows, columns, shared, sums, part, schedule, dtype })
    }
}

fn whole_index((of, extent): (usize, &Dim)) -> Index {
    Index { of, extent: extent.clone() }
}

enum Places {
    /// Where each operand is read, with a variable an index.
    Linear { vars: Vec<VarId>, offsets: Vec<Linear> },
    /// An operand reads this index in digits, the last of them so long.
    InDigits { index: usize, inner: i64 },
}

fn places(
    analysis: &Analysis<'_>,
    groups: &Groups,
    group: usize,
    contract: &Contract,
    indices: &[Index],
) -> Option<Places> {
    let mut c = Composer::new(analysis, groups, group, String::new());
    let mut values = vec![Expr::int(0); contract.extents.len()];
    let mut vars = Vec::new();
    for index in indices {
        let (var, value) = c.axis("x", &index.extent);
        values[index.of] = values[index.of].clone().mul(Expr::dim(&index.extent)).add(value);
        vars.push(var);
    }
    let inputs = &analysis.node(groups.groups[group].heroes[0]).inputs;
    let mut offsets = Vec::new();
    for (subscripts, input) in [&contract.lhs, &contract.rhs].into_iter().zip(inputs) {
        let at: Vec<Expr> = subscripts.iter().map(|subscript| subscript.at(&values)).collect();
        let (_, place) = load_of(&mut c, *input, &at)?;
        let linear = Linear::of(&place, &c.ranges);
        if let Some(index) = vars.iter().position(|var| linear.hides(*var)) {
            let inner = last_digit(&linear, vars[index])?;
            let splits = indices[index].extent.as_const()? % inner == 0;
            return splits.then_some(Places::InDigits { index, inner });
        }
        offsets.push(linear);
    }
    Some(Places::Linear { vars, offsets })
}

/// What the variable is divided by, where it is read in digits.
fn last_digit(linear: &Linear, var: VarId) -> Option<i64> {
    let mut least: Option<i64> = None;
    for (atom, _) in &linear.terms {
        visit_expr(atom, &mut |e| {
            if let Expr::Binary(Binary::Div | Binary::Rem, number, by) = e
                && **number == Expr::Var(var)
                && let Some(by) = by.as_int().filter(|by| *by > 1)
            {
                least = Some(least.map_or(by, |least| least.min(by)));
            }
        });
    }
    least
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
