//! Values that loops over the same elements of a row work out twice, kept for the second: softmax wants e^(x − m) for the
//! sum and again for the quotient, and reading it back costs less than an exponential.
//!
//! Values have numbers. Two have the same one if they are made by the same operations of the same values, whatever the
//! width of the vectors; what is read has the number of writes before it in its own.

use crate::{draft::DraftStep, emit::visit_buffers};
use kernel::{
    Binary, BufferId, Expr, Kernel, LoopKind, Space, Stmt, Unary, VarId,
    transform::{uses, visit_expr, visit_stmts},
};
use shape::Dim;
use std::collections::{BTreeMap, HashMap};

/// All kept values of a kernel take no more than this: they should stay in the nearest caches.
const MAX_BYTES: usize = 64 << 10;

/// Keeps what is worth it in kernels that are made row by row.
pub fn keep(steps: &mut [DraftStep]) {
    for step in steps {
        if let DraftStep::Call(call) = step
            && call.rowwise.is_some()
        {
            let mut body = std::mem::take(&mut call.kernel.body);
            Numbering::new(&mut call.kernel).list(&mut body);
            call.kernel.body = body;
        }
    }
}

/// How a value differs within a loop whose vectors walk elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The same for all elements.
    Uniform,
    /// What belongs to the first element of a vector.
    First,
    /// Each lane belongs to its element.
    Element,
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    /// The variable of a loop over this many elements.
    Counter(i64),
    /// An operation, the numbers of what it works on, and how often what it reads was written.
    Value(Expr, Vec<usize>, usize),
}

struct Numbering<'k> {
    kernel: &'k mut Kernel,
    known: HashMap<Key, usize>,
    kinds: Vec<Kind>,
    vars: BTreeMap<VarId, usize>,
    writes: BTreeMap<BufferId, usize>,
    /// In a loop over elements.
    inside: bool,
    bytes: usize,
}

/// Where a value is made: a loop among the statements of a list, and a statement in it.
#[derive(Clone, Copy)]
struct Made {
    stmt: usize,
    at: usize,
    var: VarId,
    extent: i64,
}

