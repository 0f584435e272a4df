//! f16 and bf16: between their two bytes in memory and the f32 that holds them in registers.

use super::Emitter;
use crate::ir::Value;
use kernel::DType;
use llvm_sys::LLVMIntPredicate::*;
use llvm_sys::LLVMRealPredicate::*;

impl Emitter<'_> {
    /// Rounds an f32 to what `dtype` can represent, half to even; other dtypes are left alone.
    pub(super) fn round_to(&self, dtype: DType, value: Value, lanes: u16) -> Value {
        match dtype {
            DType::BF16 => self.round_bf16(value, lanes),
            DType::F16 => self.round_f16(value, lanes),
            _ => value,
        }
    }

    /// The element's bits, i16, of an f32 that the dtype represents.
    pub(super) fn half_bits(&self, dtype: DType, value: Value, lanes: u16) -> Value {
        let (ir, n) = (self.ir, u32::from(lanes));
        let short = ir.vector(ir.int(16), n);
        let (word, c) = self.words(lanes);
        if dtype == DType::BF16 {
            return ir.trunc(ir.lshr(ir.bitcast(value, word), c(16)), short);
        }
        if self.target.half_conversion {
            return ir.bitcast(ir.fptrunc(value, ir.vector(ir.f16(), n)), short);
        }
        let bits = ir.bitcast(value, word);
        let magnitude = ir.and(bits, c(0x7fff_ffff));
        let sign = ir.and(ir.lshr(bits, c(16)), c(0x8000));
        let normal = ir.sub(ir.lshr(magnitude, c(13)), c(112 << 10));
        let scale = ir.splat(ir.const_float(ir.f32(), f64::from(1 << 24)), n);
        let absolute = ir.bitcast(magnitude, ir.vector(ir.f32(), n));
        let small = ir.icmp(LLVMIntULT, magnitude, c(113 << 23));
        let tame = ir.select(small, absolute, ir.zero(ir.vector(ir.f32(), n)));
        let tiny = ir.fptosi(ir.fmul(tame, scale), word);
        let mantissa = ir.and(ir.lshr(magnitude, c(13)), c(0x3ff));
        let special = ir.or(c(0x7c00), mantissa);
        let huge = ir.icmp(LLVMIntUGE, magnitude, c(0x7f80_0000));
        let result = ir.select(huge, special, ir.select(small, tiny, normal));
        ir.trunc(ir.or(result, sign), short)
    }

    /// The f32 that an element's bits, i16, stand for.
    pub(super) fn widen_half(&self, dtype: DType, bits: Value, lanes: u16) -> Value {
        let (ir, n) = (self.ir, u32::from(lanes));
        let float = ir.vector(ir.f32(), n);
        let (word, c) = self.words(lanes);
        if dtype == DType::BF16 {
            return ir.bitcast(ir.shl(ir.zext(bits, word), c(16)), float);
        }
        if self.target.half_conversion {
            return ir.fpext(ir.bitcast(bits, ir.vector(ir.f16(), n)), float);
        }
        let bits = ir.zext(bits, word);
        let magnitude = ir.shl(ir.and(bits, c(0x7fff)), c(13));
        let scale = ir.splat(ir.const_float(ir.f32(), 2f64.powi(112)), n);
        let scaled = ir.bitcast(ir.fmul(ir.bitcast(magnitude, float), scale), word);
        let special = ir.icmp(LLVMIntUGE, magnitude, c(31 << 23));
        let value = ir.select(special, ir.or(magnitude, c(0x7f80_0000)), scaled);
        let sign = ir.shl(ir.and(bits, c(0x8000)), c(16));
        ir.bitcast(ir.or(value, sign), float)
    }

    /// An f64 as an f32 whose further rounding to a half gives what rounding once would: the last bit is set wherever
    /// anything was cut off.
    pub(super) fn f64_to_odd_f32(&self, value: Value, lanes: u16) -> Value {
        let (ir, n) = (self.ir, u32::from(lanes));
        let (word, c) = self.words(lanes);
        let (double, float) = (ir.vector(ir.f64(), n), ir.vector(ir.f32(), n));
        let near = ir.fptrunc(value, float);
        let back = ir.fpext(near, double);
        let bits = ir.bitcast(near, word);
        let even = ir.icmp(LLVMIntEQ, ir.and(bits, c(1)), c(0));
        let adjust = ir.and(ir.fcmp(LLVMRealONE, back, value), even);
        let magnitude = |x| ir.intrinsic("llvm.fabs", &[double], &[x]);
        let above = ir.fcmp(LLVMRealOGT, magnitude(back), magnitude(value));
        let other = ir.select(above, ir.sub(bits, c(1)), ir.add(bits, c(1)));
        ir.bitcast(ir.select(adjust, other, bits), float)
    }

    fn round_bf16(&self, value: Value, lanes: u16) -> Value {
        let (ir, n) = (self.ir, u32::from(lanes));
        let (word, c) = self.words(lanes);
        let bits = ir.bitcast(value, word);
        let odd = ir.and(ir.lshr(bits, c(16)), c(1));
        let rounded = ir.add(ir.add(bits, c(0x7fff)), odd);
        let nan = ir.fcmp(LLVMRealUNO, value, value);
        let bits = ir.select(nan, ir.or(bits, c(0x0040_0000)), rounded);
        ir.bitcast(ir.and(bits, c(0xffff_0000)), ir.vector(ir.f32(), n))
    }

    fn round_f16(&self, value: Value, lanes: u16) -> Value {
        let (ir, n) = (self.ir, u32::from(lanes));
        let float = ir.vector(ir.f32(), n);
        if self.target.half_conversion {
            return ir.fpext(ir.fptrunc(value, ir.vector(ir.f16(), n)), float);
        }
        let (word, c) = self.words(lanes);
        let bits = ir.bitcast(value, word);
        let sign = ir.and(bits, c(0x8000_0000));
        let magnitude = ir.and(bits, c(0x7fff_ffff));
        let odd = ir.and(ir.lshr(bits, c(13)), c(1));
        let rounded = ir.and(ir.add(ir.add(magnitude, c(0xfff)), odd), c(0xffff_e000));
        let overflow = ir.icmp(LLVMIntUGE, rounded, c(143 << 23));
        let rounded = ir.select(overflow, c(0x7f80_0000), rounded);
        // Below 2⁻¹⁴ the step is 2⁻²⁴, the last place of 0.5.
        let half = ir.splat(ir.const_float(ir.f32(), 0.5), n);
        let tiny = ir.bitcast(ir.fsub(ir.fadd(ir.bitcast(magnitude, float), half), half), word);
        let small = ir.icmp(LLVMIntULT, magnitude, c(113 << 23));
        let rounded = ir.select(small, tiny, rounded);
        let nan = ir.icmp(LLVMIntUGT, magnitude, c(0x7f80_0000));
        let rounded = ir.select(nan, ir.or(magnitude, c(0x0040_0000)), rounded);
        ir.bitcast(ir.or(rounded, sign), float)
    }

    /// The i32 type of as many lanes, and its constants.
    fn words(&self, lanes: u16) -> (crate::ir::Type, impl Fn(i64) -> Value + '_) {
        let word = self.ir.vector(self.ir.int(32), u32::from(lanes));
        (word, move |value| self.ir.splat(self.ir.const_int(self.ir.int(32), value), u32::from(lanes)))
    }
}
