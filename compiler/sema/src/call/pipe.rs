//! Pipes: a value goes into a layer or function, and a layer into the next one of a chain.

use super::{Arg, configures, with_base};
use crate::{
    checker::Checker,
    value::{Layer, Value},
};
use base::Span;
use grammar::ast::{self, ExprKind};
use std::rc::Rc;

impl<'p> Checker<'p> {
    pub fn pipe(&mut self, input: &'p ast::Expr, stages: &'p [ast::Expr]) -> Value<'p> {
        let mut value = self.expr(input);
        let mut span = input.span;
        for stage in stages {
            value = self.stage(value, span, stage);
            span = span.to(stage.span);
        }
        value
    }

    fn stage(&mut self, input: Value<'p>, input_span: Span, stage: &'p ast::Expr) -> Value<'p> {
        let peeled = stage.peel();
        // A pipe whose input is itself a layer composes layers.
        if let Value::Layer(_) | Value::Instance(_) = &input {
            let next = self.expr(peeled);
            if next.is_error() {
                return Value::Error;
            }
            let mut stages = match &input {
                Value::Layer(first) => match &**first {
                    Layer::Chain(stages) => stages.clone(),
                    _ => vec![input.clone()],
                },
                _ => vec![input.clone()],
            };
            stages.push(next);
            return self.bounded(Value::Layer(Rc::new(Layer::Chain(stages))), input_span.to(stage.span));
        }
        let first = Arg::positional(input, input_span);
        if let ExprKind::Call { callee, args, .. } = &peeled.kind {
            if let Some(base) = with_base(callee) {
                let instance = self.with_call(base, args, peeled.span);
                return self.apply(instance, vec![first], peeled.span, peeled.span);
            }
            let target = self.expr(callee);
            if let Value::Native("grad") = target {
                return self.error(
                    "E0312",
                    callee.span,
                    "`grad` takes no piped input",
                    "write `grad(cost, wrt: x)`",
                );
            }
            let values = self.args(args);
            if target.is_error() || first.value.is_error() {
                return self.not_applied(&target);
            }
            if let Value::Layer(layer) = &target
                && let Layer::Def(configured) = &**layer
                && configures(configured, callee, !values.is_empty())
            {
                let layer = self.configure(configured.def, values, peeled.span);
                return self.apply(layer, vec![first], peeled.span, peeled.span);
            }
            if let Value::Native("chain") = target {
                let layer = self.apply(target, values, peeled.span, callee.span);
                return self.apply(layer, vec![first], peeled.span, peeled.span);
            }
            let values = if let Value::Fn(_) = &target { self.layers_given(values) } else { values };
            let mut all = vec![first];
            all.extend(values);
            return self.apply(target, all, peeled.span, callee.span);
        }
        let target = self.expr(peeled);
        if target.is_error() || first.value.is_error() {
            return self.not_applied(&target);
        }
        self.apply(target, vec![first], peeled.span, peeled.span)
    }

    /// An instance whose input is at fault has no weights, through no fault of its own.
    fn not_applied(&mut self, target: &Value<'p>) -> Value<'p> {
        match target {
            Value::Instance(instance) => {
                self.frame().failed.insert(instance.name.clone());
            }
            Value::Layer(layer) if let Layer::Def(configured) = &**layer => self.not_entered(configured.def),
            Value::Fn(closure) => self.not_entered(closure.def),
            _ => {}
        }
        Value::Error
    }

    /// Unless another use has looked at the body, it is to be checked by itself.
    fn not_entered(&mut self, def: &ast::Def) {
        if !self.entered.contains(&def.name.span) {
            self.used.remove(&def.name.span);
        }
    }
}
