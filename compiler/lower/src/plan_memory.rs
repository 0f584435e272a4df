//! Places in the workspace: values that live at different times share memory.

use crate::draft::{Draft, Store};
use shape::{Atom, Dim, Facts, Proof};
use std::collections::BTreeMap;

/// Offsets of the values that need workspace, and the workspace's size.
pub struct Layout {
    pub offsets: BTreeMap<Store, Dim>,
    pub bytes: Dim,
}

struct Life {
    store: Store,
    bytes: Dim,
    first: usize,
    last: usize,
}

struct Slot {
    bytes: Dim,
    /// The last step at which its present tenant is read.
    busy_until: usize,
}

/// `size` tells the bytes of a value that lives in the workspace, `None` for one that lives elsewhere.
pub fn lay_out(draft: &Draft, facts: &Facts, size: impl Fn(Store) -> Option<Dim>) -> Layout {
    let mut lives: Vec<Life> = Vec::new();
    let mut known: BTreeMap<Store, usize> = BTreeMap::new();
    for (number, step) in draft.steps.iter().enumerate() {
        for store in step.stores() {
            if let Some(life) = known.get(&store) {
                lives[*life].last = number;
            } else if let Some(bytes) = size(store) {
                known.insert(store, lives.len());
                lives.push(Life { store, bytes: aligned(&bytes), first: number, last: number });
            }
        }
    }
    let mut slots: Vec<Slot> = Vec::new();
    let mut tenants: Vec<(Store, usize)> = Vec::new();
    for life in &lives {
        let free = |slot: &Slot| slot.busy_until < life.first;
        let holds = |slot: &Slot| at_least(facts, &slot.bytes, &life.bytes);
        // The smallest that holds it; else one that is known to be smaller, which grows; else a new one.
        let fits = slots.iter().enumerate().filter(|(_, slot)| free(slot) && holds(slot));
        let tightest = fits.map(|(index, _)| index).reduce(|best, index| {
            if at_least(facts, &slots[index].bytes, &slots[best].bytes) { best } else { index }
        });
        let grows = || {
            let smaller = |slot: &Slot| free(slot) && at_least(facts, &life.bytes, &slot.bytes);
            slots.iter().position(smaller)
        };
        match tightest.or_else(grows) {
            Some(index) => {
                if !at_least(facts, &slots[index].bytes, &life.bytes) {
                    slots[index].bytes = life.bytes.clone();
                }
                slots[index].busy_until = life.last;
                tenants.push((life.store, index));
            }
            None => {
                slots.push(Slot { bytes: life.bytes.clone(), busy_until: life.last });
                tenants.push((life.store, slots.len() - 1));
            }
        }
    }
    let mut starts = Vec::new();
    let mut bytes = Dim::from(0i64);
    for slot in &slots {
        starts.push(bytes.clone());
        bytes = &bytes + &slot.bytes;
    }
    let offsets = tenants.into_iter().map(|(store, slot)| (store, starts[slot].clone())).collect();
    Layout { offsets, bytes }
}

pub fn at_least(facts: &Facts, a: &Dim, b: &Dim) -> bool {
    let difference = a - b;
    if let Some(difference) = difference.as_const() {
        return difference >= 0;
    }
    // Most sizes are sums of products of sizes: signs decide without a proof.
    let symbols_only = difference
        .terms()
        .iter()
        .flat_map(|term| &term.factors)
        .all(|(atom, _)| matches!(atom, Atom::Symbol(_)));
    if symbols_only && difference.terms().iter().all(|term| term.coefficient > 0) {
        return true;
    }
    if symbols_only && difference.terms().iter().all(|term| term.coefficient < 0) {
        return false;
    }
    facts.prove_ge(a, b) == Proof::Proved
}

/// Rounded up to a multiple of 64, term by term: a little more than needed, but a formula that is easily compared.
fn aligned(bytes: &Dim) -> Dim {
    let line = Dim::from(64i64);
    if bytes.terms().iter().any(|term| term.coefficient < 0) || bytes.overflowed() {
        return bytes.ceil_div(&line) * line;
    }
    bytes.terms().iter().map(|term| monomial(&term.factors) * ((term.coefficient + 63) / 64 * 64)).sum()
}

fn monomial(factors: &[(Atom, u32)]) -> Dim {
    let factor = |atom: &Atom| match atom {
        Atom::Symbol(symbol) => Dim::from(symbol),
        Atom::DivFloor(a, b) => a.div_floor(b),
        Atom::CeilDiv(a, b) => a.ceil_div(b),
        Atom::Mod(a, b) => a.modulo(b),
        Atom::Min(a, b) => Dim::min(a, b),
        Atom::Max(a, b) => Dim::max(a, b),
    };
    factors.iter().flat_map(|(atom, power)| (0..*power).map(move |_| factor(atom))).product()
}
