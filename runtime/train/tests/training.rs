//! Whole runs with a hand-written program: learning, interruption, early stopping, measuring, refusals.
#![allow(unsafe_code, reason = "the fixture plays the part of compiled code")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "fixture/bench.rs"]
mod bench;
#[path = "fixture/convention.rs"]
mod convention;
#[path = "fixture/line.rs"]
mod line;

use bench::{Bench, log};
use convention::FAIL_AT;
use data::Dataset;
use exec::Dims;
use indexmap::IndexMap;
use line::LEARNING_RATE;
use std::path::Path;
use tensor::{Tensor, philox::Stream};
use train::{
    About, Checkpoint, CheckpointPolicy, Direction, EarlyStop, Every, Fit, Length, Line, Metric, Parameters,
    RunOptions, Spec, SplitName, evaluate, predict, roc_auc, train,
};

const ROWS: usize = 200;

/// `target = 2 a - 3 b + 0.5` of inputs far from zero.
fn dataset() -> Dataset {
    let stream = Stream::new(5, "line", 0);
    let (mut x, mut target) = (Vec::new(), Vec::new());
    for row in 0..ROWS as u64 {
        let (a, b) = (stream.normal_f64(2 * row), stream.normal_f64(2 * row + 1));
        x.extend([1000.0 + 3.0 * a as f32, 0.1 * b as f32 - 7.0]);
        target.push((2.0 * a - 3.0 * b + 0.5) as f32);
    }
    let x = Tensor::from_vec([ROWS, 2], x).unwrap();
    let target = Tensor::from_vec([ROWS], target).unwrap();
    Dataset::new("line", IndexMap::from([("x".to_string(), x), ("target".to_string(), target)])).unwrap()
}

fn spec() -> Spec {
    Spec {
        model: "Line".into(),
        batch: 32,
        accumulate: 1,
        length: Length::Epochs(8),
        seed: 3,
        split: vec![0.7, 0.2, 0.1],
        metrics: vec![
            Metric { name: "auc".into(), direction: Direction::Higher },
            Metric { name: "mae".into(), direction: Direction::Lower },
        ],
        early_stop: None,
        plateau: None,
        checkpoint: CheckpointPolicy::default(),
        eval_every: Every::Epoch,
        log_every: 2,
        fits: vec![Fit { name: "norm".into(), mean: "norm.mean".into(), std: "norm.std".into(), pass: 0 }],
        dims: Dims::new(),
        config: "{\n  \"batch\": 32\n}\n".into(),
        source_hash: "0".into(),
        version: "0.1.0".into(),
    }
}

fn bench_of(spec: Spec) -> Bench {
    Bench::of(line::program(), dataset(), spec)
}

#[test]
fn a_line_is_learnt() {
    let bench = bench_of(spec());
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("runs/line");
    let outcome = bench.train(&directory, false).unwrap();
    let state = |name: &str| outcome.parameters.get(abi::Role::State, name).unwrap().to_f64_vec();

    // Fitted on the training rows alone, in f64.
    let rows = bench.context().rows(SplitName::Train).unwrap();
    let x = bench.dataset.field("x").unwrap().gather_rows(&rows.to_vec()).to_f64_vec();
    for column in 0..2 {
        let values: Vec<f64> = x.iter().skip(column).step_by(2).copied().collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((state("norm.mean")[column] - mean).abs() <= 1e-6 * mean.abs());
        assert!((state("norm.std")[column] - variance.sqrt()).abs() <= 1e-5 * variance.sqrt());
    }
    let evaluation = outcome.evaluation.unwrap();
    assert!(evaluation.loss < 1e-2, "{evaluation:?}");
    assert!(evaluation.value("auc").unwrap() > 0.99, "{evaluation:?}");
    // 140 rows in batches of 32: five steps an epoch, the last one short.
    assert_eq!((outcome.progress.step, outcome.progress.epoch), (40, 8));
    assert_eq!(state("seen"), [8.0 * 140.0]);

    let lines = log(&directory);
    let train: Vec<&Line> = lines.iter().filter(|line| line.split == "train").collect();
    assert_eq!(train.len(), 20);
    assert!(train[0].lr.unwrap() > train[19].lr.unwrap());
    assert_eq!(lines.iter().filter(|line| line.split == "val").count(), 8);
    assert_eq!(outcome.warnings, []);
    assert_eq!(lines.last().unwrap().loss, evaluation.loss);
    assert_eq!(lines.last().unwrap().metrics, evaluation.metrics);
    for file in ["config.json", "report.html", "checkpoints/last.safetensors", "checkpoints/best.safetensors"]
    {
        assert!(directory.join(file).is_file(), "{file}");
    }
    let page = std::fs::read_to_string(directory.join("report.html")).unwrap();
    assert!(page.contains("Training of Line") && page.contains("mae"));

    let fault = bench.train(&directory, false).unwrap_err();
    assert_eq!(fault.code, "E0814");
}

