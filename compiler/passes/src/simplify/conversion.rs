//! Conversions between dtypes.

use super::{Match, rules};
use graph::{NodeId, Op, ops};
use kernel::DType;

rules! {
    cast_to_same,
    cast_of_lossless,
}

/// x as its own dtype is x.
fn cast_to_same(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Cast(_) = &m.node.op else { return None };
    m.same_type(m.input(0)).then(|| m.input(0))
}

/// (x as A) as B = x as B where A holds every value of x's dtype.
fn cast_of_lossless(m: &mut Match<'_, '_>) -> Option<NodeId> {
    let Op::Cast(outer) = &m.node.op else { return None };
    let inner = m.of(m.input(0));
    let Op::Cast(_) = &inner.op else { return None };
    let (x, between) = (inner.inputs[0], inner.ty().dtype);
    let (from, between) = (m.concrete(m.b.dtype(x)), m.concrete(between));
    if !holds(between, from) {
        return None;
    }
    if m.b.dtype(x) == outer.to {
        return Some(x);
    }
    let outer: ops::Cast = outer.clone();
    m.replace(outer, &[x])
}

/// Whether every value of `small` is one of `wide`.
fn holds(wide: DType, small: DType) -> bool {
    // Bits of an integer without its sign; bits of a float's significand; both with what the exponent allows.
    let int_bits = |dtype| match dtype {
        DType::Bool => Some(1),
        DType::I8 => Some(7),
        DType::U8 => Some(8),
        DType::I16 => Some(15),
        DType::I32 => Some(31),
        DType::I64 => Some(63),
        _ => None,
    };
    match (int_bits(wide), int_bits(small)) {
        (Some(wide_bits), Some(small_bits)) => {
            let signs = wide != DType::U8 || matches!(small, DType::U8 | DType::Bool);
            wide != DType::Bool && wide_bits >= small_bits && signs || wide == small
        }
        (Some(_), None) => false,
        (None, Some(bits)) => {
            let significand = match wide {
                DType::F64 => 53,
                DType::F32 => 24,
                DType::F16 => 11,
                _ => 8,
            };
            significand >= bits
        }
        (None, None) => {
            wide == small
                || wide == DType::F64
                || wide == DType::F32 && matches!(small, DType::F16 | DType::BF16)
        }
    }
}
