//! Elementwise arithmetic and logic.

use super::{Match, rules};
use graph::{NodeId, Op, ops};
use kernel::{Binary, DType, Unary};

rules! {
    add_zero,
    sub_zero,
    sub_from_zero,
    sub_itself,
    mul_one,
    mul_minus_one,
    mul_zero,
    div_one,
    div_power_of_two,
    add_negated,
    sub_negated,
    neg_neg,
    not_not,
    abs_of_signed,
    pow_constant,
    idempotent,
    logic_with_constant,
    select_constant,
    select_same,
    select_not,
    stop_gradient,
}

/// x + 0 = x, 0 + x = x. With +0 the sum of −0 and 0 is 0, so strictly only −0 is neutral for floats.
fn add_zero(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Add)?;
    let is_neutral =
        |m: &Match<'_, '_>, id| m.is_splat(id, -0.0) || m.is_splat(id, 0.0) && !(m.is_float() && m.cx.strict);
    if is_neutral(m, y) {
        Some(x)
    } else if is_neutral(m, x) {
        Some(y)
    } else {
        None
    }
}

/// x − 0 = x, also for −0.
fn sub_zero(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Sub)?;
    (m.is_splat(y, 0.0) || m.is_splat(y, -0.0) && !(m.is_float() && m.cx.strict)).then_some(x)
}

/// 0 − x = −x. 0 − 0 is 0 and not −0, so strictly only −0 − x for floats.
fn sub_from_zero(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Sub)?;
    if !(m.is_splat(x, -0.0) || m.is_splat(x, 0.0) && !(m.is_float() && m.cx.strict)) {
        return None;
    }
    m.replace(ops::Unary { op: Unary::Neg }, &[y])
}

/// x − x = 0 for integers; for floats infinity and NaN give NaN.
fn sub_itself(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Sub)?;
    (x == y && !m.is_float()).then(|| m.b.zeros_like(x))
}

/// x · 1 = x, 1 · x = x.
fn mul_one(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Mul)?;
    if m.is_splat(y, 1.0) {
        Some(x)
    } else if m.is_splat(x, 1.0) {
        Some(y)
    } else {
        None
    }
}

/// x · −1 = −x, −1 · x = −x.
fn mul_minus_one(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Mul)?;
    let x = if m.is_splat(y, -1.0) {
        x
    } else if m.is_splat(x, -1.0) {
        y
    } else {
        return None;
    };
    m.replace(ops::Unary { op: Unary::Neg }, &[x])
}

/// x · 0 = 0 for integers; for floats infinity and NaN give NaN.
fn mul_zero(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Mul)?;
    if m.is_float() {
        return None;
    }
    [x, y].into_iter().find(|id| m.splat(*id) == Some(0.0))
}

/// x / 1 = x.
fn div_one(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Div)?;
    m.is_splat(y, 1.0).then_some(x)
}

/// x / 2ᵏ = x · 2⁻ᵏ for floats: both round the same real number, as long as 2⁻ᵏ is a normal number of the dtype.
fn div_power_of_two(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Div)?;
    let value = m.splat(y).filter(|_| m.is_float())?;
    let largest_exponent = match m.concrete(m.ty().dtype) {
        DType::F64 => 1022,
        DType::F16 => 14,
        _ => 126,
    };
    let exponent = (value.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    let is_power = value.to_bits() << 12 == 0 && exponent.abs() <= largest_exponent;
    if !is_power {
        return None;
    }
    let reciprocal = m.b.full_like(x, 1.0 / value);
    m.replace(ops::Binary { op: Binary::Mul }, &[x, reciprocal])
}

/// x + (−y) = x − y, (−x) + y = y − x.
fn add_negated(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Add)?;
    let operands = match (m.unary_of(x, Unary::Neg), m.unary_of(y, Unary::Neg)) {
        (_, Some(y)) => [x, y],
        (Some(x), None) => [y, x],
        (None, None) => return None,
    };
    m.replace(ops::Binary { op: Binary::Sub }, &operands)
}