#[test]
fn an_interrupted_run_resumes_bit_for_bit() {
    let spec = Spec {
        checkpoint: CheckpointPolicy { every: Every::Steps(3), keep: 2, best: "val.mae".into() },
        early_stop: Some(EarlyStop { on: "val.auc".into(), patience: 5 }),
        log_every: 4,
        ..spec()
    };
    let bench = bench_of(spec);
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let expected = bench.train(&whole, false).unwrap();

    // The middle of an epoch, then once more; each time some steps are lost.
    for stop in [13, 29] {
        FAIL_AT.set(stop);
        let fault = bench.train(&cut, stop > 13).unwrap_err();
        assert_eq!((fault.code, fault.message.as_str()), ("E0806", "the plug was pulled"));
        assert!(
            fault.notes.iter().any(|note| note.contains(&format!("step {} of 40", stop + 1))),
            "{fault:?}"
        );
    }
    FAIL_AT.set(-1);
    let resumed = bench.train(&cut, true).unwrap();
    assert_eq!(resumed.parameters, expected.parameters);
    let timeless = |progress: &train::Progress| train::Progress { seconds: 0.0, ..progress.clone() };
    assert_eq!(timeless(&resumed.progress), timeless(&expected.progress));
    let untimed = |directory: &Path| -> Vec<Line> {
        log(directory).into_iter().map(|line| Line { seconds: 0.0, ..line }).collect()
    };
    assert_eq!(untimed(&cut), untimed(&whole));
    // The page shows the run as if it had never stopped.
    let curve = |directory: &Path| {
        let page = std::fs::read_to_string(directory.join("report.html")).unwrap();
        page.split("<desc id=\"f1d\">loss by step: ")
            .nth(1)
            .unwrap()
            .split("</svg>")
            .next()
            .unwrap()
            .to_string()
    };
    assert_eq!(curve(&cut), curve(&whole));
    for file in ["last.safetensors", "best.safetensors"] {
        let read = |directory: &Path| Checkpoint::read(&directory.join("checkpoints").join(file)).unwrap();
        let (a, b) = (read(&cut), read(&whole));
        assert_eq!(a.parameters, b.parameters, "{file}");
        assert_eq!(timeless(&a.description.progress), timeless(&b.description.progress), "{file}");
    }

    // A run that is over stays over.
    assert_eq!(bench.train(&cut, true).unwrap().parameters, expected.parameters);
}

/// Trains in a process of its own where the environment asks for it; see the next test.
#[test]
fn child() {
    if let Some(directory) = std::env::var_os("TRAIN_IN") {
        bench_of(killed_spec()).train(Path::new(&directory), true).unwrap();
    }
}

fn killed_spec() -> Spec {
    Spec {
        length: Length::Epochs(60),
        checkpoint: CheckpointPolicy { every: Every::Steps(1), keep: 2, best: "val.loss".into() },
        ..spec()
    }
}

