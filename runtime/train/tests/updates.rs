//! Updates of several batches, running averages, frozen weights and a falling learning rate, with a hand-written program.
#![allow(unsafe_code, reason = "the fixture plays the part of compiled code")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "fixture/bench.rs"]
mod bench;
#[path = "fixture/convention.rs"]
mod convention;
#[path = "fixture/parts.rs"]
mod parts;

use abi::Role;
use bench::Bench;
use convention::FAIL_AT;
use data::Dataset;
use exec::Dims;
use indexmap::IndexMap;
use parts::NOISE;
use std::path::Path;
use tensor::{Tensor, philox::Stream};
use train::{
    About, Checkpoint, CheckpointPolicy, Every, Length, Line, Parameters, Plateau, RunOptions, Spec,
    SplitName, evaluate, train,
};

const ROWS: usize = 60;

fn dataset() -> Dataset {
    let stream = Stream::new(5, "parts", 0);
    let x: Vec<f32> = (0..ROWS as u64).map(|row| stream.normal_f64(row) as f32).collect();
    let target: Vec<f32> = x.iter().map(|x| 2.0 * x + 0.5).collect();
    let fields = [("x", x), ("target", target)];
    let fields = fields.map(|(name, values)| (name.to_string(), Tensor::from_vec([ROWS], values).unwrap()));
    Dataset::new("parts", IndexMap::from(fields)).unwrap()
}

/// 45 training rows in batches of 4, three to an update: the last update of an epoch has batches of 4, 4 and 1 rows.
fn spec() -> Spec {
    Spec {
        model: "Parts".into(),
        batch: 4,
        accumulate: 3,
        length: Length::Epochs(6),
        seed: 3,
        split: vec![0.75, 0.25],
        metrics: Vec::new(),
        early_stop: None,
        plateau: Some(Plateau { on: "val.loss".into(), factor: 0.5, patience: 1 }),
        checkpoint: CheckpointPolicy { every: Every::Steps(1), ..CheckpointPolicy::default() },
        eval_every: Every::Steps(1),
        log_every: 1,
        fits: Vec::new(),
        dims: Dims::new(),
        config: "{}\n".into(),
        source_hash: "0".into(),
        version: "0.1.0".into(),
    }
}

fn bench_of(spec: Spec) -> Bench {
    Bench::of(parts::program(), dataset(), spec)
}

fn log(directory: &Path, split: &str) -> Vec<Line> {
    bench::log(directory)
        .into_iter()
        .filter(|line| line.split == split)
        .map(|line| Line { seconds: 0.0, ..line })
        .collect()
}

fn number(parameters: &Parameters, role: Role, name: &str) -> f64 {
    parameters.get(role, name).unwrap().to_f64_vec()[0]
}

#[test]
fn an_update_of_several_batches_is_that_of_one_large_batch() {
    let folder = tempfile::tempdir().unwrap();
    let parts = bench_of(spec()).train(&folder.path().join("parts"), false).unwrap();
    let large = bench_of(Spec { batch: 12, accumulate: 1, ..spec() });
    let large = large.train(&folder.path().join("large"), false).unwrap();
    // 45 rows, 12 to an update.
    assert_eq!((parts.progress.step, parts.progress.epoch), (24, 6));
    assert_eq!(large.progress.step, 24);
    // Every batch has changed the state.
    assert_eq!(number(&parts.parameters, Role::State, "seen"), 6.0 * 45.0);
    let of = |name: &str| log(&folder.path().join(name), "train");
    for (a, b) in of("parts").iter().zip(of("large")) {
        assert_eq!((a.step, a.epoch), (b.step, b.epoch));
        assert!((a.loss - b.loss).abs() < 1e-4 * b.loss, "{a:?} {b:?}");
        assert!((a.metrics[0].1 - b.metrics[0].1).abs() < 1e-4 * b.metrics[0].1, "{a:?} {b:?}");
    }
    assert_eq!(of("parts")[0].metrics[0].0, "grad_norm");
    let events = std::fs::read_dir(folder.path().join("parts")).unwrap().map(|entry| entry.unwrap().path());
    let mut events = events.filter(|path| path.display().to_string().contains("tfevents"));
    let bytes = std::fs::read(events.next().unwrap()).unwrap();
    assert!(bytes.windows(15).any(|window| window == b"train/grad_norm"));
}

