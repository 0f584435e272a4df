//! What an expression is while checking: a tensor of the function under construction, or something known right now.

mod walk;

pub use walk::{MAX_HEIGHT, MAX_LEAVES, Place};

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

impl Layer<'_> {
    /// Named, but its configuration is not given yet: `dense`, where `dense(64)` has one.
    pub fn is_bare(&self) -> bool {
        match self {
            Layer::Def(configured) => {
                configured.config.is_empty()
                    && configured.def.config.as_ref().is_some_and(|list| !list.params.is_empty())
            }
            _ => false,
        }
    }
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
}
