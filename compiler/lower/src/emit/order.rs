//! Orders: merge sort from the bottom up, of keys and indices side by side, each row by itself. Runs double from pass to
//! pass, between two halves of a workspace row; a merge writes one after the other what comes next of two runs.

use super::{Axis, Rows, loops::serial, name, operations};
use crate::{Unsupported, compose::Composer, draft::Draft, group::Groups, place::Analysis};
use kernel::{Binary, BufferId, DType, Expr, Form, Space, Stmt, Ty, Unary, VarId};
use shape::Dim;

/// Elements are at most this many: 2^47 is the limit of a tensor.
const MOST_PASSES: i64 = 48;

pub fn emit_order(
    analysis: &Analysis<'_>,
    groups: &Groups,
    index: usize,
    draft: &mut Draft,
) -> Result<(), Unsupported> {
    let hero = groups.groups[index].heroes[0];
    let node = analysis.node(hero);
    let Some(Form::Order { axis, descending }) = analysis.form(hero).cloned() else {
        return Err(Unsupported::new(format!("`{}` is no order", node.op.name()), node.span));
    };
    let shape = node.ty().shape.clone();
    let extent = shape[axis].clone();
    let dtype = analysis.dtype(node.inputs[0]);
    let elements = shape.elements();
    let stores = [draft.temp(dtype, &elements * 2), draft.temp(DType::I32, &elements * 2)];
    let mut c = Composer::new(analysis, groups, index, name(analysis, groups, index));
    let mut owners = Vec::new();
    let mut at: Vec<Expr> = Vec::new();
    for (k, size) in shape.iter().enumerate() {
        let (var, place) = c.axis(&format!("i{k}"), size);
        at.push(place);
        if k != axis {
            owners.push(Axis { var, extent: size.clone() });
        }
    }
    let (slot, place) = c.axis("k", &extent);
    at[axis] = place.clone();
    let keys = c.body.buffer(stores[0], "keys", dtype, &elements * 2, Space::Output);
    let places = c.body.buffer(stores[1], "places", DType::I32, &elements * 2, Space::Output);
    let size = Expr::dim(&extent);

    // Two halves a row, rows in the order of the other axes.
    let (mut body, row) = c.scope(|c| {
        let others: Vec<Dim> = owners.iter().map(|axis| axis.extent.clone()).collect();
        let vars: Vec<Expr> = owners.iter().map(|axis| Expr::Var(axis.var)).collect();
        let number = c.offset(&others, &vars);
        c.bind(number.mul(size.clone().mul(Expr::int(2))))
    });
    let (mut fill, key) = c.scope(|c| c.element(hero, &at, None));
    let into = row.clone().add(place.clone());
    fill.push(store(keys, into.clone(), key));
    fill.push(store(places, into, Expr::cast(DType::I32, place.clone())));
    let each = operations(&fill);
    body.push(serial(slot, Expr::int(0), size.clone(), 1, fill));

    let sorting = Sorting { keys, places, row: row.clone(), size: size.clone(), dtype, descending };
    let (half, passes) = sorting.passes(&mut c, &extent);
    body.extend(passes);
    let (mut copy, from) = c.scope(|c| {
        let from = row.add(half).add(place);
        c.bind(from)
    });
    let output = c.output(hero);
    let to = c.offset(&shape, &at);
    copy.push(store(output, to, load(places, from)));
    body.push(serial(slot, Expr::int(0), size, 1, copy));
    if let Some(failure) = c.failure.take() {
        return Err(failure);
    }
    let length = extent.as_const().unwrap_or(1024).max(2);
    let levels = 64 - i64::from((length - 1).leading_zeros());
    let each = each.saturating_add(levels.saturating_mul(16));
    Rows::for_work(length.saturating_mul(each)).set(&mut c.body.kernel, &owners, body);
    draft.call(c.body.finish(elements * each));
    Ok(())
}

struct Sorting {
    keys: BufferId,
    places: BufferId,
    /// Where the row begins in both buffers.
    row: Expr,
    size: Expr,
    dtype: DType,
    descending: bool,
}

impl Sorting {
    /// All passes, and in which half of the row the result then lies, as an offset.
    fn passes(&self, c: &mut Composer<'_, '_>, extent: &Dim) -> (Expr, Vec<Stmt>) {
        let known = extent.as_const();
        if known.is_some_and(|extent| extent <= 1) {
            return (Expr::int(0), Vec::new());
        }
        let count = known.map_or(MOST_PASSES, |extent| 64 - i64::from((extent - 1).leading_zeros()));
        let kernel = &mut c.body.kernel;
        let (pass, half) = (kernel.var("pass", Ty::INDEX), kernel.var("half", Ty::INDEX));
        let width = kernel.var("width", Ty::INDEX);
        let other = kernel.var("other", Ty::INDEX);
        let mut merges = vec![Stmt::Let { var: other, value: self.size.clone().sub(Expr::Var(half)) }];
        merges.extend(self.merges(c, Expr::Var(width), Expr::Var(half), Expr::Var(other)));
        merges.push(Stmt::Assign { var: half, value: Expr::Var(other) });
        let condition = Expr::Var(width).lt(self.size.clone());
        let body = vec![
            Stmt::Let { var: width, value: Expr::binary(Binary::Shl, Expr::int(1), Expr::Var(pass)) },
            Stmt::If { condition, then: merges, otherwise: Vec::new() },
        ];
        let passes = vec![
            Stmt::Register { var: half, init: Expr::int(0) },
            serial(pass, Expr::int(0), Expr::int(count), 1, body),
        ];
        (Expr::Var(half), passes)
    }

