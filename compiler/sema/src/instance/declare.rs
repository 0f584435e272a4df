//! Weights and states: what a layer declares, and the write of a state.

use crate::{
    checker::Checker,
    frame::{Init, State, Weight},
    value::Value,
};
use base::Diagnostic;
use grammar::ast;
use graph::{NodeId, Role};

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
}
