//! What is read at indices, as a tensor over them: slices, windows, transposes and gathers, so that nothing moves but
//! what is read.

use super::{
    Equation,
    term::{Access, Affine, Labelled, Subscript},
};
use base::{Diagnostic, Span};
use graph::{DType, NodeId, ops};
use shape::{Dim, Proof, Shape};

/// An axis that is read where the data say.
struct Slot {
    index: Labelled,
    span: Span,
}

/// A window over an axis: the label of its place and that within, with their steps.
struct Sliding {
    axis: usize,
    place: (i64, usize),
    within: (i64, usize),
    size: i64,
}

impl<'p> Equation<'_, 'p> {
    pub(super) fn access(&mut self, access: &Access<'p>, span: Span) -> Option<Labelled> {
        let mut affine: Vec<Option<Affine>> = Vec::new();
        let mut slots: Vec<Slot> = Vec::new();
        for (subscript, place) in &access.subscripts {
            let index = match subscript {
                Subscript::Affine(subscript) => {
                    affine.push(Some(self.placed(subscript)));
                    continue;
                }
                Subscript::Count(dim) => self.counted(dim, DType::I64, *place)?,
                Subscript::Data(term) => {
                    let value = self.lower(term)?;
                    let index = self.labelled(value, Some(DType::I32), *place)?;
                    let dtype = self.checker.ty(index.id).dtype;
                    if !dtype.is_int() {
                        let message = format!("a subscript is a whole number, but this is {dtype}");
                        let fault = Diagnostic::error("E0302", message)
                            .label(*place, dtype.to_string())
                            .help("`cast(…, i32)` makes whole numbers; `div(i, 2)` divides an index");
                        self.checker.report(fault);
                        return None;
                    }
                    index
                }
            };
            affine.push(None);
            slots.push(Slot { index, span: *place });
        }
        self.tamed(&mut affine, &mut slots, access)?;
        self.read(access.base, &affine, slots, span)
    }

    /// Subscripts that share all their indices with others have no derivative as they stand: they are counted, and read
    /// like data.
    fn tamed(
        &mut self,
        affine: &mut [Option<Affine>],
        slots: &mut Vec<Slot>,
        access: &Access<'p>,
    ) -> Option<()> {
        while let Some(axis) = self.entangled(affine) {
            let subscript = affine[axis].take()?;
            let span = access.subscripts[axis].1;
            let dim = subscript.terms.iter().fold(subscript.offset.clone(), |sum, (c, index)| {
                let index = Dim::from(&self.indices[*index].symbol) - self.start(*index);
                sum + index * *c
            });
            let index = self.counted(&dim, DType::I64, span)?;
            // Slots are in the order of their axes.
            let before = affine[..axis].iter().filter(|subscript| subscript.is_none()).count();
            slots.insert(before, Slot { index, span });
        }
        Some(())
    }

    /// A subscript of several indices none of which stands in it alone.
    pub(super) fn entangled(&self, subscripts: &[Option<Affine>]) -> Option<usize> {
        let varies = |index: usize| !self.extent(index).is_const(1);
        (0..subscripts.len()).find(|axis| {
            let Some(subscript) = &subscripts[*axis] else { return false };
            let varying: Vec<usize> =
                subscript.terms.iter().map(|(_, index)| *index).filter(|index| varies(*index)).collect();
            let own = |index: usize| {
                let others = subscripts.iter().enumerate().filter(|(other, _)| other != axis);
                !others.filter_map(|(_, other)| other.as_ref()).any(|other| other.uses(index))
            };
            varying.len() > 1 && !varying.into_iter().any(own)
        })
    }

    /// Affine axes first, those of the data one after the other.
    fn read(
        &mut self,
        base: NodeId,
        subscripts: &[Option<Affine>],
        slots: Vec<Slot>,
        span: Span,
    ) -> Option<Labelled> {
        // An axis of the data has a label of its own for the time being, behind all indices.
        let n_indices = self.indices.len();
        let mut sizes = Vec::new();
        let mut affine = Vec::new();
        for (axis, subscript) in subscripts.iter().enumerate() {
            affine.push(match subscript {
                Some(subscript) => subscript.clone(),
                None => {
                    sizes.push(self.checker.ty(base).shape[axis].clone());
                    Affine::bare(n_indices + sizes.len() - 1)
                }
            });
        }
        let mut value = self.affine_read(base, &affine, &sizes, span)?;
        for (position, slot) in slots.into_iter().enumerate() {
            value = self.gathered(value, n_indices + position, slot, span)?;
        }
        Some(value)
    }

    fn gathered(&mut self, value: Labelled, label: usize, slot: Slot, span: Span) -> Option<Labelled> {
        let index = slot.index;
        let shared: Vec<usize> =
            index.labels.iter().copied().filter(|label| value.labels.contains(label)).collect();
        let others = |labels: &[usize]| -> Vec<usize> {
            labels.iter().copied().filter(|own| !shared.contains(own) && *own != label).collect()
        };
        let (own, rest) = (others(&index.labels), others(&value.labels));
        let ordered = |labels: &[usize], wanted: &[usize]| -> Vec<usize> {
            wanted.iter().filter_map(|label| labels.iter().position(|known| known == label)).collect()
        };
        let of_value: Vec<usize> = shared.iter().chain([&label]).chain(&rest).copied().collect();
        let of_index: Vec<usize> = shared.iter().chain(&own).copied().collect();
        let x = self.transposed(value.id, ordered(&value.labels, &of_value), span)?;
        let places = self.transposed(index.id, ordered(&index.labels, &of_index), slot.span)?;
        let gather = ops::Gather { axis: shared.len(), lanes: shared.len() };
        let id = self.checker.add_at(gather.into(), &[x, places], span, &[span, slot.span])?;
        let labels: Vec<usize> = shared.iter().chain(&own).chain(&rest).copied().collect();
        self.sorted(id, &labels, span)
    }

    /// Reads at affine subscripts. Labels from the number of indices on are axes of these sizes.
    pub(super) fn affine_read(
        &mut self,
        base: NodeId,
        subscripts: &[Affine],
        sizes: &[Dim],
        span: Span,
    ) -> Option<Labelled> {
        let n_indices = self.indices.len();
        let mut labels: Vec<usize> =
            subscripts.iter().flat_map(|subscript| &subscript.terms).map(|(_, label)| *label).collect();
        let n_terms = labels.len();
        labels.sort_unstable();
        labels.dedup();
        let extents: Vec<Dim> = labels
            .iter()
            .map(|label| {
                label.checked_sub(n_indices).map_or_else(|| self.extent(*label), |k| sizes[k].clone())
            })
            .collect();
        let extent = |label: usize| &extents[labels.binary_search(&label).unwrap_or_default()];
        let shape = self.checker.ty(base).shape.clone();
        let mut slice = ops::Slice::whole(&shape);
        let mut windows = Vec::new();
        // The label of each axis; `None` where only one place is read.
        let mut axes: Vec<Option<usize>> = Vec::new();
        for (axis, subscript) in subscripts.iter().enumerate() {
            slice.start[axis] = subscript.offset.clone();
            match subscript.terms.as_slice() {
                [] => {
                    slice.extent[axis] = Dim::from(1i64);
                    axes.push(None);
                }
                [(coefficient, label)] => {
                    slice.extent[axis] = extent(*label).clone();
                    slice.stride[axis] = *coefficient;
                    axes.push(Some(*label));
                }
                [a, b] if let Some(window) = sliding(axis, *a, *b, &extent) => {
                    let reach = window.within.0 * (window.size - 1) + 1;
                    let whole = (extent(window.place.1) - 1) * window.place.0 + reach;
                    if n_terms != labels.len() || !self.window_fits(&window, extent(window.place.1), &whole) {
                        return self.picked(base, subscripts, labels, extents, span);
                    }
                    slice.extent[axis] = whole;
                    axes.push(Some(window.place.1));
                    windows.push(window);
                }
                _ => return self.picked(base, subscripts, labels, extents, span),
            }
        }
        if n_terms != labels.len() {
            return self.picked(base, subscripts, labels, extents, span);
        }
        let is_whole = slice.extent == shape.0
            && slice.stride.iter().all(|stride| *stride == 1)
            && slice.start.iter().all(|start| start.is_const(0));
        let mut id = if is_whole { base } else { self.checker.add(slice, &[base], span)? };
        if axes.contains(&None) {
            let own = self.checker.ty(id).shape.clone();
            let kept: Shape = axes
                .iter()
                .zip(own.iter())
                .filter(|(label, _)| label.is_some())
                .map(|(_, dim)| dim.clone())
                .collect();
            id = self.reshaped(id, &kept, span)?;
        }
        let mut own: Vec<usize> = axes.iter().flatten().copied().collect();
        if !windows.is_empty() {
            let dropped = |axis: usize| axes[..axis].iter().filter(|label| label.is_none()).count();
            let window = ops::Window {
                axes: windows.iter().map(|window| window.axis - dropped(window.axis)).collect(),
                size: windows.iter().map(|window| window.size).collect(),
                stride: windows.iter().map(|window| window.place.0).collect(),
                dilation: windows.iter().map(|window| window.within.0).collect(),
            };
            id = self.checker.add(window, &[id], span)?;
            own.extend(windows.iter().map(|window| window.within.1));
        }
        let read = self.sorted(id, &own, span)?;
        let id = self.reshaped(read.id, &Shape(extents), span)?;
        Some(Labelled { id, labels })
    }

    /// Whether the windows over this part of the axis are as many as the index has places, for all sizes.
    fn window_fits(&self, window: &Sliding, extent: &Dim, whole: &Dim) -> bool {
        let reach = window.within.0 * (window.size - 1) + 1;
        let count = (whole - reach).div_floor(&Dim::from(window.place.0)) + 1;
        self.is_at_least(whole, 0)
            && self.is_at_least(&count, 0)
            && self.checker.equal(&count, extent) == Proof::Proved
    }

    /// Reads element by element: a contraction with one, over nothing.
    fn picked(
        &mut self,
        base: NodeId,
        subscripts: &[Affine],
        labels: Vec<usize>,
        extents: Vec<Dim>,
        span: Span,
    ) -> Option<Labelled> {
        let dtype = self.checker.ty(base).dtype;
        let number = if dtype.is_bool() { DType::Of(kernel::DType::U8) } else { dtype };
        let x = self.checker.cast(base, number, span)?;
        let one = self.checker.scalar(number, 1.0);
        let contract = ops::Contract {
            out: (0..labels.len()).collect(),
            extents,
            lhs: subscripts.iter().map(|subscript| renumbered(subscript, &labels)).collect(),
            rhs: Vec::new(),
        };
        let id = self.checker.add(contract, &[x, one], span)?;
        let id = self.checker.cast(id, dtype, span)?;
        Some(Labelled { id, labels })
    }
}

/// The subscript with indices as positions in this list.
pub(super) fn renumbered(subscript: &Affine, labels: &[usize]) -> ops::Subscript {
    let position = |label: usize| labels.iter().position(|known| *known == label).unwrap_or_default();
    let mut terms: Vec<(i64, usize)> =
        subscript.terms.iter().map(|(coefficient, label)| (*coefficient, position(*label))).collect();
    terms.sort_by_key(|(_, index)| *index);
    ops::Subscript { terms, offset: subscript.offset.clone() }
}

/// A window where the axis has the look of one: steps forward, and a constant number of places within.
fn sliding<'d>(
    axis: usize,
    a: (i64, usize),
    b: (i64, usize),
    extent: &dyn Fn(usize) -> &'d Dim,
) -> Option<Sliding> {
    if a.0 < 1 || b.0 < 1 {
        return None;
    }
    let constant = |label: usize| extent(label).as_const().filter(|size| *size >= 1);
    // The later index runs within the window, where both could.
    let (place, within) = if constant(b.1).is_some() { (a, b) } else { (b, a) };
    Some(Sliding { axis, place, within, size: constant(within.1)? })
}
