//! The sizes of a plan: a function that tells how much its caller has to provide.

use super::Context;
use crate::Error;
use crate::emit::dims::Dims;
use crate::ir::{Ir, Value};
use kernel::Plan;
use llvm_sys::LLVMIntPredicate::*;
use shape::Dim;
use std::collections::BTreeMap;

/// `void NAME_shapes(ptr dims, ptr out)`: bytes of workspace, then the size of every axis of every argument and of
/// every result. All are -1 where one does not fit 64 bits.
///
/// Each distinct size is computed once; a loop spreads them by a constant list of which one goes where, so the code is
/// as long as the sizes are many, whatever the number of weights.
pub(super) fn emit(ir: &Ir, context: &Context<'_>, plan: &Plan) -> Result<(), Error> {
    let ty = ir.function_type(ir.void(), &[ir.ptr(), ir.ptr()]);
    let function = ir.declare(&format!("{}_shapes", plan.name), ty);
    context.target.mark(ir, function);
    let start = ir.open(function);
    let (array, out) = (ir.parameter(0), ir.parameter(1));
    let dims = Dims::checked(ir, array, &plan.symbols);
    let axes = plan.args.iter().chain(&plan.results).flat_map(|arg| &arg.shape);
    let mut known: BTreeMap<&Dim, usize> = BTreeMap::new();
    let mut distinct: Vec<Value> = Vec::new();
    let mut which: Vec<Value> = Vec::new();
    for size in std::iter::once(&plan.workspace).chain(axes) {
        let index = match known.get(size) {
            Some(index) => *index,
            None => {
                known.insert(size, distinct.len());
                distinct.push(dims.value(size)?);
                distinct.len() - 1
            }
        };
        which.push(ir.const_int(ir.int(32), index as i64));
    }
    // What is allocated on the way has to fit too.
    for bytes in plan.slots().values() {
        dims.value(bytes)?;
    }
    let sizes = ir.alloca(ir.array(ir.int(64), distinct.len() as u64), 8);
    let place = ir.alloca(ir.int(64), 8);
    ir.at(start);
    for (index, size) in distinct.into_iter().enumerate() {
        let size = ir.select(dims.failed(), ir.i64(-1), size);
        ir.store(size, ir.element(ir.int(64), sizes, ir.i64(index as i64)), 8);
    }
    let count = which.len() as i64;
    let name = format!("{}.sizes", plan.name);
    let which = ir.constant(&name, ir.const_array(ir.int(32), &which), 4, false);
    ir.store(ir.i64(0), place, 8);
    let (each, after) = (ir.block(), ir.block());
    ir.jump(each);
    ir.at(each);
    let index = ir.load(ir.int(64), place, 8);
    let chosen = ir.load(ir.int(32), ir.element(ir.int(32), which, index), 4);
    let size = ir.element(ir.int(64), sizes, ir.zext(chosen, ir.int(64)));
    ir.store(ir.load(ir.int(64), size, 8), ir.element(ir.int(64), out, index), 8);
    let next = ir.add(index, ir.i64(1));
    ir.store(next, place, 8);
    // At least the workspace's size is there.
    ir.branch(ir.icmp(LLVMIntSLT, next, ir.i64(count)), each, after);
    ir.at(after);
    ir.ret(None);
    ir.close_entry(start);
    Ok(())
}
