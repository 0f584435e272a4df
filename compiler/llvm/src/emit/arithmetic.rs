//! Unary and binary operators on values in registers.

use super::{Emitter, Val};
use crate::Error;
use crate::ir::{Ir, Value};
use kernel::{Binary, DType, Ty, Unary};
use llvm_sys::LLVMIntPredicate::{self, *};
use llvm_sys::LLVMRealPredicate::{self, *};

impl Emitter<'_> {
    pub(super) fn unary(&self, op: Unary, x: Val) -> Result<Val, Error> {
        if x.ty.dtype.is_float() {
            return self.float_unary(op, x);
        }
        let ir = self.ir;
        let ty = self.register_type(x.ty);
        let constant = |value| self.int_constant(x.ty, value);
        let signed = x.ty.dtype != DType::U8;
        let v = match (op, x.ty.dtype) {
            (Unary::Not, _) => ir.not(x.v),
            (Unary::IsNan | Unary::IsInf, _) => return Ok(self.bools(x.ty.lanes, false)),
            (Unary::IsFinite, _) => return Ok(self.bools(x.ty.lanes, true)),
            (_, DType::Bool) => return self.bug(&format!("{op:?} of a bool")),
            (Unary::Neg, _) => ir.sub(constant(0), x.v),
            (Unary::Abs, _) if signed => ir.intrinsic("llvm.abs", &[ty], &[x.v, ir.bool(false)]),
            (Unary::Abs | Unary::Floor | Unary::Ceil | Unary::Round, _) => x.v,
            (Unary::Sign, _) => {
                let low = constant(if signed { -1 } else { 0 });
                let name = if signed { ("llvm.smax", "llvm.smin") } else { ("llvm.umax", "llvm.umin") };
                let raised = ir.intrinsic(name.0, &[ty], &[x.v, low]);
                ir.intrinsic(name.1, &[ty], &[raised, constant(1)])
            }
            _ => return self.bug(&format!("{op:?} of an integer")),
        };
        Ok(Val { v, ty: x.ty })
    }

    fn float_unary(&self, op: Unary, x: Val) -> Result<Val, Error> {
        let ir = self.ir;
        let ty = self.register_type(x.ty);
        let lanes = x.ty.lanes;
        let math = self.math(x.ty);
        let truth = |v| Ok(Val { v, ty: Ty::vector(DType::Bool, lanes) });
        let infinity = || self.float_constant(x.ty, f64::INFINITY);
        let magnitude = || ir.intrinsic("llvm.fabs", &[ty], &[x.v]);
        let rounded = |v| Ok(Val { v: self.round_to(x.ty.dtype, v, lanes), ty: x.ty });
        match op {
            Unary::Neg => rounded(ir.fneg(x.v)),
            Unary::Abs => rounded(magnitude()),
            Unary::Sign => {
                let zero = ir.zero(ty);
                let positive = ir.fcmp(LLVMRealOGT, x.v, zero);
                let negative = ir.fcmp(LLVMRealOLT, x.v, zero);
                let one = |sign| self.float_constant(x.ty, sign);
                Ok(Val { v: ir.select(positive, one(1.0), ir.select(negative, one(-1.0), x.v)), ty: x.ty })
            }
            Unary::Not => self.bug("`Not` of a float"),
            Unary::Floor => rounded(ir.intrinsic("llvm.floor", &[ty], &[x.v])),
            Unary::Ceil => rounded(ir.intrinsic("llvm.ceil", &[ty], &[x.v])),
            Unary::Round => rounded(ir.intrinsic("llvm.roundeven", &[ty], &[x.v])),
            Unary::Sqrt => rounded(ir.intrinsic("llvm.sqrt", &[ty], &[x.v])),
            Unary::IsNan => truth(ir.fcmp(LLVMRealUNO, x.v, x.v)),
            Unary::IsInf => truth(ir.fcmp(LLVMRealOEQ, magnitude(), infinity())),
            Unary::IsFinite => truth(ir.fcmp(LLVMRealOLT, magnitude(), infinity())),
            Unary::Exp => rounded(math.exp(x.v)),
            Unary::Expm1 => rounded(math.expm1(x.v)),
            Unary::Log => rounded(math.log(x.v)),
            Unary::Log1p => rounded(math.log1p(x.v)),
            Unary::Sin => rounded(math.sin(x.v)),
            Unary::Cos => rounded(math.cos(x.v)),
            Unary::Tan => rounded(math.tan(x.v)),
            Unary::Asin => rounded(math.asin(x.v)),
            Unary::Acos => rounded(math.acos(x.v)),
            Unary::Atan => rounded(math.atan(x.v)),
            Unary::Sinh => rounded(math.sinh(x.v)),
            Unary::Cosh => rounded(math.cosh(x.v)),
            Unary::Tanh => rounded(math.tanh(x.v)),
            Unary::Sigmoid => rounded(math.sigmoid(x.v)),
            Unary::Erf => rounded(math.erf(x.v)),
        }
    }

    pub(super) fn binary(&self, op: Binary, a: Val, b: Val) -> Result<Val, Error> {
        if a.ty != b.ty {
            return self.bug(&format!("{op:?} of {} and {}", a.ty, b.ty));
        }
        if op.is_comparison() {
            return Ok(Val { v: self.compare(op, a, b), ty: Ty::vector(DType::Bool, a.ty.lanes) });
        }
        let v = match a.ty.dtype {
            DType::Bool => self.bool_binary(op, a, b)?,
            dtype if dtype.is_float() => {
                let v = self.float_binary(op, a, b)?;
                self.round_to(dtype, v, a.ty.lanes)
            }
            _ => self.int_binary(op, a, b)?,
        };
        Ok(Val { v, ty: a.ty })
    }

    /// Rounds once where the target can; multiplies and adds where it cannot.
    pub(super) fn fma(&self, a: Val, b: Val, c: Val) -> Result<Val, Error> {
        if a.ty != b.ty || a.ty != c.ty {
            return self.bug(&format!("Fma of {}, {} and {}", a.ty, b.ty, c.ty));
        }
        if !a.ty.dtype.is_float() {
            let product = self.binary(Binary::Mul, a, b)?;
            return self.binary(Binary::Add, product, c);
        }
        let v = self.math(a.ty).fma(a.v, b.v, c.v);
        Ok(Val { v: self.round_to(a.ty.dtype, v, a.ty.lanes), ty: a.ty })
    }

    fn compare(&self, op: Binary, a: Val, b: Val) -> Value {
        if a.ty.dtype.is_float() {
            return self.ir.fcmp(float_predicate(op), a.v, b.v);
        }
        let unsigned = matches!(a.ty.dtype, DType::U8 | DType::Bool);
        self.ir.icmp(int_predicate(op, unsigned), a.v, b.v)
    }

    fn bool_binary(&self, op: Binary, a: Val, b: Val) -> Result<Value, Error> {
        Ok(match op {
            Binary::And | Binary::Min | Binary::Mul => self.ir.and(a.v, b.v),
            Binary::Or | Binary::Max => self.ir.or(a.v, b.v),
            // The sum of bools wraps to one bit.
            Binary::Xor | Binary::Add | Binary::Sub => self.ir.xor(a.v, b.v),
            _ => return self.bug(&format!("{op:?} of bools")),
        })
    }

    fn float_binary(&self, op: Binary, a: Val, b: Val) -> Result<Value, Error> {
        let ir = self.ir;
        Ok(match op {
            Binary::Add => ir.fadd(a.v, b.v),
            Binary::Sub => ir.fsub(a.v, b.v),
            Binary::Mul => ir.fmul(a.v, b.v),
            Binary::Div => ir.fdiv(a.v, b.v),
            Binary::Min | Binary::Max => self.math(a.ty).extremum(op == Binary::Max, a.v, b.v),
            Binary::Rem => self.math(a.ty).floor_remainder(a.v, b.v),
            Binary::Pow => self.math(a.ty).pow(a.v, b.v),
            Binary::Atan2 => self.math(a.ty).atan2(a.v, b.v),
            _ => return self.bug(&format!("{op:?} of floats")),
        })
    }

    fn int_binary(&self, op: Binary, a: Val, b: Val) -> Result<Value, Error> {
        let ir = self.ir;
        let ty = self.register_type(a.ty);
        let signed = a.ty.dtype != DType::U8;
        let constant = |value| self.int_constant(a.ty, value);
        let bits = 8 * a.ty.dtype.size() as i64;
        Ok(match op {
            Binary::Add => ir.add(a.v, b.v),
            Binary::Sub => ir.sub(a.v, b.v),
            Binary::Mul => ir.mul(a.v, b.v),
            Binary::Div => floor_division(ir, a.v, b.v, signed).0,
            Binary::Rem => floor_division(ir, a.v, b.v, signed).1,
            Binary::Min => ir.intrinsic(if signed { "llvm.smin" } else { "llvm.umin" }, &[ty], &[a.v, b.v]),
            Binary::Max => ir.intrinsic(if signed { "llvm.smax" } else { "llvm.umax" }, &[ty], &[a.v, b.v]),
            Binary::And => ir.and(a.v, b.v),
            Binary::Or => ir.or(a.v, b.v),
            Binary::Xor => ir.xor(a.v, b.v),
            Binary::Shl | Binary::Shr => {
                let inside = ir.icmp(LLVMIntULT, b.v, constant(bits));
                let by = ir.select(inside, b.v, constant(0));
                let shifted = if op == Binary::Shl { ir.shl(a.v, by) } else { ir.lshr(a.v, by) };
                ir.select(inside, shifted, constant(0))
            }
            Binary::MulHi32 if a.ty.dtype == DType::I64 => {
                let low = constant(0xffff_ffff);
                ir.lshr(ir.mul(ir.and(a.v, low), ir.and(b.v, low)), constant(32))
            }
            Binary::Pow => self.int_power(a, b),
            _ => return self.bug(&format!("{op:?} of integers")),
        })
    }

    /// By squaring, wrapping. A negative exponent gives the truncated quotient: 0, or ±1 for a base of ±1.
    fn int_power(&self, base: Val, exponent: Val) -> Value {
        let ir = self.ir;
        let ty = self.register_type(base.ty);
        let constant = |value| self.int_constant(base.ty, value);
        let bits = 8 * base.ty.dtype.size() as i64;
        let (before, body, after) = (ir.here(), ir.block(), ir.block());
        ir.jump(body);
        ir.at(body);
        let round = ir.phi(ir.int(64), &[(ir.i64(0), before)]);
        let result = ir.phi(ty, &[(constant(1), before)]);
        let square = ir.phi(ty, &[(base.v, before)]);
        let rest = ir.phi(ty, &[(exponent.v, before)]);
        let odd = ir.icmp(LLVMIntNE, ir.and(rest, constant(1)), constant(0));
        let next = ir.add(round, ir.i64(1));
        let product = ir.select(odd, ir.mul(result, square), result);
        ir.add_incoming(round, &[(next, body)]);
        ir.add_incoming(result, &[(product, body)]);
        ir.add_incoming(square, &[(ir.mul(square, square), body)]);
        ir.add_incoming(rest, &[(ir.lshr(rest, constant(1)), body)]);
        ir.branch(ir.icmp(LLVMIntSLT, next, ir.i64(bits)), body, after);
        ir.at(after);
        if base.ty.dtype == DType::U8 {
            return product;
        }
        // For ±1 the bits of a negative exponent give the right sign already.
        let magnitude = ir.intrinsic("llvm.abs", &[ty], &[base.v, ir.bool(false)]);
        let unit = ir.icmp(LLVMIntEQ, magnitude, constant(1));
        let whole = ir.icmp(LLVMIntSGE, exponent.v, constant(0));
        ir.select(ir.or(whole, unit), product, constant(0))
    }

    fn bools(&self, lanes: u16, value: bool) -> Val {
        Val { v: self.ir.splat(self.ir.bool(value), u32::from(lanes)), ty: Ty::vector(DType::Bool, lanes) }
    }
}

