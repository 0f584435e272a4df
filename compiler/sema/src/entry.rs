//! Entry points: a model's body evaluated in a frame of its own, once for inference and once for training.

use crate::{
    api::{Built, FieldSpec, WeightInfo},
    checker::{Checker, Options},
    frame::{Mode, Weight},
    instance::belongs_to_session,
    program::Program,
    value::{Configured, Layer, Value},
};
use base::{Diagnostic, Span};
use grammar::ast::{self, DefKind, TypeName};
use graph::{FuncId, NodeId, Role, Type};
use shape::Dim;
use std::{collections::BTreeMap, rc::Rc};

pub const RUN: Mode = Mode { training: false, fit: false };
pub const TRAIN: Mode = Mode { training: true, fit: false };
pub const FIT: Mode = Mode { training: false, fit: true };

/// A model evaluated in the frame on top of the stack.
pub struct Forward {
    /// Declared results by name.
    pub outputs: Vec<(String, NodeId)>,
    pub inputs: Vec<FieldSpec>,
}

/// Every fault of the files: models in both modes, training, tests, and layers that nothing uses.
pub fn check(program: &Program<'_>, options: &Options) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut used = std::collections::BTreeSet::new();
    for model in program.models() {
        let mut checker = Checker::new(program, options);
        checker.only_check = true;
        checker.build(model, true);
        used.append(&mut checker.used);
        diagnostics.append(&mut checker.diagnostics);
    }
    let mut checker = Checker::new(program, options);
    checker.file_wide();
    checker.used = used;
    crate::tests::collect(&mut checker);
    checker.unused_definitions();
    diagnostics.append(&mut checker.diagnostics);
    let mut unique: Vec<Diagnostic> = Vec::new();
    for diagnostic in diagnostics {
        if !unique.iter().any(|known| known.code == diagnostic.code && known.span == diagnostic.span) {
            unique.push(diagnostic);
        }
    }
    // Where something is wrong, names look unused that are not.
    if !base::has_errors(&unique) {
        unique.extend(crate::lints::lints(program));
    }
    unique.sort_by_key(|diagnostic| diagnostic.span);
    unique
}

/// Faults of the syntax and of the checker together, without those of the checker that are echoes of the others: an item
/// that does not parse is missing, so names are not found or not used; and what was not understood is no value.
pub fn merged(syntax: &[Diagnostic], checked: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut all = syntax.to_vec();
    let broken = base::has_errors(syntax);
    let echo = |fault: &Diagnostic| {
        let same_place = |known: &Diagnostic| known.is_error() && known.span == fault.span;
        fault.code.starts_with("E02") || syntax.iter().any(same_place)
    };
    all.extend(checked.into_iter().filter(|fault| !(broken && echo(fault))));
    if base::has_errors(&all) {
        all.retain(Diagnostic::is_error);
    }
    all
}

/// The entry points of one model; `with_train` adds those that training needs where there is a `train` block.
pub fn build(
    program: &Program<'_>,
    model: Option<&str>,
    options: &Options,
    with_train: bool,
) -> (Option<Built>, Vec<Diagnostic>) {
    let mut checker = Checker::new(program, options);
    let names: Vec<&str> = program.models().map(|def| def.name.text.as_str()).collect();
    let found = match model {
        Some(name) => program.models().find(|def| def.name.text == name),
        None => program.models().next(),
    };
    let Some(def) = found else {
        let message = match model {
            Some(name) => format!("the file declares no model `{name}`"),
            None => "the file declares no model".into(),
        };
        let near = model.and_then(|name| base::did_you_mean(name, names.iter().copied()));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        return (None, vec![Diagnostic::error("E0212", message).maybe_help(help)]);
    };
    if model.is_none() && names.len() > 1 {
        let message = format!("the file declares {} models: {}", names.len(), names.join(", "));
        return (None, vec![Diagnostic::error("E0212", message).help("choose one with `--model NAME`")]);
    }
    checker.file_wide();
    let built = checker.build(def, with_train);
    let mut diagnostics = checker.diagnostics;
    let failed = base::has_errors(&diagnostics);
    if !failed {
        diagnostics.extend(crate::lints::lints(program));
        diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    }
    (built.filter(|_| !failed), diagnostics)
}

