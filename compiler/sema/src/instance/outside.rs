//! What a layer is given besides tensors: functions, layers, and instances of its caller. A layer is compiled once for all
//! callers, so inside it an instance from outside goes by a number, `@0`, and each call says whose weights these are.

use crate::{
    checker::Checker,
    value::{Closure, Configured, Custom, Instance, Layer, Mapped, Place, Value},
};
use base::Span;
use graph::{NodeId, Type};
use std::{collections::BTreeMap, rc::Rc};

/// Stands before the number of an instance from outside; no name of the language begins so.
const OUTSIDE: char = '@';

/// Tensors among the arguments of one call.
const MAX_OPERANDS: usize = 1 << 12;

/// Instances of the caller, by their numbers inside.
#[derive(Default)]
pub struct Outside<'p> {
    pub instances: Vec<Rc<Instance<'p>>>,
    /// What has come in, and what it is inside; the first is kept so that its place stays its own.
    entered: BTreeMap<Place, (Value<'p>, Value<'p>)>,
}

/// The tensors among the inputs of a call, with what is known of them in the caller.
#[derive(Default)]
pub struct Operands {
    pub ids: Vec<NodeId>,
    pub types: BTreeMap<NodeId, OperandType>,
}

/// A tensor's type, and where its axes and its dtype come from.
#[derive(Clone)]
pub struct OperandType {
    pub ty: Type,
    pub origins: Vec<Option<Span>>,
    pub dtype: Option<Span>,
}

/// Why a value cannot go into a layer.
pub enum Unfit {
    Tensor,
    /// A function that sees tensors.
    Function(String),
    /// An instance with other weights in place of its own.
    Replaced(String),
    TooMany,
}

/// Whether what a layer calls `name` is a weight or state of an instance from outside.
pub fn is_outside(name: &str) -> bool {
    name.starts_with(OUTSIDE)
}

impl<'p> Outside<'p> {
    /// The full name in the caller of a weight or state that a layer calls `name`.
    pub fn full_name(&self, instance: Option<&str>, name: &str) -> String {
        if is_outside(name)
            && let Some((number, rest)) = name[OUTSIDE.len_utf8()..].split_once('.')
            && let Some(known) = number.parse::<usize>().ok().and_then(|number| self.instances.get(number))
        {
            return format!("{}.{rest}", known.name);
        }
        instance.map_or(name.to_string(), |instance| format!("{instance}.{name}"))
    }

    /// A value as the layer sees it: instances of the caller by numbers. Tensors only where `tensors` takes them.
    pub fn enter(
        &mut self,
        value: &Value<'p>,
        tensors: &mut Option<&mut Operands>,
    ) -> Result<Value<'p>, Unfit> {
        let place = value.place().filter(|_| tensors.is_none());
        if let Some((_, inside)) = place.and_then(|place| self.entered.get(&place)) {
            return Ok(inside.clone());
        }
        let inside = self.enter_fresh(value, tensors)?;
        if let Some(place) = place {
            self.entered.insert(place, (value.clone(), inside.clone()));
        }
        Ok(inside)
    }

    fn enter_fresh(
        &mut self,
        value: &Value<'p>,
        tensors: &mut Option<&mut Operands>,
    ) -> Result<Value<'p>, Unfit> {
        let mut all = |items: &[Value<'p>], tensors: &mut Option<&mut Operands>| {
            items.iter().map(|item| self.enter(item, tensors)).collect::<Result<Vec<_>, _>>()
        };
        // A function or a layer is configuration, whatever it came in.
        let none = &mut None;
        Ok(match value {
            Value::Tensor(id) => match tensors {
                Some(operands) if operands.ids.len() >= MAX_OPERANDS => return Err(Unfit::TooMany),
                Some(operands) => {
                    operands.ids.push(*id);
                    Value::Tensor(*id)
                }
                None => return Err(Unfit::Tensor),
            },
            Value::List(items) => Value::list(all(items, tensors)?),
            Value::Tuple(items) => Value::tuple(all(items, tensors)?),
            Value::Fn(closure) => {
                let Some(env) = &closure.env else { return Ok(value.clone()) };
                let seen = env.iter().map(|(name, value)| Ok((name.clone(), self.enter(value, none)?)));
                let env = seen.collect::<Result<Vec<_>, _>>().map_err(|unfit| match unfit {
                    Unfit::Tensor | Unfit::Function(_) => Unfit::Function(closure.def.name.text.clone()),
                    other => other,
                })?;
                let env = Some(Rc::new(env));
                Value::Fn(Rc::new(Closure { env, ..(**closure).clone() }))
            }
            Value::Layer(layer) => Value::Layer(Rc::new(match &**layer {
                Layer::Def(Configured { def, config }) => {
                    Layer::Def(Configured { def, config: all(config, none)? })
                }
                Layer::Chain(stages) => Layer::Chain(all(stages, none)?),
                Layer::Repeat { count, name, body } => {
                    Layer::Repeat { count: *count, name: name.clone(), body: self.enter(body, none)? }
                }
            })),
            Value::Mapped(mapped) => {
                let function = self.enter(&mapped.function, none)?;
                Value::Mapped(Rc::new(Mapped { function, axis: mapped.axis }))
            }
            Value::Custom(custom) => Value::Custom(Rc::new(Custom {
                function: self.enter(&custom.function, none)?,
                backward: self.enter(&custom.backward, none)?,
            })),
            Value::Instance(instance) if !instance.replaced.is_empty() => {
                return Err(Unfit::Replaced(instance.name.clone()));
            }
            Value::Instance(instance) => {
                let known = self.instances.iter().position(|known| known.name == instance.name);
                let number = known.unwrap_or(self.instances.len());
                if known.is_none() {
                    self.instances.push(instance.clone());
                }
                let Value::Layer(layer) = self.enter(&Value::Layer(instance.layer.clone()), none)? else {
                    return Ok(value.clone());
                };
                let name = format!("{OUTSIDE}{number}");
                Value::Instance(Rc::new(Instance { name, layer, frame: 0, replaced: Vec::new() }))
            }
            other => other.clone(),
        })
    }
}