/// Quotient and remainder rounded towards minus infinity; both 0 for a divisor of 0. Any integer type, any lanes.
pub(crate) fn floor_division(ir: &Ir, a: Value, b: Value, signed: bool) -> (Value, Value) {
    let ty = ir.type_of(a);
    let zero = ir.zero(ty);
    if !signed {
        let by_zero = ir.icmp(LLVMIntEQ, b, zero);
        let divisor = ir.or(b, ir.zext(by_zero, ty));
        let pick = |value| ir.select(by_zero, zero, value);
        return (pick(ir.udiv(a, divisor)), pick(ir.urem(a, divisor)));
    }
    if let Some(divisor) = ir.int_value(b).filter(|value| *value > 0) {
        return if divisor & (divisor - 1) == 0 {
            let shift = ir.like(ty, i64::from(divisor.trailing_zeros()));
            (ir.ashr(a, shift), ir.and(a, ir.like(ty, divisor - 1)))
        } else {
            let (quotient, remainder) = (ir.sdiv(a, b), ir.srem(a, b));
            let below = ir.icmp(LLVMIntSLT, remainder, zero);
            let quotient = ir.add(quotient, ir.sext(below, ty));
            (quotient, ir.select(below, ir.add(remainder, b), remainder))
        };
    }
    // 0 would trap, and so would the smallest number by -1.
    let minus_one = ir.not(zero);
    let by_zero = ir.icmp(LLVMIntEQ, b, zero);
    let by_minus_one = ir.icmp(LLVMIntEQ, b, minus_one);
    let one = ir.like(ty, 1);
    let divisor = ir.select(ir.or(by_zero, by_minus_one), one, b);
    let (quotient, remainder) = (ir.sdiv(a, divisor), ir.srem(a, divisor));
    let inexact = ir.icmp(LLVMIntNE, remainder, zero);
    let opposite = ir.icmp(LLVMIntSLT, ir.xor(remainder, divisor), zero);
    let adjust = ir.and(inexact, opposite);
    let quotient = ir.add(quotient, ir.sext(adjust, ty));
    let remainder = ir.select(adjust, ir.add(remainder, divisor), remainder);
    let quotient = ir.select(by_minus_one, ir.sub(zero, a), quotient);
    (ir.select(by_zero, zero, quotient), ir.select(by_zero, zero, remainder))
}

fn float_predicate(op: Binary) -> LLVMRealPredicate {
    match op {
        Binary::Lt => LLVMRealOLT,
        Binary::Le => LLVMRealOLE,
        Binary::Gt => LLVMRealOGT,
        Binary::Ge => LLVMRealOGE,
        Binary::Eq => LLVMRealOEQ,
        _ => LLVMRealUNE,
    }
}

fn int_predicate(op: Binary, unsigned: bool) -> LLVMIntPredicate {
    match (op, unsigned) {
        (Binary::Lt, false) => LLVMIntSLT,
        (Binary::Le, false) => LLVMIntSLE,
        (Binary::Gt, false) => LLVMIntSGT,
        (Binary::Ge, false) => LLVMIntSGE,
        (Binary::Lt, true) => LLVMIntULT,
        (Binary::Le, true) => LLVMIntULE,
        (Binary::Gt, true) => LLVMIntUGT,
        (Binary::Ge, true) => LLVMIntUGE,
        (Binary::Eq, _) => LLVMIntEQ,
        _ => LLVMIntNE,
    }
}
