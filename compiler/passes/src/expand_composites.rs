//! Put the definition of a composite in the place of each call of it, late: until here `call @softmax x` could be met
//! by name. Composites for which the target has a kernel of its own stay.

use crate::{Changed, Pass, PassCx, inline::expand_calls};
use graph::Module;

pub const PASS: Pass = Pass {
    name: "expand_composites",
    summary: "put definitions in the place of composites without a kernel",
    run,
};

fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    expand_calls(module, cx, |callee| {
        callee.composite.as_ref().is_none_or(|name| !cx.keep_composites.contains(name))
    })
}
