//! Expressions, lane by lane.

use super::{Failure, Machine, number, number::Number, size};
use crate::{Binary, Const, DType, Expr, Half, Ty, Unary};

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Value {
    pub dtype: DType,
    pub lanes: Vec<Number>,
}

impl Value {
    pub fn index(value: i64) -> Value {
        Value { dtype: DType::I64, lanes: vec![Number::Int(value)] }
    }

    pub fn ty(&self) -> Ty {
        Ty::vector(self.dtype, self.lanes.len() as u16)
    }

    /// A lane; a scalar is the same in all.
    pub fn lane(&self, lane: usize) -> Number {
        if self.lanes.len() == 1 { self.lanes[0] } else { self.lanes[lane] }
    }

    pub fn scalar(&self) -> Result<Number, Failure> {
        match self.lanes.as_slice() {
            [value] => Ok(*value),
            _ => Err(Failure::invalid("a vector stands where a scalar must")),
        }
    }

    fn map(&self, dtype: DType, f: impl Fn(Number) -> Number) -> Value {
        Value { dtype, lanes: self.lanes.iter().map(|lane| f(*lane)).collect() }
    }
}

impl Machine<'_> {
    pub(crate) fn index(&mut self, expr: &Expr) -> Result<i64, Failure> {
        Ok(self.eval(expr)?.scalar()?.to_i64())
    }

    pub(crate) fn eval(&mut self, expr: &Expr) -> Result<Value, Failure> {
        match expr {
            Expr::Const(value) => Ok(Value { dtype: value.dtype(), lanes: vec![constant(*value)] }),
            Expr::Var(var) => self.vars[var.index()].clone().ok_or_else(|| {
                Failure::invalid(format!("{} has no value here", self.kernel.vars[*var].name))
            }),
            Expr::Dim(dim) => {
                if let Some(value) = self.formulas.get(dim) {
                    return Ok(Value::index(*value));
                }
                let value = size(dim, self.dims)?;
                self.formulas.insert(dim.clone(), value);
                Ok(Value::index(value))
            }
            Expr::Load { buffer, index, lanes, mask } => {
                let mask = mask.as_ref().map(|mask| self.eval(mask)).transpose()?;
                let index = index.iter().map(|i| self.eval(i)).collect::<Result<Vec<_>, _>>()?;
                let (dtype, place) = (self.regions[buffer.index()].dtype, self.regions[buffer.index()].place);
                let zero = if dtype.is_float() { Number::Float(0.0) } else { Number::Int(0) };
                let mut values = Vec::with_capacity(usize::from(*lanes));
                for lane in 0..usize::from(*lanes) {
                    if mask.as_ref().is_some_and(|mask| !mask.lane(lane).is_true()) {
                        values.push(zero);
                        continue;
                    }
                    let at = self.address(*buffer, &index, lane, usize::from(*lanes))?;
                    let name = &self.regions[buffer.index()].name;
                    values.push(
                        self.memories[place.memory]
                            .read(at, dtype, self.writer)
                            .map_err(|failure| failure.within(name))?,
                    );
                }
                Ok(Value { dtype, lanes: values })
            }
            Expr::Unary(op, x) => {
                let x = self.eval(x)?;
                let tests = matches!(op, Unary::IsNan | Unary::IsInf | Unary::IsFinite);
                Ok(x.map(if tests { DType::Bool } else { x.dtype }, |lane| number::unary(*op, x.dtype, lane)))
            }
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.eval(a)?, self.eval(b)?);
                same_type(&a, &b)?;
                Ok(binary_lanes(*op, a.dtype, &a.lanes, &b.lanes))
            }
            Expr::Fma(a, b, c) => {
                let (a, b, c) = (self.eval(a)?, self.eval(b)?, self.eval(c)?);
                same_type(&a, &b)?;
                same_type(&a, &c)?;
                let lanes = (0..a.lanes.len())
                    .map(|i| number::fma(a.dtype, a.lanes[i], b.lanes[i], c.lanes[i]))
                    .collect();
                Ok(Value { dtype: a.dtype, lanes })
            }
            Expr::Select(condition, yes, no) => {
                let (condition, yes, no) = (self.eval(condition)?, self.eval(yes)?, self.eval(no)?);
                same_type(&yes, &no)?;
                if condition.dtype != DType::Bool
                    || condition.lanes.len() != 1 && condition.lanes.len() != yes.lanes.len()
                {
                    return Err(Failure::invalid("the condition of a select does not fit"));
                }
                let pick = |i| if condition.lane(i).is_true() { yes.lanes[i] } else { no.lanes[i] };
                Ok(Value { dtype: yes.dtype, lanes: (0..yes.lanes.len()).map(pick).collect() })
            }
            Expr::Cast(dtype, x) => Ok(self.eval(x)?.map(*dtype, |lane| lane.cast(*dtype))),
            Expr::Splat(x, lanes) => {
                let x = self.eval(x)?;
                Ok(Value { dtype: x.dtype, lanes: vec![x.scalar()?; usize::from(*lanes)] })
            }
            Expr::Ramp { base, stride, lanes } => {
                let base = self.index(base)?;
                let lanes = (0..i64::from(*lanes)).map(|lane| Number::Int(base + stride * lane)).collect();
                Ok(Value { dtype: DType::I64, lanes })
            }
            Expr::Lane(x, lane) => {
                let x = self.eval(x)?;
                let value = x.lanes.get(usize::from(*lane)).copied();
                let value = value.ok_or_else(|| Failure::invalid("a lane that the vector does not have"))?;
                Ok(Value { dtype: x.dtype, lanes: vec![value] })
            }
            Expr::Interleave(a, b, half) => {
                let (a, b) = (self.eval(a)?, self.eval(b)?);
                let count = a.lanes.len();
                if count != b.lanes.len() {
                    return Err(Failure::invalid("interleaves vectors of different lengths"));
                }
                let pairs = a.lanes.iter().zip(&b.lanes).flat_map(|(a, b)| [*a, *b]);
                let first = if *half == Half::High { count } else { 0 };
                Ok(Value { dtype: a.dtype, lanes: pairs.skip(first).take(count).collect() })
            }
            Expr::Horizontal(op, x) => {
                let mut x = self.eval(x)?;
                while x.lanes.len() > 1 {
                    if x.lanes.len() % 2 != 0 {
                        return Err(Failure::invalid("combines lanes whose number is no power of two"));
                    }
                    let high = x.lanes.split_off(x.lanes.len() / 2);
                    x = binary_lanes(*op, x.dtype, &x.lanes, &high);
                }
                Ok(x)
            }
        }
    }
}

fn binary_lanes(op: Binary, dtype: DType, a: &[Number], b: &[Number]) -> Value {
    let lanes = a.iter().zip(b).map(|(a, b)| number::binary(op, dtype, *a, *b)).collect();
    Value { dtype: if op.is_comparison() { DType::Bool } else { dtype }, lanes }
}

fn same_type(a: &Value, b: &Value) -> Result<(), Failure> {
    if a.ty() == b.ty() {
        return Ok(());
    }
    Err(Failure::invalid(format!("operands of types {} and {}", a.ty(), b.ty())))
}

fn constant(value: Const) -> Number {
    match value {
        Const::Float(dtype, bits) => Number::Float(number::round(dtype, f64::from_bits(bits))),
        Const::Int(_, value) => Number::Int(value),
        Const::Bool(value) => Number::Int(i64::from(value)),
    }
}
