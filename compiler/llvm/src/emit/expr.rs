//! Expressions.

use super::{Emitter, Slot, Val};
use crate::Error;
use kernel::{Binary, Const, DType, Expr, Half, Ty};

impl Emitter<'_> {
    pub(super) fn expr(&mut self, expr: &Expr) -> Result<Val, Error> {
        let ir = self.ir;
        match expr {
            Expr::Const(value) => Ok(self.constant(*value)),
            Expr::Var(id) => {
                let ty = self.ty(*id);
                let v = match self.vars[id.index()] {
                    Slot::Value(v) => v,
                    Slot::Register(place) => ir.load(self.register_type(ty), place, 64),
                    Slot::Unbound => {
                        return self.bug(&format!("`{}` has no value here", self.kernel.vars[*id].name));
                    }
                };
                Ok(Val { v, ty })
            }
            Expr::Dim(dim) => Ok(Val { v: self.dims.value(dim)?, ty: Ty::INDEX }),
            Expr::Load { buffer, index, lanes, mask } => self.load(*buffer, index, *lanes, mask.as_deref()),
            Expr::Unary(op, x) => {
                let x = self.expr(x)?;
                self.unary(*op, x)
            }
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.expr(a)?, self.expr(b)?);
                self.binary(*op, a, b)
            }
            Expr::Fma(a, b, c) => {
                let (a, b, c) = (self.expr(a)?, self.expr(b)?, self.expr(c)?);
                self.fma(a, b, c)
            }
            Expr::Select(condition, yes, no) => {
                let (condition, yes, no) = (self.expr(condition)?, self.expr(yes)?, self.expr(no)?);
                let fits = condition.ty.lanes == 1 || condition.ty.lanes == yes.ty.lanes;
                if condition.ty.dtype != DType::Bool || yes.ty != no.ty || !fits {
                    return self.bug(&format!("select by {} of {} and {}", condition.ty, yes.ty, no.ty));
                }
                Ok(Val { v: ir.select(condition.v, yes.v, no.v), ty: yes.ty })
            }
            Expr::Cast(dtype, x) => {
                let x = self.expr(x)?;
                Ok(self.cast(*dtype, x))
            }
            Expr::Splat(x, lanes) => {
                let x = self.expr(x)?;
                if x.ty.lanes != 1 {
                    return self.bug("splat of a vector");
                }
                Ok(Val { v: ir.splat(x.v, u32::from(*lanes)), ty: Ty::vector(x.ty.dtype, *lanes) })
            }
            Expr::Ramp { base, stride, lanes } => {
                let base = self.expr(base)?;
                if base.ty != Ty::INDEX {
                    return self.bug(&format!("a ramp from {}", base.ty));
                }
                let ty = Ty::vector(DType::I64, *lanes);
                if *lanes == 1 {
                    return Ok(base);
                }
                let steps: Vec<_> =
                    (0..i64::from(*lanes)).map(|lane| ir.i64(lane.wrapping_mul(*stride))).collect();
                Ok(Val { v: ir.add(ir.splat(base.v, u32::from(*lanes)), ir.const_vector(&steps)), ty })
            }
            Expr::Lane(x, lane) => {
                let x = self.expr(x)?;
                if *lane >= x.ty.lanes {
                    return self.bug(&format!("lane {lane} of {}", x.ty));
                }
                Ok(self.slice(x, *lane, 1))
            }
            Expr::Interleave(a, b, half) => {
                let (a, b) = (self.expr(a)?, self.expr(b)?);
                if a.ty != b.ty || a.ty.lanes % 2 != 0 {
                    return self.bug(&format!("{} interleaved with {}", a.ty, b.ty));
                }
                let lanes = i64::from(a.ty.lanes);
                let first = if *half == Half::High { lanes / 2 } else { 0 };
                let from: Vec<i64> =
                    (first..first + lanes / 2).flat_map(|lane| [lane, lanes + lane]).collect();
                Ok(Val { v: ir.shuffle(a.v, b.v, &from), ty: a.ty })
            }
            Expr::Horizontal(op, x) => {
                let x = self.expr(x)?;
                self.horizontal(*op, x)
            }
        }
    }

    fn constant(&self, value: Const) -> Val {
        match value {
            Const::Float(dtype, bits) => {
                let ty = Ty::scalar(dtype);
                let value = Val {
                    v: self.ir.const_float(self.ir.f64(), f64::from_bits(bits)),
                    ty: Ty::scalar(DType::F64),
                };
                if dtype == DType::F64 { value } else { Val { v: self.cast(dtype, value).v, ty } }
            }
            Const::Int(dtype, value) => {
                let ty = Ty::scalar(dtype);
                Val { v: self.int_constant(ty, value), ty }
            }
            Const::Bool(value) => Val { v: self.ir.bool(value), ty: Ty::scalar(DType::Bool) },
        }
    }

    /// A balanced tree: lane i meets lane i + n/2 while the number of lanes is even.
    fn horizontal(&self, op: Binary, x: Val) -> Result<Val, Error> {
        let mut value = x;
        while value.ty.lanes > 1 {
            if !value.ty.lanes.is_multiple_of(2) {
                return self.bug(&format!("a horizontal operation on {}", x.ty));
            }
            let half = value.ty.lanes / 2;
            value = self.binary(op, self.slice(value, 0, half), self.slice(value, half, half))?;
        }
        Ok(value)
    }

    fn slice(&self, x: Val, from: u16, lanes: u16) -> Val {
        if x.ty.lanes == 1 {
            return x;
        }
        let v = self.ir.slice(x.v, u32::from(from), u32::from(lanes));
        Val { v, ty: Ty::vector(x.ty.dtype, lanes) }
    }
}
