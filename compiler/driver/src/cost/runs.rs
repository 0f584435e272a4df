//! The functions that an operation runs.

use graph::{FuncId, Function, Node, Op, Type};
use shape::Dim;
use std::ops::Range;

/// One function that an operation runs.
pub(super) struct Body {
    pub id: FuncId,
    /// What it is given each time.
    pub operands: Vec<Type>,
    /// Parameters that are the same each time.
    pub fixed: Range<usize>,
}

#[derive(Default)]
pub(super) struct Runs {
    pub bodies: Vec<Body>,
    /// How often each runs; a loop as often as it may, once where there is no limit.
    pub times: Dim,
    /// Whether only one of them runs.
    pub alternatives: bool,
}

pub(super) fn runs(function: &Function, node: &Node) -> Runs {
    let types = || node.inputs.iter().map(|id| function.ty(*id).clone());
    let one = || Dim::from(1i64);
    match &node.op {
        Op::Call(call) => {
            let body = Body { id: call.callee, operands: types().collect(), fixed: 0..0 };
            Runs { bodies: vec![body], times: one(), alternatives: false }
        }
        Op::Scan(scan) => {
            let inputs: Vec<&Type> = node.inputs.iter().map(|id| function.ty(*id)).collect();
            let fixed = scan.carried..scan.carried + scan.fixed;
            let body = Body { id: scan.body, operands: scan.step_types(&inputs), fixed };
            Runs { bodies: vec![body], times: scan.count.clone(), alternatives: false }
        }
        Op::Cond(cond) => {
            let body = |id: FuncId| Body { id, operands: types().skip(1).collect(), fixed: 0..0 };
            Runs { bodies: vec![body(cond.then), body(cond.otherwise)], times: one(), alternatives: true }
        }
        Op::While(repeat) => {
            let fixed = repeat.carried..node.inputs.len();
            let body = |id: FuncId| Body { id, operands: types().collect(), fixed: fixed.clone() };
            Runs {
                bodies: vec![body(repeat.condition), body(repeat.body)],
                times: repeat.limit.clone().unwrap_or_else(one),
                alternatives: false,
            }
        }
        _ => Runs::default(),
    }
}
