//! What an attention's kernel computes, as expressions of its indices; `None` where an index is not what the form wants.

use crate::{
    attention::Attention,
    compose::{Composer, Taken},
    emit::Axis,
};
use graph::{NodeId, Op, ops::Contract};
use kernel::{
    Binary, BufferId, DType, Expr, Stmt, Ty, VarId,
    transform::{Linear, uses, visit_stmts},
};
use shape::Dim;

/// Statements, and the value that they make.
#[derive(Clone)]
pub struct Value {
    pub lets: Vec<Stmt>,
    pub value: Expr,
    /// What it is made of: the variable that stands for it.
    pub of: VarId,
}

/// Where an operand lies: what the axis that is walked adds, and the rest.
#[derive(Clone)]
pub struct Place {
    pub buffer: BufferId,
    pub walked: Linear,
    pub rest: Linear,
}

pub struct Parts {
    pub dtype: DType,
    /// What blocks do not share: everything but queries, keys and columns.
    pub owners: Vec<Axis>,
    pub query: Axis,
    pub key: Axis,
    /// Along the values.
    pub column: Axis,
    /// The summed axis of the scores.
    pub depth: Axis,
    pub out_index: Vec<Expr>,
    /// One element of the queries.
    pub queries: (Vec<Stmt>, Expr),
    pub keys: Place,
    pub values: Place,
    /// What is compared, of a score.
    pub compared: Option<Value>,
    /// The base, of the largest.
    pub base: Option<Value>,
    /// What is summed, of a score and the base.
    pub term: Value,
    pub term_base: Option<VarId>,
    /// What the sum is divided by, of the total.
    pub divisor: Value,
    /// Keys from here on, a function of the last query, are not seen; added to the number of queries up to the last.
    pub seen: Option<Expr>,
}

/// Widths and depths beyond these stay with kernels of their own.
const WIDEST: i64 = 256;
/// Fewer queries than these fill no vector.
const FEWEST: i64 = 4;
/// So few keys, all of them seen, are as fast for a single query by kernels of their own.
const FEW_KEYS: i64 = 256;

impl Parts {
    pub fn of(c: &mut Composer<'_, '_>, attention: &Attention) -> Option<Parts> {
        let parts = Parts::compose(c, attention);
        // A read that does not fit is told at the end.
        parts.filter(|_| c.failure.is_none())
    }

