//! How much work a function of the graph is, as formulas of its dimensions.

use graph::{FuncId, Function, Module, Op, Type};
use kernel::DType;
use shape::{Dim, Facts, Symbol};
use std::collections::BTreeMap;

/// Work and traffic of one call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Floating-point operations; a multiply-add is two.
    pub flops: Dim,
    /// Bytes that operands and results take, each counted once.
    pub bytes: Dim,
}

pub fn cost(module: &Module, function: FuncId, float: DType) -> Cost {
    let function = &module.functions[function];
    let size = |ty: &Type| ty.shape.elements() * ty.dtype.concrete(float).size() as i64;
    let params: Dim = function.params.iter().map(|param| size(&param.ty)).sum();
    let results: Dim = function.results.iter().map(|(_, _, id)| size(function.ty(*id))).sum();
    Cost { flops: flops(module, function), bytes: params + results }
}

fn flops(module: &Module, function: &Function) -> Dim {
    let mut total = Dim::default();
    for node in function.nodes.values() {
        total += match &node.op {
            Op::Contract(contract) => contract.extents.iter().product::<Dim>() * 2,
            Op::Reduce(_) => function.ty(node.inputs[0]).shape.elements(),
            Op::Unary(_) | Op::Binary(_) | Op::Select(_) if node.ty().dtype.is_float() => {
                node.ty().shape.elements()
            }
            Op::ScatterAdd(_) | Op::Random(_) => node.ty().shape.elements(),
            Op::Call(call) => {
                let callee = &module.functions[call.callee];
                let operands: Vec<&Type> = node.inputs.iter().map(|id| function.ty(*id)).collect();
                flops(module, callee).substitute(&bindings(callee, &operands))
            }
            Op::Scan(scan) => {
                let callee = &module.functions[scan.body];
                let operands: Vec<&Type> = node.inputs.iter().map(|id| function.ty(*id)).collect();
                let of_step = scan.step_types(&operands);
                let operands: Vec<&Type> = of_step.iter().collect();
                flops(module, callee).substitute(&bindings(callee, &operands)) * &scan.count
            }
            // The dearer branch.
            Op::Cond(cond) => {
                let operands: Vec<&Type> = node.inputs.iter().skip(1).map(|id| function.ty(*id)).collect();
                let of = |body: FuncId| {
                    let body = &module.functions[body];
                    flops(module, body).substitute(&bindings(body, &operands))
                };
                Dim::max(&of(cond.then), &of(cond.otherwise))
            }
            // As many steps as it may take; one where there is no limit.
            Op::While(repeat) => {
                let operands: Vec<&Type> = node.inputs.iter().map(|id| function.ty(*id)).collect();
                let of = |body: FuncId| {
                    let body = &module.functions[body];
                    flops(module, body).substitute(&bindings(body, &operands))
                };
                let steps = repeat.limit.clone().unwrap_or_else(|| Dim::from(1i64));
                (of(repeat.condition) + of(repeat.body)) * steps
            }
            _ => continue,
        };
    }
    total
}

/// The callee's dimension variables in the caller's terms.
fn bindings(callee: &Function, operands: &[&Type]) -> BTreeMap<Symbol, Dim> {
    let mut solved = BTreeMap::new();
    let facts = Facts::default();
    for (param, operand) in callee.params.iter().zip(operands) {
        for (pattern, value) in param.ty.shape.iter().zip(operand.shape.iter()) {
            let open: Vec<Symbol> =
                pattern.symbols().into_iter().filter(|it| !solved.contains_key(it)).collect();
            if let [symbol] = open.as_slice()
                && let Some(dim) = shape::solve(&pattern.substitute(&solved), symbol, value, &facts)
            {
                solved.insert(symbol.clone(), dim);
            }
        }
    }
    solved
}
