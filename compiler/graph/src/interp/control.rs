//! Operators that run functions: the obvious loops.

use super::{Interpreter, bind};
use crate::{Array, EvalError, FuncId, Function, Node, Op, Type, ops};
use ndarray::{ArrayD, Axis, IxDyn};
use shape::{Dim, Symbol};
use std::{collections::BTreeMap, rc::Rc};

type Env = BTreeMap<Symbol, i64>;
type Values = Vec<Rc<Array>>;

impl Interpreter<'_, '_> {
    /// The results of a node that runs functions. `env` and `depth` are the caller's.
    pub(super) fn run_bodies(
        &mut self,
        node: &Node,
        operands: &[Rc<Array>],
        env: &Env,
        depth: usize,
    ) -> Result<Values, EvalError> {
        match &node.op {
            Op::Call(call) => self.enter(call.callee, operands, env, depth),
            Op::Scan(scan) => self.scan(scan, operands, &node.types, env, depth),
            Op::Cond(cond) => {
                let (condition, operands) = operands.split_first().ok_or_else(|| internal("a condition"))?;
                let body = if truth(condition) { cond.then } else { cond.otherwise };
                self.enter(body, operands, env, depth)
            }
            Op::While(repeat) => self.repeat(repeat, operands, env, depth),
            op => Err(EvalError(format!("`{}` runs no functions", op.name()))),
        }
    }

    fn enter(
        &mut self,
        function: FuncId,
        operands: &[Rc<Array>],
        env: &Env,
        depth: usize,
    ) -> Result<Values, EvalError> {
        let function = self.function(function)?;
        let env = bind::bind_call(function, operands, env)?;
        self.call(function, operands, &env, depth + 1)
    }

    fn scan(
        &mut self,
        scan: &ops::Scan,
        operands: &[Rc<Array>],
        types: &[Type],
        env: &Env,
        depth: usize,
    ) -> Result<Values, EvalError> {
        let count = extent(&scan.count, env)?;
        let body = self.function(scan.body)?;
        let parts = scan.operands(operands).ok_or_else(|| internal("the operands of a scan"))?;
        let n_stacked = body
            .results
            .len()
            .checked_sub(scan.carried + scan.table_results)
            .ok_or_else(|| internal("the results of a scan's body"))?;
        // Before they are computed, lest they fill the memory.
        let mut stacked = Vec::with_capacity(n_stacked);
        for ty in types.get(scan.carried..scan.carried + n_stacked).unwrap_or_default() {
            let shape = self.extents(ty, env)?;
            stacked.push(Array { dtype: ty.dtype, values: ArrayD::zeros(IxDyn(&shape)) });
        }
        let mut carried = parts.carried.to_vec();
        let mut kept = vec![Vec::new(); scan.table_results];
        let mut inner: Option<Env> = None;
        for step in 0..count {
            let at = if scan.reverse { count - 1 - step } else { step };
            let mut of_step = carried;
            of_step.extend(parts.fixed.iter().cloned());
            for array in parts.stacked {
                let values = array.values.index_axis(Axis(0), at).to_owned();
                of_step.push(Rc::new(Array { dtype: array.dtype, values }));
            }
            of_step.extend(parts.tables.iter().map(|table| table[at].clone()));
            // Shapes are the same in each step.
            let env = match &inner {
                Some(known) => known,
                None => inner.insert(bind::bind_call(body, &of_step, env)?),
            };
            let mut results = self.call(body, &of_step, env, depth + 1)?;
            let rest = results.split_off(scan.carried);
            carried = results;
            let (to_stack, to_keep) = rest.split_at(n_stacked);
            for (stack, value) in stacked.iter_mut().zip(to_stack) {
                stack.values.index_axis_mut(Axis(0), at).assign(&value.values);
            }
            for (table, value) in kept.iter_mut().zip(to_keep) {
                table.push(value.clone());
            }
        }
        let mut results = carried;
        results.extend(stacked.into_iter().map(Rc::new));
        for mut table in kept {
            if scan.reverse {
                table.reverse();
            }
            results.extend(table);
        }
        Ok(results)
    }

    fn repeat(
        &mut self,
        repeat: &ops::While,
        operands: &[Rc<Array>],
        env: &Env,
        depth: usize,
    ) -> Result<Values, EvalError> {
        let limit = repeat.limit.as_ref().map(|limit| extent(limit, env)).transpose()?;
        let (carried, fixed) =
            operands.split_at_checked(repeat.carried).ok_or_else(|| internal("the operands of a while"))?;
        let mut values = operands.to_vec();
        let mut carried = carried.to_vec();
        let mut steps = 0usize;
        while limit.is_none_or(|limit| steps < limit) {
            match self.enter(repeat.condition, &values, env, depth)?.as_slice() {
                [goes_on] if truth(goes_on) => {}
                [_] => break,
                _ => return Err(internal("a condition")),
            }
            if steps == self.options.max_steps {
                return Err(EvalError(format!(
                    "a loop of more than {steps} steps is over the limit of this run"
                )));
            }
            carried = self.enter(repeat.body, &values, env, depth)?;
            values.clear();
            values.extend(carried.iter().chain(fixed).cloned());
            steps += 1;
        }
        Ok(carried)
    }
}

impl<'a> Interpreter<'a, '_> {
    fn function(&self, id: FuncId) -> Result<&'a Function, EvalError> {
        let missing = || EvalError(format!("{id:?} is run, which the module does not have"));
        self.module.functions.get(id).ok_or_else(missing)
    }
}

fn truth(value: &Array) -> bool {
    value.values.first().is_some_and(|value| *value != 0.0)
}

fn extent(dim: &Dim, env: &Env) -> Result<usize, EvalError> {
    let value = bind::evaluate(dim, env)?;
    usize::try_from(value).map_err(|_| EvalError(format!("a loop has {value} steps: {dim}")))
}

fn internal(what: &str) -> EvalError {
    EvalError(format!("internal: {what} is not as verified"))
}