impl Numbering<'_> {
    fn new(kernel: &mut Kernel) -> Numbering<'_> {
        let (vars, kinds) = (BTreeMap::from([(kernel.block, 0)]), vec![Kind::Uniform]);
        let (known, writes) = (HashMap::new(), BTreeMap::new());
        Numbering { kernel, known, kinds, vars, writes, inside: false, bytes: 0 }
    }

    /// Statements that run one after the other.
    fn list(&mut self, list: &mut [Stmt]) {
        let mut made: BTreeMap<usize, Made> = BTreeMap::new();
        let mut again: Vec<(Made, Made)> = Vec::new();
        for (position, stmt) in list.iter_mut().enumerate() {
            self.written(stmt);
            let extent = elements(stmt);
            match (&mut *stmt, extent) {
                (Stmt::Let { var, value }, _) => {
                    let number = self.number(value);
                    self.vars.insert(*var, number);
                }
                (Stmt::For { var, step, body, .. }, Some(extent)) => {
                    self.inside = true;
                    let counter = self.known(Key::Counter(extent), Kind::First);
                    self.vars.insert(*var, counter);
                    for (at, stmt) in body.iter().enumerate() {
                        let Stmt::Let { var, value } = stmt else { continue };
                        let number = self.number(value);
                        self.vars.insert(*var, number);
                        let whole = i64::from(self.kernel.vars[*var].ty.lanes) == *step;
                        if !whole || self.kinds[number] != Kind::Element {
                            continue;
                        }
                        let here = Made { stmt: position, at, var: *var, extent };
                        match made.get(&number) {
                            Some(first) if first.stmt != position => {
                                if takes_long(value) {
                                    again.push((*first, here));
                                }
                            }
                            Some(_) => {}
                            None => {
                                made.insert(number, here);
                            }
                        }
                    }
                    self.inside = false;
                }
                (Stmt::For { var, body, .. }, None) => {
                    let number = self.unknown(Kind::Uniform);
                    self.vars.insert(*var, number);
                    self.list(body);
                }
                _ => {}
            }
            self.written(stmt);
        }
        self.reuse(list, &again);
    }

    /// What a statement writes is another value from now on.
    fn written(&mut self, stmt: &Stmt) {
        visit_buffers(std::slice::from_ref(stmt), &mut |buffer, _, writes| {
            if writes {
                *self.writes.entry(buffer).or_default() += 1;
            }
        });
    }

    fn reuse(&mut self, list: &mut [Stmt], again: &[(Made, Made)]) {
        let mut rows: BTreeMap<VarId, BufferId> = BTreeMap::new();
        for (first, later) in again {
            let dtype = self.kernel.vars[first.var].ty.dtype;
            let row = match rows.get(&first.var) {
                Some(row) => *row,
                None => {
                    let bytes = first.extent as usize * dtype.size();
                    if self.bytes + bytes > MAX_BYTES {
                        continue;
                    }
                    self.bytes += bytes;
                    let row = self.kernel.buffer("kept", dtype, vec![Dim::from(first.extent)], Space::Local);
                    rows.insert(first.var, row);
                    row
                }
            };
            let lanes = self.kernel.vars[later.var].ty.lanes;
            let Stmt::For { var, body, .. } = &mut list[later.stmt] else { continue };
            let value = Expr::Load { buffer: row, index: vec![Expr::Var(*var)], lanes, mask: None };
            body[later.at] = Stmt::Let { var: later.var, value };
        }
        for stmt in list.iter_mut() {
            let Stmt::For { var: place, body, .. } = stmt else { continue };
            for at in (0..body.len()).rev() {
                if let Stmt::Let { var, .. } = &body[at]
                    && let Some(row) = rows.get(var)
                {
                    let (index, value) = (vec![Expr::Var(*place)], Expr::Var(*var));
                    body.insert(at + 1, Stmt::Store { buffer: *row, index, value, mask: None });
                }
            }
        }
        for (_, later) in again {
            if let Stmt::For { body, .. } = &mut list[later.stmt] {
                drop_unused(body);
            }
        }
    }

    fn known(&mut self, key: Key, kind: Kind) -> usize {
        let next = self.kinds.len();
        let number = *self.known.entry(key).or_insert(next);
        if number == next {
            self.kinds.push(kind);
        }
        number
    }

    /// The number of a value that equals no other.
    fn unknown(&mut self, kind: Kind) -> usize {
        self.kinds.push(kind);
        self.kinds.len() - 1
    }

    /// The number of what cannot be compared.
    fn opaque(&mut self, expr: &Expr) -> usize {
        let wide = self.kernel.ty(expr).lanes > 1;
        self.unknown(match self.inside {
            true if wide => Kind::Element,
            true => Kind::First,
            false => Kind::Uniform,
        })
    }

    fn number(&mut self, expr: &Expr) -> usize {
        let hole = || Box::new(Expr::bool(false));
        match expr {
            Expr::Var(var) => match self.vars.get(var) {
                Some(number) => *number,
                None => self.opaque(expr),
            },
            Expr::Const(_) | Expr::Dim(_) => self.known(Key::Value(expr.clone(), vec![], 0), Kind::Uniform),
            Expr::Splat(x, _) => match self.number(x) {
                number if self.kinds[number] == Kind::Uniform => number,
                _ => self.opaque(expr),
            },
            Expr::Ramp { base, stride, .. } => {
                let base = self.number(base);
                if self.kinds[base] != Kind::First {
                    return self.opaque(expr);
                }
                let shape = Expr::Ramp { base: hole(), stride: *stride, lanes: 0 };
                self.known(Key::Value(shape, vec![base], 0), Kind::Element)
            }
            Expr::Load { buffer, index, lanes, mask: None } => {
                let parts: Vec<usize> = index.iter().map(|index| self.number(index)).collect();
                let has = |kind| parts.iter().any(|part| self.kinds[*part] == kind);
                let kind = match (*lanes > 1, has(Kind::First), has(Kind::Element)) {
                    (false, false, false) => Kind::Uniform,
                    (false, true, false) => Kind::First,
                    (true, true, false) | (true, false, true) => Kind::Element,
                    _ => return self.opaque(expr),
                };
                let consecutive = u16::from(*lanes > 1 && !has(Kind::Element));
                let shape = Expr::Load { buffer: *buffer, index: vec![], lanes: consecutive, mask: None };
                let writes = self.writes.get(buffer).copied().unwrap_or_default();
                self.known(Key::Value(shape, parts, writes), kind)
            }
            Expr::Unary(op, x) => self.operation(expr, Expr::Unary(*op, hole()), &[x]),
            Expr::Cast(dtype, x) => self.operation(expr, Expr::Cast(*dtype, hole()), &[x]),
            Expr::Binary(op, a, b) => self.operation(expr, Expr::Binary(*op, hole(), hole()), &[a, b]),
            Expr::Fma(a, b, c) => self.operation(expr, Expr::Fma(hole(), hole(), hole()), &[a, b, c]),
            Expr::Select(a, b, c) => self.operation(expr, Expr::Select(hole(), hole(), hole()), &[a, b, c]),
            _ => self.opaque(expr),
        }
    }

    fn operation(&mut self, expr: &Expr, shape: Expr, operands: &[&Expr]) -> usize {
        let parts: Vec<usize> = operands.iter().map(|operand| self.number(operand)).collect();
        let has = |kind| parts.iter().any(|part| self.kinds[*part] == kind);
        let kind = match (has(Kind::First), has(Kind::Element)) {
            (false, false) => Kind::Uniform,
            (true, false) => Kind::First,
            (false, true) => Kind::Element,
            (true, true) => return self.opaque(expr),
        };
        self.known(Key::Value(shape, parts, 0), kind)
    }
}