impl<'p> Checker<'p> {
    /// Faults of items that belong to no model.
    fn file_wide(&mut self) {
        let trains = self.program.trains.iter().map(|train| (train.model, "to train"));
        let weights = self.program.weights.iter().map(|name| (*name, "to give weights to"));
        let benches = self.program.benches.iter().map(|name| (*name, "to measure"));
        for (model, what) in trains.chain(weights).chain(benches) {
            if !self.program.models().any(|def| def.name.text == model.text) {
                let names = self.program.models().map(|def| def.name.text.as_str());
                let near = base::did_you_mean(&model.text, names);
                self.diagnostics.push(
                    Diagnostic::error("E0212", format!("there is no model `{}` {what}", model.text))
                        .label(model.span, "not declared in this file")
                        .did_you_mean(model.span, near),
                );
            }
        }
        self.check_benches();
        for (name, text) in &self.options.set {
            let known = name.starts_with("train.")
                || self.program.user.items.contains_key(name.as_str())
                || self.program.models().any(|def| {
                    def.config.iter().flat_map(|list| &list.params).any(|param| param.name.text == *name)
                });
            if !known {
                let names: Vec<&str> = self
                    .program
                    .models()
                    .flat_map(|def| def.config.iter().flat_map(|list| &list.params))
                    .map(|param| param.name.text.as_str())
                    .chain(self.program.user.items.keys().copied())
                    .collect();
                let near = base::did_you_mean(name, names);
                self.diagnostics.push(
                    Diagnostic::error("E0416", format!("`--set {name}={text}`: there is no `{name}` to set"))
                        .maybe_help(near.map(|near| format!("did you mean `{near}`?"))),
                );
            }
        }
    }