/// x − (−y) = x + y.
fn sub_negated(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Sub)?;
    let y = m.unary_of(y, Unary::Neg)?;
    m.replace(ops::Binary { op: Binary::Add }, &[x, y])
}

/// −(−x) = x.
fn neg_neg(m: &mut Match<'_, '_>) -> Option<NodeId> {
    m.unary_of(m.unary(Unary::Neg)?, Unary::Neg)
}

/// not not x = x.
fn not_not(m: &mut Match<'_, '_>) -> Option<NodeId> {
    m.unary_of(m.unary(Unary::Not)?, Unary::Not).filter(|x| m.b.dtype(*x).is_bool())
}

/// |−x| = |x|, ||x|| = |x|.
fn abs_of_signed(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let x = m.unary(Unary::Abs)?;
    if m.unary_of(x, Unary::Abs).is_some() {
        return Some(x);
    }
    let x = m.unary_of(x, Unary::Neg)?;
    m.replace(ops::Unary { op: Unary::Abs }, &[x])
}

/// x⁰ = 1 (also for NaN), x¹ = x, x² = x·x, x⁻¹ = 1/x; not strictly x³ = x·x·x and x^½ = √x, which rounds more often
/// the one, and differs at −0 and −∞ the other.
fn pow_constant(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let (x, y) = m.binary(Binary::Pow)?;
    let exponent = m.splat(y).filter(|_| m.is_float())?;
    let loose = !m.cx.strict;
    if exponent == 0.0 {
        Some(m.b.full_like(x, 1.0))
    } else if exponent == 1.0 {
        Some(x)
    } else if exponent == 2.0 {
        m.replace(ops::Binary { op: Binary::Mul }, &[x, x])
    } else if exponent == -1.0 {
        let one = m.b.full_like(x, 1.0);
        m.replace(ops::Binary { op: Binary::Div }, &[one, x])
    } else if exponent == 3.0 && loose {
        let square = m.b.binary(Binary::Mul, x, x);
        m.replace(ops::Binary { op: Binary::Mul }, &[square, x])
    } else if exponent == 0.5 && loose {
        m.replace(ops::Unary { op: Unary::Sqrt }, &[x])
    } else {
        None
    }
}

/// min(x, x) = max(x, x) = x; x and x = x or x = x.
fn idempotent(m: &mut Match<'_, '_>) -> Option<NodeId> {
    [Binary::Min, Binary::Max, Binary::And, Binary::Or]
        .into_iter()
        .find_map(|op| m.binary(op).filter(|(x, y)| x == y).map(|(x, _)| x))
}

/// For bools: x and true = x, x or false = x, x and false = false, x or true = true; and with the sides exchanged.
fn logic_with_constant(m: &mut Match<'_, '_>) -> Option<NodeId> {
    if !m.ty().dtype.is_bool() {
        return None;
    }
    let (neutral, (x, y)) = match (m.binary(Binary::And), m.binary(Binary::Or)) {
        (Some(operands), _) => (1.0, operands),
        (_, Some(operands)) => (0.0, operands),
        _ => return None,
    };
    [(x, y), (y, x)].into_iter().find_map(|(other, constant)| {
        let value = m.splat(constant)?;
        Some(if value == neutral { other } else { constant })
    })
}

/// select(true, x, y) = x, select(false, x, y) = y.
fn select_constant(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Select(_) = &m.node.op else { return None };
    let condition = m.splat(m.input(0))?;
    Some(m.input(if condition != 0.0 { 1 } else { 2 }))
}

/// select(c, x, x) = x.
fn select_same(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Select(_) = &m.node.op else { return None };
    (m.input(1) == m.input(2)).then(|| m.input(1))
}

/// select(not c, x, y) = select(c, y, x).
fn select_not(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Select(_) = &m.node.op else { return None };
    let condition = m.unary_of(m.input(0), Unary::Not)?;
    m.replace(ops::Select, &[condition, m.input(2), m.input(1)])
}

/// A value that derivatives see as constant is the value: derivatives have been taken before passes run.
fn stop_gradient(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::StopGradient(_) = &m.node.op else { return None };
    Some(m.input(0))
}
