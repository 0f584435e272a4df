//! Which results of a function depend on which of its parameters through floats alone.

use graph::{Function, Op, ops};

/// For each result, for each parameter.
pub(crate) fn float_dependence(function: &Function) -> Vec<Vec<bool>> {
    let n_params = function.params.len();
    let of_result = |value: graph::NodeId| {
        let mut reached = vec![false; value.index() + 1];
        let mut params = vec![false; n_params];
        reached[value.index()] = true;
        for id in (0..=value.index()).rev().map(graph::NodeId::new) {
            let node = &function.nodes[id];
            let carries = node.op.is_tuple() || node.ty().dtype.is_float();
            if !reached[id.index()] || !carries || matches!(node.op, Op::StopGradient(_)) {
                continue;
            }
            if let Op::Parameter(parameter) = &node.op {
                params[parameter.index] = true;
            }
            for input in &node.inputs {
                reached[input.index()] = true;
            }
        }
        params
    };
    function.results.iter().map(|(_, _, value)| of_result(*value)).collect()
}

/// What depends on the chosen parameters of a scan's body, from step to step: the parameters, with the carried values that
/// come to depend on them, and the results.
pub(crate) fn through_steps(
    dependence: &[Vec<bool>],
    carried: usize,
    mut params: Vec<bool>,
) -> (Vec<bool>, Vec<bool>) {
    loop {
        let depends = |row: &Vec<bool>| row.iter().zip(&params).any(|(on, chosen)| *on && *chosen);
        let results: Vec<bool> = dependence.iter().map(depends).collect();
        let grown: Vec<bool> = (0..params.len())
            .map(|index| params[index] || index < carried && results.get(index) == Some(&true))
            .collect();
        if grown == params {
            return (params, results);
        }
        params = grown;
    }
}

/// The parameters of a scan's body that the chosen results depend on, from step to step; a carried value that one of them
/// depends on counts as chosen itself.
pub(crate) fn back_through_steps(
    dependence: &[Vec<bool>],
    carried: usize,
    mut results: Vec<bool>,
) -> (Vec<bool>, Vec<bool>) {
    let n_params = dependence.first().map_or(0, Vec::len);
    loop {
        let is_read =
            |param: usize| dependence.iter().zip(&results).any(|(row, chosen)| *chosen && row[param]);
        let params: Vec<bool> = (0..n_params).map(is_read).collect();
        let grown: Vec<bool> = (0..results.len())
            .map(|index| results[index] || index < carried && params.get(index) == Some(&true))
            .collect();
        if grown == results {
            return (params, results);
        }
        results = grown;
    }
}

/// The flags of a node's operands as flags of the body's parameters.
pub(crate) fn of_params(scan: &ops::Scan, operands: &[bool], n_params: usize) -> Vec<bool> {
    let mut params = vec![false; n_params];
    for (operand, flag) in operands.iter().enumerate() {
        if let Some(param) = params.get_mut(scan.param_of(operand)) {
            *param |= flag;
        }
    }
    params
}
