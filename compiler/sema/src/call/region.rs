//! What of the library stays in one piece in the graph.

use crate::{checker::Checker, value::Value};
use grammar::ast;

/// Functions of the library that stay one named region, as frameworks have them: special kernels are chosen by these names.
const COMPOSITES: &[&str] = &["softmax", "log_softmax", "logsumexp", "leaky_relu", "elu"];

/// Those that work element by element: of one element and of a whole tensor they are the same.
const ELEMENTWISE: &[&str] = &[
    "relu",
    "selu",
    "relu6",
    "sigmoid",
    "hard_sigmoid",
    "hard_swish",
    "gelu",
    "gelu_tanh",
    "silu",
    "softplus",
    "mish",
];

/// Layers of the library that frameworks run as one operation.
const OPERATIONS: &[&str] = &["batch_norm", "layer_norm", "rms_norm", "group_norm", "instance_norm"];

impl<'p> Checker<'p> {
    /// Whether this is a named region of the library that works element by element.
    pub fn is_elementwise_composite(&self, target: &Value<'p>) -> bool {
        let Value::Fn(closure) = target else { return false };
        ELEMENTWISE.contains(&closure.def.name.text.as_str()) && self.program.is_std(closure.def)
    }

    /// Whether styles that do not fuse keep the layer in one piece.
    pub fn is_operation(&self, def: &ast::Def) -> bool {
        OPERATIONS.contains(&def.name.text.as_str()) && self.program.is_std(def)
    }

    pub(super) fn is_composite(&self, def: &ast::Def) -> bool {
        let name = def.name.text.as_str();
        (COMPOSITES.contains(&name) || ELEMENTWISE.contains(&name)) && self.program.is_std(def)
    }
}
