//! Places for values: in the workspace, where those that live at different times share memory, or each in its own.

use crate::draft::{Draft, Store};
use kernel::{BufferRef, SlotId, Step};
use shape::{Atom, Dim, Facts, Proof};
use std::collections::BTreeMap;

/// Places of the values that need memory, the workspace's size, and what has to happen around the draft's steps.
pub struct Layout {
    pub places: BTreeMap<Store, BufferRef>,
    pub bytes: Dim,
    before: BTreeMap<usize, Vec<Step>>,
    after: BTreeMap<usize, Vec<Step>>,
}

impl Layout {
    /// What comes before the draft's step of this number.
    pub fn before(&mut self, step: usize) -> Vec<Step> {
        self.before.remove(&step).unwrap_or_default()
    }

    pub fn after(&mut self, step: usize) -> Vec<Step> {
        self.after.remove(&step).unwrap_or_default()
    }
}

/// How many times larger a slot may be than what it is given to hold.
const MAX_WASTE: i64 = 4;
/// More values than this are not packed: each is compared with all others.
const MAX_PACKED: usize = 8192;

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

/// Slots, also by their size: there may be thousands of them, but their sizes are few.
struct Slots<'f> {
    facts: &'f Facts,
    all: Vec<Slot>,
    sizes: Vec<(Dim, Vec<usize>)>,
}

impl Slots<'_> {
    /// The smallest free slot that holds the value; else one that is known to be smaller, which grows; else a new one.
    fn take(&mut self, life: &Life) -> usize {
        let index = match self.tightest(life).or_else(|| self.grown(life)) {
            Some(index) => index,
            None => {
                self.all.push(Slot { bytes: life.bytes.clone(), busy_until: 0 });
                self.file(self.all.len() - 1, &life.bytes);
                self.all.len() - 1
            }
        };
        self.all[index].busy_until = life.last;
        index
    }

    fn tightest(&self, life: &Life) -> Option<usize> {
        // A small value that lives long would keep a large slot from others.
        let wide = &life.bytes * &Dim::from(MAX_WASTE);
        let holds =
            |bytes: &Dim| at_least(self.facts, bytes, &life.bytes) && at_least(self.facts, &wide, bytes);
        let fits = self.first_free(life, holds).into_iter();
        fits.reduce(|best, slot| {
            if at_least(self.facts, &self.all[slot].bytes, &self.all[best].bytes) { best } else { slot }
        })
    }

    fn grown(&mut self, life: &Life) -> Option<usize> {
        let slot = *self.first_free(life, |bytes| at_least(self.facts, &life.bytes, bytes)).first()?;
        self.sizes.iter_mut().for_each(|(_, slots)| slots.retain(|other| *other != slot));
        self.all[slot].bytes = life.bytes.clone();
        self.file(slot, &life.bytes);
        Some(slot)
    }

    /// Of each wanted size the first slot that is free, in order.
    fn first_free(&self, life: &Life, wanted: impl Fn(&Dim) -> bool) -> Vec<usize> {
        let is_free = |slot: &&usize| self.all[**slot].busy_until < life.first;
        let sizes = self.sizes.iter().filter(|(bytes, _)| wanted(bytes));
        let mut slots: Vec<usize> =
            sizes.filter_map(|(_, slots)| slots.iter().find(is_free).copied()).collect();
        slots.sort_unstable();
        slots
    }

    fn file(&mut self, slot: usize, bytes: &Dim) {
        match self.sizes.iter_mut().find(|(known, _)| known == bytes) {
            Some((_, slots)) => slots.insert(slots.partition_point(|other| *other < slot), slot),
            None => self.sizes.push((bytes.clone(), vec![slot])),
        }
    }
}

/// `size` tells the bytes of a value that lives in the workspace, `None` for one that lives elsewhere.
pub fn lay_out(draft: &Draft, facts: &Facts, size: impl Fn(Store) -> Option<Dim>) -> Layout {
    let mut lives = lives(draft, size);
    lives.iter_mut().for_each(|life| life.bytes = aligned(&life.bytes));
    let by_slots = in_slots(&lives, facts);
    let Offsets { offsets, bytes } = match packed(&lives) {
        Some(packed) if at_least(facts, &by_slots.bytes, &packed.bytes) => packed,
        _ => by_slots,
    };
    let place = |(store, offset)| (store, BufferRef::Workspace { offset });
    let places = offsets.into_iter().map(place).collect();
    Layout { places, bytes, before: BTreeMap::new(), after: BTreeMap::new() }
}

