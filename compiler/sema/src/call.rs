//! Calls and pipes: arguments find their parameters, functions are evaluated in place, layers are applied.

use crate::{
    checker::{Checker, MAX_CALLS, MAX_REPEAT},
    value::{Closure, Configured, Layer, Value},
};
use base::{Diagnostic, Span, did_you_mean};
use grammar::ast::{self, ExprKind, TypeName};
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

/// Functions of the library that stay one named region, as frameworks have them: special kernels are chosen by these names.
const COMPOSITES: &[&str] = &["softmax", "log_softmax", "logsumexp", "leaky_relu", "elu"];

/// Those that work element by element: of one element and of a whole tensor they are the same.
const ELEMENTWISE: &[&str] = &[
    "relu",
    "selu",
    "relu6",
    "sigmoid",
    "hard_sigmoid",
    "hard_swish",
    "gelu",
    "gelu_tanh",
    "silu",
    "softplus",
    "mish",
];

/// Layers of the library that frameworks run as one operation.
const OPERATIONS: &[&str] = &["batch_norm", "layer_norm", "rms_norm", "group_norm", "instance_norm"];

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

    pub fn call(
        &mut self,
        expr: &'p ast::Expr,
        callee: &'p ast::Expr,
        args: &'p [ast::Arg],
        _args_span: Span,
    ) -> Value<'p> {
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

    /// Whether this is a named region of the library that works element by element.
    pub fn is_elementwise_composite(&self, target: &Value<'p>) -> bool {
        let Value::Fn(closure) = target else { return false };
        ELEMENTWISE.contains(&closure.def.name.text.as_str()) && self.program.is_std(closure.def)
    }

    /// Whether styles that do not fuse keep the layer in one piece.
    pub fn is_operation(&self, def: &ast::Def) -> bool {
        OPERATIONS.contains(&def.name.text.as_str()) && self.program.is_std(def)
    }

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

    /// A definition with its configuration: `dense(64)`.
    fn configure(&mut self, def: &'p ast::Def, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
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
        let given = self.match_args(&def.name.text, params, args, span)?;
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

    /// Brings arguments into the order of parameters; `None` where one is not given.
    pub fn match_args(
        &mut self,
        what: &str,
        params: &'p [ast::Param],
        args: Vec<Arg<'p>>,
        span: Span,
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
        let _ = span;
        fine.then_some(slots)
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
        if (COMPOSITES.contains(&def.name.text.as_str()) || ELEMENTWISE.contains(&def.name.text.as_str()))
            && self.program.is_std(def)
            && matches!(args.first(), Some(Arg { value: Value::Tensor(_), .. }))
        {
            return self.call_composite(def, args, span);
        }
        let Some(given) = self.match_args(&def.name.text, &def.inputs.params, args, span) else {
            return Value::Error;
        };
        let mut scope = Vec::new();
        for (name, value) in closure.env.iter().flat_map(|env| env.iter()) {
            scope.push(crate::frame::Binding {
                name: name.clone(),
                value: value.clone(),
                span: def.name.span,
            });
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
