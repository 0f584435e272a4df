//! Axes, straight or by powers of ten, with marks at round numbers.

use crate::number;
use plotters::coord::ranged1d::{KeyPointHint, KeyPointWeight, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// What a number on an axis means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    Plain,
    Seconds,
    Bytes,
    Scaled,
    Ratio,
    Percent,
}

impl Unit {
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Plain => number::number(value),
            Unit::Seconds => number::seconds(value),
            Unit::Bytes => number::bytes(value),
            Unit::Scaled => number::scaled(value),
            Unit::Ratio if value >= 0.1 => format!("{}×", number::short(value)),
            Unit::Ratio => number::ratio(value),
            Unit::Percent => number::percent(value),
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Axis {
    pub title: String,
    pub unit: Unit,
    pub logarithmic: bool,
    pub low: f64,
    pub high: f64,
    ticks: Vec<f64>,
}

/// By powers of ten, numbers below have no place.
const LEAST: f64 = 1e-30;

/// Axes of larger numbers lose their arithmetic.
pub(crate) fn drawable(value: f64) -> bool {
    value.abs() <= 1e30
}

impl Axis {
    /// From 0, as lengths have to begin.
    pub fn from_zero(title: &str, unit: Unit, values: impl Iterator<Item = f64>) -> Axis {
        let high = extent(values).map_or(1.0, |(_, high)| high);
        let high = if high > 0.0 { high * 1.02 } else { 1.0 };
        Axis::of(title, unit, false, 0.0, high)
    }

    /// A little more than the values take.
    pub fn linear(title: &str, unit: Unit, values: impl Iterator<Item = f64>) -> Axis {
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let margin = ((high - low) * 0.05).max(high.abs().max(low.abs()) * 1e-6).max(1e-9);
        Axis::of(title, unit, false, low - margin, high + margin)
    }

    /// By powers of ten; what is not above 0 has no place on it.
    pub fn logarithmic(title: &str, unit: Unit, values: impl Iterator<Item = f64>) -> Axis {
        let (low, high) = extent(values.filter(|value| *value > LEAST)).unwrap_or((1.0, 10.0));
        let margin = (high / low).powf(0.04).max(1.03);
        Axis::of(title, unit, true, low / margin, high * margin)
    }

    /// By powers of ten where the values differ by more than `from`, and all are above 0.
    pub fn by_spread(title: &str, unit: Unit, from: f64, values: impl Iterator<Item = f64> + Clone) -> Axis {
        match extent(values.clone()) {
            Some((low, high)) if low > LEAST && high > from * low => Axis::logarithmic(title, unit, values),
            _ => Axis::linear(title, unit, values),
        }
    }

    fn of(title: &str, unit: Unit, logarithmic: bool, low: f64, high: f64) -> Axis {
        let ticks =
            if logarithmic { logarithmic_ticks(low, high, unit) } else { linear_ticks(low, high, unit) };
        Axis { title: title.into(), unit, logarithmic, low, high, ticks }
    }

    /// Marks at these values instead.
    pub fn marked(mut self, ticks: impl IntoIterator<Item = f64>) -> Axis {
        self.ticks = ticks.into_iter().collect();
        self
    }

    /// Marks of a kind of thing need no axis of numbers.
    pub fn of_rows(count: usize) -> Axis {
        let none = Vec::new();
        Axis {
            title: String::new(),
            unit: Unit::Plain,
            logarithmic: false,
            low: 0.0,
            high: count.max(1) as f64,
            ticks: none,
        }
    }

    pub fn shows(&self, value: f64) -> bool {
        drawable(value) && (self.low..=self.high).contains(&value)
    }

    /// All labels, to know how wide they are.
    pub fn labels(&self) -> impl Iterator<Item = String> {
        self.ticks.iter().map(|tick| self.unit.show(*tick))
    }

    /// How far along the axis a value lies, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        match self.logarithmic {
            true => (value / self.low).log10() / (self.high / self.low).log10(),
            false => (value - self.low) / (self.high - self.low),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.share(*value) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight() {
            KeyPointWeight::Bold => self.ticks.iter().copied().filter(|tick| self.shows(*tick)).collect(),
            KeyPointWeight::Any => Vec::new(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.unit.show(*value)
    }
}

/// The least and the largest of those that can be drawn.
fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| drawable(*value)).fold(None, |extent, value| {
        let (low, high) = extent.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// Bytes are counted in powers of two, so their round numbers are others.
fn linear_ticks(low: f64, high: f64, unit: Unit) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    if rough <= 0.0 || !rough.is_finite() {
        return vec![low];
    }
    let power = match unit {
        Unit::Bytes if rough >= 1.0 => 1024f64.powf((rough.log2() / 10.0).floor()),
        _ => 1.0,
    };
    let decade = 10f64.powf((rough / power).log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|digit| digit * decade * power);
    let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
    let first = (low / step).ceil();
    (0..12).map(|number| (first + f64::from(number)) * step).take_while(|tick| *tick <= high).collect()
}

fn logarithmic_ticks(low: f64, high: f64, unit: Unit) -> Vec<f64> {
    let (from, to) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let stride = (to - from + 5) / 6;
    let digits: &[f64] = match high / low {
        spread if spread > 2000.0 => &[1.0],
        spread if spread > 100.0 => &[1.0, 3.0],
        _ => &[1.0, 2.0, 5.0],
    };
    let powers = (from..=to).filter(|power| digits.len() > 1 || power.rem_euclid(stride.max(1)) == 0);
    let ticks: Vec<f64> = powers
        .flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power)))
        .filter(|tick| (low..=high).contains(tick))
        .collect();
    if ticks.len() < 3 { linear_ticks(low, high, unit) } else { ticks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_at_round_numbers() {
        let labels = |axis: &Axis| axis.ticks.iter().map(|tick| axis.unit.show(*tick)).collect::<Vec<_>>();
        let axis = Axis::from_zero("t", Unit::Seconds, [0.0, 4.3e-3].into_iter());
        assert_eq!(labels(&axis), ["0 s", "1 ms", "2 ms", "3 ms", "4 ms"]);
        let axis = Axis::logarithmic("t", Unit::Seconds, [3e-5, 0.4].into_iter());
        assert_eq!(labels(&axis), ["100 µs", "1 ms", "10 ms", "100 ms"]);
        let axis = Axis::logarithmic("b", Unit::Plain, [1.0, 64.0].into_iter());
        assert_eq!(labels(&axis), ["1", "2", "5", "10", "20", "50"]);
        let axis = Axis::logarithmic("r", Unit::Ratio, [0.9, 1.1].into_iter());
        assert_eq!(labels(&axis), ["0.9×", "1×", "1.1×"]);
        let axis = Axis::from_zero("m", Unit::Bytes, [5e8].into_iter());
        assert_eq!(labels(&axis), ["0 B", "100 MiB", "200 MiB", "300 MiB", "400 MiB"]);
        for value in [0.0, 5e-324, 1e300, -1e30, 1e30, f64::NAN] {
            let axes = [
                Axis::linear("x", Unit::Plain, [value, 1.0].into_iter()),
                Axis::logarithmic("x", Unit::Plain, [value].into_iter()),
                Axis::by_spread("x", Unit::Plain, 30.0, [value, -value].into_iter()),
            ];
            assert!(axes.iter().all(|axis| axis.low < axis.high && axis.ticks.len() < 20), "{axes:?}");
        }
    }
}
