//! Weights and states: what a layer declares, and the write of a state.

use crate::{
    checker::Checker,
    frame::{Binding, Init, RandomParams, State, Weight},
    value::Value,
};
use base::{Diagnostic, Span};
use grammar::ast;
use graph::{DType, NodeId, Role, Type};
use std::rc::Rc;

impl<'p> Checker<'p> {
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
        let stated = ty.name_span;
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
        self.undeclared(&decl.name.text, &decl.name)?;
        let weight = Weight { ty, init: self.init(decl.init.as_ref()), span: decl.name.span };
        let id = self.weight_node(&decl.name.text, &weight, Role::Weight)?;
        self.set_origins(id, places);
        self.frame().dtypes.insert(id, stated);
        self.frame().weights.insert(decl.name.text.clone(), (id, weight));
        Some(id)
    }

    /// That neither a weight nor a state has the name `full` yet, which is written `name`.
    fn undeclared(&mut self, full: &str, name: &ast::Name) -> Option<()> {
        let frame = self.frame_ref();
        let weight = frame.weights.get(full).map(|(_, weight)| weight.span);
        let Some(first) = weight.or_else(|| frame.states.get(full).map(|state| state.span)) else {
            return Some(());
        };
        self.report(
            Diagnostic::error("E0202", format!("`{}` is declared twice", name.text))
                .label(name.span, "declared again here")
                .label(first, "first declared here"),
        );
        None
    }

    fn init(&self, expr: Option<&'p ast::Expr>) -> Init<'p> {
        let env = self.frame_ref().snapshot(|value| !value.holds_tensor() && !value.is_error());
        Init { expr, env }
    }

    /// The parameter that a weight is, or in a test its initial value.
    pub(super) fn weight_node(&mut self, name: &str, weight: &Weight<'p>, role: Role) -> Option<NodeId> {
        if self.in_test() {
            let random = self.frame_random();
            let random = self.drawn_for(name, random);
            // The weight that an optimiser is applied to.
            let owner = match self.frame_ref().lookup("p").map(|binding| &binding.value) {
                Some(Value::Tensor(id)) if role == Role::Optimizer => Some(*id),
                _ => None,
            };
            return self.begin(name, weight, random, owner);
        }
        if role == Role::State && belongs_to_session(&weight.ty) && !self.keeps_sessions() {
            let random = self.frame_random();
            let random = self.drawn_for(name, random);
            return self.begin(name, weight, random, None);
        }
        let mut ty = weight.ty.clone();
        let has_master = role == Role::Weight && ty.dtype == DType::Float && self.frame_ref().masters;
        if has_master {
            ty.dtype = DType::F32;
        }
        let id = self.param(graph::Param { name: name.into(), role, ty });
        if has_master { self.cast(id, DType::Float, weight.span) } else { Some(id) }
    }

    /// Whether a state whose size goes with the data lasts beyond a call: it does where a model is run, and in layers,
    /// where the caller decides. Training and measuring begin it anew in each call.
    pub fn keeps_sessions(&self) -> bool {
        self.frames.len() > 1 || self.frame_ref().function.name == "run"
    }

    /// What a weight or state begins as. Draws go by its full name, as `random` does; an
    /// optimiser's state may begin from its weight, `owner`.
    pub fn begin(
        &mut self,
        name: &str,
        weight: &Weight<'p>,
        random: RandomParams,
        owner: Option<NodeId>,
    ) -> Option<NodeId> {
        let mut scope = Vec::new();
        let mut bind = |name: &str, value: Value<'p>| {
            scope.push(Binding { name: name.into(), value, span: weight.span });
        };
        for (bound, value) in weight.init.env.iter() {
            bind(bound, value.clone());
        }
        for parameter in ["p", "g"] {
            if let Some(id) = owner {
                bind(parameter, Value::Tensor(id));
            }
        }
        let extra = vec![("_init_shape", Value::Dims(Rc::new(weight.ty.shape.0.clone())))];
        let frame = self.frame();
        let random = frame.random.replace(random);
        let draws = std::mem::take(&mut frame.draws);
        let steps = std::mem::take(&mut frame.steps);
        let scopes = std::mem::replace(&mut frame.scopes, vec![scope]);
        let extra = std::mem::replace(&mut frame.extra, extra);
        let value = match weight.init.expr {
            Some(expr) => {
                let file_def = self.definition_at(expr.span);
                if let Some(def) = file_def {
                    self.calls.push((def, weight.span));
                }
                let value = self.expr(expr);
                if file_def.is_some() {
                    self.calls.pop();
                }
                value
            }
            None => Value::Int(0),
        };
        let id = if value.is_error() { None } else { self.initial_value(&value, name, weight) };
        let frame = self.frame();
        (frame.random, frame.draws, frame.scopes, frame.extra) = (random, draws, scopes, extra);
        frame.steps = steps;
        id
    }

    /// The definition whose body a place lies in, so that names there are looked up in its file.
    fn definition_at(&self, span: Span) -> Option<&'p ast::Def> {
        let scopes = [&self.program.user, &self.program.std]
            .into_iter()
            .chain(self.program.imported.iter().map(|(_, scope)| scope));
        scopes
            .flat_map(|scope| scope.items.values())
            .filter_map(|item| match item {
                crate::program::Item::Def(def) => Some(*def),
                _ => None,
            })
            .find(|def| def.span.file == span.file && def.span.lo <= span.lo && span.hi <= def.span.hi)
    }

    fn initial_value(&mut self, value: &Value<'p>, name: &str, weight: &Weight<'p>) -> Option<NodeId> {
        let span = weight.init.expr.map_or(weight.span, |expr| expr.span);
        let id = self.tensor(value, Some(weight.ty.dtype), span)?;
        let id = self.fit_dtype(id, weight.ty.dtype, span, Some(weight.span), &format!("`{name}`"))?;
        let have = self.shape(id);
        let facts = self.frame_ref().function.facts.clone();
        if !facts.broadcast(&have, &weight.ty.shape).is_ok_and(|shape| shape == weight.ty.shape) {
            self.report(
                Diagnostic::error(
                    "E0301",
                    format!(
                        "the initial value of `{name}` is {}, but it is declared as {}",
                        self.ty(id),
                        weight.ty
                    ),
                )
                .label(span, format!("this is {}", self.ty(id)))
                .label(weight.span, format!("{} is declared here", weight.ty)),
            );
            return None;
        }
        self.broadcast_to(id, &weight.ty.shape, span)
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
        self.undeclared(&name, &decl.name)?;
        let weight = Weight { ty, init: self.init(decl.init.as_ref()), span: decl.name.span };
        let param = self.weight_node(&name, &weight, role)?;
        self.set_origins(param, places);
        let state = State {
            ty: weight.ty,
            init: weight.init,
            current: param,
            start: param,
            written: false,
            span: weight.span,
        };
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
                    .did_you_mean(name.span, near.as_deref()),
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
        let Some(id) = self.fit_dtype(id, ty.dtype, expr.span, Some(declared), &format!("`{}`", name.text))
        else {
            return;
        };
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
}

/// Whether a state's size is known only with the inputs: then it belongs to a session of runs and is not saved.
pub fn belongs_to_session(ty: &Type) -> bool {
    ty.shape.iter().any(|dim| dim.as_const().is_none())
}