    /// Merges neighbouring runs of one width from one half into the other.
    fn merges(&self, c: &mut Composer<'_, '_>, width: Expr, half: Expr, other: Expr) -> Vec<Stmt> {
        let kernel = &mut c.body.kernel;
        let mut index = |name: &str| kernel.var(name, Ty::INDEX);
        let (pair, slot, from, to) = (index("pair"), index("k"), index("from"), index("to"));
        let (low, middle, high) = (index("low"), index("middle"), index("high"));
        let (left, right) = (index("left"), index("right"));
        let (at_left, at_right) = (index("at_left"), index("at_right"));
        let mut value = |name: &str, dtype| kernel.var(name, Ty::scalar(dtype));
        let (a, b) = (value("a", self.dtype), value("b", self.dtype));
        let (place_a, place_b) = (value("place_a", DType::I32), value("place_b", DType::I32));
        let takes = value("takes", DType::Bool);
        let var = Expr::Var;
        let bind = |var: VarId, value: Expr| Stmt::Let { var, value };
        let least = |a: Expr, b: Expr| Expr::binary(Binary::Min, a, b);
        let twice = width.clone().mul(Expr::int(2));

        // An index past its run is not used, but read: so it stays inside.
        let last_left = var(middle).sub(Expr::int(1));
        let last_right = var(high).sub(Expr::int(1));
        let comes_right = self.precedes(var(b), var(a));
        let exhausted = var(left).ge(var(middle));
        let next = |register: VarId, taken: Expr| Stmt::Assign {
            var: register,
            value: var(register).add(Expr::cast(DType::I64, taken)),
        };
        let body = vec![
            bind(at_left, var(from).add(least(var(left), last_left))),
            bind(at_right, var(from).add(least(var(right), last_right))),
            bind(a, load(self.keys, var(at_left))),
            bind(b, load(self.keys, var(at_right))),
            bind(place_a, load(self.places, var(at_left))),
            bind(place_b, load(self.places, var(at_right))),
            bind(takes, var(right).lt(var(high)).and(Expr::binary(Binary::Or, exhausted, comes_right))),
            store(self.keys, var(to).add(var(slot)), Expr::select(var(takes), var(b), var(a))),
            store(self.places, var(to).add(var(slot)), Expr::select(var(takes), var(place_b), var(place_a))),
            next(right, var(takes)),
            next(left, Expr::unary(Unary::Not, var(takes))),
        ];
        let size = self.size.clone();
        let runs = vec![
            bind(low, var(pair).mul(twice.clone())),
            bind(middle, least(var(low).add(width), size.clone())),
            bind(high, least(var(low).add(twice.clone()), size.clone())),
            Stmt::Register { var: left, init: var(low) },
            Stmt::Register { var: right, init: var(middle) },
            serial(slot, var(low), var(high), 1, body),
        ];
        let pairs = size.add(twice.clone()).sub(Expr::int(1)).div(twice);
        vec![
            bind(from, self.row.clone().add(half)),
            bind(to, self.row.clone().add(other)),
            serial(pair, Expr::int(0), pairs, 1, runs),
        ]
    }

    /// Whether `b`, which stands later, comes before `a`.
    fn precedes(&self, b: Expr, a: Expr) -> Expr {
        let wide = self.dtype.accumulator();
        let widen = |x: Expr| if wide == self.dtype { x } else { Expr::cast(wide, x) };
        let (b, a) = (widen(b), widen(a));
        let op = if self.descending { Binary::Gt } else { Binary::Lt };
        let ordered = Expr::binary(op, b.clone(), a.clone());
        if !self.dtype.is_float() {
            return ordered;
        }
        // NaN is above all: it comes first where the order descends, and gives way where it ascends.
        let (above, below) = if self.descending { (b, a) } else { (a, b) };
        let (above, below) = (Expr::unary(Unary::IsNan, above), Expr::unary(Unary::IsNan, below));
        let nan = above.and(Expr::unary(Unary::Not, below));
        Expr::binary(Binary::Or, ordered, nan)
    }
}

fn load(buffer: BufferId, index: Expr) -> Expr {
    Expr::Load { buffer, index: vec![index], lanes: 1, mask: None }
}

fn store(buffer: BufferId, index: Expr, value: Expr) -> Stmt {
    Stmt::Store { buffer, index: vec![index], value, mask: None }
}
