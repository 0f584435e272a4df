//! Layers and optimisers get their configuration: numbers, dimensions and words that are known while compiling.

use super::Arg;
use crate::{
    checker::Checker,
    value::{Configured, Layer, Value},
};
use base::{Diagnostic, Span};
use grammar::ast::{self, TypeName};
use std::rc::Rc;

impl<'p> Checker<'p> {
    /// A definition with its configuration: `dense(64)`.
    pub(super) fn configure(&mut self, def: &'p ast::Def, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        self.used.insert(def.name.span);
        let Some(params) = &def.config else { return Value::Error };
        let Some(config) = self.configuration(def, &params.params, args, span) else { return Value::Error };
        self.bounded(Value::Layer(Rc::new(Layer::Def(Configured { def, config }))), span)
    }

    /// One value a configuration parameter, defaults filled in.
    pub fn configuration(
        &mut self,
        def: &'p ast::Def,
        params: &'p [ast::Param],
        args: Vec<Arg<'p>>,
        span: Span,
    ) -> Option<Vec<Value<'p>>> {
        let given = self.match_args(&def.name.text, params, args)?;
        // Where one is missing, the others are likely to stand in wrong places.
        if self.missing(def, params, &given, span) {
            return None;
        }
        // Defaults may name earlier parameters, so the values stand in a scope while they are made, and nothing else does.
        self.calls.push((def, span));
        let saved = std::mem::replace(&mut self.frame().scopes, vec![Vec::new()]);
        let mut values = Vec::new();
        let mut fine = true;
        for (param, arg) in params.iter().zip(given) {
            let (value, place) = match (arg, &param.default) {
                (Some(arg), _) => (arg.value, arg.span),
                (None, Some(default)) => (self.expr(default), default.span),
                (None, None) => (Value::Error, span),
            };
            fine &= !value.is_error();
            // After one fault the others are likely to be its echo, arguments moved by one for instance.
            let value = if fine { self.fit_config(param, value, place) } else { Value::Error };
            fine &= !value.is_error();
            self.frame().bind(&param.name.text, value.clone(), param.name.span);
            values.push(value);
        }
        self.frame().scopes = saved;
        self.calls.pop();
        fine.then_some(values)
    }

    /// A configuration value against its stated type.
    pub fn fit_config(&mut self, param: &'p ast::Param, value: Value<'p>, span: Span) -> Value<'p> {
        let Some(ty) = &param.ty else { return value };
        let wrong = match (ty.name, &value) {
            (_, Value::Error) => false,
            (TypeName::Int, Value::Int(_)) | (TypeName::Dim, Value::Int(_) | Value::Dim(_)) => false,
            (TypeName::Int | TypeName::Dim, _) => true,
            (TypeName::Bool, Value::Bool(_)) => false,
            (name, Value::Tensor(_)) => matches!(name, TypeName::Int | TypeName::Dim),
            (_, Value::Int(_) | Value::Float(_) | Value::Dim(_)) => ty.name == TypeName::Bool,
            (_, Value::List(_)) => ty.dims.is_empty(),
            _ => true,
        };
        if !wrong {
            return value;
        }
        let have = match &value {
            Value::Dim(dim) => format!("the dynamic dimension `{dim}`"),
            Value::Float(number) => number.to_string(),
            other => other.kind().to_string(),
        };
        let message =
            format!("{} is declared as {}, but this is {have}", self.parameter(param), ty.name.word());
        let mut diagnostic = Diagnostic::error("E0407", message)
            .label(span, have)
            .label(ty.span, format!("{} is declared here", ty.name.word()));
        if let (Value::Tensor(_), Some((def, _))) = (&value, self.calls.last())
            && def.kind == ast::DefKind::Layer
        {
            let name = &def.name.text;
            diagnostic = diagnostic
                .help(format!("configuration comes first, and inputs in a list of their own: `x |> {name}(…)` or `{name}(…)(x)`"));
        }
        self.report(diagnostic)
    }
}
