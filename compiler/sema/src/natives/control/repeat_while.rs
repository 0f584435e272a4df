//! `loop(cond, body, carry…, max: n)`: a function applied as long as a condition on what it gives holds.

use super::{Carried, result_place, results_told};
use crate::{
    call::Arg,
    checker::Checker,
    natives::Args,
    outline::{Given, StepCounter},
    value::Value,
};
use base::{Diagnostic, Span};
use graph::{DType, NodeId, Type, ops};
use shape::Dim;
use std::collections::BTreeSet;

impl<'p> Checker<'p> {
    pub(in crate::natives) fn repeat_while(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let span = args.span;
        let mut condition = self.function_arg(args, "cond")?;
        let mut body = self.function_arg(args, "body")?;
        let limit = self.limit(args)?;
        let init = args.rest();
        if init.is_empty() {
            let message = "`loop` carries at least one value: `loop(cond, body, init)`";
            self.error("E0208", span, message, "nothing is carried");
            return None;
        }
        let mut carried = Vec::new();
        for arg in &init {
            carried.push(self.carried(&arg.value, arg.span)?);
        }
        let number = self.lane(&Type::scalar(DType::I64), span)?;
        let aliases = self.alias_states(&mut [&mut condition, &mut body], span)?;
        // Condition and body are evaluated once each, on the same stand-ins.
        let mark = self.begin_body();
        self.frame().steps.push(StepCounter { number, path: None });
        let test = self.loop_condition(&condition, &carried, span);
        let tested = self.frame().steps.pop().is_some_and(|step| step.path.is_some());
        let of_condition = self.end_body(mark);
        let mark = self.begin_body();
        self.frame().steps.push(StepCounter { number, path: None });
        let next = if test.is_some() { self.loop_step(&body, &carried, span) } else { None };
        let drawn = self.frame().steps.pop().is_some_and(|step| step.path.is_some());
        let of_body = self.end_body(mark);
        self.drop_aliases(&aliases);
        let (test, next) = (test?, next?);
        for part in [&of_condition, &of_body] {
            self.asserts_nothing(part, span)?;
            self.no_moments(part, "`loop`", span)?;
        }
        if let Some(state) = of_condition.states.first() {
            let message = format!("the condition of `loop` writes the state `{}`", state.name);
            let label = "a condition is only tested; write states in the body";
            self.error("E0413", span, message, label);
            return None;
        }

        let named =
            |(index, carried): (usize, &Carried)| Given::new(format!("carry{index}"), carried.stand_in);
        let mut given: Vec<Given> = carried.iter().enumerate().map(named).collect();
        let mut operands: Vec<NodeId> = carried.iter().map(|carried| carried.first).collect();
        let (states, of_states) = self.state_stand_ins(&of_body.states, &aliases);
        given.extend(states);
        operands.extend(of_states);
        let mut outputs = next;
        outputs.extend(of_body.states.iter().map(|state| state.after));
        if tested || drawn {
            given.push(Given::new("step", number));
            operands.push(self.scalar(DType::I64, 0.0));
            let one = self.scalar(DType::I64, 1.0);
            outputs.push(self.add(ops::Binary { op: kernel::Binary::Add }, &[number, one], span)?);
        }
        let n_carried = given.len();
        let captured: BTreeSet<NodeId> = (self.captures(&of_condition, &given, &[test]).into_iter())
            .chain(self.captures(&of_body, &given, &outputs))
            .collect();
        let captured: Vec<NodeId> = captured.into_iter().collect();
        given.extend(self.fixed(&captured));
        operands.extend(&captured);
        let condition = self.outlined("loop_condition", &of_condition, &given, &[test]);
        let condition = self.add_function(condition);
        let body = self.outlined("loop_body", &of_body, &given, &outputs);
        let body = self.add_function(body);
        let results =
            self.results(ops::While { condition, body, carried: n_carried, limit }, &operands, span)?;
        for (carried, result) in carried.iter().zip(&results) {
            let origins = (0..self.ty(*result).rank()).map(|axis| self.origin(carried.first, axis)).collect();
            self.set_origins(*result, origins);
        }
        for (state, value) in of_body.states.iter().zip(&results[carried.len()..]) {
            self.settle_state(&state.name, *value);
        }
        Some(match &results[..carried.len()] {
            [one] => Value::Tensor(*one),
            several => Value::tuple(several.iter().map(|id| Value::Tensor(*id)).collect()),
        })
    }

    /// `max: n`, at least 0.
    fn limit(&mut self, args: &mut Args<'p>) -> Option<Option<Dim>> {
        let Some(arg) = args.named("max") else { return Some(None) };
        match &arg.value {
            Value::Int(_) | Value::Dim(_) => Some(Some(self.value_to_dim(&arg.value, arg.span)?)),
            other => {
                let message =
                    format!("`max` counts steps and is known while compiling, but this is {}", other.kind());
                self.error("E0401", arg.span, message, other.kind());
                None
            }
        }
    }

    fn loop_args(carried: &[Carried]) -> Vec<Arg<'p>> {
        let arg = |carried: &Carried| Arg::positional(Value::Tensor(carried.stand_in), carried.span);
        carried.iter().map(arg).collect()
    }

    fn loop_condition(&mut self, function: &Value<'p>, carried: &[Carried], span: Span) -> Option<NodeId> {
        let value = self.apply(function.clone(), Self::loop_args(carried), span, span);
        if value.is_error() {
            return None;
        }
        let place = result_place(function, 0, 1, span);
        let id = self.tensor(&value, Some(DType::BOOL), place)?;
        self.truth(id, "the condition of `loop`", place)
    }

    /// One bool, as a condition at run time is.
    pub fn truth(&mut self, id: NodeId, what: &str, span: Span) -> Option<NodeId> {
        let ty = self.ty(id).clone();
        if ty.dtype.is_bool() && ty.rank() == 0 {
            return Some(id);
        }
        let help = if ty.dtype.is_bool() {
            "`all(…)` or `any(…)` makes one of it; `select(c, a, b)` chooses element by element"
        } else {
            "compare first, as in `x > 0`"
        };
        let message = format!("{what} is a single bool, but this is {ty}");
        self.report(Diagnostic::error("E0302", message).label(span, format!("this is {ty}")).help(help));
        None
    }

    fn loop_step(&mut self, function: &Value<'p>, carried: &[Carried], span: Span) -> Option<Vec<NodeId>> {
        let value = self.apply(function.clone(), Self::loop_args(carried), span, span);
        if value.is_error() {
            return None;
        }
        let count = carried.len();
        let parts = match &value {
            Value::Tuple(parts) if parts.len() == count => parts.to_vec(),
            value if count == 1 && !matches!(value, Value::Tuple(_)) => vec![value.clone()],
            other => {
                let have = results_told(other);
                let message = format!(
                    "the body of `loop` gives the {count} values that it takes, but this gives {have}"
                );
                let place = result_place(function, 0, 1, span);
                return self.wrong_number(message, &format!("{have} instead of {count}"), place, carried);
            }
        };
        let mut next = Vec::new();
        for (index, (carried, value)) in carried.iter().zip(&parts).enumerate() {
            let place = result_place(function, index, count, span);
            next.push(self.comes_back(carried, value, ("loop", index + 1), place)?);
        }
        Some(next)
    }
}
