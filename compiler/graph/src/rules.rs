//! What every operator has to say about itself.

use crate::{Array, Builder, NodeId, Type};
use kernel::{Expr, Form, Reader};
use shape::{Dim, Facts};

/// Why an operator does not take these operands; what the user reads. `operands` are those to point at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// `E0301` shapes, `E0302` dtypes, `E0303` rank or axis, `E0304` attribute.
    pub code: &'static str,
    pub message: String,
    /// Which operand, and what to say at it.
    pub labels: Vec<(usize, String)>,
    /// The dimensions that disagree, so that the caller can tell where each came from.
    pub dims: Vec<Dim>,
    pub help: Option<String>,
}

impl Fault {
    pub fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), labels: Vec::new(), dims: Vec::new(), help: None }
    }

    /// Shapes that do not fit.
    pub fn shapes(message: impl Into<String>) -> Fault {
        Fault::new("E0301", message)
    }

    /// A dtype that the operator does not take.
    pub fn dtypes(message: impl Into<String>) -> Fault {
        Fault::new("E0302", message)
    }

    /// A rank or an axis that does not fit.
    pub fn axes(message: impl Into<String>) -> Fault {
        Fault::new("E0303", message)
    }

    /// An attribute that does not fit.
    pub fn attribute(message: impl Into<String>) -> Fault {
        Fault::new("E0304", message)
    }

    pub fn label(mut self, operand: usize, text: impl Into<String>) -> Fault {
        self.labels.push((operand, text.into()));
        self
    }

    pub fn dims<'a>(mut self, dims: impl IntoIterator<Item = &'a Dim>) -> Fault {
        self.dims.extend(dims.into_iter().cloned());
        self
    }

    pub fn help(mut self, text: impl Into<String>) -> Fault {
        self.help = Some(text.into());
        self
    }
}

/// The derivative with respect to one operand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Grad {
    /// A value of the operand's type.
    Value(NodeId),
    /// There is none, and why (integer operand, a comparison): reaching it from `wrt` is the user's error.
    None(&'static str),
    /// The operator is locally constant there (`floor`, `sign`, a random draw): zero, and meant so.
    Zero,
}

/// A failure of the reference interpreter that is not a bug: an index out of bounds, an unbound dimension.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EvalError(pub String);

/// A batched value: `axis` is where the new axis stands, always 0; `None` means the value does not vary.
pub type Axis = Option<()>;

/// What an element function may use.
pub struct ElementCx<'a> {
    pub reader: &'a mut dyn Reader,
    pub inputs: &'a [&'a Type],
    pub output: &'a Type,
    /// What `float` is in this build.
    pub float: kernel::DType,
}

/// An input set for the table tests of an operator.
#[derive(Clone, Debug)]
pub struct Sample {
    pub op: crate::Op,
    pub inputs: Vec<Array>,
    /// Inputs that are differentiated and compared with finite differences.
    pub differentiable: bool,
    /// Allowed relative difference between f64 interpretation and f32 compiled code.
    pub tolerance: f64,
}

/// The rules of one operator. Each file of `ops` implements all of them; a missing one does not compile.
pub trait Operator {
    /// Types of the results.
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>>;

    /// Reverse derivative: from `dout` (of the result's type) to one [`Grad`] an operand.
    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], output: NodeId, dout: NodeId) -> Vec<Grad>;

    /// Forward derivative: `tangents[i]` is `None` where operand i does not vary; `None` when the result does not.
    fn jvp(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        output: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str>;

    /// The operator over a further leading axis of extent `size`: `batched[i]` tells which operands have it
    /// (at axis 0); the result has it always.
    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>>;

    /// The definition: the obvious loop in f64. `output` has its dims replaced by numbers.
    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        dims: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError>;

    /// The loops that the operator needs. `None`: the operator is not for kernels (parameters, calls).
    fn form(&self, inputs: &[&Type], output: &Type) -> Option<Form>;

    /// The value at `index` (output index, then reduced index), in the output's dtype unless the form says otherwise.
    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr;

    /// Operands that drive the table tests: sizes 0, 1, odd, prime, large; NaN, infinities, −0.
    fn samples() -> Vec<Sample>
    where
        Self: Sized;
}
