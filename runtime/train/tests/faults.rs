//! Whole runs on a disk that fails, and runs that are asked to end: nothing is lost, and nothing stays silent.
#![allow(unsafe_code, reason = "the fixture plays the part of compiled code")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "fixture/bench.rs"]
mod bench;
#[path = "fixture/convention.rs"]
mod convention;
#[path = "fixture/failing.rs"]
mod failing;
#[path = "fixture/parts.rs"]
mod parts;

use bench::{Bench, options};
use data::Dataset;
use exec::Dims;
use failing::{EIO, ENOSPC, Failing, files};
use indexmap::IndexMap;
use parts::NOISE;
use std::path::Path;
use tensor::{
    Tensor,
    file::{Disk, Os},
    philox::Stream,
};
use train::{
    Checkpoint, CheckpointPolicy, Every, Host, Length, Line, Outcome, Plateau, Progress, Spec, parse_lines,
    train_on,
};

const ROWS: usize = 60;

/// 45 training rows, four updates an epoch; a checkpoint after every second update and after what is best so far.
fn bench() -> Bench {
    let stream = Stream::new(5, "faults", 0);
    let x: Vec<f32> = (0..ROWS as u64).map(|row| stream.normal_f64(row) as f32).collect();
    let target: Vec<f32> = x.iter().map(|x| 2.0 * x + 0.5).collect();
    let fields = [("x", x), ("target", target)];
    let fields = fields.map(|(name, values)| (name.to_string(), Tensor::from_vec([ROWS], values).unwrap()));
    let spec = Spec {
        model: "Parts".into(),
        batch: 4,
        accumulate: 3,
        length: Length::Epochs(2),
        seed: 3,
        split: vec![0.75, 0.25],
        metrics: Vec::new(),
        early_stop: None,
        plateau: Some(Plateau { on: "val.loss".into(), factor: 0.5, patience: 1 }),
        checkpoint: CheckpointPolicy { every: Every::Steps(2), keep: 2, best: "val.loss".into() },
        eval_every: Every::Steps(2),
        log_every: 1,
        fits: Vec::new(),
        dims: Dims::new(),
        config: "{\"batch\": 4}\n".into(),
        source_hash: "0".into(),
        version: "0.1.0".into(),
    };
    NOISE.set(1.0);
    let dataset = Dataset::new("parts", IndexMap::from(fields)).unwrap();
    Bench::of(parts::program(), dataset, spec)
}

fn train_with(
    bench: &Bench,
    directory: &Path,
    resume: bool,
    disk: &dyn Disk,
    stop: &dyn Fn(u64) -> bool,
) -> Result<Outcome, base::Diagnostic> {
    train_on(&bench.context(), &options(directory, resume), &Host { disk, stop })
}

fn log(directory: &Path) -> Vec<Line> {
    bench::log(directory).into_iter().map(|line| Line { seconds: 0.0, ..line }).collect()
}

fn timeless(progress: &Progress) -> Progress {
    Progress { seconds: 0.0, ..progress.clone() }
}

/// What has a final name is whole. The log and the events grow, so their ends may be torn.
fn check_whole(directory: &Path) {
    for file in files(directory) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = || std::fs::read_to_string(&file).unwrap();
        if name.ends_with(".tmp") || name.contains("tfevents") {
            continue;
        } else if name.ends_with(".safetensors") {
            Checkpoint::read(&file).unwrap();
        } else if name == "config.json" {
            assert_eq!(text(), "{\"batch\": 4}\n");
        } else if name == "report.html" {
            assert!(text().ends_with("</html>\n"));
        } else {
            assert_eq!(name, "metrics.jsonl");
            let (whole, lines) = (text(), parse_lines(&text()).len());
            assert!(whole.matches('\n').count() == lines, "{whole}");
        }
    }
}

#[test]
fn a_disk_that_fails_at_any_call_of_a_run_loses_nothing() {
    let bench = bench();
    let folder = tempfile::tempdir().unwrap();
    let healthy = Failing::new(0..0, 0);
    let whole = folder.path().join("whole");
    let expected = train_with(&bench, &whole, false, &healthy, &|_| false).unwrap();
    assert_eq!(expected.progress.step, 8);
    let calls = healthy.calls();
    assert!(calls > 100, "{calls}");
    for (errno, stays) in [(EIO, false), (ENOSPC, true)] {
        let mut silent = 0;
        for call in 0..calls {
            let directory = folder.path().join(format!("{errno}-{call}"));
            let disk = Failing::new(call..if stays { usize::MAX } else { call + 1 }, errno);
            let outcome = train_with(&bench, &directory, false, &disk, &|_| false);
            check_whole(&directory);
            match outcome {
                Err(fault) => assert!(["E0612", "E0708"].contains(&fault.code), "call {call}: {fault:?}"),
                // Links and what is swept up can be done without.
                Ok(outcome) => {
                    silent += 1;
                    assert_eq!(outcome.parameters, expected.parameters);
                }
            }
            let resume = directory.join("checkpoints").exists();
            let resumed = train_with(&bench, &directory, resume, &Failing::new(0..0, 0), &|_| false).unwrap();
            assert_eq!(resumed.parameters, expected.parameters, "call {call}");
            assert_eq!(timeless(&resumed.progress), timeless(&expected.progress), "call {call}");
            assert_eq!(resumed.warnings, [], "call {call}");
            assert_eq!(log(&directory), log(&whole), "call {call}");
            let names = |directory: &Path| -> Vec<String> {
                let names = files(directory).into_iter().map(|file| file.display().to_string());
                let names = names.map(|name| name.replace(&directory.display().to_string(), ""));
                names.filter(|name| !name.contains("tfevents")).collect()
            };
            assert_eq!(names(&directory), names(&whole), "call {call}");
            std::fs::remove_dir_all(&directory).unwrap();
        }
        assert!(silent * 10 < calls, "{silent} of {calls} failures were not told");
    }
}

#[test]
fn a_run_that_is_asked_to_end_goes_on_later() {
    let bench = bench();
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let expected = train_with(&bench, &whole, false, &Os, &|_| false).unwrap();
    assert!(!expected.interrupted);
    let directory = folder.path().join("cut");
    for stop in [1, 4, 7] {
        let outcome = train_with(&bench, &directory, stop > 1, &Os, &|step| step == stop).unwrap();
        assert!(outcome.interrupted);
        assert_eq!(outcome.progress.step, stop);
        assert!(directory.join("report.html").is_file());
        let last = Checkpoint::read(&directory.join("checkpoints/last.safetensors")).unwrap();
        assert_eq!(last.description.progress.step, stop);
    }
    let resumed = train_with(&bench, &directory, true, &Os, &|_| false).unwrap();
    assert_eq!(resumed.parameters, expected.parameters);
    assert_eq!(log(&directory), log(&whole));
}
