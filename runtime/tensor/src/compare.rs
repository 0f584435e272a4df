//! When two arrays count as equal: max |a − b| ≤ tolerance · max |b|.

use crate::{Tensor, cast::unravel, shape_text};
use std::collections::BTreeMap;

/// What a comparison found.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison {
    pub agrees: bool,
    /// Largest |a − b|; NaN where either side holds one, infinite where only one side is.
    pub max_difference: f64,
    /// Largest finite |b|.
    pub max_reference: f64,
    /// In words: the worst element, or why the arrays cannot be compared.
    pub report: String,
}

/// Compares `a` with the reference `b`. A NaN on either side never agrees; infinities must be the same ones.
pub fn compare(a: &Tensor, b: &Tensor, tolerance: f64) -> Comparison {
    if let Some(refusal) = different_kind(a, b) {
        return refusal;
    }
    let (a, b, shape) = (a.to_f64_vec(), b.to_f64_vec(), b.shape());
    judge(worst(&a, &b), largest(&b), tolerance, |index| {
        let place = shape_text(&unravel(index, shape));
        format!("{} where {} is expected, at {place}", a[index], b[index])
    })
}

/// Compares whole files: the same names, every array against the largest reference in the file.
pub fn compare_all(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>, tolerance: f64) -> Comparison {
    let names = |missing_in: &BTreeMap<String, Tensor>, from: &BTreeMap<String, Tensor>| {
        from.keys().find(|name| !missing_in.contains_key(*name)).cloned()
    };
    if let Some(name) = names(a, b) {
        return incomparable(format!("`{name}` is missing"));
    }
    if let Some(name) = names(b, a) {
        return incomparable(format!("`{name}` is not in the reference"));
    }
    let max_reference = b.values().map(|tensor| largest(&tensor.to_f64_vec())).fold(0.0, f64::max);
    let mut found =
        Comparison { agrees: true, max_difference: 0.0, max_reference, report: "no elements".into() };
    for (name, left) in a {
        let right = &b[name];
        if let Some(refusal) = different_kind(left, right) {
            return Comparison { report: format!("`{name}`: {}", refusal.report), ..refusal };
        }
        let (left, right, shape) = (left.to_f64_vec(), right.to_f64_vec(), right.shape());
        let this = judge(worst(&left, &right), max_reference, tolerance, |index| {
            let place = shape_text(&unravel(index, shape));
            format!("`{name}`: {} where {} is expected, at {place}", left[index], right[index])
        });
        // A NaN difference is worse than any number, so it must win here and stay.
        if this.max_difference.is_nan() || this.max_difference >= found.max_difference {
            found = this;
        }
        if found.max_difference.is_nan() {
            break;
        }
    }
    found
}

fn different_kind(a: &Tensor, b: &Tensor) -> Option<Comparison> {
    (a.shape() != b.shape()).then(|| {
        incomparable(format!("shape {} where {} is expected", shape_text(a.shape()), shape_text(b.shape())))
    })
}

fn incomparable(report: String) -> Comparison {
    Comparison { agrees: false, max_difference: f64::NAN, max_reference: f64::NAN, report }
}

/// The largest difference and its index; NaN at once where there is one.
fn worst(a: &[f64], b: &[f64]) -> (f64, usize) {
    let mut found = (0.0, 0);
    for (index, (left, right)) in a.iter().zip(b).enumerate() {
        let difference = if left == right { 0.0 } else { (left - right).abs() };
        if difference.is_nan() {
            return (difference, index);
        }
        if difference > found.0 {
            found = (difference, index);
        }
    }
    found
}

fn largest(values: &[f64]) -> f64 {
    values.iter().map(|value| value.abs()).filter(|value| value.is_finite()).fold(0.0, f64::max)
}

fn judge(
    (max_difference, index): (f64, usize),
    max_reference: f64,
    tolerance: f64,
    at: impl Fn(usize) -> String,
) -> Comparison {
    let agrees = max_difference <= tolerance * max_reference;
    let report = if max_difference == 0.0 { "equal".into() } else { at(index) };
    Comparison { agrees, max_difference, max_reference, report }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Tensor {
        Tensor::from_vec([values.len()], values).unwrap()
    }

    #[test]
    fn the_bound_is_relative_to_the_largest_reference() {
        assert!(compare(&of(&[100.0, 0.09]), &of(&[100.0, 0.0]), 1e-3).agrees);
        let found = compare(&of(&[100.0, 0.11]), &of(&[100.0, 0.0]), 1e-3);
        assert!(!found.agrees);
        assert_eq!(found.report, "0.11 where 0 is expected, at [1]");
    }

    #[test]
    fn corners() {
        assert!(compare(&of(&[]), &of(&[]), 0.0).agrees);
        assert!(compare(&of(&[0.0]), &of(&[-0.0]), 0.0).agrees);
        assert!(!compare(&of(&[f64::NAN]), &of(&[f64::NAN]), 1.0).agrees);
        assert!(compare(&of(&[f64::INFINITY, 1.0]), &of(&[f64::INFINITY, 1.0]), 0.0).agrees);
        assert!(
            !compare(&of(&[5.0, f64::INFINITY]), &of(&[1.0, f64::INFINITY]), 1.0).agrees,
            "an infinity excuses nothing"
        );
        assert!(!compare(&of(&[f64::INFINITY]), &of(&[1.0]), 1.0).agrees);
        assert!(!compare(&of(&[1.0]), &of(&[1.0, 1.0]), 1.0).agrees);
    }

    #[test]
    fn files_share_one_bound() {
        let file =
            |small: f64| BTreeMap::from([("a".to_string(), of(&[10.0])), ("b".to_string(), of(&[small]))]);
        assert!(compare_all(&file(0.5), &file(0.0), 0.1).agrees);
        let found = compare_all(&file(2.0), &file(0.0), 0.1);
        assert!(!found.agrees);
        assert!(found.report.starts_with("`b`: 2"), "{}", found.report);
        assert!(!compare_all(&file(f64::NAN), &file(0.0), 0.1).agrees);
        let short = BTreeMap::from([("a".to_string(), of(&[10.0]))]);
        assert_eq!(compare_all(&short, &file(0.0), 0.1).report, "`b` is missing");
        assert_eq!(compare_all(&file(0.0), &short, 0.1).report, "`b` is not in the reference");
    }
}
