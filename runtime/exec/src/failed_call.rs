//! The last call that a check of compiled code ended, with all that it was given.

use crate::Dims;
use std::sync::{Arc, Mutex, PoisonError};
use tensor::Tensor;

#[derive(Clone)]
pub struct FailedCall {
    pub entry: String,
    /// The check's number in the manifest.
    pub check: usize,
    /// Names of the arguments.
    pub names: Vec<String>,
    pub args: Vec<Tensor>,
    pub dims: Dims,
}

impl FailedCall {
    /// The value of a scalar argument.
    pub fn number(&self, name: &str) -> Option<f64> {
        let at = self.names.iter().position(|known| known == name)?;
        self.args[at].to_f64_vec().first().copied()
    }
}

/// Shared by the entries of a program.
#[derive(Clone, Default)]
pub(crate) struct Failures(Arc<Mutex<Option<FailedCall>>>);

impl Failures {
    pub fn set(&self, call: FailedCall) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
    }

    pub fn get(&self) -> Option<FailedCall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