/// Each value in memory of its own, from the step that first touches it to the last. `check` is what fails where there is
/// none.
pub fn allocate(
    draft: &Draft,
    mut slot: impl FnMut() -> SlotId,
    check: u32,
    size: impl Fn(Store) -> Option<Dim>,
) -> Layout {
    let none = Dim::from(0i64);
    let (places, before, after) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut layout = Layout { places, bytes: none, before, after };
    for Life { store, bytes, first, last } in lives(draft, size) {
        let slot = slot();
        layout.places.insert(store, BufferRef::Allocated(slot));
        layout.before.entry(first).or_default().push(Step::Allocate { slot, bytes, check });
        layout.after.entry(last).or_default().push(Step::Free { slot });
    }
    layout
}

fn lives(draft: &Draft, size: impl Fn(Store) -> Option<Dim>) -> Vec<Life> {
    let mut lives: Vec<Life> = Vec::new();
    let mut known: BTreeMap<Store, usize> = BTreeMap::new();
    for (number, step) in draft.steps.iter().enumerate() {
        for store in step.stores() {
            if let Some(life) = known.get(&store) {
                lives[*life].last = number;
            } else if let Some(bytes) = size(store) {
                known.insert(store, lives.len());
                lives.push(Life { store, bytes, first: number, last: number });
            }
        }
    }
    lives
}

struct Offsets {
    offsets: BTreeMap<Store, Dim>,
    bytes: Dim,
}

/// Slots one after the other, each with one tenant at a time: works for sizes that are formulas.
fn in_slots(lives: &[Life], facts: &Facts) -> Offsets {
    let mut slots = Slots { facts, all: Vec::new(), sizes: Vec::new() };
    let tenants: Vec<(Store, usize)> = lives.iter().map(|life| (life.store, slots.take(life))).collect();
    let mut starts = Vec::new();
    let mut bytes = Dim::from(0i64);
    for slot in &slots.all {
        starts.push(bytes.clone());
        bytes = &bytes + &slot.bytes;
    }
    let offsets = tenants.into_iter().map(|(store, slot)| (store, starts[slot].clone())).collect();
    Offsets { offsets, bytes }
}

/// Where all sizes are numbers: the largest first, each into the tightest gap between those that live at the same time.
fn packed(lives: &[Life]) -> Option<Offsets> {
    if lives.len() > MAX_PACKED {
        return None;
    }
    let sizes = lives.iter().map(|life| life.bytes.as_const()).collect::<Option<Vec<i64>>>()?;
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(sizes[*index]), *index));
    // Offset and position of those that have a place, by offset.
    let mut placed: Vec<(i64, usize)> = Vec::with_capacity(lives.len());
    let mut bytes = 0i64;
    for index in order {
        let (life, size) = (&lives[index], sizes[index]);
        let meets = |other: &Life| other.first <= life.last && life.first <= other.last;
        let (mut end, mut best) = (0i64, None::<(i64, i64)>);
        for (offset, other) in placed.iter().filter(|(_, other)| meets(&lives[*other])) {
            let gap = offset - end;
            if gap >= size && best.is_none_or(|(least, _)| gap < least) {
                best = Some((gap, end));
            }
            end = end.max(offset + sizes[*other]);
        }
        let offset = best.map_or(end, |(_, start)| start);
        let at = placed.partition_point(|known| *known < (offset, index));
        placed.insert(at, (offset, index));
        bytes = bytes.max(offset.checked_add(size)?);
    }
    let offsets = placed.into_iter().map(|(offset, index)| (lives[index].store, Dim::from(offset))).collect();
    Some(Offsets { offsets, bytes: Dim::from(bytes) })
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
    factors.iter().flat_map(|(atom, power)| (0..*power).map(move |_| Dim::from(atom))).product()
}
