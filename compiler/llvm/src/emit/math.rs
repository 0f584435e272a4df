//! Elementary functions as vector code. f32 needs no library; f16 and bf16 are computed as f32 and rounded after.
//! For f64, sin, cos, tan, their inverses, erf and pow call the system's library lane by lane.
//!
//! No function is off by more than two units in the last place; docs/accuracy.md has the largest error of each.
//! NaN gives NaN; infinities, zeros with their sign, and denormals follow C99.

mod error_function;
mod exponential;
mod hyperbolic;
mod library;
mod logarithm;
mod trigonometric;

use super::{Emitter, register_type};
use crate::Target;
use crate::ir::{Ir, Type, Value};
use kernel::{DType, Ty};
use llvm_sys::LLVMIntPredicate;
use llvm_sys::LLVMRealPredicate::{self, *};

/// Arithmetic on all lanes of one float type.
#[derive(Clone, Copy)]
pub(crate) struct Math<'a> {
    ir: &'a Ir,
    target: &'a Target,
    lanes: u32,
    /// Of f64, not of f32.
    double: bool,
    /// Whether the lanes are one register or several of a processor with AVX-512.
    vectors: bool,
    float: Type,
    /// The integer type of as many bits and lanes.
    int: Type,
}

/// A small integer: as a float, and in the lowest bits of an integer whose higher ones are of no use.
#[derive(Clone, Copy)]
struct Nearest {
    float: Value,
    low: Value,
}

impl<'a> Emitter<'a> {
    /// The arithmetic in which values of this type are computed.
    pub(super) fn math(&self, ty: Ty) -> Math<'a> {
        Math::new(self.ir, ty.lanes, ty.dtype == DType::F64, self.target)
    }
}