#[test]
fn frozen_weights_stay_and_averages_measure() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench_of(spec());
    let directory = folder.path().join("run");
    let outcome = bench.train(&directory, false).unwrap();
    let parameters = &outcome.parameters;
    let (w, average) = (number(parameters, Role::Weight, "w"), number(parameters, Role::Optimizer, "ema/w"));
    assert_eq!(number(parameters, Role::Weight, "f"), 0.5);
    assert!(w != average && (w - 2.0).abs() < 0.5, "{w} {average}");

    // What is measured is the average, in training, from the checkpoint, and by name.
    let validation = bench.context().rows(SplitName::Validation).unwrap();
    let rows = |name: &str| bench.dataset.field(name).unwrap().gather_rows(&validation.to_vec()).to_f64_vec();
    let loss = |w: f64| {
        let errors = rows("x").into_iter().zip(rows("target")).map(|(x, target)| w * x + 0.5 - target);
        errors.map(|error| error * error).sum::<f64>() / validation.len() as f64
    };
    let measured = outcome.evaluation.as_ref().unwrap().loss;
    assert!((measured - loss(average)).abs() < 1e-4 * loss(average), "{measured}");
    assert!((measured - loss(w)).abs() > 1e-3 * loss(w), "{measured}");
    let best = Checkpoint::read(&directory.join("checkpoints/best.safetensors")).unwrap();
    let again = evaluate(&bench.context(), &best.parameters, SplitName::Validation).unwrap();
    assert_eq!(Some(again.loss), best.description.progress.best.value);
    let averaged = parameters.averaged();
    assert_eq!(number(&averaged, Role::Weight, "w"), average);
    assert_eq!(number(&averaged, Role::Weight, "f"), 0.5);
}

#[test]
fn averages_begin_at_given_weights() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench_of(Spec { length: Length::Steps(1), ..spec() });
    let weights = tensor::safetensors::Weights {
        tensors: [("w".to_string(), Tensor::from_vec([], [100f32]).unwrap())].into(),
        ..Default::default()
    };
    let start = Some(Parameters::from_weights(weights));
    let options = RunOptions {
        directory: folder.path().join("run"),
        resume: false,
        start,
        progress: false,
        about: About::default(),
    };
    let parameters = train(&bench.context(), &options).unwrap().parameters;
    let w = number(&parameters, Role::Weight, "w");
    let average = number(&parameters, Role::Optimizer, "ema/w");
    assert!((average - (75.0 + 0.25 * w)).abs() < 1e-3, "{w} {average}");
}

#[test]
fn a_plateau_lowers_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let (run, directory) = (bench_of(spec()), folder.path().join("run"));
    NOISE.set(4.0);
    let outcome = run.train(&directory, false).unwrap();
    let (mut best, mut since, mut scale) = (f64::INFINITY, 0, 1.0f64);
    let measured = log(&directory, "val");
    for (step, line) in log(&directory, "train").iter().enumerate() {
        assert_eq!(line.lr.unwrap() as f32, 0.05 * scale as f32, "step {step}");
        (best, since) = if measured[step].loss < best { (measured[step].loss, 0) } else { (best, since + 1) };
        if since == 1 {
            (since, scale) = (0, scale * 0.5);
        }
    }
    assert!(scale < 1.0, "the noise keeps the loss from falling for ever");
    assert_eq!(outcome.progress.lr_scale, Some(scale));

    let elsewhere = Plateau { on: "val.los".into(), factor: 0.5, patience: 2 };
    let fault = bench_of(Spec { plateau: Some(elsewhere), ..spec() });
    assert_eq!(fault.train(&folder.path().join("other"), false).unwrap_err().code, "E0813");
}

#[test]
fn resuming_after_any_update_gives_the_same_bits() {
    let bench = bench_of(spec());
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    NOISE.set(4.0);
    let expected = bench.train(&whole, false).unwrap();
    assert!(expected.progress.lr_scale.is_some_and(|scale| scale < 1.0));
    let timeless = |progress: &train::Progress| train::Progress { seconds: 0.0, ..progress.clone() };
    for stop in 1..24 {
        let cut = folder.path().join(format!("cut-{stop}"));
        FAIL_AT.set(stop);
        assert_eq!(bench.train(&cut, false).unwrap_err().code, "E0806");
        FAIL_AT.set(-1);
        let resumed = bench.train(&cut, true).unwrap();
        assert_eq!(resumed.parameters, expected.parameters, "cut at {stop}");
        assert_eq!(timeless(&resumed.progress), timeless(&expected.progress), "cut at {stop}");
        for split in ["train", "val"] {
            assert_eq!(log(&cut, split), log(&whole, split), "cut at {stop}");
        }
        for file in ["last.safetensors", "best.safetensors"] {
            let read = |run: &Path| Checkpoint::read(&run.join("checkpoints").join(file)).unwrap();
            assert_eq!(read(&cut).parameters, read(&whole).parameters, "{file}, cut at {stop}");
        }
    }
}

#[test]
fn an_update_has_at_least_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench_of(Spec { accumulate: 0, ..spec() });
    // 0 is 1.
    assert_eq!(bench.train(&folder.path().join("zero"), false).unwrap().progress.step, 6 * 12);
}
