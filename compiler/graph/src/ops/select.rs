//! `select(condition, yes, no)`, element by element; the condition is bool and of the same shape.

use super::batching::elementwise;
use super::evaluation::{NOT_FLOAT, each, map_form};
use super::operands::{needs, same_dtype, same_shape, take};
use super::sampling::{SHAPES, bools, floats, integers, plain, smooth, vector};
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Select;

impl Operator for Select {
    fn infer(&self, facts: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [condition, yes, no] = take("select", inputs)?;
        needs("select", "a bool as its condition", 0, condition, condition.dtype.is_bool())?;
        same_dtype("select", (1, yes), (2, no))?;
        same_shape("select", facts, (1, yes), (2, no))?;
        same_shape("select", facts, (0, condition), (1, yes))?;
        Ok(vec![yes.clone()])
    }

    fn vjp(&self, b: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        // Which of the two is taken changes at single points only, as in `relu`: the condition is a constant, and meant
        // so.
        if !b.dtype(dout).is_float() {
            return vec![Grad::Zero, Grad::None(NOT_FLOAT), Grad::None(NOT_FLOAT)];
        }
        let zero = b.zeros_like(dout);
        let yes = b.select(inputs[0], dout, zero);
        let no = b.select(inputs[0], zero, dout);
        vec![Grad::Zero, Grad::Value(yes), Grad::Value(no)]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        output: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        if tangents[1].is_none() && tangents[2].is_none() {
            return Ok(None);
        }
        let yes = tangents[1].unwrap_or_else(|| b.zeros_like(output));
        let no = tangents[2].unwrap_or_else(|| b.zeros_like(output));
        Ok(Some(b.select(inputs[0], yes, no)))
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        elementwise(b, self.clone().into(), inputs, batched, size)
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        each(output, |index| inputs[if inputs[0].at(index) != 0.0 { 1 } else { 2 }].at(index))
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let condition = cx.reader.read(0, index);
        let yes = cx.reader.read(1, index);
        let no = cx.reader.read(2, index);
        Expr::select(condition, yes, no)
    }

    fn samples() -> Vec<Sample> {
        let mut samples: Vec<Sample> = SHAPES
            .iter()
            .map(|shape| smooth(Select, vec![bools(shape, 1), floats(shape, 2), floats(shape, 3)], 0.0))
            .collect();
        // A NaN that is not picked does not matter.
        let nan = vector(DType::F32, vec![f64::NAN, 1.0]);
        samples.push(plain(
            Select,
            vec![vector(DType::BOOL, vec![0.0, 1.0]), nan.clone(), floats(&[2], 1)],
            0.0,
        ));
        samples.push(plain(Select, vec![bools(&[7], 4), integers(&[7], 5, 9), integers(&[7], 6, 9)], 0.0));
        samples
    }
}