/// How many elements a loop does something for, if it walks them in whole vectors and is no loop of loops.
pub fn elements(stmt: &Stmt) -> Option<i64> {
    let Stmt::For { from, to, step, kind: LoopKind::Serial, body, .. } = stmt else { return None };
    let simple = |stmt: &Stmt| matches!(stmt, Stmt::Let { .. } | Stmt::Assign { .. } | Stmt::Store { .. });
    let whole = *step > 1 && from.as_int() == Some(0) && body.iter().all(simple);
    constant(to).filter(|to| whole && *to > 0 && to % step == 0)
}

/// Whether working it out takes longer than reading it.
fn takes_long(value: &Expr) -> bool {
    let mut found = false;
    visit_expr(value, &mut |e| {
        found |= match e {
            Expr::Unary(op, _) => !matches!(
                op,
                Unary::Neg
                    | Unary::Abs
                    | Unary::Sign
                    | Unary::Not
                    | Unary::Floor
                    | Unary::Ceil
                    | Unary::Round
                    | Unary::Sqrt
                    | Unary::IsNan
                    | Unary::IsInf
                    | Unary::IsFinite
            ),
            Expr::Binary(op, ..) => matches!(op, Binary::Pow | Binary::Atan2),
            _ => false,
        }
    });
    found
}

fn constant(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Dim(dim) => dim.as_const(),
        expr => expr.as_int(),
    }
}

/// Leaves out names that nothing uses any more.
fn drop_unused(body: &mut Vec<Stmt>) {
    for at in (0..body.len()).rev() {
        if let Stmt::Let { var, .. } = &body[at] {
            let mut used = false;
            visit_stmts(&body[at + 1..], &mut |expr| used |= uses(expr, *var));
            if !used {
                body.remove(at);
            }
        }
    }
}
