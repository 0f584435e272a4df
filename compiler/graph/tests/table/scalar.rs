//! Evaluates one element expression. Floats stay f64, so that results compare with definitions exactly; every load is
//! checked against the bounds of its operand.

use graph::Array;
use kernel::{Binary, BufferId, Const, DType, Expr, Reader, Unary};
use shape::Dim;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value {
    Float(f64),
    Int(DType, i64),
    Bool(bool),
}

impl Value {
    pub fn number(self) -> f64 {
        match self {
            Value::Float(x) => x,
            Value::Int(_, x) => x as f64,
            Value::Bool(x) => f64::from(u8::from(x)),
        }
    }
}

/// Reads become loads of the buffer with the operand's number.
pub struct Loads<'a> {
    pub inputs: &'a [Array],
    pub shapes: Vec<Vec<Dim>>,
}

impl Reader for Loads<'_> {
    fn read(&mut self, operand: usize, index: &[Expr]) -> Expr {
        assert_eq!(index.len(), self.inputs[operand].shape().len(), "one index an axis");
        Expr::Load { buffer: BufferId::new(operand), index: index.to_vec(), lanes: 1, mask: None }
    }

    fn read_where(&mut self, condition: Expr, operand: usize, index: &[Expr]) -> Expr {
        assert_eq!(index.len(), self.inputs[operand].shape().len(), "one index an axis");
        let mask = Some(Box::new(condition));
        Expr::Load { buffer: BufferId::new(operand), index: index.to_vec(), lanes: 1, mask }
    }

    fn dtype(&self, operand: usize) -> DType {
        self.inputs[operand].dtype.concrete(DType::F32)
    }

    fn shape(&self, operand: usize) -> &[Dim] {
        &self.shapes[operand]
    }
}

pub fn eval(expr: &Expr, vars: &[i64], inputs: &[Array]) -> Value {
    let go = |expr: &Expr| eval(expr, vars, inputs);
    match expr {
        Expr::Const(Const::Float(_, bits)) => Value::Float(f64::from_bits(*bits)),
        Expr::Const(Const::Int(dtype, value)) => Value::Int(*dtype, *value),
        Expr::Const(Const::Bool(value)) => Value::Bool(*value),
        Expr::Var(id) => Value::Int(DType::I64, vars[id.index()]),
        Expr::Dim(dim) => Value::Int(DType::I64, dim.as_const().expect("samples have constant sizes")),
        Expr::Load { buffer, index, mask, lanes: 1 } => {
            let array = &inputs[buffer.index()];
            let dtype = array.dtype.concrete(DType::F32);
            if mask.as_ref().is_some_and(|mask| go(mask) == Value::Bool(false)) {
                return typed(dtype, 0.0);
            }
            let place: Vec<usize> = index
                .iter()
                .zip(array.shape())
                .map(|(i, extent)| {
                    let Value::Int(DType::I64, i) = go(i) else { panic!("an index is i64: {i:?}") };
                    assert!((0..*extent as i64).contains(&i), "index {i} of an axis of {extent}");
                    i as usize
                })
                .collect();
            typed(dtype, array.at(&place))
        }
        Expr::Unary(op, x) => unary(*op, go(x)),
        Expr::Binary(op, a, b) => binary(*op, go(a), go(b)),
        Expr::Fma(a, b, c) => Value::Float(go(a).number() * go(b).number() + go(c).number()),
        Expr::Select(condition, yes, no) => match go(condition) {
            Value::Bool(true) => go(yes),
            Value::Bool(false) => go(no),
            other => panic!("a condition is a bool, not {other:?}"),
        },
        Expr::Cast(dtype, x) => cast(*dtype, go(x)),
        other => panic!("not a scalar expression: {other:?}"),
    }
}

pub fn typed(dtype: DType, x: f64) -> Value {
    match dtype {
        DType::Bool => Value::Bool(x != 0.0),
        dtype if dtype.is_int() => Value::Int(dtype, x as i64),
        _ => Value::Float(x),
    }
}

