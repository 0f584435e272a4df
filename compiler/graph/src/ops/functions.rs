//! Operators that run functions of the module. They have any number of results, read with `get`, and nothing to say of
//! single values: whoever walks a graph asks the functions that they name.

macro_rules! runs_functions {
    ($name:ident = $text:literal) => {
        impl crate::Operator for $name {
            fn infer(
                &self,
                _: &shape::Facts,
                _: &[&crate::Type],
            ) -> Result<Vec<crate::Type>, Box<crate::Fault>> {
                let message =
                    concat!("the types of the results of `", $text, "` come from the functions it names");
                Err(crate::Fault::attribute(message).into())
            }

            fn vjp(
                &self,
                _: &mut crate::Builder<'_>,
                inputs: &[crate::NodeId],
                _: crate::NodeId,
                _: crate::NodeId,
            ) -> Vec<crate::Grad> {
                vec![crate::Grad::None(super::evaluation::THROUGH_CALLEE); inputs.len()]
            }

            fn jvp(
                &self,
                _: &mut crate::Builder<'_>,
                _: &[crate::NodeId],
                _: crate::NodeId,
                _: &[Option<crate::NodeId>],
            ) -> Result<Option<crate::NodeId>, &'static str> {
                Err(super::evaluation::THROUGH_CALLEE)
            }

            fn batch(
                &self,
                _: &mut crate::Builder<'_>,
                _: &[crate::NodeId],
                _: &[bool],
                _: &shape::Dim,
            ) -> Result<crate::NodeId, Box<crate::Fault>> {
                let message = concat!("`", $text, "` is batched through the functions it names");
                Err(crate::Fault::attribute(message).into())
            }

            fn eval(
                &self,
                _: &[&crate::Array],
                _: &crate::Type,
                _: &dyn Fn(&shape::Dim) -> Result<i64, crate::EvalError>,
            ) -> Result<crate::Array, crate::EvalError> {
                Err(crate::EvalError(concat!("`", $text, "` runs the functions it names").into()))
            }

            fn form(&self, _: &[&crate::Type], _: &crate::Type) -> Option<kernel::Form> {
                None
            }

            fn element(&self, _: &mut crate::ElementCx<'_>, _: &[kernel::Expr]) -> kernel::Expr {
                super::evaluation::no_element($text)
            }

            fn samples() -> Vec<crate::Sample> {
                Vec::new()
            }
        }
    };
}
pub(super) use runs_functions;

use super::call::bind;
use super::operands::{disagreement, equal};
use crate::{Fault, FuncId, Function, Module, Type};
use shape::Facts;

/// The function, or a fault that it does not exist.
pub fn named<'m>(name: &str, module: &'m Module, id: FuncId) -> Result<&'m Function, Box<Fault>> {
    let missing = || Fault::attribute(format!("`{name}` of function {id:?}, which does not exist")).into();
    module.functions.get(id).ok_or_else(missing)
}

/// Types of the results of a function, in the dimensions of the one that runs it on these operands.
pub fn result_types(function: &Function, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
    let dims = bind(function, facts, inputs)?;
    let result = |id| {
        let ty: &Type = function.ty(id);
        Type::new(ty.dtype, ty.shape.substitute(&dims))
    };
    Ok(function.results.iter().map(|(_, _, id)| result(*id)).collect())
}

/// What `function` gives stands where `wanted` is. `what` names the value.
pub fn same_type(
    function: &Function,
    what: &str,
    facts: &Facts,
    wanted: &Type,
    given: &Type,
) -> Result<(), Box<Fault>> {
    let fault = |fault: Fault| Err(fault.into());
    let gives = format!("`{}` gives {given} as {what}, which is {wanted}", function.name);
    if wanted.dtype != given.dtype {
        return fault(Fault::dtypes(gives));
    }
    if wanted.rank() != given.rank() {
        return fault(Fault::axes(gives));
    }
    for (wanted, given) in wanted.shape.iter().zip(given.shape.iter()) {
        if !equal(facts, wanted, given) {
            let why = disagreement(facts, wanted, given);
            return fault(Fault::shapes(format!("{gives}: sizes {why}")).dims([wanted, given]));
        }
    }
    Ok(())
}
