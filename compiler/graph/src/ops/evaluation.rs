//! What the definitions of operators share.

use crate::{Array, EvalError, Type};
use kernel::{Expr, Form};
use shape::Dim;

/// The reason why integers and bools carry no derivative.
pub const NOT_FLOAT: &str = "integers and bools have no derivative";
pub const THROUGH_CALLEE: &str = "a call is differentiated through the function it names";

/// The output's shape in numbers.
pub fn extents(output: &Type) -> Result<Vec<usize>, EvalError> {
    let sizes =
        output.shape.as_consts().ok_or_else(|| EvalError(format!("the shape of {output} is not known")))?;
    sizes.into_iter().map(to_usize).collect()
}

pub fn to_usize(value: i64) -> Result<usize, EvalError> {
    usize::try_from(value).map_err(|_| EvalError(format!("a size is at least 0, not {value}")))
}

/// One value an index of the output.
pub fn each(output: &Type, value: impl FnMut(&[usize]) -> f64) -> Result<Array, EvalError> {
    Ok(Array::from_fn(output.dtype, &extents(output)?, value))
}

/// All indices of a shape in row-major order.
pub fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let shape = shape.to_vec();
    let count: usize = shape.iter().product();
    (0..count).map(move |mut linear| {
        let mut index = vec![0; shape.len()];
        for (place, extent) in index.iter_mut().zip(&shape).rev() {
            *place = linear % extent;
            linear /= extent;
        }
        index
    })
}

pub fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

pub fn map_form() -> Option<Form> {
    Some(Form::Map)
}

/// Row-major number of an element.
pub fn linear_index(shape: &[Dim], index: &[Expr]) -> Expr {
    shape
        .iter()
        .zip(index)
        .fold(Expr::int(0), |linear, (extent, i)| linear.mul(Expr::dim(extent)).add(i.clone()))
}

/// For operators that are not for kernels: their `form` says so, so nobody asks.
pub fn no_element(name: &str) -> Expr {
    unreachable!("internal: `{name}` is not for kernels, so it has no element function")
}