fn cast(dtype: DType, x: Value) -> Value {
    match (dtype, x) {
        (DType::Bool, x) => Value::Bool(x.number() != 0.0),
        (DType::I64, Value::Int(_, x)) => Value::Int(DType::I64, x),
        (dtype, x) if dtype.is_int() => {
            let (low, high) = match dtype {
                DType::I64 => (i64::MIN, i64::MAX),
                DType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
                DType::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
                DType::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
                _ => (0, 255),
            };
            Value::Int(dtype, (x.number() as i64).clamp(low, high))
        }
        (_, x) => Value::Float(x.number()),
    }
}

/// Functions that the definitions take from the same library are taken from there; index arithmetic is done here.
fn unary(op: Unary, x: Value) -> Value {
    let array = match x {
        Value::Float(x) => Array::scalar(graph::DType::F64, x),
        Value::Int(dtype, x) => Array::scalar(graph::DType::Of(dtype), x as f64),
        Value::Bool(x) => Array::scalar(graph::DType::BOOL, f64::from(u8::from(x))),
    };
    let result = crate::functions::evaluate(&graph::Op::from(graph::ops::Unary { op }), &[array]);
    typed(result.dtype.concrete(DType::F64), result.at(&[]))
}

fn binary(op: Binary, a: Value, b: Value) -> Value {
    use Binary::*;
    match (a, b) {
        (Value::Int(dtype, x), Value::Int(other, y)) => {
            assert_eq!(dtype, other, "operands of {op:?}");
            let int = |value: i64| Value::Int(dtype, wrap(dtype, value));
            let bits = 8 * dtype.size() as i64;
            match op {
                Add => int(x.wrapping_add(y)),
                Sub => int(x.wrapping_sub(y)),
                Mul => int(x.wrapping_mul(y)),
                Div if y == 0 => int(0),
                Div => int(x.wrapping_div_euclid(y) - i64::from(y < 0 && x.wrapping_rem_euclid(y) != 0)),
                Rem if y == 0 => int(0),
                Rem => {
                    let rest = x.wrapping_rem(y);
                    int(if rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest })
                }
                Min => int(x.min(y)),
                Max => int(x.max(y)),
                And => int(x & y),
                Or => int(x | y),
                Xor => int(x ^ y),
                Shl if (0..bits).contains(&y) => int(x << y),
                Shr if (0..bits).contains(&y) => int(((x as u64 & (u64::MAX >> (64 - bits))) >> y) as i64),
                Shl | Shr => int(0),
                MulHi32 => int((((x as u64 & 0xffff_ffff) * (y as u64 & 0xffff_ffff)) >> 32) as i64),
                Lt => Value::Bool(x < y),
                Le => Value::Bool(x <= y),
                Gt => Value::Bool(x > y),
                Ge => Value::Bool(x >= y),
                Eq => Value::Bool(x == y),
                Ne => Value::Bool(x != y),
                Pow | Atan2 => panic!("{op:?} of integers"),
            }
        }
        (Value::Bool(x), Value::Bool(y)) => Value::Bool(match op {
            And => x && y,
            Or => x || y,
            Xor | Ne => x != y,
            Eq => x == y,
            _ => panic!("{op:?} of bools"),
        }),
        (Value::Float(x), Value::Float(y)) => {
            let arrays = [x, y].map(|x| Array::scalar(graph::DType::F64, x));
            let result = crate::functions::evaluate(&graph::Op::from(graph::ops::Binary { op }), &arrays);
            typed(result.dtype.concrete(DType::F64), result.at(&[]))
        }
        (a, b) => panic!("{op:?} of {a:?} and {b:?}"),
    }
}

fn wrap(dtype: DType, value: i64) -> i64 {
    match dtype {
        DType::I32 => i64::from(value as i32),
        DType::I16 => i64::from(value as i16),
        DType::I8 => i64::from(value as i8),
        DType::U8 => i64::from(value as u8),
        _ => value,
    }
}
