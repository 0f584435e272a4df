//! The function of a signature, and calls of it.

use super::{
    PATH_FACTOR, PATH_PRIME,
    outside::{OperandType, Operands, Outside, Unfit},
    path_hash,
};
use crate::{
    call::Arg,
    checker::{Checker, Compiled},
    frame::{RandomParams, State, Weight},
    value::{Replaced, Value},
};
use base::{Diagnostic, Span};
use grammar::ast;
use graph::{DType, NodeId, Role, Type, ops};
use shape::Proof;
use std::{collections::BTreeMap, rc::Rc};

/// What a call gives to a compiled function.
pub(super) struct Given<'p> {
    pub operands: Vec<NodeId>,
    pub outside: Outside<'p>,
}

impl<'p> Checker<'p> {
    pub fn call_composite(&mut self, def: &'p ast::Def, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        let Some(given) = self.match_args(&def.name.text, &def.inputs.params, args) else {
            return Value::Error;
        };
        let Some((compiled, given)) = self.compile(def, &[], given, span) else { return Value::Error };
        self.call_compiled(&compiled, given, None, &[], span)
    }

    /// The function of a layer (or a composite `fn`) for these arguments, and the tensors and instances among them.
    pub(super) fn compile(
        &mut self,
        def: &'p ast::Def,
        config: &[Value<'p>],
        given: Vec<Option<Arg<'p>>>,
        span: Span,
    ) -> Option<(Rc<Compiled<'p>>, Given<'p>)> {
        let mode = self.frame_ref().mode;
        let mut key = format!("{def:p}|{}{}{}|", mode.training, mode.fit, self.generic);
        let mut outside = Outside::default();
        let mut entered = Vec::new();
        for value in config {
            match outside.enter(value, &mut None) {
                Ok(value) => {
                    value.fingerprint(&mut key);
                    entered.push(value);
                }
                Err(unfit) => {
                    let what = format!("the configuration of `{}`", def.name.text);
                    return self.unfit(&unfit, &what, def, span);
                }
            }
        }
        if self.missing(def, &def.inputs.params, &given, span) {
            return None;
        }
        // Each input: a tensor operand, or a value known now that becomes part of the signature.
        let mut operands = Operands::default();
        let mut inputs: Vec<(Value<'p>, Span)> = Vec::new();
        for (param, arg) in def.inputs.params.iter().zip(given) {
            let (value, place) = match (arg, &param.default) {
                (Some(arg), _) => (arg.value, arg.span),
                (None, Some(default)) => (self.input_default(def, config, default, span), default.span),
                (None, None) => return None,
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
            if value.is_error() {
                return None;
            }
            match outside.enter(&value, &mut Some(&mut operands)) {
                Ok(value) => {
                    self.signature(&value, &mut key);
                    inputs.push((value, place));
                }
                Err(unfit) => {
                    let what = format!("`{}` of `{}`", param.name.text, def.name.text);
                    return self.unfit(&unfit, &what, def, place);
                }
            }
        }
        for id in &operands.ids {
            let origins = self.frame_ref().origins.get(id.index()).cloned().unwrap_or_default();
            let (ty, dtype) = (self.ty(*id).clone(), self.dtype_origin(*id));
            operands.types.insert(*id, OperandType { ty, origins, dtype });
        }
        let compiled = match self.compiled.get(&key) {
            Some(known) => known.clone(),
            None => {
                let compiled = self.compile_fresh(def, &entered, inputs, &operands, span).map(Rc::new);
                self.compiled.insert(key, compiled.clone());
                compiled
            }
        };
        compiled.map(|compiled| (compiled, Given { operands: operands.ids, outside }))
    }

    /// An input's part of a signature: the types of tensors, whatever they are, and other values as they are.
    fn signature(&self, value: &Value<'p>, key: &mut String) {
        use std::fmt::Write;
        match value {
            Value::Tensor(id) => {
                let _ = write!(key, "{};", self.ty(*id));
            }
            Value::List(items) | Value::Tuple(items) => {
                key.push(if matches!(value, Value::List(_)) { '[' } else { '(' });
                items.iter().for_each(|item| self.signature(item, key));
                key.push_str("];");
            }
            value => value.fingerprint(key),
        }
    }

    fn unfit<T>(&mut self, unfit: &Unfit, what: &str, def: &'p ast::Def, span: Span) -> Option<T> {
        let here = format!("so it cannot be used inside `{}`", def.name.text);
        match unfit {
            Unfit::Tensor => {
                let message = format!("{what} holds a tensor");
                let label = "configuration is known while compiling; pass tensors as inputs";
                self.error("E0411", span, message, label)
            }
            Unfit::TooMany => self.error(
                "E0402",
                span,
                format!("{what} holds too many tensors"),
                "the limit is passed here",
            ),
            Unfit::Function(name) => self.report(
                Diagnostic::error("E0408", format!("`{name}` sees tensors of the layer it was written in"))
                    .label(span, here)
                    .help("let it take these tensors as inputs"),
            ),
            Unfit::Replaced(name) => {
                let message = format!("`{name}` is an instance with other weights in place of its own");
                self.report(
                    Diagnostic::error("E0408", message)
                        .label(span, here)
                        .help("what `with` gives is used where it is made"),
                )
            }
        };
        None
    }

    /// The default of an input: it sees the definition's file and configuration, and nothing of the caller.
    fn input_default(
        &mut self,
        def: &'p ast::Def,
        config: &[Value<'p>],
        default: &'p ast::Expr,
        span: Span,
    ) -> Value<'p> {
        let saved = std::mem::replace(&mut self.frame().scopes, vec![Vec::new()]);
        for (param, value) in def.config.iter().flat_map(|list| &list.params).zip(config) {
            self.frame().bind(&param.name.text, value.clone(), param.name.span);
        }
        self.calls.push((def, span));
        let value = self.expr(default);
        self.calls.pop();
        self.frame().scopes = saved;
        value
    }

    fn compile_fresh(
        &mut self,
        def: &'p ast::Def,
        config: &[Value<'p>],
        inputs: Vec<(Value<'p>, Span)>,
        operands: &Operands,
        span: Span,
    ) -> Option<Compiled<'p>> {
        let mode = self.frame_ref().mode;
        let facts = self.frame_ref().function.facts.clone();
        let errors_before = self.n_errors();
        self.entered.insert(def.name.span);
        self.calls.push((def, span));
        self.push_frame(&def.name.text, mode, Some(def));
        self.frame().function.facts = facts;
        if def.kind == ast::DefKind::Fn {
            self.frame().allows_weights = false;
            self.frame().function.composite = Some(def.name.text.clone());
        }
        self.frame().function.operation = self.is_operation(def);
        for (param, value) in def.config.iter().flat_map(|list| &list.params).zip(config) {
            let value = self.settle(value);
            self.frame().bind(&param.name.text, value, param.name.span);
        }
        let mut fine = true;
        for (param, (value, place)) in def.inputs.params.iter().zip(inputs) {
            self.arguments.insert(param.name.span, place);
            let value = self.settle(&value);
            let value = self.receive(&value, &param.name.text, &operands.types);
            let value = match (&value, &param.ty) {
                (Value::Tensor(id), Some(ty)) => {
                    let what = self.parameter(param);
                    Self::tensor_or_error(self.fit(*id, ty, place, &what))
                }
                (Value::Tensor(_), None) => value,
                _ => self.fit_input(param, value, place),
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
        function.name = self.fresh_function_name(&def.name.text);
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
    pub(super) fn call_compiled(
        &mut self,
        compiled: &Compiled<'p>,
        given: Given<'p>,
        instance: Option<&str>,
        replaced: &[Replaced<'p>],
        span: Span,
    ) -> Value<'p> {
        let Some(replaced) = self.replacements(compiled, instance.unwrap_or_default(), replaced) else {
            return Value::Error;
        };
        let Given { operands: inputs, outside } = given;
        let full = |name: &str| outside.full_name(instance, name);
        if self.declare_instance(compiled, &outside, instance, &replaced, span).is_none() {
            return Value::Error;
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
                (Role::Weight, ..) if replaced.contains_key(name.as_str()) => {
                    replaced.get(name.as_str()).copied()
                }
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
        let Some(results) = self.results(ops::Call { callee: compiled.func }, &operands, span) else {
            return Value::Error;
        };
        if let (Some(path), Some(first)) = (instance, results.first()) {
            let nodes = &mut self.frame().function.nodes;
            let call = nodes[*first].inputs[0];
            nodes[call].scope = Some(graph::Scope::of_instance(path));
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
        let value = match results[..compiled.n_results] {
            [id] => Value::Tensor(id),
            ref ids => Value::tuple(ids.iter().map(|id| Value::Tensor(*id)).collect()),
        };
        self.origins_of_call(&value, span);
        value
    }

    /// Makes the weights and states of an instance known to this frame, where they are not yet.
    pub(super) fn declare_instance(
        &mut self,
        compiled: &Compiled<'p>,
        outside: &Outside<'p>,
        instance: Option<&str>,
        replaced: &BTreeMap<String, NodeId>,
        span: Span,
    ) -> Option<()> {
        let full = |name: &str| outside.full_name(instance, name);
        for (name, weight) in &compiled.weights {
            if replaced.contains_key(name.as_str()) {
                continue;
            }
            let name = full(name);
            if let Some((id, _)) = self.frame_ref().weights.get(&name) {
                let (have, want) = (self.ty(*id).clone(), &weight.ty);
                if have != *want {
                    let shown = self.shown_name(&name);
                    self.report(
                        Diagnostic::error("E0312", format!("`{shown}` is {have} in one use and {want} in another"))
                            .label(span, format!("used here with {want}"))
                            .label(weight.span, "declared here")
                            .help("an instance that is used twice shares its weights, so both inputs need one width"),
                    );
                    return None;
                }
                continue;
            }
            let id = self.weight_node(&name, weight, Role::Weight)?;
            self.frame().weights.insert(name, (id, weight.clone()));
        }
        if self.frame_ref().mapped > 0
            && let Some((name, .., place)) = compiled.states.first()
        {
            self.state_in_vmap(&full(name), span, *place);
            return None;
        }
        for (name, ty, init, _, place) in &compiled.states {
            let name = full(name);
            if self.frame_ref().states.contains_key(&name) {
                continue;
            }
            let weight = Weight { ty: ty.clone(), init: init.clone(), span: *place };
            let current = self.weight_node(&name, &weight, Role::State)?;
            let (ty, init, span) = (weight.ty, weight.init, *place);
            let state = State { ty, init, current, start: current, written: false, span };
            self.frame().states.insert(name, state);
        }
        Some(())
    }

    /// Tensors in place of weights, by the weight's name: each must have the weight's type.
    fn replacements(
        &mut self,
        compiled: &Compiled<'p>,
        instance: &str,
        replaced: &[Replaced<'p>],
    ) -> Option<BTreeMap<String, NodeId>> {
        let mut found = BTreeMap::new();
        for Replaced { weight: name, by, span } in replaced {
            let Some((_, weight)) = compiled.weights.iter().find(|(known, _)| *known == name.text) else {
                let names: Vec<&str> = compiled.weights.iter().map(|(name, _)| name.as_str()).collect();
                let near = base::did_you_mean(&name.text, names.iter().copied());
                let mut diagnostic =
                    Diagnostic::error("E0207", format!("`{instance}` has no weight `{}`", name.text))
                        .label(name.span, "not found")
                        .did_you_mean(name.span, near);
                if near.is_none() && !names.is_empty() {
                    diagnostic = diagnostic.note(format!("its weights are {}", names.join(", ")));
                }
                self.report(diagnostic);
                return None;
            };
            let id =
                self.fit_dtype(*by, weight.ty.dtype, *span, Some(weight.span), &format!("`{}`", name.text))?;
            let have = self.shape(id);
            let same = have.rank() == weight.ty.shape.rank()
                && have.iter().zip(weight.ty.shape.iter()).all(|(a, b)| {
                    let proof = self.equal(a, b);
                    proof == Proof::Proved || (self.generic && proof == Proof::Unknown)
                });
            if !same {
                let message = format!(
                    "`{}` of `{instance}` is {}, but {} takes its place",
                    name.text,
                    weight.ty,
                    self.ty(id)
                );
                self.report(
                    Diagnostic::error("E0301", message)
                        .label(*span, format!("this is {}", self.ty(id)))
                        .label(weight.span, format!("{} is declared here", weight.ty)),
                );
                return None;
            }
            found.insert(name.text.clone(), id);
        }
        Some(found)
    }

    pub(super) fn child_path(&mut self, path: NodeId, name: &str, span: Span) -> Option<NodeId> {
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

    /// Seed, step and path of draws: those of this frame, and in a loop of the step under way.
    pub fn random_params(&mut self, span: Span) -> RandomParams {
        let of_frame = self.frame_random();
        let mut path = of_frame.path;
        for level in 0..self.frame_ref().steps.len() {
            let step = self.frame_ref().steps[level].clone();
            let Some(of_step) = step.path.or_else(|| self.step_path(path, step.number, span)) else { break };
            self.frame().steps[level].path = Some(of_step);
            path = of_step;
        }
        RandomParams { path, ..of_frame }
    }

    /// The path of a step. Its number is further from the path around than names of instances lead, so that two loops,
    /// one in the other, meet no path twice.
    fn step_path(&mut self, path: NodeId, number: NodeId, span: Span) -> Option<NodeId> {
        let once = self.child_path(path, "step", span)?;
        let twice = self.child_path(once, "of a loop", span)?;
        let factor = self.scalar(DType::I64, PATH_FACTOR as f64);
        let prime = self.scalar(DType::I64, PATH_PRIME as f64);
        let product = self.add(ops::Binary { op: kernel::Binary::Mul }, &[twice, factor], span)?;
        let sum = self.add(ops::Binary { op: kernel::Binary::Add }, &[product, number], span)?;
        self.add(ops::Binary { op: kernel::Binary::Rem }, &[sum, prime], span)
    }

    /// Seed, step and path of this frame. An entry point's path is 0; a test's seed and step are.
    pub(super) fn frame_random(&mut self) -> RandomParams {
        if let Some(known) = self.frame_ref().random {
            return known;
        }
        let in_test = self.in_test();
        let control = |checker: &mut Self, name: &str| {
            if in_test {
                return checker.scalar(DType::I64, 0.0);
            }
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
}
