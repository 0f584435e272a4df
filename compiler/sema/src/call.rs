//! Calls: what is called is found out, and applied to its arguments.

mod arguments;
mod configuration;
mod function;
mod pipe;
mod region;

use crate::{
    checker::{Checker, MAX_REPEAT},
    value::{Configured, Layer, Value},
};
use base::Span;
use grammar::ast::{self, ExprKind};
use std::rc::Rc;

/// An evaluated argument.
#[derive(Clone, Debug)]
pub struct Arg<'p> {
    pub name: Option<&'p ast::Name>,
    pub value: Value<'p>,
    pub span: Span,
}

impl<'p> Arg<'p> {
    pub fn positional(value: Value<'p>, span: Span) -> Arg<'p> {
        Arg { name: None, value, span }
    }
}

/// What stands before `.with`.
fn with_base(callee: &ast::Expr) -> Option<&ast::Expr> {
    match &callee.peel().kind {
        ExprKind::Field { base, field } if field.text == "with" => Some(base),
        _ => None,
    }
}

/// Whether a call gives a layer its configuration, as `dense(64)` does, and is not applied to inputs.
fn configures(layer: &Configured<'_>, callee: &ast::Expr, has_args: bool) -> bool {
    let is_named = matches!(callee.peel().kind, ExprKind::Name(_));
    let params = layer.def.config.as_ref().map(|list| list.params.len());
    is_named && layer.config.is_empty() && params.is_some_and(|params| params > 0 || !has_args)
}

impl<'p> Checker<'p> {
    pub fn args(&mut self, args: &'p [ast::Arg]) -> Vec<Arg<'p>> {
        args.iter()
            .map(|arg| Arg { name: arg.name.as_ref(), value: self.expr(&arg.value), span: arg.value.span })
            .collect()
    }

    pub fn call(&mut self, expr: &'p ast::Expr, callee: &'p ast::Expr, args: &'p [ast::Arg]) -> Value<'p> {
        if let Some(base) = with_base(callee) {
            return self.with_call(base, args, expr.span);
        }
        // `sum(…)` and the like are ordinary calls; `f(a)(x)` configures and applies.
        let mut target = self.expr(callee);
        // Tensors, numbers and lists cannot be called, so the word means the function: `mean(x)` below `state mean`.
        if let (
            Value::Tensor(_) | Value::Int(_) | Value::Float(_) | Value::Dim(_) | Value::List(_),
            Some(name),
        ) = (&target, callee.peel().as_name())
            && let Some(function) = self.function_named(name)
        {
            target = function;
        }
        if target.is_error() {
            args.iter().for_each(|arg| drop(self.expr(&arg.value)));
            return Value::Error;
        }
        if let Value::Native("grad") = target {
            return self.grad_call(args, expr.span);
        }
        let values = self.args(args);
        if let Value::Layer(layer) = &target
            && let Layer::Def(configured) = &**layer
            && configures(configured, callee, !values.is_empty())
        {
            return self.configure(configured.def, values, expr.span);
        }
        let values = if let Value::Fn(_) = &target { self.layers_given(values) } else { values };
        self.apply(target, values, expr.span, callee.span)
    }

    /// Layers among the arguments of a function: written there, they are instances of the caller, named as inline ones.
    fn layers_given(&mut self, args: Vec<Arg<'p>>) -> Vec<Arg<'p>> {
        if !self.frame_ref().allows_weights {
            return args;
        }
        args.into_iter()
            .map(|arg| match &arg.value {
                Value::Layer(layer) if !layer.is_bare() => {
                    let name = self.inline_name(layer, arg.span);
                    Arg { value: self.instances(&name, arg.value.clone(), arg.span), ..arg }
                }
                _ => arg,
            })
            .collect()
    }

    /// Applies whatever can be applied. `name_span` is the place whose inline instance this is.
    pub fn apply(&mut self, target: Value<'p>, args: Vec<Arg<'p>>, span: Span, name_span: Span) -> Value<'p> {
        match target {
            Value::Error => Value::Error,
            Value::Fn(closure) => self.call_fn(&closure, args, span),
            Value::Native(name) => self.native(name, args, span),
            Value::Mapped(mapped) => self.apply_mapped(&mapped, args, span),
            Value::Custom(custom) => self.apply_custom(&custom, args, span),
            Value::Layer(layer) => {
                if !self.frame_ref().allows_weights {
                    return self.no_weights_here(span);
                }
                let name = self.inline_name(&layer, name_span);
                self.apply_layer(&layer, &name, args, span)
            }
            Value::Instance(instance) => {
                if instance.frame != self.frame_ref().id {
                    let message = format!("`{}` belongs to another layer", instance.name);
                    return self.error("E0408", span, message, "an instance is used only where it is bound");
                }
                // It is one of the layer around, so a local function may use it.
                let allowed = std::mem::replace(&mut self.frame().allows_weights, true);
                let value = self.apply_instance(&instance, args, span);
                self.frame().allows_weights = allowed;
                value
            }
            Value::Optimizer(configured) if self.in_test() && !configured.config.is_empty() => {
                self.first_update(&configured, args, span)
            }
            Value::Optimizer(configured) => {
                let Some(params) = &configured.def.config else {
                    return Value::Optimizer(configured);
                };
                match self.configuration(configured.def, &params.params, args, span) {
                    Some(config) => Value::Optimizer(Rc::new(Configured { def: configured.def, config })),
                    None => Value::Error,
                }
            }
            other => {
                self.error("E0312", name_span, format!("{} cannot be called", other.kind()), other.kind())
            }
        }
    }

    /// The name of an inline instance: by its place in the source, else the next free one in this frame.
    fn inline_name(&mut self, layer: &Layer<'p>, span: Span) -> String {
        let base = match layer {
            Layer::Def(configured) => configured.def.name.text.clone(),
            Layer::Chain(_) => "chain".into(),
            Layer::Repeat { name, .. } => return name.to_string(),
        };
        if let Some(name) = self.frame_ref().inline_names.get(&span) {
            return name.clone();
        }
        self.fresh_name(&base)
    }

    /// `dense`, `dense_1`, …: the first that no instance of the frame has.
    pub fn fresh_name(&mut self, base: &str) -> String {
        let frame = self.frame_ref();
        let taken = |name: &str| {
            frame.instances.contains_key(name) || frame.inline_names.values().any(|known| known == name)
        };
        let mut name = base.to_string();
        let mut number = 0;
        while taken(&name) {
            number += 1;
            name = format!("{base}_{number}");
        }
        name
    }

    pub fn repeat(&mut self, count: &'p ast::Expr, name: &'p ast::Name, body: &'p ast::Block) -> Value<'p> {
        let n = match self.expr(count) {
            Value::Int(n) => n,
            Value::Error => return Value::Error,
            other => {
                let message = format!(
                    "`repeat` counts with a number known while compiling, but this is {}",
                    other.kind()
                );
                return self.error("E0401", count.span, message, other.kind());
            }
        };
        if !(0..=MAX_REPEAT).contains(&n) {
            let message = format!("`repeat({n})` is out of range");
            return self.error(
                "E0402",
                count.span,
                message,
                format!("0 to {MAX_REPEAT} instances can be made"),
            );
        }
        let body = self.block(body);
        match body {
            Value::Layer(_) | Value::Fn(_) | Value::Native(_) | Value::Mapped(_) | Value::Custom(_) => {
                Value::Layer(Rc::new(Layer::Repeat { count: n, name: name.text.as_str().into(), body }))
            }
            Value::Error => Value::Error,
            other => self.error(
                "E0312",
                name.span,
                format!("`repeat` repeats a layer, but this is {}", other.kind()),
                other.kind(),
            ),
        }
    }
}
