//! Another function of the module.

use crate::FuncId;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Call {
    pub callee: FuncId,
}
