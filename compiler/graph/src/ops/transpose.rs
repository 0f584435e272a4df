//! Axes in another order: result axis `i` is operand axis `perm[i]`.

use super::batching::stretched;
use super::evaluation::{NOT_FLOAT, each, map_form};
use super::operands::{one_an_axis, take};
use super::sampling::{floats, smooth};
use crate::{Array, Builder, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{Expr, Form};
use shape::{Dim, Facts};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Transpose {
    pub perm: Vec<usize>,
}

impl Operator for Transpose {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let [x] = take("transpose", inputs)?;
        one_an_axis("transpose", "axes", self.perm.len(), x)?;
        let mut sorted = self.perm.clone();
        sorted.sort_unstable();
        if sorted.into_iter().ne(0..x.rank()) {
            let message =
                format!("`transpose` needs each of the {} axes once, but got {:?}", x.rank(), self.perm);
            return Err(Fault::axes(message).label(0, format!("this is {x}")).into());
        }
        Ok(vec![Type::new(x.dtype, self.perm.iter().map(|axis| x.shape[*axis].clone()).collect())])
    }

    fn vjp(&self, b: &mut Builder<'_>, _: &[NodeId], _: NodeId, dout: NodeId) -> Vec<Grad> {
        if !b.dtype(dout).is_float() {
            return vec![Grad::None(NOT_FLOAT)];
        }
        let mut inverse = vec![0; self.perm.len()];
        for (to, from) in self.perm.iter().enumerate() {
            inverse[*from] = to;
        }
        vec![Grad::Value(b.transpose(dout, &inverse))]
    }

    fn jvp(
        &self,
        b: &mut Builder<'_>,
        _: &[NodeId],
        _: NodeId,
        tangents: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        Ok(tangents[0].map(|tangent| b.add(self.clone().into(), &[tangent])))
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        let x = stretched(b, inputs[0], batched[0], size);
        let perm = std::iter::once(0).chain(self.perm.iter().map(|axis| axis + 1)).collect();
        b.try_add(Transpose { perm }.into(), &[x])
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        each(output, |index| inputs[0].at(&self.source(index)))
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let source = self.source(index);
        cx.reader.read(0, &source)
    }

    fn samples() -> Vec<Sample> {
        let shapes: [(&[usize], &[usize]); 6] = [
            (&[], &[]),
            (&[5], &[0]),
            (&[2, 3], &[1, 0]),
            (&[0, 3], &[1, 0]),
            (&[3, 1, 17], &[2, 0, 1]),
            (&[2, 3, 4, 5], &[0, 2, 3, 1]),
        ];
        shapes
            .map(|(shape, perm)| smooth(Transpose { perm: perm.to_vec() }, vec![floats(shape, 1)], 0.0))
            .to_vec()
    }
}

impl Transpose {
    /// Where in the operand an index of the result is.
    fn source<I: Clone>(&self, index: &[I]) -> Vec<I> {
        let mut source = index.to_vec();
        for (i, axis) in index.iter().zip(&self.perm) {
            source[*axis] = i.clone();
        }
        source
    }
}
