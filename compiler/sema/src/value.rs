//! What an expression is while checking: a tensor of the function under construction, or something known right now.

use grammar::ast;
use graph::{DType, NodeId};
use shape::Dim;
use std::rc::Rc;

/// A value. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Value<'p> {
    /// A fault was reported; whatever is made of it stays silent.
    Error,
    /// `if` without a value, a write.
    Nothing,
    Tensor(NodeId),
    /// A number known now, which takes the dtype of what it meets. `Int` also stands for constant dimensions.
    Int(i64),
    Float(f64),
    /// A dimension that stays symbolic.
    Dim(Dim),
    /// What `..s` stands for.
    Dims(Rc<Vec<Dim>>),
    Bool(bool),
    Text(Rc<str>),
    DType(DType),
    List(Rc<Vec<Value<'p>>>),
    Tuple(Rc<Vec<Value<'p>>>),
    Fn(Rc<Closure<'p>>),
    Native(&'static str),
    /// A function over a further axis of its arguments.
    Mapped(Rc<Mapped<'p>>),
    /// A function with a reverse derivative of its own.
    Custom(Rc<Custom<'p>>),
    /// A layer without an instance yet: a definition with its configuration, a chain, a repetition.
    Layer(Rc<Layer<'p>>),
    /// A layer with a name in the frame where it was bound.
    Instance(Rc<Instance<'p>>),
    Optimizer(Rc<Configured<'p>>),
    /// A field of the data whose type is not known yet.
    Field(Rc<str>),
    /// How gradients are limited before the update.
    Clip(Clip),
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Clip {
    GlobalNorm(f64),
    ByValue(f64),
}

/// Names and what they are bound to, as a local function or an initial value sees them later.
pub type Env<'p> = Rc<Vec<(Rc<str>, Value<'p>)>>;

/// A function and what it sees.
#[derive(Clone, Debug)]
pub struct Closure<'p> {
    pub def: &'p ast::Def,
    /// Bindings around a local function; tensors in it belong to the frame `frame`.
    pub env: Option<Env<'p>>,
    pub frame: u64,
}

/// What `vmap` makes of a function.
#[derive(Clone, Debug)]
pub struct Mapped<'p> {
    pub function: Value<'p>,
    /// Where the arguments have the axis; the results have it first.
    pub axis: i64,
}

/// What `custom_grad` makes of two functions.
#[derive(Clone, Debug)]
pub struct Custom<'p> {
    pub function: Value<'p>,
    /// From the arguments and the cotangents of the results to those of the floating arguments.
    pub backward: Value<'p>,
}

#[derive(Clone, Debug)]
pub struct Configured<'p> {
    pub def: &'p ast::Def,
    /// One value a configuration parameter, in order.
    pub config: Vec<Value<'p>>,
}

#[derive(Clone, Debug)]
pub enum Layer<'p> {
    Def(Configured<'p>),
    /// Stages applied one after the other: layers and functions.
    Chain(Vec<Value<'p>>),
    /// `count` fresh instances of `body`, called `name.0`, `name.1`, ….
    Repeat {
        count: i64,
        name: Rc<str>,
        body: Value<'p>,
    },
}

#[derive(Clone, Debug)]
pub struct Instance<'p> {
    pub name: String,
    pub layer: Rc<Layer<'p>>,
    pub frame: u64,
    /// Tensors of the same frame that stand in for weights of its own, from `with`.
    pub replaced: Vec<Replaced<'p>>,
}

/// A weight of an instance, by its name inside, and the tensor in its place.
#[derive(Clone, Debug)]
pub struct Replaced<'p> {
    pub weight: &'p ast::Name,
    pub by: NodeId,
    pub span: base::Span,
}

impl<'p> Value<'p> {
    pub fn dim(dim: Dim) -> Value<'p> {
        match dim.as_const() {
            Some(value) => Value::Int(value),
            None => Value::Dim(dim),
        }
    }

    pub fn list(items: Vec<Value<'p>>) -> Value<'p> {
        Value::List(Rc::new(items))
    }

    pub fn tuple(items: Vec<Value<'p>>) -> Value<'p> {
        Value::Tuple(Rc::new(items))
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error)
    }

    pub fn as_dim(&self) -> Option<Dim> {
        match self {
            Value::Int(value) => Some(Dim::from(*value)),
            Value::Dim(dim) => Some(dim.clone()),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// What to call it in a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Error => "an error",
            Value::Nothing => "nothing",
            Value::Tensor(_) => "a tensor",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Dim(_) => "a dimension",
            Value::Dims(_) => "a list of dimensions",
            Value::Bool(_) => "a compile-time bool",
            Value::Text(_) => "a string",
            Value::DType(_) => "a dtype",
            Value::List(_) => "a list",
            Value::Tuple(_) => "a tuple",
            Value::Fn(_) | Value::Native(_) | Value::Mapped(_) | Value::Custom(_) => "a function",
            Value::Layer(_) => "a layer",
            Value::Instance(_) => "an instance of a layer",
            Value::Optimizer(_) => "an optimizer",
            Value::Field(_) => "a field of the data",
            Value::Clip(_) => "a gradient limit",
        }
    }

    /// Whether a tensor of some frame is inside: such a value cannot configure a layer that is compiled apart.
    pub fn holds_tensor(&self) -> bool {
        match self {
            Value::Tensor(_) => true,
            Value::List(items) | Value::Tuple(items) => items.iter().any(Value::holds_tensor),
            Value::Fn(closure) => {
                closure.env.as_ref().is_some_and(|env| env.iter().any(|(_, value)| value.holds_tensor()))
            }
            Value::Layer(layer) => match &**layer {
                Layer::Def(configured) => configured.config.iter().any(Value::holds_tensor),
                Layer::Chain(stages) => stages.iter().any(Value::holds_tensor),
                Layer::Repeat { body, .. } => body.holds_tensor(),
            },
            Value::Mapped(mapped) => mapped.function.holds_tensor(),
            Value::Custom(custom) => custom.function.holds_tensor() || custom.backward.holds_tensor(),
            Value::Instance(_) => true,
            _ => false,
        }
    }

    /// Two values with one fingerprint configure a layer alike. Definitions are told apart by their address.
    pub fn fingerprint(&self, out: &mut String) {
        use std::fmt::Write;
        let _ = match self {
            Value::Fn(closure) => write!(out, "fn{:p};", closure.def),
            Value::Layer(layer) => {
                match &**layer {
                    Layer::Def(configured) => {
                        let _ = write!(out, "layer{:p}(", configured.def);
                        configured.config.iter().for_each(|value| value.fingerprint(out));
                    }
                    Layer::Chain(stages) => {
                        out.push_str("chain(");
                        stages.iter().for_each(|value| value.fingerprint(out));
                    }
                    Layer::Repeat { count, name, body } => {
                        let _ = write!(out, "repeat {count} {name}(");
                        body.fingerprint(out);
                    }
                }
                write!(out, ");")
            }
            Value::Mapped(mapped) => {
                let _ = write!(out, "vmap {}(", mapped.axis);
                mapped.function.fingerprint(out);
                write!(out, ");")
            }
            Value::Custom(custom) => {
                out.push_str("custom(");
                custom.function.fingerprint(out);
                custom.backward.fingerprint(out);
                write!(out, ");")
            }
            Value::List(items) | Value::Tuple(items) => {
                out.push('[');
                items.iter().for_each(|value| value.fingerprint(out));
                write!(out, "];")
            }
            other => write!(out, "{other:?};"),
        };
    }
}
