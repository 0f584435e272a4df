//! Between which numbers a value lies: what keeps random programs finite.

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    pub fn new(low: f64, high: f64) -> Range {
        Range { low, high }
    }

    pub fn around(size: f64) -> Range {
        Range::new(-size, size)
    }

    pub fn size(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    pub fn hull(self, other: Range) -> Range {
        Range::new(self.low.min(other.low), self.high.max(other.high))
    }

    pub fn plus(self, other: Range) -> Range {
        Range::new(self.low + other.low, self.high + other.high)
    }

    pub fn minus(self, other: Range) -> Range {
        Range::new(self.low - other.high, self.high - other.low)
    }

    pub fn times(self, other: Range) -> Range {
        let corners =
            [self.low * other.low, self.low * other.high, self.high * other.low, self.high * other.high];
        let low = corners.iter().copied().fold(f64::INFINITY, f64::min);
        Range::new(low, corners.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }

    /// Of a function that never falls.
    pub fn rising(self, f: impl Fn(f64) -> f64) -> Range {
        Range::new(f(self.low), f(self.high))
    }
}
