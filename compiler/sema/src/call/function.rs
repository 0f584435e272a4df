//! Functions are evaluated in place, and what a body gives is held against the stated results.

use super::Arg;
use crate::{
    checker::{Checker, MAX_CALLS},
    frame::Binding,
    value::{Closure, Value},
};
use base::{Diagnostic, Span};
use grammar::ast;

impl<'p> Checker<'p> {
    pub fn call_fn(&mut self, closure: &Closure<'p>, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        let def = closure.def;
        self.used.insert(def.name.span);
        if self.too_deep(def, span) {
            return Value::Error;
        }
        if closure.env.as_ref().is_some_and(|env| {
            closure.frame != self.frame_ref().id && env.iter().any(|(_, value)| value.holds_tensor())
        }) {
            let message = format!("`{}` sees tensors of the layer it was written in", def.name.text);
            return self.error("E0408", span, message, "so it cannot be called in another layer");
        }
        if self.is_composite(def) && matches!(args.first(), Some(Arg { value: Value::Tensor(_), .. })) {
            return self.call_composite(def, args, span);
        }
        let Some(given) = self.match_args(&def.name.text, &def.inputs.params, args) else {
            return Value::Error;
        };
        let mut scope = Vec::new();
        for (name, value) in closure.env.iter().flat_map(|env| env.iter()) {
            scope.push(Binding { name: name.clone(), value: value.clone(), span: def.name.span });
        }
        let saved = std::mem::replace(&mut self.frame().scopes, vec![scope, Vec::new()]);
        let allowed = std::mem::replace(&mut self.frame().allows_weights, false);
        self.entered.insert(def.name.span);
        self.calls.push((def, span));
        let value = if self.bind_inputs(def, given, span) { self.body(def) } else { Value::Error };
        self.calls.pop();
        self.frame().scopes = saved;
        self.frame().allows_weights = allowed;
        self.origins_of_call(&value, span);
        value
    }

    pub fn too_deep(&mut self, def: &'p ast::Def, span: Span) -> bool {
        let same = self.calls.iter().filter(|(known, _)| std::ptr::eq(*known, def)).count();
        if self.calls.len() < MAX_CALLS && same < MAX_CALLS / 2 {
            return false;
        }
        let message = format!("`{}` uses itself without end", def.name.text);
        // Told at the definition, once, without the hundred calls in between.
        if self.diagnostics.iter().all(|known| known.code != "E0409" || known.message != message) {
            self.diagnostics.push(
                Diagnostic::error("E0409", message)
                    .label(span, format!("used again here, {} calls deep", self.calls.len()))
                    .label(def.name.span, "declared here"),
            );
        }
        true
    }

    /// Evaluates a body and holds the outcome against the stated results.
    pub fn body(&mut self, def: &'p ast::Def) -> Value<'p> {
        let value = match &def.body {
            ast::Body::Expr(expr) => self.expr(expr),
            ast::Body::Block(block) => self.statements(block),
        };
        let body_span = match &def.body {
            ast::Body::Expr(expr) => expr.span,
            ast::Body::Block(block) => block.stmts.last().map_or(def.name.span, |stmt| match &stmt.kind {
                ast::StmtKind::Expr(expr) => expr.span,
                _ => stmt.span,
            }),
        };
        // What stopped the walk was told, and results that come after it are not missing.
        if value.is_error() {
            return Value::Error;
        }
        match &def.results {
            None => value,
            Some(ast::Results::One(ty)) => {
                self.result(value, ty, body_span, &format!("the result of `{}`", def.name.text))
            }
            Some(ast::Results::Tuple(types, span)) => {
                let items = match &value {
                    Value::Tuple(items) if items.len() == types.len() => items.to_vec(),
                    Value::Error => return Value::Error,
                    _ => {
                        let message = format!("`{}` declares {} results", def.name.text, types.len());
                        return self.error(
                            "E0310",
                            *span,
                            message,
                            format!("but its body gives {}", value.kind()),
                        );
                    }
                };
                let fitted = items.into_iter().zip(types).enumerate().map(|(index, (item, ty))| {
                    let what = format!("result {} of `{}`", index + 1, def.name.text);
                    self.result(item, ty, body_span, &what)
                });
                let fitted: Vec<_> = fitted.collect();
                if fitted.iter().any(Value::is_error) { Value::Error } else { Value::tuple(fitted) }
            }
            Some(ast::Results::Named(results, _)) => {
                let mut values = Vec::new();
                for result in results {
                    let found = self.frame_ref().lookup(&result.name.text).map(|b| (b.value.clone(), b.span));
                    let Some((found, place)) = found else {
                        self.report(
                            Diagnostic::error(
                                "E0210",
                                format!("`{}` is declared as a result, but never bound", result.name.text),
                            )
                            .label(result.name.span, "declared here")
                            .help(format!("bind it in the body: `{} = …`", result.name.text)),
                        );
                        values.push(Value::Error);
                        continue;
                    };
                    values.push(self.result(found, &result.ty, place, &format!("`{}`", result.name.text)));
                }
                match <[Value<'p>; 1]>::try_from(values) {
                    Ok([value]) => value,
                    Err(values) if values.iter().any(Value::is_error) => Value::Error,
                    Err(values) => Value::tuple(values),
                }
            }
        }
    }

    fn result(&mut self, value: Value<'p>, ty: &'p ast::Type, span: Span, what: &str) -> Value<'p> {
        match &value {
            Value::Error => return Value::Error,
            Value::Int(_) | Value::Float(_) | Value::Dim(_) | Value::Bool(_) if ty.dims.is_empty() => {
                return value;
            }
            Value::Nothing => {
                return self.report(
                    Diagnostic::error("E0210", format!("{what} has no value"))
                        .label(span, "the body ends with this statement, which is no value")
                        .label(ty.span, "a result is declared here")
                        .help("the value of a body is its last expression: add a line with the name of the result"),
                );
            }
            _ => {}
        }
        let Some(id) = self.tensor(&value, self.dtype(ty.name), span) else {
            return Value::Error;
        };
        Self::tensor_or_error(self.ascribe(id, ty, span, what))
    }
}