    fn compose(c: &mut Composer<'_, '_>, attention: &Attention) -> Option<Parts> {
        let analysis = c.analysis;
        let dtype = analysis.dtype(attention.scores);
        let Op::Contract(second) = &analysis.node(attention.result).op else { return None };
        let Op::Contract(first) = &analysis.node(attention.scores).op else { return None };
        let (weights_at, values_at) = match attention.side {
            0 => (&second.lhs, &second.rhs),
            _ => (&second.rhs, &second.lhs),
        };
        let key_index = only_sum(second)?;
        let axes: Vec<(Axis, Expr)> = second.extents.iter().map(|extent| axis(c, "i", extent)).collect();
        let values: Vec<Expr> = axes.iter().map(|(_, value)| value.clone()).collect();
        let key = axes[key_index].0.clone();
        let in_weights = |index: usize| weights_at.iter().any(|subscript| subscript.coefficient(index) != 0);
        let wide = |index: &&usize| !second.extents[**index].is_const(1);

        // The values: their columns are neighbours.
        let values_index: Vec<Expr> = values_at.iter().map(|subscript| subscript.at(&values)).collect();
        let (buffer, place) =
            c.load_of(analysis.node(attention.result).inputs[1 - attention.side], &values_index)?;
        let place = Linear::of(&place, &c.ranges);
        let columns: Vec<usize> =
            second.out.iter().filter(wide).filter(|index| !in_weights(**index)).copied().collect();
        let column = match columns[..] {
            [] => axis(c, "col", &Dim::from(1i64)).0,
            [one] => axes[one].0.clone(),
            _ => return None,
        };
        let one = Dim::from(1i64);
        if columns.len() == 1 && place.coefficient(column.var) != one || !walks(&place, column.var, key.var) {
            return None;
        }
        let values_place = apart(&place, key.var, buffer);

        // The weights, down to the scores.
        let index: Vec<Expr> = weights_at.iter().map(|subscript| subscript.at(&values)).collect();
        let term = c.body.kernel.var("term", Ty::scalar(dtype));
        let divisor = c.body.kernel.var("divisor", Ty::scalar(dtype));
        let taken = [(attention.term, term), (attention.divisor, divisor)];
        let weight = Read::of(c, attention.weight, &index, &taken)?;
        let [term_index, divisor_index] = &weight.at[..] else { return None };
        let total = c.body.kernel.var("total", Ty::scalar(dtype));
        let quotient = Read::of(c, attention.divisor, divisor_index, &[(attention.total, total)])?;
        let total_index = quotient.at.first()?.clone();
        let divisor = quotient.into_value(total);
        let score = c.body.kernel.var("score", Ty::scalar(dtype));
        let base_var = c.body.kernel.var("base", Ty::scalar(dtype));
        let mut taken = vec![(attention.scores, score)];
        taken.extend(attention.largest.map(|largest| (largest.base, base_var)));
        let summed = Read::of(c, attention.term, term_index, &taken)?;
        let score_index = summed.at.first()?.clone();
        let base_index = summed.at.get(1).cloned();
        let term = summed.into_value(score);
        if summed_index(c, attention.total, &total_index, &key)? != *term_index {
            return None;
        }

        // The largest, and what stands for it.
        let (mut compared, mut base) = (None, None);
        if let Some(largest) = attention.largest {
            let mut largest_index = base_index?;
            let top = c.body.kernel.var("top", Ty::scalar(dtype));
            if largest.base != largest.reduce {
                let read = Read::of(c, largest.base, &largest_index, &[(largest.reduce, top)])?;
                largest_index = read.at.first()?.clone();
                base = Some(read.into_value(top));
            }
            let index = summed_index(c, largest.reduce, &largest_index, &key)?;
            let score = c.body.kernel.var("score", Ty::scalar(dtype));
            let operand = analysis.node(largest.reduce).inputs[0];
            let read = Read::of(c, operand, &index, &[(attention.scores, score)])?;
            if read.at.first() != Some(&score_index) {
                return None;
            }
            compared = Some(read.into_value(score));
        }

        // The scores' own operands.
        let mut first_values = vec![Expr::int(0); first.extents.len()];
        for (index, at) in first.out.iter().zip(&score_index) {
            first_values[*index] = at.clone();
        }
        let sum = only_sum(first)?;
        let (depth, depth_value) = axis(c, "d", &first.extents[sum]);
        first_values[sum] = depth_value;
        let inputs = &analysis.node(attention.scores).inputs;
        let at = |side: usize| -> Vec<Expr> {
            let subscripts = if side == 0 { &first.lhs } else { &first.rhs };
            subscripts.iter().map(|subscript| subscript.at(&first_values)).collect()
        };
        let mentions = |side: usize, var: VarId| at(side).iter().any(|index| uses(index, var));
        let keys_side = match (mentions(0, key.var), mentions(1, key.var)) {
            (true, false) => 0,
            (false, true) => 1,
            _ => return None,
        };
        let (buffer, keys_place) = c.load_of(inputs[keys_side], &at(keys_side))?;
        let keys_place = Linear::of(&keys_place, &c.ranges);
        let free = |var: VarId| {
            let none = |place: &Linear| !place.hides(var) && place.coefficient(var).is_const(0);
            none(&keys_place) && none(&place)
        };
        let query = second
            .out
            .iter()
            .rev()
            .filter(wide)
            .find(|index| in_weights(**index) && free(axes[**index].0.var));
        let query = query.copied();
        let owners =
            second.out.iter().filter(wide).filter(|index| Some(**index) != query && !columns.contains(index));
        let owners: Vec<Axis> = owners.map(|index| axes[*index].0.clone()).collect();
        let query = match query {
            Some(query) => axes[query].0.clone(),
            None => axis(c, "q", &one).0,
        };
        if !walks(&keys_place, key.var, depth.var)
            || query.extent.as_const().is_some_and(|extent| extent != 1 && extent < FEWEST)
        {
            return None;
        }
        let small = |extent: &Dim| extent.as_const().is_some_and(|extent| (1..=WIDEST).contains(&extent));
        if !small(&depth.extent) || !small(&column.extent) {
            return None;
        }
        let queries = c.scope(|c| c.value(inputs[1 - keys_side], &at(1 - keys_side), None));
        let along_keys = |value: &Value| stands(&value.lets, &value.value, key.var);
        if along_keys(&divisor)
            || base.as_ref().is_some_and(along_keys)
            || stands(&queries.0, &queries.1, key.var)
        {
            return None;
        }
        let out_index: Vec<Expr> =
            second.out.iter().map(|index| c.ranges.simplify(&values[*index])).collect();
        let seen = match attention.seen {
            Some(seen) => {
                let mark = c.body.kernel.var("seen", Ty::scalar(DType::Bool));
                taken.insert(0, (seen, mark));
                let read = Read::of(c, attention.term, term_index, &taken);
                read.and_then(|read| past(c, seen, read.at.first()?, &query, key.var))
            }
            None => None,
        };
        let few = key.extent.as_const().is_some_and(|keys| keys < FEW_KEYS);
        if query.extent.is_const(1) && few && seen.is_none() {
            return None;
        }
        Some(Parts {
            dtype,
            owners,
            query,
            key,
            column,
            out_index,
            queries,
            keys: apart(&keys_place, depth.var, buffer),
            depth,
            values: values_place,
            compared,
            base,
            term,
            term_base: attention.largest.map(|_| base_var),
            divisor,
            seen,
        })
    }
}

