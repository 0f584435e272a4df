//! Circular functions of f32 and their inverses, computed in f64 to some 2⁻³⁴ and rounded. f64 calls the library.

use super::{Math, Nearest};
use crate::ir::Value;
use llvm_sys::LLVMIntPredicate::LLVMIntNE;
use llvm_sys::LLVMRealPredicate::*;
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, PI};

/// sin r = r + r³S(r²) and cos r = 1 − r²/2 + r⁴C(r²) for |r| ≤ π/4, relative errors 2⁻⁴⁵ and 2⁻³⁹.
const S: &[f64] = &[
    -0.1666666666666387,
    0.00833333333107021,
    -0.00019841266908224796,
    2.7555988280021416e-06,
    -2.4805390945766067e-08,
];
const C: &[f64] =
    &[0.041666666664311826, -0.0013888887668370663, 2.480059840835012e-05, -2.730070403808665e-07];
/// atan t = t + t³A(t²) for 0 ≤ t ≤ 1, relative error 2⁻³⁴.
const A: &[f64] = &[
    -0.3333333332694414,
    0.19999998154086215,
    -0.14285624891483525,
    0.11109392308322223,
    -0.09073553118976409,
    0.0758665283364667,
    -0.06246315194128317,
    0.047294798621813336,
    -0.02991311194551696,
    0.014072923344697239,
    -0.0042216579909296476,
    0.0005930437556365282,
];
/// π/2 in three parts, the first two of 33 bits.
const HALF_PI: [f64; 3] = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21];
/// Beyond this the reduction would lose digits.
const REDUCIBLE: f64 = 1_048_576.0;

impl Math<'_> {
    pub fn sin(&self, x: Value) -> Value {
        self.circular("sin", x, |wide, x| {
            let (sin, cos, quadrant) = wide.quadrant(x);
            let value = wide.select(wide.has_bit(quadrant, 1), cos, sin);
            wide.select(wide.has_bit(quadrant, 2), wide.ir.fneg(value), value)
        })
    }

    pub fn cos(&self, x: Value) -> Value {
        self.circular("cos", x, |wide, x| {
            let (sin, cos, quadrant) = wide.quadrant(x);
            let value = wide.select(wide.has_bit(quadrant, 1), sin, cos);
            let next = wide.ir.add(quadrant, wide.i(1));
            wide.select(wide.has_bit(next, 2), wide.ir.fneg(value), value)
        })
    }

    pub fn tan(&self, x: Value) -> Value {
        self.circular("tan", x, |wide, x| {
            let (sin, cos, quadrant) = wide.quadrant(x);
            let odd = wide.has_bit(quadrant, 1);
            let above = wide.select(odd, wide.ir.fneg(cos), sin);
            wide.div(above, wide.select(odd, sin, cos))
        })
    }

    pub fn atan(&self, x: Value) -> Value {
        if self.double {
            return self.call1("atan", x);
        }
        self.through_f64(x, |wide, x| wide.arc(x, wide.c(1.0)))
    }

    pub fn asin(&self, x: Value) -> Value {
        if self.double {
            return self.call1("asin", x);
        }
        self.through_f64(x, |wide, x| wide.arc(x, wide.other_leg(x)))
    }

    pub fn acos(&self, x: Value) -> Value {
        if self.double {
            return self.call1("acos", x);
        }
        self.through_f64(x, |wide, x| wide.arc(wide.other_leg(x), x))
    }

    pub fn atan2(&self, y: Value, x: Value) -> Value {
        if self.double {
            return self.call2("atan2", y, x);
        }
        let wide = self.wide();
        let result = wide.arc(self.ir.fpext(y, wide.float), self.ir.fpext(x, wide.float));
        self.ir.fptrunc(result, self.float)
    }

    /// √(1 − x²); NaN outside of [-1, 1].
    fn other_leg(&self, x: Value) -> Value {
        let one = self.c(1.0);
        self.sqrt(self.mul(self.sub(one, x), self.add(one, x)))
    }

    /// The angle of the point (x, y), as atan2.
    fn arc(&self, y: Value, x: Value) -> Value {
        let ir = self.ir;
        let (ay, ax) = (self.abs(y), self.abs(x));
        let steep = self.lt(ax, ay);
        let (short, long) = (self.select(steep, ax, ay), self.select(steep, ay, ax));
        let ratio = self.div(short, long);
        // 0/0 counts as 0 and ∞/∞ as 1.
        let ratio = self.select(self.eq(long, self.c(0.0)), self.c(0.0), ratio);
        let ratio = self.select(self.eq(short, self.c(f64::INFINITY)), self.c(1.0), ratio);
        let square = self.mul(ratio, ratio);
        let tail = self.mul(square, self.polynomial(square, A));
        let angle = self.fma(ratio, tail, ratio);
        let angle = self.select(steep, self.sub(self.c(FRAC_PI_2), angle), angle);
        let angle = self.select(self.sign_bit(x), self.sub(self.c(PI), angle), angle);
        let angle = self.with_sign(angle, y);
        let unordered = self.cmp(LLVMRealUNO, x, y);
        self.select(unordered, ir.fadd(x, y), angle)
    }

    /// Computes in f64 what can be reduced there, and asks the library where a lane is too large for that.
    fn circular(&self, name: &str, x: Value, compute: impl FnOnce(&Self, Value) -> Value) -> Value {
        if self.double {
            return self.call1(name, x);
        }
        let ir = self.ir;
        let large = self.cmp(LLVMRealOGT, self.abs(x), self.c(REDUCIBLE));
        let tame = self.select(large, self.c(0.0), x);
        let wide = self.wide();
        let value = compute(&wide, ir.fpext(tame, wide.float));
        let value = ir.fptrunc(value, self.float);
        // sin and tan of a denormal or of -0 are themselves.
        let value = if name == "cos" {
            value
        } else {
            self.select(self.lt(self.abs(x), self.c(2f64.powi(-13))), x, value)
        };
        let (before, rare, after) = (ir.here(), ir.block(), ir.block());
        ir.branch(self.any(large), rare, after);
        ir.at(rare);
        let exact = self.select(large, self.call1(name, x), value);
        let end = ir.here();
        ir.jump(after);
        ir.at(after);
        ir.phi(self.float, &[(value, before), (exact, end)])
    }

    /// sin and cos of x less its nearest multiple of π/2, and which multiple that was.
    fn quadrant(&self, x: Value) -> (Value, Value, Value) {
        let Nearest { float: n, low: quadrant } = self.nearest(self.mul(x, self.c(FRAC_2_PI)));
        let [a, b, c] = HALF_PI;
        let r = self.fma(n, self.c(-a), x);
        let r = self.fma(n, self.c(-b), r);
        let r = self.fma(n, self.c(-c), r);
        let z = self.mul(r, r);
        let sin = self.fma(self.mul(r, z), self.polynomial(z, S), r);
        let cos = self.fma(self.mul(z, z), self.polynomial(z, C), self.fma(z, self.c(-0.5), self.c(1.0)));
        (sin, cos, quadrant)
    }

    fn has_bit(&self, n: Value, bit: i64) -> Value {
        self.ir.icmp(LLVMIntNE, self.ir.and(n, self.i(bit)), self.i(0))
    }

    fn any(&self, lanes: Value) -> Value {
        if self.lanes == 1 {
            return lanes;
        }
        let ty = self.ir.vector(self.ir.int(1), self.lanes);
        self.ir.intrinsic("llvm.vector.reduce.or", &[ty], &[lanes])
    }
}
