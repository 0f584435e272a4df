//! Rows are asked for while the ones before them are worked on. A kernel that reads a row from memory, and then works on
//! it in the cache, lets the memory rest meanwhile: processors look ahead no further than a page.

use crate::{draft::DraftStep, kept::elements};
use kernel::{Binary, BufferId, Expr, Kernel, Space, Stmt, VarId};
use shape::Dim;

/// Shorter rows are found ahead by the processor, mostly, and longer ones would leave the cache before they are wanted.
const ROW_BYTES: std::ops::RangeInclusive<i64> = 8 << 10..=256 << 10;
/// What is smaller lies in a cache already.
const LEAST_BYTES: i64 = 4 << 20;
const LINE: i64 = 64;

/// Asks ahead in kernels that are made row by row.
pub fn ask(steps: &mut [DraftStep]) {
    for step in steps {
        if let DraftStep::Call(call) = step
            && call.rowwise.is_some()
        {
            let mut body = std::mem::take(&mut call.kernel.body);
            list(&call.kernel, &mut body);
            call.kernel.body = body;
        }
    }
}

/// In the second loop over the elements of a row, which finds them in the cache, the next row is asked for.
fn list(kernel: &Kernel, list: &mut [Stmt]) {
    let mut read: Vec<(BufferId, i64)> = Vec::new();
    let mut asked: Vec<BufferId> = Vec::new();
    for stmt in list {
        let extent = elements(stmt);
        let Stmt::For { var, body, .. } = stmt else { continue };
        let Some(extent) = extent else {
            self::list(kernel, body);
            continue;
        };
        let mut at = 0;
        while at < body.len() {
            let row = row(kernel, &body[at], *var, extent);
            at += 1;
            let Some((buffer, index, lanes)) = row else { continue };
            if !read.contains(&(buffer, extent)) {
                read.push((buffer, extent));
            } else if !asked.contains(&buffer) {
                asked.push(buffer);
                let line = LINE / kernel.buffers[buffer].dtype.size() as i64;
                for first in (0..lanes).step_by(line as usize) {
                    let index = vec![index.clone().add(Expr::int(extent + first))];
                    body.insert(at, Stmt::Prefetch { buffer, index });
                    at += 1;
                }
            }
        }
    }
}

/// The buffer, first element and number of lanes, if a statement reads part of a row of a large input.
fn row(kernel: &Kernel, stmt: &Stmt, var: VarId, extent: i64) -> Option<(BufferId, Expr, i64)> {
    let Stmt::Let { value: Expr::Load { buffer, index, lanes, mask: None }, .. } = stmt else { return None };
    let [index] = index.as_slice() else { return None };
    let of = &kernel.buffers[*buffer];
    let size = of.dtype.size() as i64;
    let elements = of.shape.iter().cloned().product::<Dim>();
    // Of what is dynamic nothing is known: mostly it is large where it matters.
    let large = elements.as_const().is_none_or(|n| n.saturating_mul(size) >= LEAST_BYTES);
    let Expr::Binary(Binary::Add, start, place) = index else { return None };
    let rows = matches!(&**start, Expr::Binary(Binary::Mul, _, stride) if stride.as_int() == Some(extent));
    let walks = **place == Expr::Var(var) && *lanes > 1;
    let fits = of.space == Space::Input && large && ROW_BYTES.contains(&extent.saturating_mul(size));
    (rows && walks && fits).then(|| (*buffer, index.clone(), i64::from(*lanes)))
}