fn axis(c: &mut Composer<'_, '_>, name: &str, extent: &Dim) -> (Axis, Expr) {
    let (var, value) = c.axis(name, extent);
    (Axis { var, extent: extent.clone() }, value)
}

/// The one index that a contraction sums over.
fn only_sum(contract: &Contract) -> Option<usize> {
    let sums: Vec<usize> =
        contract.reduced().into_iter().filter(|index| !contract.extents[*index].is_const(1)).collect();
    match sums[..] {
        [one] => Some(one),
        _ => None,
    }
}

/// Whether both variables only move a place by steps.
fn walks(place: &Linear, a: VarId, b: VarId) -> bool {
    !place.hides(a) && !place.hides(b)
}

fn apart(place: &Linear, var: VarId, buffer: BufferId) -> Place {
    let (walked, rest) = place.terms.iter().cloned().partition(|(atom, _)| *atom == Expr::Var(var));
    Place {
        buffer,
        walked: Linear { terms: walked, constant: Dim::from(0i64) },
        rest: Linear { terms: rest, constant: place.constant.clone() },
    }
}

/// The value of a node where variables stand for other ones, and at which index those are read.
struct Read {
    lets: Vec<Stmt>,
    value: Expr,
    at: Vec<Vec<Expr>>,
}

impl Read {
    fn of(c: &mut Composer<'_, '_>, node: NodeId, index: &[Expr], taken: &[(NodeId, VarId)]) -> Option<Read> {
        let stands_for =
            |(node, var): &(NodeId, VarId)| Taken { node: *node, value: Expr::Var(*var), at: None };
        c.taken = taken.iter().map(stands_for).collect();
        let (lets, value) = c.scope(|c| c.value(node, index, None));
        let taken = std::mem::take(&mut c.taken);
        let at = taken.into_iter().map(|taken| taken.at).collect::<Option<Vec<_>>>()?;
        Some(Read { lets, value, at })
    }

