//! Results that are larger than caches are written past them: a line that is written whole need not be read first, and
//! what is in the cache stays. Only whole aligned lines, or large parts of them, are written so.

use crate::Target;
use kernel::{
    Binary, BufferId, Const, Expr, Kernel, Space, Stmt, Ty, VarId, transform::visit_expr,
    transform::visit_stmts,
};
use shape::Dim;

/// As large as the last caches of common processors: nothing of the beginning is left at the end.
const LARGE_BYTES: i64 = 32 << 20;
const LINE: i64 = 64;
/// Parts of lines that are worth it.
const LEAST_BYTES: i64 = 32;

/// Which buffers of a kernel are written past caches where their addresses are those of lines.
pub struct Streams {
    buffers: Vec<BufferId>,
    /// What divides each variable; 0 where all does.
    divisors: Vec<i64>,
}

impl Streams {
    /// None where there are no such buffers.
    pub fn of(kernel: &Kernel, target: &Target) -> Option<Streams> {
        // Elsewhere the order of such writes is another matter.
        if !target.triple.starts_with("x86_64") {
            return None;
        }
        let mut streams = Streams { buffers: Vec::new(), divisors: Vec::new() };
        let large = |id: BufferId| {
            let buffer = &kernel.buffers[id];
            let elements = buffer.shape.iter().cloned().product::<Dim>().as_const();
            let bytes = elements.and_then(|n| n.checked_mul(buffer.dtype.size() as i64));
            buffer.space == Space::Output
                && buffer.shape.len() == 1
                && bytes.is_some_and(|n| n >= LARGE_BYTES)
        };
        let candidates: Vec<BufferId> =
            kernel.buffers.iter().map(|(id, _)| id).filter(|id| large(*id)).collect();
        if candidates.is_empty() {
            return None;
        }
        streams.divisors = divisors(kernel);
        let mut whole = Vec::new();
        streams.stores(kernel, &kernel.body, &mut whole);
        let mut read = Vec::new();
        visit_stmts(&kernel.body, &mut |expr| {
            visit_expr(expr, &mut |e| {
                if let Expr::Load { buffer, .. } = e {
                    read.push(*buffer);
                }
            });
        });
        let fits = |id: &BufferId| whole.contains(id) && !read.contains(id);
        streams.buffers = candidates.into_iter().filter(fits).collect();
        (!streams.buffers.is_empty()).then_some(streams)
    }

    pub fn buffers(&self) -> &[BufferId] {
        &self.buffers
    }

    /// The alignment of a store that goes past caches, if the buffer begins with a line.
    pub fn alignment(&self, buffer: BufferId, index: &[Expr], ty: Ty) -> Option<u32> {
        if self.buffers.contains(&buffer) { self.whole_part(index, ty) } else { None }
    }

    fn whole_part(&self, index: &[Expr], ty: Ty) -> Option<u32> {
        let [index] = index else { return None };
        let first = match index {
            Expr::Ramp { base, stride: 1, lanes } if *lanes == ty.lanes => base,
            other => other,
        };
        let size = ty.dtype.size() as i64;
        let bytes = size * i64::from(ty.lanes);
        let part = bytes.min(LINE);
        let fits = bytes >= LEAST_BYTES && bytes % part == 0 && part.count_ones() == 1;
        (fits && divisor(first, &self.divisors).saturating_mul(size) % part == 0).then_some(part as u32)
    }

    /// The buffers that are written in whole parts of lines somewhere.
    fn stores(&self, kernel: &Kernel, body: &[Stmt], found: &mut Vec<BufferId>) {
        for stmt in body {
            match stmt {
                Stmt::Store { buffer, index, value, mask: None }
                    if self.whole_part(index, kernel.ty(value)).is_some() =>
                {
                    found.push(*buffer);
                }
                Stmt::For { body, .. } => self.stores(kernel, body, found),
                Stmt::If { then, otherwise, .. } => {
                    self.stores(kernel, then, found);
                    self.stores(kernel, otherwise, found);
                }
                _ => {}
            }
        }
    }
}

/// What divides each variable wherever it is bound: begun with everything, and lessened until nothing changes.
fn divisors(kernel: &Kernel) -> Vec<i64> {
    let mut found = vec![0; kernel.vars.len()];
    found[kernel.block.index()] = 1;
    loop {
        let before = found.clone();
        bind(&kernel.body, &mut found);
        if found == before {
            return found;
        }
    }
}

fn bind(body: &[Stmt], found: &mut [i64]) {
    let lessen = |var: VarId, by: i64, found: &mut [i64]| found[var.index()] = gcd(found[var.index()], by);
    for stmt in body {
        match stmt {
            Stmt::Let { var, value } => lessen(*var, divisor(value, found), found),
            Stmt::Register { var, .. } => lessen(*var, 1, found),
            Stmt::For { var, from, step, body, .. } => {
                lessen(*var, gcd(divisor(from, found), *step), found);
                bind(body, found);
            }
            Stmt::If { then, otherwise, .. } => {
                bind(then, found);
                bind(otherwise, found);
            }
            _ => {}
        }
    }
}

/// A number that divides the value; 0 for 0.
fn divisor(expr: &Expr, vars: &[i64]) -> i64 {
    match expr {
        Expr::Var(var) => vars[var.index()],
        Expr::Const(Const::Int(_, value)) => value.saturating_abs(),
        Expr::Dim(dim) => dim.as_const().map_or(1, i64::saturating_abs),
        Expr::Binary(Binary::Add | Binary::Sub | Binary::Min | Binary::Max, a, b) => {
            gcd(divisor(a, vars), divisor(b, vars))
        }
        // A power of two of it is all that matters, and does not overflow.
        Expr::Binary(Binary::Mul, a, b) => power(divisor(a, vars)).saturating_mul(power(divisor(b, vars))),
        _ => 1,
    }
}

/// The largest power of two that divides it, up to a line's.
fn power(a: i64) -> i64 {
    if a == 0 { 0 } else { gcd(a, LINE) }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
