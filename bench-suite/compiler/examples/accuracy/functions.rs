//! What is measured, and what is right.

use crate::exact::{self, Exact};

pub struct Function {
    pub name: &'static str,
    /// In the language, of `x` and perhaps `z`.
    pub text: &'static str,
    /// Right to well below a tenth of a unit of f32: the system's f64 functions are within two units of f64.
    pub exact: Formula,
    /// Right to well below a tenth of a unit of f64, where the code is ours. Where it is not, f64 calls the system's
    /// library lane by lane, and only that library's makers can say.
    pub precise: Option<fn(f64) -> Exact>,
    pub mirror: Mirror,
    /// Where elements are when the time is taken.
    pub busy: (f64, f64),
    /// Whether it is built of others in the standard library, so that errors of its parts add up where they cancel.
    pub composed: bool,
}

#[derive(Clone, Copy)]
pub enum Formula {
    One(fn(f64) -> f64),
    Two(fn(f64, f64) -> f64),
}

/// What −x gives, bit for bit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mirror {
    None,
    Odd,
    Even,
}

use Formula::{One, Two};

const fn primitive(name: &'static str, text: &'static str, exact: Formula, busy: (f64, f64)) -> Function {
    Function { name, text, exact, precise: None, mirror: Mirror::None, busy, composed: false }
}

const fn ours(
    name: &'static str,
    text: &'static str,
    exact: fn(f64) -> f64,
    precise: fn(f64) -> Exact,
    busy: (f64, f64),
) -> Function {
    Function {
        name,
        text,
        exact: One(exact),
        precise: Some(precise),
        mirror: Mirror::None,
        busy,
        composed: false,
    }
}

const fn composed(name: &'static str, text: &'static str, exact: fn(f64) -> f64) -> Function {
    Function {
        name,
        text,
        exact: One(exact),
        precise: None,
        mirror: Mirror::None,
        busy: (-4.0, 4.0),
        composed: true,
    }
}

const fn mirrored(function: Function, mirror: Mirror) -> Function {
    Function { mirror, ..function }
}

pub const FUNCTIONS: &[Function] = &[
    ours("exp", "exp(x)", f64::exp, exact::exp, (-20.0, 20.0)),
    ours("expm1", "expm1(x)", f64::exp_m1, exact::expm1, (-4.0, 4.0)),
    ours("log", "log(x)", f64::ln, exact::ln, (0.01, 20.0)),
    ours("log1p", "log1p(x)", f64::ln_1p, exact::ln_1p, (-0.5, 20.0)),
    mirrored(ours("tanh", "tanh(x)", f64::tanh, exact::tanh, (-4.0, 4.0)), Mirror::Odd),
    mirrored(ours("sinh", "sinh(x)", f64::sinh, exact::sinh, (-4.0, 4.0)), Mirror::Odd),
    mirrored(ours("cosh", "cosh(x)", f64::cosh, exact::cosh, (-4.0, 4.0)), Mirror::Even),
    ours("sigmoid", "sigmoid(x)", sigmoid, exact::sigmoid, (-8.0, 8.0)),
    mirrored(primitive("erf", "erf(x)", One(libm::erf), (-3.0, 3.0)), Mirror::Odd),
    mirrored(primitive("sin", "sin(x)", One(f64::sin), (-10.0, 10.0)), Mirror::Odd),
    mirrored(primitive("cos", "cos(x)", One(f64::cos), (-10.0, 10.0)), Mirror::Even),
    mirrored(primitive("tan", "tan(x)", One(f64::tan), (-10.0, 10.0)), Mirror::Odd),
    mirrored(primitive("asin", "asin(x)", One(f64::asin), (-1.0, 1.0)), Mirror::Odd),
    primitive("acos", "acos(x)", One(f64::acos), (-1.0, 1.0)),
    mirrored(primitive("atan", "atan(x)", One(f64::atan), (-4.0, 4.0)), Mirror::Odd),
    ours("sqrt", "sqrt(x)", f64::sqrt, exact::sqrt, (0.0, 100.0)),
    primitive("pow", "pow(x, z)", Two(f64::powf), (0.01, 5.0)),
    primitive("atan2", "atan2(x, z)", Two(f64::atan2), (-4.0, 4.0)),
    composed("gelu", "gelu(x)", gelu),
    composed("gelu_tanh", "gelu_tanh(x)", gelu_tanh),
    composed("silu", "silu(x)", |x| x * sigmoid(x)),
    composed("softplus", "softplus(x)", softplus),
    composed("elu", "elu(x)", |x| if x > 0.0 { x } else { x.exp_m1() }),
];

fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}

fn softplus(x: f64) -> f64 {
    if x.is_nan() { x } else { x.max(0.0) + (-x.abs()).exp().ln_1p() }
}

fn gelu(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// ½(1 + tanh t) is sigmoid(2t), without the cancellation.
fn gelu_tanh(x: f64) -> f64 {
    x * sigmoid(2.0 * 0.797_884_560_802_865_4 * (x + 0.044715 * x * x * x))
}