#[test]
fn a_killed_process_loses_nothing() {
    let bench = bench_of(killed_spec());
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let expected = bench.train(&whole, false).unwrap();
    std::fs::create_dir_all(killed.join("checkpoints")).unwrap();
    let last = killed.join("checkpoints/last.safetensors");
    let step = || if last.exists() { Checkpoint::read(&last).unwrap().description.progress.step } else { 0 };
    for round in 0..12u64 {
        let before = step();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child"])
            .env("TRAIN_IN", &killed)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while step() == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // Somewhere in the next steps.
        std::thread::sleep(std::time::Duration::from_micros(700 * round));
        // It may be done already.
        let _ = child.kill();
        child.wait().unwrap();
        assert!(step() > before || before == 300, "round {round}: {before}");
    }
    std::fs::write(killed.join("checkpoints/.step-00000001.safetensors.1-0.tmp"), b"half").unwrap();
    let outcome = bench.train(&killed, true).unwrap();
    let mut kept = std::fs::read_dir(killed.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    assert!(kept.all(|file| file.extension().unwrap() == "safetensors"));
    assert_eq!(outcome.warnings, []);
    assert_eq!(outcome.parameters, expected.parameters);
    let best = |directory: &Path| Checkpoint::read(&directory.join("checkpoints/best.safetensors")).unwrap();
    assert_eq!(best(&killed).parameters, best(&whole).parameters);
    let untimed = |directory: &Path| -> Vec<Line> {
        log(directory).into_iter().map(|line| Line { seconds: 0.0, ..line }).collect()
    };
    assert_eq!(untimed(&killed), untimed(&whole));
}

#[test]
fn resuming_needs_the_same_run() {
    let mut bench = bench_of(spec());
    let folder = tempfile::tempdir().unwrap();
    FAIL_AT.set(12);
    bench.train(folder.path().join("a").as_path(), false).unwrap_err();
    FAIL_AT.set(-1);
    let directory = folder.path().join("a");
    let code = |bench: &Bench| bench.train(&directory, true).unwrap_err().code;
    bench.spec.seed = 4;
    assert_eq!(code(&bench), "E0709");
    bench.spec.seed = 3;
    let original = bench.dataset.clone();
    bench.dataset.fields["target"].as_mut_slice::<f32>().unwrap()[7] += 1.0;
    let fault = bench.train(&directory, true).unwrap_err();
    assert_eq!(fault.message, "the run cannot be resumed: the data have other values than then");
    let x = bench.dataset.field("x").unwrap().clone();
    bench.dataset.fields["x"] = x.reshape([ROWS, 2, 1]).unwrap();
    bench.spec.config = "{\"batch\": 16, \"epochs\": 9}".into();
    let fault = bench.train(&directory, true).unwrap_err();
    assert_eq!(
        fault.message, "the run cannot be resumed: the field `x` was f32[2] and is f32[2, 1]",
        "what differs is said"
    );
    assert_eq!(fault.notes, ["`batch` was 32 and is 16", "`epochs` was not set and is 9"]);
    bench.dataset = original;
    bench.spec.config = "{\"batch\": 32, \"epochs\": 9}".into();
    bench.spec.source_hash = "other".into();
    let outcome = bench.train(&directory, true).unwrap();
    let warning = &outcome.warnings[0];
    assert_eq!((outcome.warnings.len(), warning.code), (1, "W0701"));
    assert_eq!(warning.message, "since the checkpoint was written the text of the model's file changed");
    assert_eq!(warning.notes, ["`epochs` was not set and is 9"]);
    assert_eq!(bench.train(&folder.path().join("nothing"), true).unwrap_err().code, "E0706");
}

#[test]
fn training_stops_early_and_keeps_the_best() {
    let spec = Spec {
        early_stop: Some(EarlyStop { on: "val.loss".into(), patience: 3 }),
        length: Length::Steps(1000),
        ..spec()
    };
    let bench = bench_of(spec);
    let folder = tempfile::tempdir().unwrap();
    // Nothing changes, so the first evaluation stays the best: equal is no improvement.
    LEARNING_RATE.set(0.0);
    let directory = folder.path().join("still");
    let outcome = bench.train(&directory, false).unwrap();
    LEARNING_RATE.set(0.1);
    assert!(outcome.progress.stopped);
    assert_eq!((outcome.progress.epoch, outcome.progress.step), (4, 20));
    assert_eq!(outcome.progress.early_stop.since, 3);
    let best = Checkpoint::read(&directory.join("checkpoints/best.safetensors")).unwrap();
    assert_eq!(best.description.progress.step, 5);
    // Resuming does not forget that it has stopped.
    assert_eq!(bench.train(&directory, true).unwrap().progress.step, 20);
}

#[test]
fn steps_and_evaluations_can_be_counted_in_steps() {
    let spec = Spec { length: Length::Steps(12), eval_every: Every::Steps(4), log_every: 5, ..spec() };
    let bench = bench_of(spec);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    bench.train(&directory, false).unwrap();
    let steps = |split: &str| -> Vec<(u64, u64)> {
        log(&directory)
            .iter()
            .filter(|line| line.split == split)
            .map(|line| (line.step, line.epoch))
            .collect()
    };
    assert_eq!(steps("val"), [(4, 1), (8, 2), (12, 3)]);
    assert_eq!(steps("train"), [(5, 1), (10, 2), (12, 3)]);
}

#[test]
fn measuring_does_not_depend_on_the_batch() {
    let mut bench = bench_of(spec());
    let folder = tempfile::tempdir().unwrap();
    LEARNING_RATE.set(0.0002);
    let outcome = bench.train(&folder.path().join("run"), false).unwrap();
    LEARNING_RATE.set(0.1);
    let rows = bench.context().rows(SplitName::Test).unwrap();
    assert_eq!(rows.len(), 20);
    let outputs = predict(&bench.context(), &outcome.parameters, SplitName::Test).unwrap();
    assert_eq!((outputs[0].0.as_str(), outputs[0].1.shape()), ("y", &[20][..]));
    let y = outputs[0].1.to_f64_vec();
    let target = bench.dataset.field("target").unwrap().gather_rows(&rows.to_vec()).to_f64_vec();
    let absolute = y.iter().zip(&target).map(|(y, target)| (y - target).abs()).sum::<f64>() / 20.0;
    let positive: Vec<bool> = target.iter().map(|target| *target > 0.5).collect();
    for batch in [1, 3, 20, 1000] {
        bench.spec.batch = batch;
        let test = evaluate(&bench.context(), &outcome.parameters, SplitName::Test).unwrap();
        assert_eq!(test.rows, 20);
        assert_eq!(test.value("auc").unwrap(), roc_auc(&y, &positive));
        assert!((test.value("mae").unwrap() - absolute).abs() < 1e-6 * absolute, "batch {batch}");
    }
    assert!((0.5..1.0).contains(&roc_auc(&y, &positive)));

    // The checkpoint on disk measures the same.
    let last = Checkpoint::read(&folder.path().join("run/checkpoints/last.safetensors")).unwrap();
    assert_eq!(last.parameters, outcome.parameters);
    let none = Parameters::default();
    let fault = evaluate(&bench.context(), &none, SplitName::Test).unwrap_err();
    assert_eq!((fault.code, fault.message.as_str()), ("E0705", "the weights lack `w`, which the model has"));
    // What the model's text says, but its code does not do.
    let metrics = bench.spec.metrics.clone();
    bench.spec.metrics.push(Metric { name: "rmse".into(), direction: Direction::Lower });
    let fault = evaluate(&bench.context(), &outcome.parameters, SplitName::Test).unwrap_err();
    assert_eq!(fault.code, "E0812", "{}", fault.message);
    bench.spec.metrics[2].name = "mse".into();
    let fault = bench.train(&folder.path().join("unmeasured"), false).unwrap_err();
    assert_eq!(fault.code, "E0812", "{}", fault.message);
    bench.spec.metrics = metrics;
    bench.spec.split = vec![0.5, 0.5];
    assert_eq!(evaluate(&bench.context(), &outcome.parameters, SplitName::Test).unwrap_err().code, "E0633");
}

#[test]
fn a_loss_that_explodes_ends_the_run_with_a_report() {
    let bench = bench_of(spec());
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    LEARNING_RATE.set(1e12);
    let fault = bench.train(&directory, false).unwrap_err();
    LEARNING_RATE.set(0.1);
    assert_eq!(fault.code, "E0810");
    assert!(directory.join("report.html").is_file());
}

#[test]
fn a_run_can_begin_with_given_weights() {
    let bench = bench_of(spec());
    let folder = tempfile::tempdir().unwrap();
    LEARNING_RATE.set(0.0);
    let start = |name: &str, values: Vec<f32>| {
        let weights = tensor::safetensors::Weights {
            tensors: [(name.to_string(), Tensor::from_vec([values.len()], values).unwrap())].into(),
            ..Default::default()
        };
        let directory = folder.path().join(format!("{name}{}", weights.tensors[name].len()));
        let start = Some(Parameters::from_weights(weights));
        train(
            &bench.context(),
            &RunOptions { directory, resume: false, start, progress: false, about: About::default() },
        )
    };
    let outcome = start("w", vec![5.0, 6.0]).unwrap();
    assert_eq!(outcome.parameters.get(abi::Role::Weight, "w").unwrap().to_f64_vec(), [5.0, 6.0]);
    assert_eq!(start("w", vec![5.0]).unwrap_err().code, "E0705");
    assert!(start("u", vec![5.0]).unwrap_err().message.contains("the model does not have"));
    LEARNING_RATE.set(0.1);
}

#[test]
fn what_cannot_be_trained_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let refused = |bench: Bench| {
        let fault = bench.train(&directory, false).unwrap_err();
        assert!(!directory.exists(), "{fault:?}");
        fault
    };
    let mut bench = bench_of(spec());
    bench.dataset.fields.insert("extra".into(), Tensor::zeros(tensor::DType::F32, [ROWS]).unwrap());
    let outcome = bench.train(&folder.path().join("extra"), false).unwrap();
    assert!(outcome.warnings[0].message.ends_with("`extra`"), "{:?}", outcome.warnings);
    bench.dataset.fields.shift_remove("extra");
    let target = bench.dataset.fields.shift_remove("target").unwrap();
    bench.dataset.fields.insert("targte".into(), target);
    let fault = refused(bench);
    assert_eq!((fault.code, fault.help.as_deref()), ("E0811", Some("did you mean `targte`?")));
    let mut bench = bench_of(spec());
    bench.dataset.fields.shift_remove("x");
    let fault = refused(bench);
    assert_eq!((fault.code, fault.notes), ("E0811", vec!["they have: target".to_string()]));

    let watching = |on: &str| Spec { early_stop: Some(EarlyStop { on: on.into(), patience: 1 }), ..spec() };
    let fault = refused(bench_of(watching("val.uac")));
    assert_eq!((fault.code, fault.help.as_deref()), ("E0813", Some("did you mean `val.auc`?")));
    assert_eq!(refused(bench_of(watching("train.loss"))).code, "E0813");
    assert_eq!(refused(bench_of(Spec { split: vec![1.0, 0.0], ..watching("val.loss") })).code, "E0633");
    assert_eq!(refused(bench_of(Spec { batch: 0, ..spec() })).code, "E0813");
    assert_eq!(refused(bench_of(Spec { length: Length::Epochs(0), ..spec() })).code, "E0813");
    let many = Length::Epochs(u64::MAX);
    assert_eq!(refused(bench_of(Spec { length: many, ..spec() })).code, "E0813");
}