impl<'a> Math<'a> {
    fn new(ir: &'a Ir, lanes: u16, double: bool, target: &'a Target) -> Math<'a> {
        let dtype = if double { DType::F64 } else { DType::F32 };
        let float = register_type(ir, Ty::vector(dtype, lanes));
        let int = ir.vector(ir.int(if double { 64 } else { 32 }), u32::from(lanes));
        let bits = u32::from(lanes) * if double { 64 } else { 32 };
        let vectors = target.has_avx512() && (bits >= 128 && bits.is_power_of_two());
        Math { ir, target, lanes: u32::from(lanes), double, vectors, float, int }
    }

    /// One rounding where the target has the instruction, two elsewhere.
    pub fn fma(&self, a: Value, b: Value, c: Value) -> Value {
        if self.target.fma {
            self.ir.intrinsic("llvm.fma", &[self.float], &[a, b, c])
        } else {
            self.ir.fadd(self.ir.fmul(a, b), c)
        }
    }

    /// The remainder that has the divisor's sign.
    pub fn floor_remainder(&self, a: Value, b: Value) -> Value {
        let ir = self.ir;
        let remainder = self.call2("fmod", a, b);
        let zero = ir.zero(self.float);
        let inexact = self.cmp(LLVMRealUNE, remainder, zero);
        let opposite = ir.xor(self.cmp(LLVMRealOLT, remainder, zero), self.cmp(LLVMRealOLT, b, zero));
        let adjusted = ir.select(opposite, ir.fadd(remainder, b), remainder);
        ir.select(inexact, adjusted, remainder)
    }

    /// f64 arithmetic of as many lanes, for f32 functions that are best computed there.
    fn wide(&self) -> Math<'a> {
        Math::new(self.ir, self.lanes as u16, true, self.target)
    }

    /// Runs `compute` in f64 and rounds its result.
    fn through_f64(&self, x: Value, compute: impl FnOnce(&Math<'a>, Value) -> Value) -> Value {
        let wide = self.wide();
        let result = compute(&wide, self.ir.fpext(x, wide.float));
        self.ir.fptrunc(result, self.float)
    }

    fn c(&self, value: f64) -> Value {
        let element = if self.double { self.ir.f64() } else { self.ir.f32() };
        self.ir.splat_const(self.ir.const_float(element, value), self.lanes)
    }

    fn i(&self, value: i64) -> Value {
        self.ir.like(self.int, value)
    }

    /// A constant that differs between f32 and f64.
    fn either(&self, single: f64, double: f64) -> Value {
        self.c(if self.double { double } else { single })
    }

    fn add(&self, a: Value, b: Value) -> Value {
        self.ir.fadd(a, b)
    }

    fn sub(&self, a: Value, b: Value) -> Value {
        self.ir.fsub(a, b)
    }

    fn mul(&self, a: Value, b: Value) -> Value {
        self.ir.fmul(a, b)
    }

    fn div(&self, a: Value, b: Value) -> Value {
        self.ir.fdiv(a, b)
    }

    fn sqrt(&self, a: Value) -> Value {
        self.ir.intrinsic("llvm.sqrt", &[self.float], &[a])
    }

    fn abs(&self, a: Value) -> Value {
        self.ir.intrinsic("llvm.fabs", &[self.float], &[a])
    }

    fn floor(&self, a: Value) -> Value {
        self.ir.intrinsic("llvm.floor", &[self.float], &[a])
    }

    /// The magnitude of one and the sign of the other.
    fn with_sign(&self, magnitude: Value, sign: Value) -> Value {
        self.ir.intrinsic("llvm.copysign", &[self.float], &[magnitude, sign])
    }

    fn cmp(&self, predicate: LLVMRealPredicate, a: Value, b: Value) -> Value {
        self.ir.fcmp(predicate, a, b)
    }

    fn lt(&self, a: Value, b: Value) -> Value {
        self.cmp(LLVMRealOLT, a, b)
    }

    fn eq(&self, a: Value, b: Value) -> Value {
        self.cmp(LLVMRealOEQ, a, b)
    }

    fn select(&self, condition: Value, yes: Value, no: Value) -> Value {
        self.ir.select(condition, yes, no)
    }

    /// `a`, at most `high`; NaN stays.
    fn at_most(&self, a: Value, high: Value) -> Value {
        self.select(self.lt(high, a), high, a)
    }

    /// `a`, at least `low`; NaN stays.
    fn at_least(&self, a: Value, low: Value) -> Value {
        self.select(self.lt(a, low), low, a)
    }

    /// c₀ + c₁x + c₂x² + …
    fn polynomial(&self, x: Value, coefficients: &[f64]) -> Value {
        let mut rest = coefficients.iter().rev();
        let Some(last) = rest.next() else { return self.c(0.0) };
        rest.fold(self.c(*last), |sum, coefficient| self.fma(sum, x, self.c(*coefficient)))
    }

    fn bits(&self, a: Value) -> Value {
        self.ir.bitcast(a, self.int)
    }

    fn float_of_bits(&self, a: Value) -> Value {
        self.ir.bitcast(a, self.float)
    }

    /// Whether the sign bit is set, as for -0 and unlike `< 0`.
    fn sign_bit(&self, a: Value) -> Value {
        self.ir.icmp(LLVMIntPredicate::LLVMIntSLT, self.bits(a), self.i(0))
    }

    fn mantissa_bits(&self) -> i64 {
        if self.double { 52 } else { 23 }
    }

    fn exponent_bias(&self) -> i64 {
        if self.double { 1023 } else { 127 }
    }

    /// 2ⁿ for n within the normal exponents, in the lowest bits of integer lanes.
    fn power_of_two(&self, n: Value) -> Value {
        let biased = self.ir.add(n, self.i(self.exponent_bias()));
        self.float_of_bits(self.ir.shl(biased, self.i(self.mantissa_bits())))
    }

    /// 2ⁿ within the normal exponents.
    fn power(&self, n: Nearest) -> Value {
        if self.vectors { self.scale_by_instruction(self.c(1.0), n.float) } else { self.power_of_two(n.low) }
    }

    /// The nearest integer of a small number. Whatever NaN gives is harmless.
    fn nearest(&self, a: Value) -> Nearest {
        let magic = self.magic();
        let shifted = self.add(a, magic);
        Nearest { float: self.sub(shifted, magic), low: self.bits(shifted) }
    }

    /// The nearest integer of a small product.
    fn nearest_product(&self, a: Value, b: Value) -> Nearest {
        let magic = self.magic();
        let shifted = self.fma(a, b, magic);
        Nearest { float: self.sub(shifted, magic), low: self.bits(shifted) }
    }

    /// Added to 1.5 · 2^mantissa, a small integer stands in the lowest bits.
    fn magic(&self) -> Value {
        self.c(1.5 * 2f64.powi(self.mantissa_bits() as i32))
    }

    /// A float that is a small integer.
    fn whole(&self, float: Value) -> Nearest {
        Nearest { float, low: self.bits(self.add(float, self.magic())) }
    }

    /// a · 2ⁿ, rounded once, for |n| ≤ 2 · bias and numbers a near 1.
    fn scale(&self, a: Value, n: Nearest) -> Value {
        if self.vectors {
            return self.scale_by_instruction(a, n.float);
        }
        // In two steps, since 2ⁿ itself may be infinite or denormal where the result is not. Shifted to the exponent,
        // nothing is left of what stands above the integer, for it is even.
        let ir = self.ir;
        let place = self.i(self.mantissa_bits());
        let one = self.i(self.exponent_bias() << self.mantissa_bits());
        let half = ir.shl(ir.lshr(n.low, self.i(1)), place);
        let rest = ir.sub(ir.shl(n.low, place), half);
        let scaled = self.mul(a, self.float_of_bits(ir.add(half, one)));
        self.mul(scaled, self.float_of_bits(ir.add(rest, one)))
    }

    fn scale_by_instruction(&self, a: Value, n: Value) -> Value {
        self.by_instruction("scalef", &[a, n], &[])
    }

    /// The larger one, or the smaller one; NaN if there is one, and 0 is larger than −0.
    pub fn extremum(&self, max: bool, a: Value, b: Value) -> Value {
        if !self.vectors {
            let name = if max { "llvm.maximum" } else { "llvm.minimum" };
            return self.ir.intrinsic(name, &[self.float], &[a, b]);
        }
        // The sign is that of what is chosen; of a NaN and a number it chooses the number.
        let kind = self.ir.const_int(self.ir.int(32), if max { 0b0101 } else { 0b0100 });
        let chosen = self.by_instruction("range", &[a, b], &[kind]);
        self.select(self.cmp(LLVMRealUNO, a, b), self.add(a, b), chosen)
    }

    /// An instruction of AVX-512 on all lanes of each register.
    fn by_instruction(&self, name: &str, operands: &[Value], constants: &[Value]) -> Value {
        let ir = self.ir;
        let element = if self.double { 64 } else { 32 };
        let bits = self.lanes * element;
        let lanes = self.lanes.min(512 / element);
        let name =
            format!("llvm.x86.avx512.mask.{name}.p{}.{}", if self.double { "d" } else { "s" }, bits.min(512));
        let zero = ir.zero(ir.vector(if self.double { ir.f64() } else { ir.f32() }, lanes));
        let all_lanes = ir.const_int(ir.int(lanes.max(8)), -1);
        let one = |from: u32| {
            let part = |operand: &Value| if bits > 512 { ir.slice(*operand, from, lanes) } else { *operand };
            let mut arguments: Vec<Value> = operands.iter().map(part).collect();
            arguments.extend(constants.iter().copied().chain([zero, all_lanes]));
            if bits >= 512 {
                // As the rounding mode of the thread says.
                arguments.push(ir.const_int(ir.int(32), 4));
            }
            ir.intrinsic(&name, &[], &arguments)
        };
        let mut parts: Vec<Value> = (0..self.lanes).step_by(lanes as usize).map(one).collect();
        let mut wide = i64::from(lanes);
        while parts.len() > 1 {
            wide *= 2;
            let both: Vec<i64> = (0..wide).collect();
            parts = parts.chunks(2).map(|pair| ir.shuffle(pair[0], pair[1], &both)).collect();
        }
        parts[0]
    }

    /// a · 2ⁿ where a and the result are normal numbers; anything for NaN.
    fn scale_normal(&self, a: Value, n: Nearest) -> Value {
        let shifted = self.ir.shl(n.low, self.i(self.mantissa_bits()));
        self.float_of_bits(self.ir.add(self.bits(a), shifted))
    }
}
