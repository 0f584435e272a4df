//! Vectors whose lanes lie a few elements apart, as a convolution of stride 2 reads them: whole vectors over the span
//! that they touch, with shuffles, instead of one access a lane. Nothing outside of the span is touched, and where lanes
//! are masked, nothing but they.

use crate::ir::{Ir, Type, Value};

/// Lanes farther apart than this are cheaper one by one.
const FARTHEST: i64 = 4;

/// `lanes` elements, each `stride` after the one before; 2 to [`FARTHEST`] either way, or backwards one by one.
#[derive(Clone, Copy)]
pub(super) struct Strided {
    stride: i64,
    lanes: i64,
}

/// A vector of neighbours within the span.
struct Piece {
    /// Elements from the span's first.
    start: i64,
    /// Which lane each of its elements is, if any.
    lane_of: Vec<Option<i64>>,
}

impl Strided {
    pub fn new(stride: i64, lanes: u16) -> Option<Strided> {
        let near = stride == -1 || (2..=FARTHEST).contains(&stride.abs());
        (near && lanes > 1).then_some(Strided { stride, lanes: i64::from(lanes) })
    }

    /// From the first lane to the first element of the span.
    pub fn back(&self) -> i64 {
        if self.stride < 0 { (self.lanes - 1) * self.stride } else { 0 }
    }

    /// Vectors that cover all lanes, each lane in one of them.
    fn pieces(&self) -> Vec<Piece> {
        let lanes = self.lanes;
        let span = (lanes - 1) * self.stride.abs() + 1;
        let count = (span + lanes - 1) / lanes;
        // The last one ends with the span, whatever it shares with the one before.
        let start = |piece: i64| (piece * lanes).min(span - lanes);
        let mut pieces: Vec<Piece> =
            (0..count).map(|p| Piece { start: start(p), lane_of: vec![None; lanes as usize] }).collect();
        for lane in 0..lanes {
            let along = if self.stride < 0 { lanes - 1 - lane } else { lane };
            let element = along * self.stride.abs();
            let piece = &mut pieces[(element / lanes) as usize];
            piece.lane_of[(element - piece.start) as usize] = Some(lane);
        }
        pieces.retain(|piece| piece.lane_of.iter().any(Option::is_some));
        pieces
    }

    /// The lanes, and the accesses that read them. `element` is the type of one lane in memory, `first` the address of
    /// the span.
    pub fn load(
        &self,
        ir: &Ir,
        element: Type,
        first: Value,
        align: u32,
        mask: Option<Value>,
    ) -> (Value, Vec<Value>) {
        let memory = ir.vector(element, self.lanes as u32);
        let mut whole = ir.zero(memory);
        let mut accesses = Vec::new();
        for piece in self.pieces() {
            let address = ir.element(element, first, ir.i64(piece.start));
            let part = match mask {
                None => ir.load(memory, address, align),
                Some(mask) => ir.masked_load(memory, address, align, self.spread(ir, &piece, mask)),
            };
            let mut from: Vec<i64> = (0..self.lanes).collect();
            for (place, lane) in piece.lane_of.iter().enumerate() {
                if let Some(lane) = lane {
                    from[*lane as usize] = self.lanes + place as i64;
                }
            }
            whole = ir.shuffle(whole, part, &from);
            accesses.push(part);
        }
        (whole, accesses)
    }

    /// The accesses that write the lanes.
    pub fn store(
        &self,
        ir: &Ir,
        value: Value,
        element: Type,
        first: Value,
        align: u32,
        mask: Option<Value>,
    ) -> Vec<Value> {
        let all = || ir.splat(ir.bool(true), self.lanes as u32);
        let stores = self.pieces().into_iter().map(|piece| {
            let address = ir.element(element, first, ir.i64(piece.start));
            let from: Vec<i64> = piece.lane_of.iter().map(|lane| lane.unwrap_or(0)).collect();
            let part = ir.shuffle(value, value, &from);
            if mask.is_none() && piece.lane_of.iter().all(Option::is_some) {
                return ir.store(part, address, align);
            }
            ir.masked_store(part, address, align, self.spread(ir, &piece, mask.unwrap_or_else(all)))
        });
        stores.collect()
    }

    /// The mask of a piece's elements, given that of the lanes.
    fn spread(&self, ir: &Ir, piece: &Piece, mask: Value) -> Value {
        let none = ir.splat(ir.bool(false), self.lanes as u32);
        let from: Vec<i64> = piece.lane_of.iter().map(|lane| lane.unwrap_or(self.lanes)).collect();
        ir.shuffle(mask, none, &from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_is_in_one_piece_within_the_span() {
        for lanes in [2u16, 4, 8, 16, 32] {
            for stride in [-4i64, -3, -2, -1, 2, 3, 4] {
                let strided = Strided::new(stride, lanes).unwrap();
                let span = (i64::from(lanes) - 1) * stride.abs() + 1;
                let mut seen = Vec::new();
                for piece in strided.pieces() {
                    assert!(piece.start >= 0 && piece.start + i64::from(lanes) <= span);
                    for (place, lane) in piece.lane_of.iter().enumerate() {
                        if let Some(lane) = lane {
                            let element = piece.start + place as i64 + strided.back();
                            assert_eq!(element, lane * stride, "{lanes} lanes, stride {stride}");
                            seen.push(*lane);
                        }
                    }
                }
                seen.sort_unstable();
                assert_eq!(seen, (0..i64::from(lanes)).collect::<Vec<_>>());
            }
        }
        assert!(Strided::new(1, 8).is_none() && Strided::new(5, 8).is_none() && Strided::new(2, 1).is_none());
    }
}
