//! Layers in use: one graph function a distinct signature, one set of weights an instance.

use crate::{
    call::Arg,
    checker::{Checker, Compiled},
    frame::{Init, RandomParams, State, Weight},
    value::{Configured, Layer, Value},
};
use base::{Diagnostic, Span};
use grammar::ast;
use graph::{DType, FuncId, NodeId, Role, Type, ops};
use std::rc::Rc;

/// Paths of random draws live below 2^40, so that combining two is exact in f64 too.
const PATH_PRIME: i64 = 1_099_511_627_689;
const PATH_FACTOR: i64 = 4093;

/// A name as a number below 2^40 (FNV-1a, 64 bits, reduced).
pub fn path_hash(name: &str) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    (hash % PATH_PRIME as u64) as i64
}

impl<'p> Checker<'p> {
    pub fn apply_layer(
        &mut self,
        layer: &Rc<Layer<'p>>,
        name: &str,
        args: Vec<Arg<'p>>,
        span: Span,
    ) -> Value<'p> {
        if args.iter().any(|arg| arg.value.is_error()) {
            return Value::Error;
        }
        if !self.frame_ref().allows_weights {
            return self.report(
                Diagnostic::error("E0410", "a `fn` has no weights, so it cannot apply a layer")
                    .label(span, "a layer is applied here")
                    .help("make it a `layer`, or pass the instance's result in"),
            );
        }
        match &**layer {
            Layer::Def(configured) => {
                if !self.frame_ref().instances.contains_key(name) {
                    let frame = self.frame_ref().id;
                    let instance =
                        crate::value::Instance { name: name.to_string(), layer: layer.clone(), frame };
                    self.frame().instances.insert(name.to_string(), Rc::new(instance));
                }
                self.apply_def(configured, name, args, span)
            }
            Layer::Chain(stages) => self.apply_chain(stages, name, args, span),
            Layer::Repeat { count, body, .. } => {
                let mut args = args;
                for index in 0..*count {
                    let inner = format!("{name}.{index}");
                    let value = match body {
                        Value::Layer(layer) => self.apply_layer(layer, &inner, args.clone(), span),
                        other => self.apply(other.clone(), args.clone(), span, span),
                    };
                    if value.is_error() {
                        return Value::Error;
                    }
                    args[0] = Arg::positional(value, span);
                }
                args.swap_remove(0).value
            }
        }
    }

    fn apply_chain(&mut self, stages: &[Value<'p>], name: &str, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        let mut counts: Vec<(String, usize)> = Vec::new();
        let mut args = args;
        for stage in stages {
            let value = match stage {
                Value::Layer(layer) => {
                    let base = match &**layer {
                        Layer::Def(configured) => configured.def.name.text.clone(),
                        Layer::Chain(_) => "chain".into(),
                        Layer::Repeat { name, .. } => name.to_string(),
                    };
                    let number = match counts.iter_mut().find(|(known, _)| *known == base) {
                        Some((_, count)) => {
                            *count += 1;
                            *count
                        }
                        None => {
                            counts.push((base.clone(), 0));
                            0
                        }
                    };
                    let inner = if number == 0 {
                        format!("{name}.{base}")
                    } else {
                        format!("{name}.{base}_{number}")
                    };
                    // A layer named without parentheses takes its defaults.
                    match &**layer {
                        Layer::Def(configured)
                            if configured.config.is_empty() && configured.def.config.is_some() =>
                        {
                            let params =
                                configured.def.config.as_ref().map_or(&[][..], |list| &list.params[..]);
                            let Some(config) = self.configuration(configured.def, params, Vec::new(), span)
                            else {
                                return Value::Error;
                            };
                            let layer = Rc::new(Layer::Def(Configured { def: configured.def, config }));
                            self.apply_layer(&layer, &inner, args, span)
                        }
                        _ => self.apply_layer(layer, &inner, args, span),
                    }
                }
                other => self.apply(other.clone(), args, span, span),
            };
            if value.is_error() {
                return Value::Error;
            }
            args = vec![Arg::positional(value, span)];
        }
        args.swap_remove(0).value
    }

    fn apply_def(
        &mut self,
        configured: &Configured<'p>,
        name: &str,
        args: Vec<Arg<'p>>,
        span: Span,
    ) -> Value<'p> {
        let def = configured.def;
        self.used.insert(def.name.span);
        if self.too_deep(def, span) {
            return Value::Error;
        }
        let Some(given) = self.match_args(&def.name.text, &def.inputs.params, args, span) else {
            return Value::Error;
        };
        let Some((compiled, operands)) = self.compile(def, &configured.config, given, span) else {
            return Value::Error;
        };
        let input_types: Vec<Type> = operands.iter().map(|id| self.ty(*id).clone()).collect();
        let value = self.call_compiled(&compiled, operands, Some(name), span);
        if self.frames.len() == 1 || self.calls.is_empty() {
            self.note_layer(name, def, compiled.func, input_types, &value);
        }
        value
    }

    pub fn call_composite(&mut self, def: &'p ast::Def, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        let Some(given) = self.match_args(&def.name.text, &def.inputs.params, args, span) else {
            return Value::Error;
        };
        let Some((compiled, operands)) = self.compile(def, &[], given, span) else { return Value::Error };
        self.call_compiled(&compiled, operands, None, span)
    }

    /// The function of a layer (or a composite `fn`) for these arguments, and the tensors among them.
    fn compile(
        &mut self,
        def: &'p ast::Def,
        config: &[Value<'p>],
        given: Vec<Option<Arg<'p>>>,
        span: Span,
    ) -> Option<(Rc<Compiled<'p>>, Vec<NodeId>)> {
        use std::fmt::Write;
        let mode = self.frame_ref().mode;
        let mut key = format!("{def:p}|{}{}{}|", mode.training, mode.fit, self.generic);
        for value in config {
            if value.holds_tensor() {
                self.error(
                    "E0411",
                    span,
                    format!("the configuration of `{}` holds a tensor", def.name.text),
                    "configuration is known while compiling; pass tensors as inputs",
                );
                return None;
            }
            value.fingerprint(&mut key);
        }
        // Each input: a tensor operand, or a value known now that becomes part of the signature.
        let mut operands = Vec::new();
        let mut inputs: Vec<(Value<'p>, Span, Vec<Option<Span>>)> = Vec::new();
        for (param, arg) in def.inputs.params.iter().zip(given) {
            let (value, place) = match (arg, &param.default) {
                (Some(arg), _) => (arg.value, arg.span),
                (None, Some(default)) => (self.expr(default), default.span),
                (None, None) => {
                    self.report(
                        Diagnostic::error(
                            "E0208",
                            format!("`{}` needs `{}`", def.name.text, param.name.text),
                        )
                        .label(span, format!("`{}` is not given", param.name.text))
                        .label(param.span, "declared without a default"),
                    );
                    return None;
                }
            };
            let is_tensor_type = param.ty.as_ref().is_some_and(|ty| crate::types::dtype(ty.name).is_some());
            let value = match (&value, &param.ty) {
                (Value::Tensor(_), _) => value,
                (Value::Field(field), _) => {
                    let field = field.clone();
                    self.field_by_param(param, &field, place)
                }
                (Value::Int(_) | Value::Float(_) | Value::Bool(_), Some(ty))
                    if ty.dims.is_empty() && def.kind == ast::DefKind::Fn =>
                {
                    value
                }
                (_, Some(ty)) if is_tensor_type => {
                    let id = self.tensor(&value, crate::types::dtype(ty.name), place)?;
                    Value::Tensor(id)
                }
                _ => value,
            };
            match &value {
                Value::Error => return None,
                Value::Tensor(id) => {
                    let _ = write!(key, "{};", self.ty(*id));
                    operands.push(*id);
                    let origins = self.frame_ref().origins.get(id.index()).cloned().unwrap_or_default();
                    inputs.push((value, place, origins));
                }
                other => {
                    other.fingerprint(&mut key);
                    inputs.push((value, place, Vec::new()));
                }
            }
        }
        if let Some(known) = self.compiled.get(&key) {
            return known.clone().map(|compiled| (compiled, operands));
        }
        let compiled = self.compile_fresh(def, config, inputs, span).map(Rc::new);
        self.compiled.insert(key, compiled.clone());
        compiled.map(|compiled| (compiled, operands))
    }

    fn compile_fresh(
        &mut self,
        def: &'p ast::Def,
        config: &[Value<'p>],
        inputs: Vec<(Value<'p>, Span, Vec<Option<Span>>)>,
        span: Span,
    ) -> Option<Compiled<'p>> {
        let mode = self.frame_ref().mode;
        let facts = self.frame_ref().function.facts.clone();
        let types: Vec<Option<Type>> = inputs
            .iter()
            .map(|(value, ..)| match value {
                Value::Tensor(id) => Some(self.ty(*id).clone()),
                _ => None,
            })
            .collect();
        let errors_before = self.n_errors();
        self.calls.push((def, span));
        self.push_frame(&def.name.text, mode, Some(def));
        self.frame().function.facts = facts;
        if def.kind == ast::DefKind::Fn {
            self.frame().allows_weights = false;
            self.frame().function.composite = Some(def.name.text.clone());
        }
        for (param, value) in def.config.iter().flat_map(|list| &list.params).zip(config) {
            self.frame().bind(&param.name.text, value.clone(), param.name.span);
        }
        let mut fine = true;
        for ((param, (value, place, origins)), ty) in def.inputs.params.iter().zip(inputs).zip(types) {
            let value = match ty {
                Some(ty) => {
                    let id =
                        self.param(graph::Param { name: param.name.text.clone(), role: Role::Input, ty });
                    self.set_origins(id, origins);
                    match &param.ty {
                        Some(ty) => Self::tensor_or_error(self.fit(id, ty, place, &param.name.text)),
                        None => Value::Tensor(id),
                    }
                }
                None => self.fit_input(param, value, place),
            };
            fine &= !value.is_error();
            self.frame().bind(&param.name.text, value, param.name.span);
        }
        let value = if fine { self.body(def) } else { Value::Error };
        let outputs = match (&value, self.value_ids(&value, span)) {
            (Value::Error, _) | (_, None) => Vec::new(),
            (_, Some(ids)) => ids,
        };
        let failed = value.is_error() || outputs.is_empty() || self.n_errors() > errors_before;
        self.calls.pop();
        let frame = self.frames.pop()?;
        if failed {
            return None;
        }
        let mut function = frame.function;
        let origins =
            outputs.iter().map(|id| frame.origins.get(id.index()).cloned().unwrap_or_default()).collect();
        let n_results = outputs.len();
        for (position, id) in outputs.into_iter().enumerate() {
            function.results.push((format!("result{position}"), Role::Output, id));
        }
        for (name, state) in &frame.states {
            function.results.push((name.clone(), Role::State, state.current));
        }
        for (name, id) in &frame.side {
            function.results.push((name.clone(), Role::Metric, *id));
        }
        let weights =
            frame.weights.iter().map(|(name, (_, weight))| (name.clone(), weight.clone())).collect();
        let states = frame.states.iter();
        let states =
            states.map(|(name, s)| (name.clone(), s.ty.clone(), s.init.clone(), s.written, s.span)).collect();
        let n_same = self
            .module
            .functions
            .iter()
            .filter(|(_, known)| known.name.split('.').next() == Some(&def.name.text))
            .count();
        if n_same > 0 {
            function.name = format!("{}.{n_same}", def.name.text);
        }
        let func = self.module.functions.push(function);
        Some(Compiled {
            func,
            weights,
            states,
            side: frame.side.into_iter().map(|(name, _)| name).collect(),
            random: frame.random.is_some(),
            n_results,
            origins,
        })
    }

    pub fn n_errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count()
    }

    /// The tensors of a result: one, or those of a tuple.
    pub fn value_ids(&mut self, value: &Value<'p>, span: Span) -> Option<Vec<NodeId>> {
        match value {
            Value::Tuple(items) => items.iter().map(|item| self.tensor(item, None, span)).collect(),
            value => Some(vec![self.tensor(value, None, span)?]),
        }
    }

    /// Calls a compiled function: weights and states of the instance become those of this frame.
    fn call_compiled(
        &mut self,
        compiled: &Compiled<'p>,
        inputs: Vec<NodeId>,
        instance: Option<&str>,
        span: Span,
    ) -> Value<'p> {
        let full = |name: &str| instance.map_or(name.to_string(), |instance| format!("{instance}.{name}"));
        for (name, weight) in &compiled.weights {
            let name = full(name);
            if let Some((id, _)) = self.frame_ref().weights.get(&name) {
                let (have, want) = (self.ty(*id).clone(), &weight.ty);
                if have != *want {
                    return self.report(
                        Diagnostic::error("E0312", format!("`{name}` is {have} in one use and {want} in another"))
                            .label(span, format!("used here with {want}"))
                            .label(weight.span, "declared here")
                            .help("an instance that is used twice shares its weights, so both inputs need one width"),
                    );
                }
                continue;
            }
            let id =
                self.param(graph::Param { name: name.clone(), role: Role::Weight, ty: weight.ty.clone() });
            self.frame().weights.insert(name, (id, weight.clone()));
        }
        for (name, ty, init, _, place) in &compiled.states {
            let name = full(name);
            if self.frame_ref().states.contains_key(&name) {
                continue;
            }
            let param = self.param(graph::Param { name: name.clone(), role: Role::State, ty: ty.clone() });
            let state =
                State { ty: ty.clone(), init: init.clone(), current: param, written: false, span: *place };
            self.frame().states.insert(name, state);
        }
        let random = if compiled.random { Some(self.random_params(span)) } else { None };
        let mut inputs = inputs.into_iter();
        let mut operands = Vec::new();
        let params: Vec<(String, Role)> = self.module.functions[compiled.func]
            .params
            .iter()
            .map(|param| (param.name.clone(), param.role))
            .collect();
        for (name, role) in params {
            let operand = match (role, name.as_str(), random) {
                (Role::Weight, ..) => self.frame_ref().weights.get(&full(&name)).map(|(id, _)| *id),
                (Role::State, ..) => self.frame_ref().states.get(&full(&name)).map(|state| state.current),
                (Role::Control, "seed", Some(random)) => Some(random.seed),
                (Role::Control, "step", Some(random)) => Some(random.step),
                (Role::Control, "path", Some(random)) => {
                    self.child_path(random.path, instance.unwrap_or(""), span)
                }
                _ => inputs.next(),
            };
            let Some(operand) = operand else { return Value::Error };
            operands.push(operand);
        }
        let Some(call) = self.add(ops::Call { callee: compiled.func }, &operands, span) else {
            return Value::Error;
        };
        let n_all = self.frame_ref().function.nodes[call].types.len();
        let mut results = Vec::new();
        for index in 0..n_all {
            let Some(id) = self.add(ops::Get { index }, &[call], span) else { return Value::Error };
            results.push(id);
        }
        for (id, origins) in results.iter().zip(&compiled.origins) {
            self.set_origins(*id, origins.clone());
        }
        for ((name, .., written, _), id) in compiled.states.iter().zip(&results[compiled.n_results..]) {
            if let Some(state) = self.frame().states.get_mut(&full(name))
                && *written
            {
                state.current = *id;
                state.written = true;
            }
        }
        let first_side = compiled.n_results + compiled.states.len();
        for (name, id) in compiled.side.iter().zip(&results[first_side..]) {
            let name = full(name);
            self.frame().side.push((name, *id));
        }
        match results[..compiled.n_results] {
            [id] => Value::Tensor(id),
            ref ids => Value::tuple(ids.iter().map(|id| Value::Tensor(*id)).collect()),
        }
    }

    fn child_path(&mut self, path: NodeId, name: &str, span: Span) -> Option<NodeId> {
        if name.is_empty() {
            return Some(path);
        }
        let factor = self.scalar(DType::I64, PATH_FACTOR as f64);
        let hash = self.scalar(DType::I64, path_hash(name) as f64);
        let prime = self.scalar(DType::I64, PATH_PRIME as f64);
        let product = self.add(ops::Binary { op: kernel::Binary::Mul }, &[path, factor], span)?;
        let sum = self.add(ops::Binary { op: kernel::Binary::Add }, &[product, hash], span)?;
        self.add(ops::Binary { op: kernel::Binary::Rem }, &[sum, prime], span)
    }

    /// Seed, step and path of this frame. An entry point's path is 0.
    pub fn random_params(&mut self, _span: Span) -> RandomParams {
        if let Some(known) = self.frame_ref().random {
            return known;
        }
        let control = |checker: &mut Self, name: &str| {
            checker.param(graph::Param {
                name: name.into(),
                role: Role::Control,
                ty: Type::scalar(DType::I64),
            })
        };
        let is_entry = self.frames.len() == 1;
        let seed = control(self, "seed");
        let step = control(self, "step");
        let path = if is_entry { self.scalar(DType::I64, 0.0) } else { control(self, "path") };
        let params = RandomParams { seed, step, path };
        self.frame().random = Some(params);
        params
    }

    pub fn declare_weight(&mut self, decl: &'p ast::Decl) {
        let outcome = self.new_weight(decl);
        self.frame().bind(&decl.name.text, outcome.map_or(Value::Error, Value::Tensor), decl.name.span);
    }

    fn new_weight(&mut self, decl: &'p ast::Decl) -> Option<NodeId> {
        if !self.frame_ref().allows_weights {
            self.error(
                "E0410",
                decl.name.span,
                "a `fn` has no weights",
                "`param` stands in a `layer` or `model`",
            );
            return None;
        }
        let Some(ty) = &decl.ty else {
            self.error(
                "E0412",
                decl.name.span,
                format!("`param {}` needs a type", decl.name.text),
                "as in `param w: float[n, units]`",
            );
            return None;
        };
        let (ty, places) = self.resolve_type(ty)?;
        if !ty.dtype.is_float() {
            let message = format!("a weight is floating, but `{}` is {}", decl.name.text, ty.dtype);
            self.error("E0302", decl.name.span, message, "cannot be trained");
            return None;
        }
        let size = ty.shape.elements();
        if size.overflowed() || size.as_const().is_some_and(|n| n > crate::checker::MAX_ELEMENTS) {
            self.error(
                "E0403",
                decl.name.span,
                format!("`{}` is {ty}, which has too many elements", decl.name.text),
                "a tensor has at most 2^47 elements",
            );
            return None;
        }
        if self.frame_ref().weights.contains_key(&decl.name.text)
            || self.frame_ref().states.contains_key(&decl.name.text)
        {
            self.error(
                "E0202",
                decl.name.span,
                format!("`{}` is declared twice", decl.name.text),
                "declared again here",
            );
            return None;
        }
        let id =
            self.param(graph::Param { name: decl.name.text.clone(), role: Role::Weight, ty: ty.clone() });
        self.set_origins(id, places);
        let init = self.init(decl.init.as_ref());
        self.frame().weights.insert(decl.name.text.clone(), (id, Weight { ty, init, span: decl.name.span }));
        Some(id)
    }

    fn init(&self, expr: Option<&'p ast::Expr>) -> Init<'p> {
        let env = self.frame_ref().snapshot(|value| !value.holds_tensor() && !value.is_error());
        Init { expr, env }
    }

    pub fn declare_state(&mut self, decl: &'p ast::Decl) {
        let outcome = self.new_state(decl);
        self.frame().bind(&decl.name.text, outcome.map_or(Value::Error, Value::Tensor), decl.name.span);
    }

    fn new_state(&mut self, decl: &'p ast::Decl) -> Option<NodeId> {
        let (prefix, role) = match self.frame_ref().extra.iter().find(|(name, _)| *name == "_optimizer_of") {
            Some((_, Value::Text(weight))) => (format!("{weight}."), Role::Optimizer),
            _ => (String::new(), Role::State),
        };
        if !self.frame_ref().allows_weights && role == Role::State {
            self.error(
                "E0410",
                decl.name.span,
                "a `fn` has no state",
                "`state` stands in a `layer`, `model` or `optimizer`",
            );
            return None;
        }
        let (ty, places) = match (&decl.ty, &decl.init) {
            (Some(ty), _) => self.resolve_type(ty)?,
            (None, Some(init)) => {
                let value = self.expr(init);
                let id = self.tensor(&value, None, init.span)?;
                (self.ty(id).clone(), Vec::new())
            }
            (None, None) => {
                let message = format!("`state {}` needs a type or an initial value", decl.name.text);
                self.error("E0412", decl.name.span, message, "as in `state mean: float[c] = zeros()`");
                return None;
            }
        };
        let name = format!("{prefix}{}", decl.name.text);
        if self.frame_ref().states.contains_key(&name) || self.frame_ref().weights.contains_key(&name) {
            self.error(
                "E0202",
                decl.name.span,
                format!("`{}` is declared twice", decl.name.text),
                "declared again here",
            );
            return None;
        }
        let param = self.param(graph::Param { name: name.clone(), role, ty: ty.clone() });
        self.set_origins(param, places);
        let init = self.init(decl.init.as_ref());
        let state = State { ty, init, current: param, written: false, span: decl.name.span };
        self.frame().states.insert(name, state);
        Some(param)
    }

    pub fn write_state(&mut self, name: &'p ast::Name, expr: &'p ast::Expr) {
        let value = self.expr(expr);
        if value.is_error() {
            return;
        }
        let full = match self.frame_ref().extra.iter().find(|(name, _)| *name == "_optimizer_of") {
            Some((_, Value::Text(weight))) => format!("{weight}.{}", name.text),
            _ => name.text.clone(),
        };
        let Some(state) = self.frame_ref().states.get(&full) else {
            let states: Vec<String> =
                self.frame_ref().states.keys().filter(|name| !name.contains('.')).cloned().collect();
            let near = base::did_you_mean(&name.text, states.iter().map(String::as_str)).map(String::from);
            self.report(
                Diagnostic::error("E0211", format!("`{}` is not a state of this layer", name.text))
                    .label(name.span, "only a declared `state` is written")
                    .maybe_help(near.map(|near| format!("did you mean `{near}`?"))),
            );
            return;
        };
        let (ty, written, declared) = (state.ty.clone(), state.written, state.span);
        if written {
            self.report(
                Diagnostic::error("E0413", format!("`{}` is written twice in one call", name.text))
                    .label(name.span, "written again here")
                    .label(declared, "declared here"),
            );
            return;
        }
        let Some(id) = self.tensor(&value, Some(ty.dtype), expr.span) else { return };
        let Some(id) = self.fit_dtype(id, ty.dtype, expr.span, Some(declared), &name.text) else { return };
        let have = self.shape(id);
        let facts = self.frame_ref().function.facts.clone();
        let fits = facts.broadcast(&have, &ty.shape).is_ok_and(|shape| shape == ty.shape);
        if !fits {
            self.report(
                Diagnostic::error(
                    "E0301",
                    format!("`{}` is {ty}, but {} is written", name.text, self.ty(id)),
                )
                .label(expr.span, format!("this is {}", self.ty(id)))
                .label(declared, format!("{ty} is declared here")),
            );
            return;
        }
        let Some(id) = self.broadcast_to(id, &ty.shape, expr.span) else { return };
        if let Some(state) = self.frame().states.get_mut(&full) {
            state.current = id;
            state.written = true;
        }
        // Lines after the write read the new value.
        self.frame().bind(&name.text, Value::Tensor(id), name.span);
    }

    fn note_layer(
        &mut self,
        name: &str,
        def: &'p ast::Def,
        func: FuncId,
        inputs: Vec<Type>,
        value: &Value<'p>,
    ) {
        let outputs = match value {
            Value::Tensor(id) => vec![self.ty(*id).clone()],
            Value::Tuple(items) => items
                .iter()
                .filter_map(|item| match item {
                    Value::Tensor(id) => Some(self.ty(*id).clone()),
                    _ => None,
                })
                .collect(),
            _ => return,
        };
        self.layers.push(crate::api::LayerInfo {
            path: name.to_string(),
            layer: def.name.text.clone(),
            inputs,
            outputs,
            func,
            depth: name.matches('.').count(),
        });
    }
}
