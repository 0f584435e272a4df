//! Calls of the system's mathematical library, lane by lane.

use super::Math;
use crate::ir::Value;
use llvm_sys::LLVMIntPredicate::LLVMIntSLT;

impl Math<'_> {
    pub(super) fn call1(&self, name: &str, x: Value) -> Value {
        self.library(name, &[x])
    }

    pub(super) fn call2(&self, name: &str, x: Value, y: Value) -> Value {
        self.library(name, &[x, y])
    }

    fn library(&self, name: &str, arguments: &[Value]) -> Value {
        let ir = self.ir;
        let element = if self.double { ir.f64() } else { ir.f32() };
        let size = if self.double { 8 } else { 4 };
        let name = if self.double { name.to_owned() } else { format!("{name}f") };
        let ty = ir.function_type(element, &vec![element; arguments.len()]);
        let function = ir.declare(&name, ty);
        ir.flag(function, "nounwind");
        // Not to be folded: the compiler's machine and the one that runs must agree.
        ir.flag(function, "nobuiltin");
        if self.lanes == 1 {
            return ir.call(ty, function, arguments);
        }
        let slots: Vec<Value> = arguments
            .iter()
            .map(|argument| {
                let slot = ir.alloca(self.float, 64);
                ir.store(*argument, slot, 64);
                slot
            })
            .collect();
        let result = ir.alloca(self.float, 64);
        let (before, body, after) = (ir.here(), ir.block(), ir.block());
        ir.jump(body);
        ir.at(body);
        let lane = ir.phi(ir.int(64), &[(ir.i64(0), before)]);
        let arguments: Vec<Value> =
            slots.iter().map(|slot| ir.load(element, ir.element(element, *slot, lane), size)).collect();
        let value = ir.call(ty, function, &arguments);
        ir.store(value, ir.element(element, result, lane), size);
        let next = ir.add(lane, ir.i64(1));
        ir.add_incoming(lane, &[(next, body)]);
        ir.branch(ir.icmp(LLVMIntSLT, next, ir.i64(i64::from(self.lanes))), body, after);
        ir.at(after);
        ir.load(self.float, result, 64)
    }
}
