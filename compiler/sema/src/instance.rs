//! Layers in use: one graph function a distinct signature, one set of weights an instance.

mod compile;
mod declare;
mod outside;
mod repeat;

pub use declare::belongs_to_session;

use crate::{
    call::Arg,
    checker::Checker,
    value::{Configured, Instance, Layer, Replaced, Value},
};
use base::{Diagnostic, Span};
use grammar::ast;
use graph::{FuncId, Type};
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
        match &**layer {
            Layer::Def(_) if layer.is_bare() => match self.with_defaults(layer, span) {
                Some(layer) => self.apply_layer(&layer, name, args, span),
                None => Value::Error,
            },
            Layer::Def(configured) => {
                self.note_instance(layer, name);
                self.apply_def(configured, name, &[], args, span)
            }
            Layer::Chain(stages) => self.apply_chain(stages, name, args, span),
            Layer::Repeat { count, body, .. } => self.apply_repeat(*count, body, name, args, span),
        }
    }

    /// A layer that is named without parentheses, with the defaults of its configuration.
    fn with_defaults(&mut self, layer: &Layer<'p>, span: Span) -> Option<Rc<Layer<'p>>> {
        let Layer::Def(Configured { def, .. }) = *layer else { return None };
        self.used.insert(def.name.span);
        let params = def.config.as_ref().map_or(&[][..], |list| &list.params[..]);
        let config = self.configuration(def, params, Vec::new(), span)?;
        Some(Rc::new(Layer::Def(Configured { def, config })))
    }

    /// Remembers an inline instance, for `block.0.w`.
    fn note_instance(&mut self, layer: &Rc<Layer<'p>>, name: &str) {
        if !self.frame_ref().instances.contains_key(name) {
            let (frame, layer) = (self.frame_ref().id, layer.clone());
            let instance = Instance { name: name.to_string(), layer, frame, replaced: Vec::new() };
            self.frame().instances.insert(name.to_string(), Rc::new(instance));
        }
    }

    pub fn no_weights_here(&mut self, span: Span) -> Value<'p> {
        self.report(
            Diagnostic::error("E0410", "a `fn` has no weights, so it cannot make an instance of a layer")
                .label(span, "a layer is applied here")
                .help("make it a `layer`, or bind the instance outside, as in `fc = dense(64)`"),
        )
    }

    /// An instance, some of whose weights may stand for others.
    pub fn apply_instance(&mut self, instance: &Instance<'p>, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        let value = match &*instance.layer {
            Layer::Def(configured) if !instance.replaced.is_empty() => {
                if args.iter().any(|arg| arg.value.is_error()) {
                    Value::Error
                } else {
                    self.apply_def(configured, &instance.name, &instance.replaced, args, span)
                }
            }
            _ => self.apply_layer(&instance.layer, &instance.name, args, span),
        };
        if value.is_error() {
            self.frame().failed.insert(instance.name.clone());
        }
        value
    }

    /// `fc.with(w: expr)`: the instance with these tensors in place of its own weights.
    pub fn with_call(&mut self, base: &'p ast::Expr, args: &'p [ast::Arg], span: Span) -> Value<'p> {
        let instance = match self.expr(base) {
            Value::Instance(instance) => instance,
            Value::Error => return Value::Error,
            other => {
                let message =
                    format!("`with` belongs to an instance of a layer, but this is {}", other.kind());
                return self.error("E0312", base.span, message, other.kind());
            }
        };
        if !matches!(&*instance.layer, Layer::Def(_)) {
            let message =
                format!("`{}` is made of several layers and has no weights of its own", instance.name);
            return self.error("E0312", base.span, message, "`with` belongs to one of its layers");
        }
        let mut replaced = instance.replaced.clone();
        for arg in args {
            let Some(weight) = &arg.name else {
                let message = "`with` takes weights by name, as in `fc.with(w: v)`";
                return self.error("E0209", arg.span, message, "a name is missing");
            };
            let value = self.expr(&arg.value);
            let Some(by) = self.tensor(&value, None, arg.value.span) else { return Value::Error };
            replaced.retain(|known| known.weight.text != weight.text);
            replaced.push(Replaced { weight, by, span: arg.value.span });
        }
        if replaced.is_empty() {
            return self.error("E0208", span, "`with` replaces at least one weight", "nothing is replaced");
        }
        Value::Instance(Rc::new(Instance { replaced, ..(*instance).clone() }))
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
                    self.apply_layer(layer, &inner, args, span)
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
        replaced: &[Replaced<'p>],
        args: Vec<Arg<'p>>,
        span: Span,
    ) -> Value<'p> {
        let def = configured.def;
        self.used.insert(def.name.span);
        if self.too_deep(def, span) {
            return Value::Error;
        }
        let Some(given) = self.match_args(&def.name.text, &def.inputs.params, args) else {
            return Value::Error;
        };
        let Some((compiled, given)) = self.compile(def, &configured.config, given, span) else {
            return Value::Error;
        };
        let input_types: Vec<Type> = given.operands.iter().map(|id| self.ty(*id).clone()).collect();
        let value = self.call_compiled(&compiled, given, Some(name), replaced, span);
        self.note_layer(name, def, compiled.func, input_types, &value);
        value
    }

    fn note_layer(
        &mut self,
        name: &str,
        def: &'p ast::Def,
        func: FuncId,
        inputs: Vec<Type>,
        value: &Value<'p>,
    ) {
        // What is inside of a layer is told with the layer.
        if self.frames.len() > 1 && !self.calls.is_empty() {
            return;
        }
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
