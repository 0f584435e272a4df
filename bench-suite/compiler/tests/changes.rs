//! Known noise and known changes: what is claimed, and what is not.

use compiler_bench::{Change, Entry, Estimate, append, compare, estimate, read, read_all};
use std::fs;

/// Uniform in 0..1, by a linear congruence (Knuth, The Art of Computer Programming 2, §3.3.4).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Around 1, spread by `noise`, with a tail to the slow side as timings have.
    fn time(&mut self, noise: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.next()).sum::<f64>() - 6.0;
        let tail = if self.next() < 0.1 { noise * 6.0 * self.next() } else { 0.0 };
        1.0 + noise * sum + tail
    }

    /// One session: a machine's state that all its samples share, and samples.
    fn session(&mut self, seconds: f64, noise: f64) -> Estimate {
        let state = self.time(noise / 2.0) * seconds;
        let samples: Vec<f64> = (0..30).map(|_| state * self.time(noise)).collect();
        estimate(&samples).expect("samples")
    }
}

fn entry(of: &Estimate) -> Entry {
    Entry {
        kind: "compiler".into(),
        bench: "parse/x".into(),
        median_s: of.median,
        ci95_s: [of.low, of.high],
        commit: "c".into(),
        date: "d".into(),
        machine: "m".into(),
    }
}

fn claims(change: f64, noise: f64) -> usize {
    let mut draws = Draws(7);
    let trials = (0..100).filter(|_| {
        let earlier: Vec<Entry> = (0..8).map(|_| entry(&draws.session(1e-3, noise))).collect();
        matches!(
            compare(&earlier, &draws.session(1e-3 * change, noise)),
            Change::Faster { .. } | Change::Slower { .. }
        )
    });
    trials.count()
}

#[test]
fn unchanged_code_is_not_called_changed() {
    for noise in [0.002, 0.01, 0.03] {
        let claimed = claims(1.0, noise);
        assert!(claimed <= 5, "{claimed} of 100 at {noise}");
    }
}

#[test]
fn a_change_beyond_the_noise_is_found() {
    for (change, noise) in [(1.1, 0.01), (0.9, 0.01), (1.5, 0.05), (0.6, 0.05)] {
        let claimed = claims(change, noise);
        assert!(claimed >= 95, "{claimed} of 100 at {change} and {noise}");
    }
}

#[test]
fn the_first_measurement_is_new_and_one_outlier_does_not_hide_the_next() {
    let now = Estimate { median: 1.0, low: 0.99, high: 1.01 };
    assert_eq!(compare(&[], &now), Change::New);
    let mut earlier: Vec<Entry> = (0..6).map(|_| entry(&now)).collect();
    earlier.push(entry(&Estimate { median: 3.0, low: 2.9, high: 3.1 }));
    let slower = Estimate { median: 1.2, low: 1.19, high: 1.21 };
    assert!(matches!(compare(&earlier, &slower), Change::Slower { .. }));
    assert!(matches!(compare(&earlier, &now), Change::Same { .. }));
}

#[test]
fn the_interval_of_a_median_holds_it_and_needs_no_finite_garbage() {
    let found = estimate(&[5.0, 1.0, 3.0, 2.0, 4.0, f64::NAN]).expect("five samples");
    assert_eq!(found.median, 3.0);
    assert!(found.low <= 3.0 && found.high >= 3.0 && found.low >= 1.0 && found.high <= 5.0);
    assert_eq!(estimate(&[]), None);
    assert_eq!(estimate(&[2.0]), Some(Estimate { median: 2.0, low: 2.0, high: 2.0 }));
}

#[test]
fn criterion_s_files_are_read_and_the_history_grows() {
    let folder = tempfile::tempdir().expect("a folder");
    let new = folder.path().join("parse/mlp/new");
    fs::create_dir_all(&new).expect("a folder");
    fs::write(
        new.join("sample.json"),
        r#"{"sampling_mode":"Linear","iters":[1.0,2.0,3.0],"times":[1000.0,2000.0,3000.0]}"#,
    )
    .expect("a file");
    let found = read_all(folder.path()).expect("a measurement");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "parse/mlp");
    assert!((found[0].1.median - 1e-6).abs() < 1e-12);

    let history = folder.path().join("history.jsonl");
    append(&history, &[entry(&found[0].1)]).expect("a file");
    append(&history, &[entry(&found[0].1)]).expect("a file");
    assert_eq!(read(&history).expect("lines").len(), 2);
    fs::write(&history, "{\"kind\":1}\n").expect("a file");
    assert!(format!("{:#}", read(&history).expect_err("not a line")).contains(":1"));
}