    fn into_value(self, of: VarId) -> Value {
        Value { lets: self.lets, value: self.value, of }
    }
}

/// The index of a reduction's operand at its own index and a key.
fn summed_index(c: &Composer<'_, '_>, reduce: NodeId, at: &[Expr], key: &Axis) -> Option<Vec<Expr>> {
    let node = c.analysis.node(reduce);
    let Op::Reduce(form) = &node.op else { return None };
    let [axis] = form.axes[..] else { return None };
    let same = c.analysis.ty(node.inputs[0]).shape[axis] == key.extent;
    let mut index = at.to_vec();
    index.insert(axis, Expr::Var(key.var));
    same.then_some(index)
}

fn stands(lets: &[Stmt], value: &Expr, var: VarId) -> bool {
    let mut found = uses(value, var);
    visit_stmts(lets, &mut |expr| found |= uses(expr, var));
    found
}

/// Where a condition says that keys come no later than a query moved by something: what the number of queries up to the
/// last is moved by to give the number of keys that any of them sees.
fn past(c: &mut Composer<'_, '_>, condition: NodeId, at: &[Expr], query: &Axis, key: VarId) -> Option<Expr> {
    let (query, single) = (query.var, query.extent.is_const(1));
    let (lets, value) = c.scope(|c| c.value(condition, at, None));
    let bound = |expr: &Expr| -> Expr {
        match expr {
            Expr::Var(var) => lets
                .iter()
                .find_map(|stmt| match stmt {
                    Stmt::Let { var: other, value } if other == var => Some(value.clone()),
                    _ => None,
                })
                .unwrap_or_else(|| expr.clone()),
            _ => expr.clone(),
        }
    };
    let mut tests = vec![bound(&value)];
    while let Some(test) = tests.pop() {
        let (op, late, early) = match test {
            Expr::Binary(Binary::And, a, b) => {
                tests.extend([bound(&a), bound(&b)]);
                continue;
            }
            Expr::Binary(op @ (Binary::Ge | Binary::Gt), a, b) => (op, a, b),
            Expr::Binary(Binary::Le, a, b) => (Binary::Ge, b, a),
            Expr::Binary(Binary::Lt, a, b) => (Binary::Gt, b, a),
            _ => continue,
        };
        let is = |expr: &Expr, var: VarId| match bound(expr) {
            Expr::Cast(_, x) => bound(&x) == Expr::Var(var),
            other => other == Expr::Var(var),
        };
        if !is(&early, key) {
            continue;
        }
        let less = if op == Binary::Gt { -1 } else { 0 };
        let is_zero = |expr: &Expr| match bound(expr) {
            Expr::Cast(_, x) => bound(&x).as_int() == Some(0),
            other => other.as_int() == Some(0),
        };
        // Of one query the index is 0.
        let is_query = |expr: &Expr| is(expr, query) || single && is_zero(expr);
        if is_query(&late) {
            return Some(Expr::int(less));
        }
        let moved = match bound(&late) {
            Expr::Binary(Binary::Add, a, b) if is_query(&a) => Some(b),
            Expr::Binary(Binary::Add, a, b) if is_query(&b) => Some(a),
            _ if single => Some(late),
            _ => None,
        };
        if let Some(moved) = moved {
            // What it is moved by must stand before the block's loops: a constant, or a load of one place.
            let by = match bound(&moved) {
                by @ Expr::Const(_) => by,
                by @ Expr::Load { lanes: 1, mask: None, .. } if !uses(&by, query) && !uses(&by, key) => {
                    match &by {
                        Expr::Load { index, .. } if index.iter().all(|i| i.as_int().is_some()) => by,
                        _ => continue,
                    }
                }
                _ => continue,
            };
            let dtype = c.body.kernel.ty(&by).dtype;
            if !dtype.is_int() {
                continue;
            }
            let by = if dtype == DType::I64 { by } else { Expr::cast(DType::I64, by) };
            return Some(by.add(Expr::int(less)));
        }
    }
    None
}
