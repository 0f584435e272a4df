//! Arguments find their parameters, and are held against the stated types.

use super::Arg;
use crate::{checker::Checker, value::Value};
use base::{Diagnostic, Span, did_you_mean};
use grammar::ast::{self, TypeName};

impl<'p> Checker<'p> {
    /// Brings arguments into the order of parameters; `None` where one is not given.
    pub fn match_args(
        &mut self,
        what: &str,
        params: &'p [ast::Param],
        args: Vec<Arg<'p>>,
    ) -> Option<Vec<Option<Arg<'p>>>> {
        let mut slots: Vec<Option<Arg<'p>>> = params.iter().map(|_| None).collect();
        let mut next = 0;
        let mut fine = true;
        let n_given = args.len();
        for arg in args {
            let position = match arg.name {
                Some(name) => params.iter().position(|param| param.name.text == name.text),
                None => {
                    next += 1;
                    Some(next - 1).filter(|position| *position < params.len())
                }
            };
            let Some(position) = position else {
                // Of several arguments too many, the first says it.
                if arg.name.is_none() && next > params.len() + 1 {
                    continue;
                }
                fine = false;
                let diagnostic = match arg.name {
                    Some(name) => {
                        let near =
                            did_you_mean(&name.text, params.iter().map(|param| param.name.text.as_str()));
                        Diagnostic::error("E0209", format!("`{what}` has no argument `{}`", name.text))
                            .label(name.span, "not known")
                            .did_you_mean(name.span, near)
                    }
                    None => {
                        let count = params.len();
                        let plural = if count == 1 { "" } else { "s" };
                        Diagnostic::error(
                            "E0209",
                            format!("`{what}` takes {count} argument{plural}, but is given {n_given}"),
                        )
                        .label(arg.span, "one too many")
                    }
                };
                self.report(diagnostic);
                continue;
            };
            if let Some(first) = &slots[position] {
                let message = format!("`{}` of `{what}` is given twice", params[position].name.text);
                let first = first.span;
                self.report(
                    Diagnostic::error("E0209", message)
                        .label(arg.span, "given again")
                        .label(first, "given here first"),
                );
                fine = false;
                continue;
            }
            slots[position] = Some(arg);
        }

        fine.then_some(slots)
    }

    /// Tells the first parameter that is neither given nor has a default.
    pub fn missing(
        &mut self,
        def: &'p ast::Def,
        params: &'p [ast::Param],
        given: &[Option<Arg<'p>>],
        span: Span,
    ) -> bool {
        let mut pairs = params.iter().zip(given);
        let Some((param, _)) = pairs.find(|(param, arg)| arg.is_none() && param.default.is_none()) else {
            return false;
        };
        self.report(
            Diagnostic::error("E0208", format!("`{}` needs `{}`", def.name.text, param.name.text))
                .label(span, format!("`{}` is not given", param.name.text))
                .label(param.span, "declared without a default"),
        );
        true
    }

    /// Binds the inputs of a function in the present scope. Fields of the data come last: by then the dimension
    /// variables that give them their type are known.
    pub fn bind_inputs(&mut self, def: &'p ast::Def, given: Vec<Option<Arg<'p>>>, span: Span) -> bool {
        if self.missing(def, &def.inputs.params, &given, span) {
            return false;
        }
        let mut fine = true;
        let mut fields = Vec::new();
        for (param, arg) in def.inputs.params.iter().zip(given) {
            let (value, place) = match (arg, &param.default) {
                (Some(arg), _) => (arg.value, arg.span),
                (None, Some(default)) => (self.expr(default), default.span),
                (None, None) => continue,
            };
            self.arguments.insert(param.name.span, place);
            if let (Value::Field(name), Some(_)) = (&value, &param.ty) {
                fields.push((param, name.clone(), place));
                continue;
            }
            let value = self.fit_input(param, value, place);
            fine &= !value.is_error();
            self.frame().bind(&param.name.text, value, param.name.span);
        }
        for (param, name, place) in fields {
            // What one field does not tell, the next may need.
            let value = if fine { self.field_by_param(param, &name, place) } else { Value::Error };
            fine &= !value.is_error();
            self.frame().bind(&param.name.text, value, param.name.span);
        }
        fine
    }

    /// An argument against the stated type of a parameter. Numbers known now stay numbers where a scalar is asked for.
    pub fn fit_input(&mut self, param: &'p ast::Param, value: Value<'p>, span: Span) -> Value<'p> {
        let Some(ty) = &param.ty else { return value };
        match ty.name {
            TypeName::Int | TypeName::Dim => return self.fit_config(param, value, span),
            TypeName::Bool if ty.dims.is_empty() && matches!(value, Value::Bool(_)) => return value,
            _ => {}
        }
        if value.is_error() {
            return Value::Error;
        }
        if ty.dims.is_empty() && matches!(value, Value::Int(_) | Value::Float(_)) {
            return value;
        }
        let Some(id) = self.tensor(&value, self.dtype(ty.name), span) else {
            return Value::Error;
        };
        let what = self.parameter(param);
        Self::tensor_or_error(self.fit(id, ty, span, &what))
    }
}
