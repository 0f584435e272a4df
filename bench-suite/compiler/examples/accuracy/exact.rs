//! Functions of f64 to some hundred bits, as sums of two f64 times a power of two.

use crate::units::scaled;
use std::f64::consts::LOG2_E;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// (high + low) · 2^power.
#[derive(Clone, Copy)]
pub struct Exact {
    pub high: f64,
    pub low: f64,
    pub power: i32,
}

/// high + low, with low at most half a unit of high.
#[derive(Clone, Copy)]
struct Pair {
    high: f64,
    low: f64,
}

impl Pair {
    const ONE: Pair = Pair { high: 1.0, low: 0.0 };

    /// a + b without loss.
    fn sum(a: f64, b: f64) -> Pair {
        let high = a + b;
        let part = high - a;
        Pair { high, low: (a - (high - part)) + (b - part) }
    }

    /// The same for |a| ≥ |b|.
    fn ordered(a: f64, b: f64) -> Pair {
        let high = a + b;
        Pair { high, low: b - (high - a) }
    }

    fn product(a: f64, b: f64) -> Pair {
        let high = a * b;
        Pair { high, low: a.mul_add(b, -high) }
    }

    fn of(a: f64) -> Pair {
        Pair { high: a, low: 0.0 }
    }

    fn scaled(self, n: i32) -> Pair {
        let factor = 2f64.powi(n);
        Pair { high: self.high * factor, low: self.low * factor }
    }

    fn exact(self, power: i32) -> Exact {
        Exact { high: self.high, low: self.low, power }
    }
}

impl Add for Pair {
    type Output = Pair;
    fn add(self, other: Pair) -> Pair {
        let (high, low) = (Pair::sum(self.high, other.high), Pair::sum(self.low, other.low));
        let first = Pair::ordered(high.high, high.low + low.high);
        Pair::ordered(first.high, first.low + low.low)
    }
}

impl Neg for Pair {
    type Output = Pair;
    fn neg(self) -> Pair {
        Pair { high: -self.high, low: -self.low }
    }
}

impl Sub for Pair {
    type Output = Pair;
    fn sub(self, other: Pair) -> Pair {
        self + -other
    }
}

impl Mul for Pair {
    type Output = Pair;
    fn mul(self, other: Pair) -> Pair {
        let product = Pair::product(self.high, other.high);
        let cross = self.high.mul_add(other.low, self.low * other.high);
        Pair::ordered(product.high, product.low + cross)
    }
}

impl Div for Pair {
    type Output = Pair;
    fn div(self, other: Pair) -> Pair {
        let first = self.high / other.high;
        let rest = self - other * Pair::of(first);
        let second = rest.high / other.high;
        let rest = rest - other * Pair::of(second);
        Pair::ordered(first, second) + Pair::of(rest.high / other.high)
    }
}

/// ln 2 in three parts, the first two of 41 bits.
const LN_2: [f64; 3] = [0.693147180559663, 2.8235290563014906e-13, 1.667085920830552e-25];

/// e^(x) − 1 with x less k ln 2, and k.
fn reduced(x: Pair) -> (Pair, i32) {
    let k = (x.high * LOG2_E).round();
    let [a, b, c] = LN_2;
    let r = Pair::of(x.high) - Pair::of(k * a);
    let r = r - Pair::of(k * b) + (Pair::of(x.low) - Pair::product(k, c));
    // The series at a 256th, then eight squarings: (1 + t)² − 1 = t(2 + t).
    let small = r.scaled(-8);
    let series = (2..=11).rev().fold(Pair::ONE, |sum, n| Pair::ONE + small * sum / Pair::of(f64::from(n)));
    let mut t = small * series;
    for _ in 0..8 {
        t = t * (Pair::of(2.0) + t);
    }
    (t, k as i32)
}

/// Infinities, zeros and NaN go another way.
fn usual(x: f64) -> bool {
    x.is_finite() && x != 0.0
}

pub fn exp(x: f64) -> Exact {
    if !usual(x) || x.abs() > 800.0 {
        return Pair::of(x.exp()).exact(0);
    }
    let (t, k) = reduced(Pair::of(x));
    (Pair::ONE + t).exact(k)
}

pub fn expm1(x: f64) -> Exact {
    if !usual(x) || x > 800.0 || x.abs() < 1e-200 {
        return Pair::of(x.exp_m1()).exact(0);
    }
    expm1_of(Pair::of(x.max(-800.0)))
}

fn expm1_of(x: Pair) -> Exact {
    let (t, k) = reduced(x);
    match k {
        0 => t.exact(0),
        k if k < -200 => Pair { high: -1.0, low: 1e-60 }.exact(0),
        k if k > 200 => (Pair::ONE + t).exact(k),
        k => ((Pair::ONE + t).scaled(k) - Pair::ONE).exact(0),
    }
}

