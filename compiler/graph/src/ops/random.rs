//! Random numbers that follow from (seed, path, draw) and (element, step): Philox 4x32-10 (Salmon et al., 2011).
//! The key is splitmix64(splitmix64(seed) ^ path), lower word first; the counter is the number of the element in
//! row-major order (low word, high word), the low word of the step, and the draw.
//! Operands: seed, path (a hash of the instance's name, below 2^52), step; i64 scalars.

mod philox;

use super::batching::with_leading;
use super::evaluation::{NOT_FLOAT, each, linear_index, map_form};
use super::operands::{needs, representable, take};
use super::sampling::plain;
use crate::{Array, Builder, DType, ElementCx, EvalError, Fault, Grad, NodeId, Operator, Sample, Type};
use kernel::{
    Binary::{Or, Shl, Shr},
    Expr, Form, Unary,
};
use shape::{Dim, Facts, Shape};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Distribution {
    /// In [0, 1), with the bits of the dtype's significand: 24 for f32, 53 for f64, 11 for f16, 8 for bf16.
    Uniform,
    /// Mean 0, variance 1, by Box and Muller from two uniforms of the same element.
    Normal,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Random {
    pub distribution: Distribution,
    pub dtype: DType,
    pub shape: Shape,
    /// Which draw in the source of the instance.
    pub draw: u32,
}

impl Operator for Random {
    fn infer(&self, _: &Facts, inputs: &[&Type]) -> Result<Vec<Type>, Box<Fault>> {
        let operands: [&Type; 3] = take("random", inputs)?;
        for (operand, ty) in operands.into_iter().enumerate() {
            needs("random", "i64 scalars", operand, ty, ty.dtype == DType::I64 && ty.rank() == 0)?;
        }
        if !self.dtype.is_float() {
            let message = format!("random numbers are drawn in a floating dtype, not {}", self.dtype);
            return Err(Fault::dtypes(message).into());
        }
        representable("random", &self.shape)?;
        Ok(vec![Type::new(self.dtype, self.shape.clone())])
    }

    fn vjp(&self, _: &mut Builder<'_>, inputs: &[NodeId], _: NodeId, _: NodeId) -> Vec<Grad> {
        vec![Grad::None(NOT_FLOAT); inputs.len()]
    }

    fn jvp(
        &self,
        _: &mut Builder<'_>,
        _: &[NodeId],
        _: NodeId,
        _: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, &'static str> {
        Ok(None)
    }

    fn batch(
        &self,
        b: &mut Builder<'_>,
        inputs: &[NodeId],
        batched: &[bool],
        size: &Dim,
    ) -> Result<NodeId, Box<Fault>> {
        if batched.contains(&true) {
            return Err(Fault::attribute(
                "random numbers whose seed, path or step differ between lanes are not supported",
            )
            .into());
        }
        // Lanes differ because their elements have other numbers.
        b.try_add(Random { shape: with_leading(size, &self.shape), ..self.clone() }.into(), inputs)
    }

    fn eval(
        &self,
        inputs: &[&Array],
        output: &Type,
        _: &dyn Fn(&Dim) -> Result<i64, EvalError>,
    ) -> Result<Array, EvalError> {
        let operand = |k: usize| inputs[k].at(&[]) as i64;
        let key = philox::key(operand(0), operand(1));
        let draws = Draws::of(output.dtype.concrete(kernel::DType::F32));
        let mut element = 0u64;
        each(output, |_| {
            let words =
                philox::words([element as u32, (element >> 32) as u32, operand(2) as u32, self.draw], key);
            element += 1;
            match self.distribution {
                Distribution::Uniform => draws.number(words, 0) as f64 * draws.unit(),
                Distribution::Normal => {
                    let radius = (draws.number(words, 0) as f64 + 1.0) * draws.unit();
                    let angle = draws.number(words, 1) as f64 * draws.unit();
                    (-2.0 * radius.ln()).sqrt() * (2.0 * std::f64::consts::PI * angle).cos()
                }
            }
        })
    }

    fn form(&self, _: &[&Type], _: &Type) -> Option<Form> {
        map_form()
    }

    fn element(&self, cx: &mut ElementCx<'_>, index: &[Expr]) -> Expr {
        let dtype = cx.output.dtype.concrete(cx.float);
        let draws = Draws::of(dtype);
        let [seed, path, step] = [0, 1, 2].map(|operand| cx.reader.read(operand, &[]));
        let element = cx.reader.bind(linear_index(&cx.output.shape, index));
        let words = philox::words_of(cx.reader, element, step, self.draw, seed, path);
        let computed = draws.computed_in();
        let unit = Expr::float(computed, draws.unit());
        let value = match self.distribution {
            Distribution::Uniform => Expr::cast(computed, draws.number_of(&words, 0)).mul(unit),
            Distribution::Normal => {
                // In (0, 1], so that the logarithm is finite.
                let radius =
                    Expr::cast(computed, draws.number_of(&words, 0).add(Expr::int(1))).mul(unit.clone());
                let angle = Expr::cast(computed, draws.number_of(&words, 1)).mul(unit);
                let log = Expr::unary(Unary::Log, radius);
                let length = Expr::unary(Unary::Sqrt, Expr::float(computed, -2.0).mul(log));
                let turn = Expr::float(computed, 2.0 * std::f64::consts::PI).mul(angle);
                length.mul(Expr::unary(Unary::Cos, turn))
            }
        };
        if computed == dtype { value } else { Expr::cast(dtype, value) }
    }

    fn samples() -> Vec<Sample> {
        let operands = |seed: f64, step: f64| {
            [seed, 4_503_599_627_370_001.0, step].map(|value| Array::scalar(DType::I64, value)).to_vec()
        };
        let random = |distribution, dtype, shape: &[i64], draw| {
            let shape = shape.iter().copied().map(Dim::from).collect();
            Random { distribution, dtype, shape, draw }
        };
        let mut samples = Vec::new();
        for shape in [&[][..], &[0], &[5], &[3, 67]] {
            for dtype in [DType::F32, DType::F64] {
                samples.push(plain(random(Distribution::Uniform, dtype, shape, 0), operands(7.0, 0.0), 0.0));
                samples.push(plain(
                    random(Distribution::Normal, dtype, shape, 3),
                    operands(-1.0, 12.0),
                    2e-6,
                ));
            }
        }
        for dtype in [kernel::DType::F16, kernel::DType::BF16] {
            samples.push(plain(
                random(Distribution::Uniform, DType::Of(dtype), &[33], 1),
                operands(0.0, 1.0),
                0.0,
            ));
        }
        samples
    }
}

/// How random words become numbers of a dtype: as many bits as the dtype has in its significand, so that nothing
/// rounds up to 1.
struct Draws {
    dtype: kernel::DType,
    bits: u32,
}

impl Draws {
    fn of(dtype: kernel::DType) -> Draws {
        let bits = match dtype {
            kernel::DType::F64 => 53,
            kernel::DType::F16 => 11,
            kernel::DType::BF16 => 8,
            _ => 24,
        };
        Draws { dtype, bits }
    }

    /// The step between neighbouring numbers in [0, 1).
    fn unit(&self) -> f64 {
        (-f64::from(self.bits)).exp2()
    }

    /// Draw `k` of an element, a whole number below 2^bits: the upper bits of one word, or of two.
    fn number(&self, words: [u32; 4], k: usize) -> u64 {
        if self.bits > 32 {
            (u64::from(words[2 * k]) << 32 | u64::from(words[2 * k + 1])) >> (64 - self.bits)
        } else {
            u64::from(words[k] >> (32 - self.bits))
        }
    }

    fn number_of(&self, words: &[Expr; 4], k: usize) -> Expr {
        let shifted = |op, x: Expr, by: u32| Expr::binary(op, x, Expr::int(i64::from(by)));
        if self.bits > 32 {
            let high = shifted(Shl, words[2 * k].clone(), 32);
            shifted(Shr, Expr::binary(Or, high, words[2 * k + 1].clone()), 64 - self.bits)
        } else {
            shifted(Shr, words[k].clone(), 32 - self.bits)
        }
    }

    fn computed_in(&self) -> kernel::DType {
        if self.dtype == kernel::DType::F64 { kernel::DType::F64 } else { kernel::DType::F32 }
    }
}