    pub fn build(&mut self, def: &'p ast::Def, with_train: bool) -> Option<Built> {
        let mut entries: Vec<(&'static str, FuncId)> = Vec::new();
        let train = self.program.trains.iter().find(|train| train.model.text == def.name.text).copied();
        if let (true, Some(train)) = (self.only_check, train) {
            // Training and evaluation walk the model in both modes; inference by itself would say the same.
            let mut inits = Vec::new();
            self.build_training(def, &train, &mut entries, &mut inits, &mut Vec::new());
            self.build_init("init", &inits);
            if !base::has_errors(&self.diagnostics) {
                let names = inits.iter().filter(|(.., role)| *role == Role::Weight);
                self.weight_maps(def, &names.map(|(name, ..)| name.as_str()).collect());
            }
            return None;
        }
        self.push_frame("run", RUN, Some(def));
        let forward = self.forward(def);
        let (mut weights, mut states) = (Vec::new(), Vec::new());
        let mut inits: Vec<(String, Weight<'p>, Role)> = Vec::new();
        if let Some(forward) = &forward {
            self.export(&forward.outputs, Role::Output);
            self.export_states();
        }
        let frame = self.frames.pop()?;
        let layers = std::mem::take(&mut self.layers);
        if forward.is_some() {
            for (name, (_, weight)) in &frame.weights {
                weights.push(WeightInfo { name: name.clone(), ty: weight.ty.clone(), span: weight.span });
                inits.push((name.clone(), weight.clone(), Role::Weight));
            }
            for (name, state) in &frame.states {
                states.push(WeightInfo { name: name.clone(), ty: state.ty.clone(), span: state.span });
                let weight = Weight { ty: state.ty.clone(), init: state.init.clone(), span: state.span };
                inits.push((name.clone(), weight, Role::State));
            }
            entries.push(("run", self.module.functions.push(frame.function)));
        }
        let mut spec = None;
        let mut fits = Vec::new();
        if let (true, Some(train), Some(_)) = (with_train, train, &forward) {
            spec = self.build_training(def, &train, &mut entries, &mut inits, &mut fits);
        }
        if base::has_errors(&self.diagnostics) {
            return None;
        }
        let (sessions, inits): (Vec<_>, Vec<_>) = inits
            .into_iter()
            .partition(|(_, weight, role)| *role == Role::State && belongs_to_session(&weight.ty));
        entries.push(("init", self.build_init("init", &inits)?));
        if !sessions.is_empty() {
            entries.push(("reset", self.build_init("reset", &sessions)?));
        }
        let has = |name: &str| weights.iter().any(|weight| weight.name == *name);
        let training_weights = inits
            .iter()
            .filter(|(name, _, role)| *role == Role::Weight && !has(name))
            .map(|(name, weight, _)| WeightInfo {
                name: name.clone(),
                ty: weight.ty.clone(),
                span: weight.span,
            })
            .collect();
        let names = inits.iter().filter(|(.., role)| *role == Role::Weight);
        let maps = self.weight_maps(def, &names.map(|(name, ..)| name.as_str()).collect());
        if base::has_errors(&self.diagnostics) {
            return None;
        }
        Some(Built {
            name: def.name.text.clone(),
            module: std::mem::take(&mut self.module),
            entries,
            inputs: forward.map(|forward| forward.inputs).unwrap_or_default(),
            weights,
            states,
            training_weights,
            fits,
            train: spec,
            maps,
            layers,
        })
    }

    /// Binds a model's configuration in the present frame: what `--set` says, else its defaults.
    pub fn bind_configuration(&mut self, def: &'p ast::Def) {
        for param in def.config.iter().flat_map(|list| &list.params) {
            let value = match (self.options.set.get(&param.name.text), &param.default) {
                (Some(text), _) => self.setting_text(text),
                (None, Some(default)) => self.expr(default),
                (None, None) => self.report(
                    Diagnostic::error("E0208", format!("`{}` has no default", param.name.text))
                        .label(param.span, "a model's configuration is given by its defaults or by `--set`")
                        .help(format!("`--set {}=…`", param.name.text)),
                ),
            };
            self.frame().bind(&param.name.text, value, param.name.span);
        }
    }

    /// Binds configuration and inputs in the present frame and evaluates the body.
    pub fn forward(&mut self, def: &'p ast::Def) -> Option<Forward> {
        let errors_before = self.n_errors();
        self.bind_configuration(def);
        let mut inputs = Vec::new();
        for param in &def.inputs.params {
            let Some(ty) = &param.ty else {
                self.error(
                    "E0412",
                    param.span,
                    format!("the input `{}` needs a type", param.name.text),
                    "as in `x: f32[batch, 20]`",
                );
                continue;
            };
            if matches!(ty.name, TypeName::Int | TypeName::Dim) {
                self.error(
                    "E0302",
                    ty.span,
                    "an input is a tensor; `int` and `dim` are for configuration",
                    "not a dtype",
                );
                continue;
            }
            let default = param.default.as_ref().and_then(|expr| self.expr(expr).as_f64());
            let stated = ty.name_span;
            let Some((ty, places)) = self.declare_type(ty) else { continue };
            let id =
                self.param(graph::Param { name: param.name.text.clone(), role: Role::Input, ty: ty.clone() });
            self.set_origins(id, places);
            self.frame().dtypes.insert(id, stated);
            self.frame().bind(&param.name.text, Value::Tensor(id), param.name.span);
            inputs.push(FieldSpec { name: param.name.text.clone(), ty, default });
        }
        if self.n_errors() > errors_before {
            return None;
        }
        let named = matches!(def.results, Some(ast::Results::Named(..)));
        if !named {
            self.error("E0210", def.name.span, "a model names its results", "as in `-> (y: f32[batch, 1])`");
            return None;
        }
        let value = self.body(def);
        if value.is_error() || self.n_errors() > errors_before {
            return None;
        }
        let ids = self.value_ids(&value, def.name.span)?;
        let names: Vec<String> = match &def.results {
            Some(ast::Results::Named(results, _)) => {
                results.iter().map(|result| result.name.text.clone()).collect()
            }
            _ => return None,
        };
        // What follows (loss, metrics) sees the results as declared.
        let outputs: Vec<(String, NodeId)> = names.into_iter().zip(ids).collect();
        for (name, id) in &outputs {
            self.frame().bind(name, Value::Tensor(*id), def.name.span);
        }
        Some(Forward { outputs, inputs })
    }

    pub fn export(&mut self, values: &[(String, NodeId)], role: Role) {
        for (name, id) in values {
            self.frame().function.results.push((name.clone(), role, *id));
        }
    }

    /// States become results under their own names, with the roles of their parameters.
    pub fn export_states(&mut self) {
        let keeps_sessions = self.keeps_sessions();
        let frame = self.frame();
        let roles: BTreeMap<&str, Role> =
            frame.function.params.iter().map(|param| (param.name.as_str(), param.role)).collect();
        let role = |name: &str| roles.get(name).copied().unwrap_or(Role::State);
        let lasts = |ty: &Type| keeps_sessions || !belongs_to_session(ty);
        let states = frame.states.iter().filter(|(_, state)| lasts(&state.ty));
        let results: Vec<(String, Role, NodeId)> =
            states.map(|(name, state)| (name.clone(), role(name), state.current)).collect();
        frame.function.results.extend(results);
    }

    /// Layers and functions that nothing uses, as far as they can be checked alone: free dimensions stay symbols.
    fn unused_definitions(&mut self) {
        let defs: Vec<&'p ast::Def> = self
            .program
            .main
            .items
            .iter()
            .filter_map(|item| match &item.kind {
                ast::ItemKind::Def(def) if matches!(def.kind, DefKind::Layer | DefKind::Fn) => Some(def),
                _ => None,
            })
            .filter(|def| !self.used.contains(&def.name.span))
            .collect();
        for def in defs {
            let typed = def.inputs.params.iter().all(|param| {
                param.ty.as_ref().is_some_and(|ty| {
                    crate::types::dtype(ty.name).is_some()
                        && !matches!(ty.dims.first(), Some(ast::Dim::Rest(_)))
                })
            });
            let config: Option<Vec<Value<'p>>> = def
                .config
                .iter()
                .flat_map(|list| &list.params)
                .map(|param| match (&param.default, param.ty.as_ref().map(|ty| ty.name)) {
                    (Some(_), _) => Some(Value::Nothing),
                    (None, Some(TypeName::Dim)) => Some(Value::Dim(Dim::symbol(&param.name.text))),
                    _ => None,
                })
                .collect();
            let (true, Some(config)) = (typed, config) else { continue };
            self.check_alone(def, config);
        }
    }

    fn check_alone(&mut self, def: &'p ast::Def, config: Vec<Value<'p>>) {
        self.generic = true;
        self.push_frame(&def.name.text, RUN, Some(def));
        let params = def.config.iter().flat_map(|list| &list.params);
        for (param, value) in params.zip(config) {
            let value = match (&value, &param.default) {
                (Value::Nothing, Some(default)) => self.expr(default),
                _ => value,
            };
            self.frame().bind(&param.name.text, value, param.name.span);
        }
        let mut fine = true;
        for param in &def.inputs.params {
            let Some((ty, places)) = param.ty.as_ref().and_then(|ty| self.declare_type(ty)) else {
                fine = false;
                continue;
            };
            let id = self.param(graph::Param { name: param.name.text.clone(), role: Role::Input, ty });
            self.set_origins(id, places);
            self.frame().bind(&param.name.text, Value::Tensor(id), param.name.span);
        }
        if fine {
            if def.kind == DefKind::Fn {
                self.frame().allows_weights = false;
            }
            self.body(def);
        }
        self.frames.pop();
        self.generic = false;
    }

    /// The type of a field of the data, from the parameter it is passed to.
    pub fn field_by_param(&mut self, param: &'p ast::Param, name: &str, span: Span) -> Value<'p> {
        if let Some((_, id)) = self.fields.iter().find(|(known, _)| known == name).cloned() {
            return self.fit_input(param, Value::Tensor(id), span);
        }
        let told = self.diagnostics.len();
        let ty = param.ty.as_ref().and_then(|ty| self.resolve_type(ty));
        let Some((ty, places)) = ty else {
            // Told here alone: that dimensions are not known is no fault of the function.
            self.diagnostics.truncate(told);
            let diagnostic = Diagnostic::error(
                "E0206",
                format!("the type of the field `{name}` does not follow from its use"),
            )
            .label(span, format!("passed to `{}`", param.name.text));
            let diagnostic = self.type_of_field(diagnostic, name, span);
            return self.report(diagnostic);
        };
        Value::Tensor(self.new_field(name, ty, places))
    }

    /// What would help where a free name is taken for a field: a name in scope that is near, or a stated type.
    pub fn type_of_field(&self, diagnostic: Diagnostic, name: &str, span: Span) -> Diagnostic {
        let bound = self.frames.iter().flat_map(|frame| frame.scopes.iter().flatten());
        let model = self.program.models().flat_map(|def| {
            let results = match &def.results {
                Some(ast::Results::Named(results, _)) => &results[..],
                _ => &[],
            };
            let inputs = def.inputs.params.iter().map(|param| param.name.text.as_str());
            inputs.chain(results.iter().map(|result| result.name.text.as_str()))
        });
        let known: Vec<&str> = bound.map(|binding| &*binding.name).chain(model).collect();
        match base::did_you_mean(name, known) {
            Some(near) => diagnostic.did_you_mean(span, Some(near)),
            None => diagnostic.help(format!(
                "state its type at the train block: `train Model({name}: f32[batch]) {{ … }}`"
            )),
        }
    }

    pub fn new_field(&mut self, name: &str, ty: Type, places: Vec<Option<Span>>) -> NodeId {
        let id = self.param(graph::Param { name: name.to_string(), role: Role::Input, ty });
        self.set_origins(id, places);
        self.fields.push((name.to_string(), id));
        id
    }

    pub fn optimizer_value(&mut self, expr: &'p ast::Expr) -> Option<Rc<Configured<'p>>> {
        match self.optimizer_call(expr) {
            Value::Optimizer(configured)
                if configured.config.is_empty() && configured.def.config.is_some() =>
            {
                // Named without a list: all defaults.
                match self.apply(Value::Optimizer(configured), Vec::new(), expr.span, expr.span) {
                    Value::Optimizer(configured) => Some(configured),
                    _ => None,
                }
            }
            Value::Optimizer(configured) => Some(configured),
            Value::Error => None,
            Value::Layer(layer) if matches!(&*layer, Layer::Def(_)) => {
                self.error(
                    "E0415",
                    expr.span,
                    "`optimizer` is an optimizer such as `adam()`, but this is a layer",
                    "a layer",
                );
                None
            }
            other => {
                let message =
                    format!("`optimizer` is an optimizer such as `adam()`, but this is {}", other.kind());
                self.error("E0415", expr.span, message, other.kind());
                None
            }
        }
    }
}
