//! Put the build's dtype in the place of `float`: `float[n]` becomes `f32[n]`.
//! Conversions that thereby change nothing are dropped, constants are rounded.

use crate::{Changed, Pass, PassCx, rebuild::rebuild};
use graph::{DType, Function, Module, Op, Type, interp::round};

pub const PASS: Pass =
    Pass { name: "precision", summary: "put the build's dtype in the place of `float`", run };

/// All functions change, because types of a call are those of the callee.
fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    let float = DType::Of(cx.float);
    let mut changed = Changed::No;
    for id in module.functions.ids() {
        let mut function = std::mem::replace(&mut module.functions[id], Function::new(""));
        for param in &mut function.params {
            changed = changed.or(choose(&mut param.ty, float));
        }
        for (_, node) in function.nodes.iter_mut() {
            for ty in &mut node.types {
                changed = changed.or(choose(ty, float));
            }
            node.op = node.op.clone().choose_float(float);
            if let Op::Constant(constant) = &mut node.op {
                let dtype = constant.dtype.concrete(cx.float);
                for bits in &mut constant.bits {
                    *bits = round(f64::from_bits(*bits), dtype).to_bits();
                }
            }
        }
        let result = rebuild(module, &mut function, |b, node| match &node.op {
            Op::Cast(cast) if b.dtype(node.inputs[0]) == cast.to => Ok(Some(node.inputs[0])),
            _ => Ok(None),
        });
        module.functions[id] = function;
        changed = changed.or(result?);
    }
    Ok(changed)
}

fn choose(ty: &mut Type, float: DType) -> Changed {
    let is_open = ty.dtype == DType::Float;
    if is_open {
        ty.dtype = float;
    }
    Changed::when(is_open)
}
