//! Element by element: functions, operators, comparisons, conversions.

use super::{Rule, discrete, rule};
use crate::{
    dim::Dim,
    draft::{DType, Draft, Id},
    range::Range,
};

pub const RULES: &[Rule] = &[
    rule("unary", 26, unary),
    rule("binary", 22, binary),
    rule("number", 8, with_number),
    rule("broadcast operand", 8, stretched),
    rule("quotient", 5, quotient),
    rule("power", 3, power),
    rule("extremum", 4, extremum),
    rule("select", 6, select),
    rule("clip", 2, clip),
    rule("sum of several", 4, several),
    rule("stop_gradient", 1, stopped),
    discrete("comparison", 6, comparison),
    discrete("logic", 20, logic),
    discrete("steps", 3, steps),
    discrete("to whole numbers", 3, to_whole),
    discrete("from whole numbers", 4, from_whole),
    discrete("whole numbers", 4, whole),
    discrete("flags as numbers", 3, from_flags),
    discrete("special values", 4, special),
    discrete("remainder", 2, remainder),
    discrete("halves", 1, halves),
];

/// What an argument must be.
enum Domain {
    Within(f64),
    AtLeast(f64),
}
use Domain::{AtLeast, Within};

/// A function: its text around `{}`, its domain, and what it makes of a range.
type Function = (&'static str, Domain, fn(Range) -> Range);

const FUNCTIONS: &[Function] = &[
    ("tanh({})", Within(6.0), |x| x.rising(f64::tanh)),
    ("sigmoid({})", Within(8.0), |x| x.rising(|x| 1.0 / (1.0 + (-x).exp()))),
    ("sin({})", Within(8.0), |_| Range::around(1.0)),
    ("cos({})", Within(8.0), |_| Range::around(1.0)),
    ("relu({})", Within(20.0), |x| x.rising(|x| x.max(0.0))),
    ("leaky_relu({})", Within(20.0), |x| x.rising(|x| if x > 0.0 { x } else { 0.01 * x })),
    ("leaky_relu({}, slope: 0.3)", Within(20.0), |x| x.rising(|x| if x > 0.0 { x } else { 0.3 * x })),
    ("elu({})", Within(20.0), |x| x.rising(|x| if x > 0.0 { x } else { x.exp_m1() })),
    ("selu({})", Within(20.0), |x| Range::new(-1.76, 1.06 * x.high.max(0.0))),
    ("gelu({})", Within(20.0), |x| Range::new(-0.2, x.high.max(0.0))),
    ("gelu_tanh({})", Within(20.0), |x| Range::new(-0.2, x.high.max(0.0))),
    ("silu({})", Within(20.0), |x| Range::new(-0.3, x.high.max(0.0))),
    ("softplus({})", Within(20.0), |x| x.rising(|x| x.exp().ln_1p())),
    ("mish({})", Within(20.0), |x| Range::new(-0.4, x.high.max(0.0))),
    ("relu6({})", Within(20.0), |x| x.rising(|x| x.clamp(0.0, 6.0))),
    ("hard_sigmoid({})", Within(20.0), |_| Range::new(0.0, 1.0)),
    ("hard_swish({})", Within(20.0), |x| Range::new(-0.5, x.high.max(0.0))),
    ("erf({})", Within(4.0), |_| Range::around(1.0)),
    ("erfc({})", Within(4.0), |_| Range::new(0.0, 2.0)),
    ("atan({})", Within(20.0), |x| x.rising(f64::atan)),
    ("abs({})", Within(20.0), |x| Range::new(0.0, x.size())),
    ("-{}", Within(20.0), |x| Range::new(-x.high, -x.low)),
    ("exp({})", Within(2.5), |x| x.rising(f64::exp)),
    ("expm1({})", Within(2.5), |x| x.rising(f64::exp_m1)),
    ("sinh({})", Within(2.5), |x| x.rising(f64::sinh)),
    ("cosh({})", Within(2.5), |x| Range::new(1.0, x.size().cosh())),
    ("tan({})", Within(1.0), |x| x.rising(f64::tan)),
    ("asin({})", Within(0.8), |x| x.rising(f64::asin)),
    ("acos({})", Within(0.8), |x| Range::new(x.high.acos(), x.low.acos())),
    ("log({})", AtLeast(0.2), |x| x.rising(f64::ln)),
    ("log2({})", AtLeast(0.2), |x| x.rising(f64::log2)),
    ("log1p({})", AtLeast(-0.5), |x| x.rising(f64::ln_1p)),
    ("sqrt({})", AtLeast(0.1), |x| x.rising(f64::sqrt)),
    ("rsqrt({})", AtLeast(0.2), |x| Range::new(x.high.powf(-0.5), x.low.powf(-0.5))),
    ("1 / {}", AtLeast(0.25), |x| Range::new(1.0 / x.high, 1.0 / x.low)),
    ("{} ^ 2", Within(4.0), |x| Range::new(0.0, x.size().powi(2))),
    ("{} ^ 3", Within(2.5), |x| x.rising(|x| x.powi(3))),
    ("{} ^ -1", AtLeast(0.25), |x| Range::new(1.0 / x.high, 1.0 / x.low)),
    ("softplus(-{})", Within(20.0), |x| Range::new(0.0, x.size() + 1.0)),
];

/// The value, wrapped where it may leave the domain; with what it can be then.
fn within(d: &mut Draft, x: Id, domain: &Domain) -> (String, Range) {
    let (name, range) = (d.read(x), d.range(x));
    match domain {
        Within(limit) if range.size() > *limit => {
            let text = format!("({limit:?} * tanh({name}))");
            (
                text,
                Range::new((range.low.tanh() * limit).max(-limit), (range.high.tanh() * limit).min(*limit)),
            )
        }
        AtLeast(limit) if range.low < *limit => match d.rng.below(3) {
            0 => (format!("({name} * {name} + 0.5)"), Range::new(0.5, range.size().powi(2) + 0.5)),
            1 => (format!("(sigmoid({name}) + 0.25)"), Range::new(0.25, 1.25)),
            _ => (format!("exp(tanh({name}))"), Range::new(0.36, 2.72)),
        },
        _ => (name, range),
    }
}

/// A value of at most this size.
pub fn bounded(d: &mut Draft, x: Id, limit: f64) -> (String, Range) {
    within(d, x, &Within(limit))
}

fn unary(d: &mut Draft) -> Option<()> {
    let x = d.pick_float()?;
    let (text, domain, image) = &FUNCTIONS[d.rng.below(FUNCTIONS.len())];
    let (argument, range) = within(d, x, domain);
    let shape = d.shape(x);
    let simple = text.strip_suffix("({})").filter(|_| d.rng.once_in(4));
    let text = match simple {
        Some(function) => format!("{argument} |> {function}"),
        None => text.replace("{}", &argument),
    };
    let image = image(range);
    d.emit(text, DType::Float, shape, Range::new(image.low - 1e-3, image.high + 1e-3)).map(drop)
}

fn same(d: &mut Draft) -> Option<(Id, Id)> {
    let a = d.pick_float()?;
    let b = d.like(&d.shape(a))?;
    Some((a, b))
}

fn binary(d: &mut Draft) -> Option<()> {
    let (a, b) = same(d)?;
    let (x, y, shape) = (d.range(a), d.range(b), d.shape(a));
    let (a, b) = (d.read(a), d.read(b));
    let (text, range) = match d.rng.below(3) {
        0 => (format!("{a} + {b}"), x.plus(y)),
        1 => (format!("{a} - {b}"), x.minus(y)),
        _ => (format!("{a} * {b}"), x.times(y)),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn with_number(d: &mut Draft) -> Option<()> {
    let x = d.pick_float()?;
    let (range, shape, name) = (d.range(x), d.shape(x), d.read(x));
    let (number, value) = d.literal();
    let fixed = Range::new(value, value);
    let (text, range) = match d.rng.below(4) {
        0 => (format!("{name} + {number}"), range.plus(fixed)),
        1 => (format!("{number} - {name}"), fixed.minus(range)),
        2 => (format!("{name} / {number}"), range.times(Range::new(1.0 / value, 1.0 / value))),
        _ => (format!("{number} * {name}"), range.times(fixed)),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

/// An operand with fewer axes, or axes of 1, that is stretched.
fn stretched(d: &mut Draft) -> Option<()> {
    let a = d.pick_ranked(1)?;
    let shape = d.shape(a);
    let dropped = d.rng.below(shape.len() + 1);
    let mut other = shape[dropped..].to_vec();
    for dim in &mut other {
        if d.rng.once_in(3) {
            *dim = Dim::from(1);
        }
    }
    let b = d.like(&other)?;
    let (x, y) = (d.range(a), d.range(b));
    let (a, b) = (d.read(a), d.read(b));
    let (text, range) = match d.rng.below(4) {
        0 => (format!("{a} + {b}"), x.plus(y)),
        1 => (format!("{b} - {a}"), y.minus(x)),
        2 => (format!("{b} * {a}"), x.times(y)),
        _ => (format!("max({a}, {b})"), x.hull(y)),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn quotient(d: &mut Draft) -> Option<()> {
    let (a, b) = same(d)?;
    let (shape, x) = (d.shape(a), d.range(a));
    let a = d.read(a);
    let (divisor, y) = within(d, b, &AtLeast(0.25));
    let range = x.times(Range::new(1.0 / y.high, 1.0 / y.low));
    let text = match d.rng.below(4) {
        0 => {
            return d
                .emit(format!("atan2({a}, {divisor})"), DType::Float, shape, Range::around(1.6))
                .map(drop);
        }
        _ => format!("{a} / {divisor}"),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn power(d: &mut Draft) -> Option<()> {
    let (a, b) = same(d)?;
    let shape = d.shape(a);
    let (base, x) = within(d, a, &AtLeast(0.25));
    let (exponent, y) = within(d, b, &Within(1.5));
    let largest = x.high.max(1.0 / x.low).powf(y.size());
    let text =
        if d.rng.once_in(2) { format!("pow({base}, {exponent})") } else { format!("{base} ^ ({exponent})") };
    d.emit(text, DType::Float, shape, Range::new(1.0 / largest, largest)).map(drop)
}

fn extremum(d: &mut Draft) -> Option<()> {
    let (a, b) = same(d)?;
    let (shape, range) = (d.shape(a), d.range(a).hull(d.range(b)));
    let (a, b) = (d.read(a), d.read(b));
    let function = ["max", "min"][d.rng.below(2)];
    d.emit(format!("{function}({a}, {b})"), DType::Float, shape, range).map(drop)
}

fn select(d: &mut Draft) -> Option<()> {
    let (a, b) = same(d)?;
    let shape = d.shape(a);
    let wanted = shape.clone();
    let known = d.pick(move |value| value.dtype == DType::Bool && value.shape == wanted);
    let condition = match known {
        Some(flag) if d.rng.once_in(2) => d.read(flag),
        _ => {
            let c = d.like(&shape)?;
            let (number, _) = d.literal();
            let c = d.read(c);
            let sign = [">", "<", ">=", "<="][d.rng.below(4)];
            format!("{c} {sign} {number}")
        }
    };
    let range = d.range(a).hull(d.range(b));
    let (x, y) = (d.read(a), d.read(b));
    let text = match d.rng.below(4) {
        0 => format!("masked_fill({x}, {condition}, 0.5)"),
        1 => format!("select({condition}, {x}, 0)"),
        _ => format!("select({condition}, {x}, {y})"),
    };
    d.emit(text, DType::Float, shape, range.hull(Range::new(0.0, 0.5))).map(drop)
}

fn clip(d: &mut Draft) -> Option<()> {
    let x = d.pick_float()?;
    let (shape, range, x) = (d.shape(x), d.range(x), d.read(x));
    let (text, range) = match d.rng.below(3) {
        0 => (format!("clip({x}, -0.75, 1.25)"), Range::new(-0.75, 1.25)),
        1 => (format!("clip({x}, min: 0.125)"), Range::new(0.125, range.high.max(0.125))),
        _ => (format!("clip({x}, max: 0.625)"), Range::new(range.low.min(0.625), 0.625)),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

/// A larger expression, as people write them.
fn several(d: &mut Draft) -> Option<()> {
    let (a, b) = same(d)?;
    let c = d.like(&d.shape(a))?;
    let shape = d.shape(a);
    let (x, y, z) = (d.range(a), d.range(b), d.range(c));
    let (a, b, c) = (d.read(a), d.read(b), d.read(c));
    let (text, range) = match d.rng.below(4) {
        0 => (format!("{a} * {b} + {c}"), x.times(y).plus(z)),
        1 => (format!("({a} - {b}) * ({a} - {b}) - {c}"), x.minus(y).times(x.minus(y)).minus(z)),
        2 => (format!("{a} * tanh({b}) + (1 - tanh({b})) * {c}"), Range::around(x.size() + 2.0 * z.size())),
        _ => (format!("-{a} + 0.5 * ({b} + {c})"), Range::around(x.size() + y.size() + z.size())),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn stopped(d: &mut Draft) -> Option<()> {
    let (a, b) = same(d)?;
    let (shape, range) = (d.shape(a), d.range(a).times(d.range(b)));
    let (a, b) = (d.read(a), d.read(b));
    // A derivative by `a` would not be the one of differences, so derivatives are asked of the other form.
    let text = if d.smooth { format!("{a} * {b}") } else { format!("stop_gradient({a}) * {b}") };
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn comparison(d: &mut Draft) -> Option<()> {
    let (a, b) = same(d)?;
    let shape = d.shape(a);
    let sign = ["<", "<=", ">", ">=", "==", "!="][d.rng.below(6)];
    let (a, b) = (d.read(a), if d.rng.once_in(2) { d.literal().0 } else { d.read(b) });
    d.emit(format!("{a} {sign} {b}"), DType::Bool, shape, Range::new(0.0, 1.0)).map(drop)
}

fn logic(d: &mut Draft) -> Option<()> {
    let a = d.pick(|value| value.dtype == DType::Bool)?;
    let shape = d.shape(a);
    let a = d.read(a);
    let text = match d.rng.below(5) {
        0 => format!("{a} and {}", flag(d, &shape)?),
        1 | 2 => format!("{a} or {}", flag(d, &shape)?),
        3 => format!("not {a}"),
        _ => format!("{a} and not {}", flag(d, &shape)?),
    };
    d.emit(text, DType::Bool, shape, Range::new(0.0, 1.0)).map(drop)
}

/// A flag of this shape: one there is, or a comparison in brackets.
fn flag(d: &mut Draft, shape: &[Dim]) -> Option<String> {
    let wanted = shape.to_vec();
    let known = d.pick(move |value| value.dtype == DType::Bool && value.shape == wanted);
    if let Some(id) = known
        && d.rng.once_in(2)
    {
        return Some(d.read(id));
    }
    let x = d.like(shape)?;
    let (x, (number, _)) = (d.read(x), d.literal());
    let sign = ["<", ">"][d.rng.below(2)];
    Some(format!("({x} {sign} {number})"))
}

fn steps(d: &mut Draft) -> Option<()> {
    let x = d.pick_float()?;
    let (shape, range, x) = (d.shape(x), d.range(x), d.read(x));
    let (text, range) = match d.rng.below(4) {
        0 => (format!("floor({x})"), range.rising(f64::floor)),
        1 => (format!("ceil({x})"), range.rising(f64::ceil)),
        2 => (format!("round({x})"), range.rising(f64::round)),
        _ => (format!("sign({x})"), Range::around(1.0)),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn to_whole(d: &mut Draft) -> Option<()> {
    let x = d.pick_float()?;
    let (shape, range, x) = (d.shape(x), d.range(x), d.read(x));
    let function = ["floor", "round", "ceil"][d.rng.below(3)];
    let range = Range::new(range.low.floor(), range.high.ceil());
    d.emit(format!("cast({function}({x}), i32)"), DType::I32, shape, range).map(drop)
}

fn from_whole(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| value.dtype == DType::I32)?;
    let (shape, range, x) = (d.shape(x), d.range(x), d.read(x));
    d.emit(format!("cast({x}, float)"), DType::Float, shape, range).map(drop)
}

fn whole(d: &mut Draft) -> Option<()> {
    let a = d.pick(|value| value.dtype == DType::I32)?;
    let shape = d.shape(a);
    let wanted = shape.clone();
    let b = d.pick(move |value| value.dtype == DType::I32 && value.shape == wanted)?;
    let (x, y) = (d.range(a), d.range(b));
    let (a, b) = (d.read(a), d.read(b));
    let (text, range) = match d.rng.below(8) {
        0 => (format!("{a} + {b}"), x.plus(y)),
        1 => (format!("{a} - {b}"), x.minus(y)),
        2 => (format!("{a} * {b}"), x.times(y)),
        3 => (format!("max({a}, {b})"), x.hull(y)),
        4 => (format!("{a} % 3"), Range::new(0.0, 2.0)),
        5 => (format!("abs({a} - {b})"), Range::new(0.0, x.minus(y).size())),
        6 => (format!("-abs({a})"), Range::new(-x.size(), 0.0)),
        _ => {
            return d.emit(format!("{a} >= {b}"), DType::Bool, shape, Range::new(0.0, 1.0)).map(drop);
        }
    };
    if range.size() > 1e6 {
        return None;
    }
    d.emit(text, DType::I32, shape, range).map(drop)
}

fn from_flags(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| value.dtype == DType::Bool)?;
    let (shape, x) = (d.shape(x), d.read(x));
    let dtype = if d.rng.once_in(2) { DType::I32 } else { DType::Float };
    d.emit(format!("cast({x}, {})", dtype.name()), dtype, shape, Range::new(0.0, 1.0)).map(drop)
}

fn special(d: &mut Draft) -> Option<()> {
    let x = d.pick_float()?;
    let (shape, x) = (d.shape(x), d.read(x));
    let function = ["isnan", "isinf", "isfinite"][d.rng.below(3)];
    d.emit(format!("{function}({x})"), DType::Bool, shape, Range::new(0.0, 1.0)).map(drop)
}

fn remainder(d: &mut Draft) -> Option<()> {
    let (a, b) = same(d)?;
    let shape = d.shape(a);
    let a = d.read(a);
    let (divisor, y) = within(d, b, &AtLeast(0.5));
    let text = if d.rng.once_in(2) { format!("{a} % {divisor}") } else { format!("mod({a}, {divisor})") };
    d.emit(text, DType::Float, shape, Range::new(0.0, y.high)).map(drop)
}

/// Through a narrower dtype and back.
fn halves(d: &mut Draft) -> Option<()> {
    let x = d.pick_float()?;
    let (shape, range, x) = (d.shape(x), d.range(x), d.read(x));
    let dtype = ["f16", "bf16", "f32"][d.rng.below(3)];
    d.emit(format!("cast(cast({x}, {dtype}), float)"), DType::Float, shape, range).map(drop)
}
