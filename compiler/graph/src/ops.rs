//! The operators. One file says everything about one of them; this list is the only other place that knows it.

use crate::{
    Array, Builder, FuncId, Module, NodeId, Type,
    rules::{ElementCx, EvalError, Fault, Grad, Operator, Sample},
};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

mod batching;
mod evaluation;
mod functions;
mod operands;
mod sampling;

macro_rules! ops {
    ($($(#[$doc:meta])* $file:ident :: $name:ident = $text:literal,)*) => {
        $(pub(crate) mod $file;)*
        $(pub use $file::$name;)*

        /// An operator with its attributes. Dispatch is generated from the list.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum Op { $($(#[$doc])* $name($name),)* }

        $(impl From<$name> for Op { fn from(op: $name) -> Op { Op::$name(op) } })*

        impl Op {
            /// Names of all operators, in the order of the list.
            pub const NAMES: &'static [&'static str] = &[$($text,)*];

            /// The operator's name in the text form and in documents.
            pub fn name(&self) -> &'static str { match self { $(Op::$name(_) => $text,)* } }
            fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
                match self { $(Op::$name(op) => op.infer(facts, inputs),)* }
            }
            /// See [`Operator::vjp`].
            pub fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], output: NodeId, dout: NodeId) -> Vec<Grad> {
                match self { $(Op::$name(op) => op.vjp(b, inputs, output, dout),)* }
            }
            /// See [`Operator::jvp`].
            pub fn jvp(&self, b: &mut Builder<'_>, inputs: &[NodeId], output: NodeId, tangents: &[Option<NodeId>])
                -> Result<Option<NodeId>, &'static str> {
                match self { $(Op::$name(op) => op.jvp(b, inputs, output, tangents),)* }
            }
            /// See [`Operator::batch`].
            pub fn batch(&self, b: &mut Builder<'_>, inputs: &[NodeId], batched: &[bool], size: &Dim)
                -> Result<NodeId, Box<Fault>> {
                match self { $(Op::$name(op) => op.batch(b, inputs, batched, size),)* }
            }
            /// See [`Operator::eval`].
            pub fn eval(&self, inputs: &[&Array], output: &Type, dims: &dyn Fn(&Dim) -> Result<i64, EvalError>)
                -> Result<Array, EvalError> {
                match self { $(Op::$name(op) => op.eval(inputs, output, dims),)* }
            }
            /// See [`Operator::form`].
            pub fn form(&self, inputs: &[&Type], output: &Type) -> Option<Form> {
                match self { $(Op::$name(op) => op.form(inputs, output),)* }
            }
            /// See [`Operator::element`].
            pub fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
                match self { $(Op::$name(op) => op.element(cx, index),)* }
            }
            /// The samples of all operators, each with its operator's name.
            pub fn all_samples() -> Vec<(&'static str, Vec<Sample>)> {
                vec![$(($text, <$name as Operator>::samples()),)*]
            }
        }
    };
}

ops! {
    /// A parameter of the function.
    parameter::Parameter = "param",
    /// Literal data.
    constant::Constant = "const",
    /// A dimension as a number.
    size::Size = "size",
    /// A function of one operand, element by element.
    unary::Unary = "unary",
    /// A function of two operands of one type, element by element.
    binary::Binary = "binary",
    /// One of two operands, element by element.
    select::Select = "select",
    /// Conversion between dtypes.
    cast::Cast = "cast",
    /// Stretches axes of size 1 and adds leading ones.
    broadcast::Broadcast = "broadcast",
    /// Another shape for the same row-major elements.
    reshape::Reshape = "reshape",
    /// Axes in another order.
    transpose::Transpose = "transpose",
    /// A strided part.
    slice::Slice = "slice",
    /// Room around and between the elements.
    pad::Pad = "pad",
    /// Operands one after the other along an axis.
    concat::Concat = "concat",
    /// Sliding windows as further axes.
    window::Window = "window",
    /// The adjoint of windows: overlapping parts are added.
    fold::Fold = "fold",
    /// One value from all along some axes.
    reduce::Reduce = "reduce",
    /// Sums of products at affine subscripts: matrix products and convolutions.
    contract::Contract = "contract",
    /// Rows picked by an integer tensor.
    gather::Gather = "gather",
    /// Rows added at the places an integer tensor gives.
    scatter::ScatterAdd = "scatter_add",
    /// Where the elements along an axis stand in order.
    argsort::Argsort = "argsort",
    /// A linear recurrence along an axis.
    cumulative::Cumulative = "cumulative",
    /// 0, 1, 2, … along an axis.
    iota::Iota = "iota",
    /// Counter-based random numbers.
    random::Random = "random",
    /// The value, seen as constant by derivatives.
    stop_gradient::StopGradient = "stop_gradient",
    /// The value, taken for another one by passes.
    barrier::Barrier = "barrier",
    /// Another function of the module.
    call::Call = "call",
    /// A function applied from step to step, a known number of times.
    scan::Scan = "scan",
    /// One of two functions.
    branch::Cond = "cond",
    /// A function applied while a condition holds.
    repeat_while::While = "while",
    /// One result of an operator that runs functions.
    get::Get = "get",
}

pub use call::bind;
pub use contract::Subscript;
pub use gather::Bound;
pub use random::Distribution;
pub use scan::ScanParts;

impl Op {
    /// Types of the results; those of functions that it runs come from these.
    pub fn infer_in(
        &self,
        module: &Module,
        facts: &Facts,
        inputs: &[&Type],
    ) -> Result<Vec<Type>, Box<Fault>> {
        match self {
            Op::Call(call) => call.infer_call(module, facts, inputs),
            Op::Scan(scan) => scan.infer_scan(module, facts, inputs),
            Op::Cond(cond) => cond.infer_cond(module, facts, inputs),
            Op::While(repeat) => repeat.infer_while(module, facts, inputs),
            op => op.infer(facts, inputs),
        }
    }

    /// What the values of an index operand must keep to.
    pub fn bound(&self, inputs: &[&Type]) -> Option<Bound> {
        match self {
            Op::Gather(gather) => Some(gather.bound(inputs)),
            Op::ScatterAdd(scatter) => Some(scatter.bound(inputs)),
            _ => None,
        }
    }

    /// Whether it runs functions of the module: it has any number of results then, which are read with `get`.
    pub fn is_tuple(&self) -> bool {
        matches!(self, Op::Call(_) | Op::Scan(_) | Op::Cond(_) | Op::While(_))
    }

    /// The functions that it runs; they come before those that run them.
    pub fn bodies(&self) -> Vec<FuncId> {
        match self {
            Op::Call(call) => vec![call.callee],
            Op::Scan(scan) => vec![scan.body],
            Op::Cond(cond) => vec![cond.then, cond.otherwise],
            Op::While(repeat) => vec![repeat.condition, repeat.body],
            _ => Vec::new(),
        }
    }

    /// Puts other functions in the place of those that it runs.
    pub fn map_bodies(&mut self, mut change: impl FnMut(FuncId) -> FuncId) {
        let bodies: Vec<&mut FuncId> = match self {
            Op::Call(call) => vec![&mut call.callee],
            Op::Scan(scan) => vec![&mut scan.body],
            Op::Cond(cond) => vec![&mut cond.then, &mut cond.otherwise],
            Op::While(repeat) => vec![&mut repeat.condition, &mut repeat.body],
            _ => Vec::new(),
        };
        for body in bodies {
            *body = change(*body);
        }
    }

    /// The function that a call runs.
    pub fn callee(&self) -> Option<FuncId> {
        match self {
            Op::Call(call) => Some(call.callee),
            _ => None,
        }
    }
}