pub fn tanh(x: f64) -> Exact {
    if !usual(x) || x.abs() > 40.0 || x.abs() < 1e-200 {
        return Pair::of(x.tanh()).exact(0);
    }
    let e = expm1_of(Pair::of(2.0 * x));
    let e = Pair { high: e.high, low: e.low };
    (e / (e + Pair::of(2.0))).exact(0)
}

pub fn sinh(x: f64) -> Exact {
    if !usual(x) || x.abs() > 800.0 || x.abs() < 1e-200 {
        return Pair::of(x.sinh()).exact(0);
    }
    let (t, k) = reduced(Pair::of(x.abs()));
    let magnitude = if k > 200 {
        (Pair::ONE + t).exact(k - 1)
    } else {
        let e = expm1_of(Pair::of(x.abs()));
        let e = Pair { high: e.high, low: e.low };
        (e + e / (e + Pair::ONE)).exact(-1)
    };
    let sign = x.signum();
    Exact { high: magnitude.high * sign, low: magnitude.low * sign, power: magnitude.power }
}

pub fn cosh(x: f64) -> Exact {
    if !usual(x) || x.abs() > 800.0 {
        return Pair::of(x.cosh()).exact(0);
    }
    let (t, k) = reduced(Pair::of(x.abs()));
    if k > 200 {
        return (Pair::ONE + t).exact(k - 1);
    }
    let e = (Pair::ONE + t).scaled(k);
    (e + Pair::ONE / e).exact(-1)
}

pub fn sigmoid(x: f64) -> Exact {
    if x.is_nan() || x == f64::INFINITY || x > 800.0 {
        return Pair::of(if x.is_nan() { x } else { 1.0 }).exact(0);
    }
    if x < -800.0 {
        return Pair::of(0.0).exact(0);
    }
    // e/(1 + e) with e = (1 + t)2ᵏ at most 1, or 1/(1 + e).
    let (t, k) = reduced(Pair::of(-x.abs()));
    let near = Pair::ONE + t;
    let divisor = Pair::ONE + near.scaled(k.max(-300));
    if x < 0.0 { (near / divisor).exact(k) } else { (Pair::ONE / divisor).exact(0) }
}

pub fn sqrt(x: f64) -> Exact {
    let root = x.sqrt();
    if !usual(root) {
        return Pair::of(root).exact(0);
    }
    // Near 1, where the square of the root is without loss; the power stays even.
    let power = ((root.to_bits() >> 52) as i32 - 1023).clamp(-600, 600);
    let (near, square) = (scaled(root, -power), scaled(x, -2 * power));
    let rest = near.mul_add(-near, square);
    Pair { high: near, low: rest / (2.0 * near) }.exact(power)
}

pub fn ln(x: f64) -> Exact {
    let guess = x.ln();
    if !usual(guess) {
        return Pair::of(guess).exact(0);
    }
    // The mantissa without loss, and its power.
    let lifted = if x < f64::MIN_POSITIVE { x * 2f64.powi(54) } else { x };
    let exponent = (lifted.to_bits() >> 52) as i32 - 1023;
    let mantissa = lifted * 2f64.powi(-(exponent / 2)) * 2f64.powi(-(exponent - exponent / 2));
    let exponent = if x < f64::MIN_POSITIVE { exponent - 54 } else { exponent };
    refined(guess, mantissa, 0.0, exponent)
}

pub fn ln_1p(x: f64) -> Exact {
    let guess = x.ln_1p();
    if !usual(guess) || x.abs() < 1e-200 {
        return Pair::of(guess).exact(0);
    }
    if x > 1e200 {
        return ln(x);
    }
    let shifted = Pair::sum(1.0, x);
    let exponent = (shifted.high.to_bits() >> 52) as i32 - 1023;
    let factor = 2f64.powi(-exponent);
    // Of a number near 1, `low` says how it differs from 1, without cancellation.
    refined(guess, shifted.high * factor, shifted.low * factor, exponent)
}

/// ln((high + low) 2^power) from a guess y: y + ln(1 + s) with 1 + s the argument times e⁻ʸ.
fn refined(guess: f64, high: f64, low: f64, power: i32) -> Exact {
    let (t, k) = reduced(Pair::of(-guess));
    let argument = Pair::ordered(high, low);
    let factor = 2f64.powi(k + power);
    // argument·2ᵖ⁺ᵏ − 1 is exact where it cancels.
    let s = (argument.scaled(k + power) - Pair::ONE) + argument * t * Pair::of(factor);
    let correction = s - s * s * Pair::of(0.5);
    (Pair::of(guess) + correction).exact(0)
}
