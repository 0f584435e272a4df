//! What operators demand of their operands, with the words of the faults.

use crate::{Fault, Type};
use shape::{Dim, Facts, Proof, Shape};

/// Exactly `N` operands.
pub fn take<'a, const N: usize>(name: &str, inputs: &[&'a Type]) -> Result<[&'a Type; N], Box<Fault>> {
    inputs.try_into().map_err(|_| {
        let plural = if N == 1 { "" } else { "s" };
        Fault::attribute(format!("`{name}` takes {N} operand{plural}, but got {}", inputs.len())).into()
    })
}

/// Operands `a` and `b`, at these positions, have one dtype.
pub fn same_dtype(name: &str, a: (usize, &Type), b: (usize, &Type)) -> Result<(), Box<Fault>> {
    let ((i, x), (j, y)) = (a, b);
    if x.dtype == y.dtype {
        return Ok(());
    }
    Err(Fault::dtypes(format!("`{name}` needs equal dtypes, but {} ≠ {}", x.dtype, y.dtype))
        .label(i, format!("this is {x}"))
        .label(j, format!("this is {y}"))
        .help(format!("convert one of them: `cast(x, {})`", x.dtype))
        .into())
}

/// Operands `a` and `b`, at these positions, have one shape.
pub fn same_shape(name: &str, facts: &Facts, a: (usize, &Type), b: (usize, &Type)) -> Result<(), Box<Fault>> {
    let ((i, x), (j, y)) = (a, b);
    if x.rank() != y.rank() {
        return Err(Fault::shapes(format!("`{name}` needs equal shapes, but {} ≠ {}", x.shape, y.shape))
            .label(i, format!("{x} has rank {}", x.rank()))
            .label(j, format!("{y} has rank {}", y.rank()))
            .into());
    }
    for (axis, (m, n)) in x.shape.iter().zip(y.shape.iter()).enumerate() {
        if !equal(facts, m, n) {
            return Err(Fault::shapes(format!(
                "`{name}` needs equal shapes, but {} and {} {}",
                x.shape,
                y.shape,
                disagreement(facts, m, n)
            ))
            .label(i, format!("axis {axis} of {x} is {m}"))
            .label(j, format!("axis {axis} of {y} is {n}"))
            .dims([m, n])
            .into());
        }
    }
    Ok(())
}

pub fn axis_in_range(name: &str, axis: usize, operand: usize, ty: &Type) -> Result<(), Box<Fault>> {
    if axis < ty.rank() {
        return Ok(());
    }
    Err(Fault::axes(format!("`{name}` along axis {axis} of a tensor of rank {}", ty.rank()))
        .label(operand, format!("this is {ty}"))
        .into())
}

/// One attribute an axis.
pub fn one_an_axis(name: &str, what: &str, given: usize, ty: &Type) -> Result<(), Box<Fault>> {
    if given == ty.rank() {
        return Ok(());
    }
    Err(Fault::axes(format!("`{name}` has {given} {what} for a tensor of rank {}", ty.rank()))
        .label(0, format!("this is {ty}"))
        .into())
}

pub fn needs(name: &str, what: &str, operand: usize, ty: &Type, holds: bool) -> Result<(), Box<Fault>> {
    if holds {
        return Ok(());
    }
    Err(Fault::dtypes(format!("`{name}` needs {what}, but got {}", ty.dtype))
        .label(operand, format!("this is {ty}"))
        .into())
}

/// A dimension that did not leave the range of numbers.
pub fn representable(name: &str, shape: &Shape) -> Result<(), Box<Fault>> {
    if shape.iter().any(Dim::overflowed) {
        return Err(
            Fault::shapes(format!("the size of the result of `{name}` is too large to compute")).into()
        );
    }
    Ok(())
}

pub fn equal(facts: &Facts, a: &Dim, b: &Dim) -> bool {
    a == b && !a.overflowed() || facts.prove_eq(a, b) == Proof::Proved
}

pub fn at_least(facts: &Facts, a: &Dim, b: &Dim) -> bool {
    facts.prove_ge(a, b) == Proof::Proved
}

/// "differ: 3 ≠ 4", or that equality is not known.
pub fn disagreement(facts: &Facts, a: &Dim, b: &Dim) -> String {
    match facts.prove_eq(a, b) {
        Proof::Disproved => format!("differ: {a} ≠ {b}"),
        _ => format!("are not known to agree: {a} and {b}"),
    }
}