impl<'p> Checker<'p> {
    /// A weight's name for messages: an instance from outside is called as the body calls it.
    pub(crate) fn shown_name(&self, name: &str) -> String {
        let Some((instance, rest)) = name.split_once('.').filter(|_| is_outside(name)) else {
            return name.to_string();
        };
        let mut bindings = self.frame_ref().scopes.iter().flatten();
        let is_it = |value: &Value<'p>| matches!(value, Value::Instance(known) if known.name == instance);
        match bindings.find(|binding| is_it(&binding.value)) {
            Some(binding) => format!("{}.{rest}", binding.name),
            None => rest.to_string(),
        }
    }

    /// A value that went through [`Outside::enter`], in the frame of the layer: its instances belong there now.
    pub(super) fn settle(&mut self, value: &Value<'p>) -> Value<'p> {
        self.settled(value, &mut BTreeMap::new())
    }

    fn settled(&mut self, value: &Value<'p>, known: &mut BTreeMap<Place, Value<'p>>) -> Value<'p> {
        let Some(place) = value.place() else { return value.clone() };
        if let Some(settled) = known.get(&place) {
            return settled.clone();
        }
        let settled = self.settle_fresh(value, known);
        known.insert(place, settled.clone());
        settled
    }

    fn settle_fresh(&mut self, value: &Value<'p>, known: &mut BTreeMap<Place, Value<'p>>) -> Value<'p> {
        let frame = self.frame_ref().id;
        match value {
            Value::Instance(instance) => {
                let Value::Layer(layer) = self.settled(&Value::Layer(instance.layer.clone()), known) else {
                    return value.clone();
                };
                let instance = Rc::new(Instance { frame, layer, ..(**instance).clone() });
                self.frame().instances.insert(instance.name.clone(), instance.clone());
                Value::Instance(instance)
            }
            Value::List(items) => Value::list(items.iter().map(|item| self.settled(item, known)).collect()),
            Value::Tuple(items) => Value::tuple(items.iter().map(|item| self.settled(item, known)).collect()),
            Value::Fn(closure) => {
                let Some(env) = &closure.env else { return value.clone() };
                let env =
                    env.iter().map(|(name, value)| (name.clone(), self.settled(value, known))).collect();
                Value::Fn(Rc::new(Closure { def: closure.def, env: Some(Rc::new(env)), frame }))
            }
            Value::Layer(layer) => Value::Layer(Rc::new(match &**layer {
                Layer::Def(Configured { def, config }) => {
                    let config = config.iter().map(|value| self.settled(value, known)).collect();
                    Layer::Def(Configured { def, config })
                }
                Layer::Chain(stages) => {
                    Layer::Chain(stages.iter().map(|stage| self.settled(stage, known)).collect())
                }
                Layer::Repeat { count, name, body } => {
                    Layer::Repeat { count: *count, name: name.clone(), body: self.settled(body, known) }
                }
            })),
            Value::Mapped(mapped) => {
                let function = self.settled(&mapped.function, known);
                Value::Mapped(Rc::new(Mapped { function, axis: mapped.axis }))
            }
            Value::Custom(custom) => Value::Custom(Rc::new(Custom {
                function: self.settled(&custom.function, known),
                backward: self.settled(&custom.backward, known),
            })),
            value => value.clone(),
        }
    }

    /// The tensors of a value become parameters of the present frame: `name`, or `name.0`, `name.1` of a tuple.
    pub(super) fn receive(
        &mut self,
        value: &Value<'p>,
        name: &str,
        types: &BTreeMap<NodeId, OperandType>,
    ) -> Value<'p> {
        let mut parts = |items: &[Value<'p>]| {
            let items = items.iter().enumerate();
            items.map(|(number, item)| self.receive(item, &format!("{name}.{number}"), types)).collect()
        };
        match value {
            Value::Tensor(id) => {
                let Some(OperandType { ty, origins, dtype }) = types.get(id).cloned() else {
                    return Value::Error;
                };
                let id = self.param(graph::Param { name: name.into(), role: graph::Role::Input, ty });
                self.set_origins(id, origins);
                self.frame().dtypes.extend(dtype.map(|dtype| (id, dtype)));
                Value::Tensor(id)
            }
            Value::List(items) => Value::list(parts(items)),
            Value::Tuple(items) => Value::tuple(parts(items)),
            value => value.clone(),
        }
    }
}
