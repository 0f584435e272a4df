//! Casts: truncating and saturating towards integers, `!= 0` towards bool, one rounding towards floats.

use super::{Emitter, Val, register_type};
use crate::ir::Value;
use kernel::{DType, Ty};
use llvm_sys::LLVMIntPredicate::*;
use llvm_sys::LLVMRealPredicate::*;

impl Emitter<'_> {
    pub(super) fn cast(&self, to: DType, x: Val) -> Val {
        let from = x.ty.dtype;
        let ty = Ty::vector(to, x.ty.lanes);
        let v = match (from, to) {
            _ if from == to => x.v,
            (_, DType::Bool) if from.is_float() => {
                let zero = self.ir.zero(self.register_type(x.ty));
                self.ir.fcmp(LLVMRealUNE, x.v, zero)
            }
            (_, DType::Bool) => self.ir.icmp(LLVMIntNE, x.v, self.ir.zero(self.register_type(x.ty))),
            _ if from.is_float() && to.is_float() => self.float_to_float(x, to),
            _ if from.is_float() => self.float_to_int(x, ty),
            _ if to.is_float() => {
                let float = self.register_type(ty);
                let value = if matches!(from, DType::Bool | DType::U8) {
                    self.ir.uitofp(x.v, float)
                } else {
                    self.ir.sitofp(x.v, float)
                };
                self.round_to(to, value, x.ty.lanes)
            }
            _ => self.int_to_int(x, ty),
        };
        Val { v, ty }
    }

    fn float_to_float(&self, x: Val, to: DType) -> Value {
        let lanes = x.ty.lanes;
        let float = self.register_type(Ty::vector(to, lanes));
        match (x.ty.dtype, to) {
            (DType::F64, DType::F32) => self.ir.fptrunc(x.v, float),
            (DType::F64, _) => self.round_to(to, self.f64_to_odd_f32(x.v, lanes), lanes),
            (_, DType::F64) => self.ir.fpext(x.v, float),
            _ => self.round_to(to, x.v, lanes),
        }
    }

    fn float_to_int(&self, x: Val, ty: Ty) -> Value {
        let (int, float) = (self.register_type(ty), self.register_type(x.ty));
        let name = if ty.dtype == DType::U8 { "llvm.fptoui.sat" } else { "llvm.fptosi.sat" };
        self.ir.intrinsic(name, &[int, float], &[x.v])
    }

    fn int_to_int(&self, x: Val, ty: Ty) -> Value {
        let ir = self.ir;
        let (from, to) = (x.ty.dtype, ty.dtype);
        let wide = self.register_type(ty);
        if matches!(from, DType::Bool) || (from == DType::U8 && to.size() > 1) {
            return ir.zext(x.v, wide);
        }
        if to.size() > from.size() && to != DType::U8 {
            return ir.sext(x.v, wide);
        }
        let source = self.register_type(x.ty);
        let (low, high) = limits(to);
        let constant = |value| self.int_constant(x.ty, value);
        if from == DType::U8 {
            return ir.intrinsic("llvm.umin", &[source], &[x.v, constant(high)]);
        }
        let value = ir.intrinsic("llvm.smax", &[source], &[x.v, constant(low)]);
        if from == DType::I8 {
            return value;
        }
        let value = ir.intrinsic("llvm.smin", &[source], &[value, constant(high)]);
        ir.trunc(value, wide)
    }

    /// An integer in all lanes of `ty`.
    pub(super) fn int_constant(&self, ty: Ty, value: i64) -> Value {
        let element = register_type(self.ir, Ty::scalar(ty.dtype));
        self.ir.splat(self.ir.const_int(element, value), u32::from(ty.lanes))
    }

    /// A float in all lanes of `ty`.
    pub(super) fn float_constant(&self, ty: Ty, value: f64) -> Value {
        let element = register_type(self.ir, Ty::scalar(ty.dtype));
        self.ir.splat(self.ir.const_float(element, value), u32::from(ty.lanes))
    }
}

fn limits(dtype: DType) -> (i64, i64) {
    match dtype {
        DType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        DType::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        DType::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        DType::U8 => (0, i64::from(u8::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}
