//! Values of the reference interpreter: every dtype is carried in f64 (i64 beyond 2^53 is not needed by any rule:
//! keys of random draws stay below).

use crate::DType;
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, PartialEq, Debug)]
pub struct Array {
    pub dtype: DType,
    pub values: ArrayD<f64>,
}

impl Array {
    /// `None` where the number of values does not fit the shape.
    pub fn new(dtype: DType, shape: &[usize], values: Vec<f64>) -> Option<Array> {
        Some(Array { dtype, values: ArrayD::from_shape_vec(IxDyn(shape), values).ok()? })
    }

    pub fn scalar(dtype: DType, value: f64) -> Array {
        Array { dtype, values: ArrayD::from_elem(IxDyn(&[]), value) }
    }

    /// One value an index, in row-major order.
    pub fn from_fn(dtype: DType, shape: &[usize], mut value: impl FnMut(&[usize]) -> f64) -> Array {
        let values = ArrayD::from_shape_fn(IxDyn(shape), |index| value(ndarray::Dimension::slice(&index)));
        Array { dtype, values }
    }

    pub fn shape(&self) -> &[usize] {
        self.values.shape()
    }

    pub fn at(&self, index: &[usize]) -> f64 {
        self.values[IxDyn(index)]
    }
}
