//! Drop what no result needs: in `a = exp(x); b = neg(x); return b` the line of `a` goes.
//! Keeps: parameters, requirements on dimensions. An index out of bounds in a dropped node is no longer reported.

use crate::{
    Changed, Pass, PassCx,
    rebuild::{each_function, live_nodes, rebuild},
};
use graph::Module;

pub const PASS: Pass = Pass { name: "dce", summary: "drop nodes that no result needs", run };

fn run(module: &mut Module, cx: &PassCx<'_>) -> Result<Changed, String> {
    each_function(module, cx, |module, function| {
        let dead = live_nodes(function).contains(&false);
        rebuild(module, function, |_, _| Ok(None))?;
        Ok(Changed::when(dead))
    })
}
