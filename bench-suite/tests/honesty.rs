//! Arms with one fault each: none of them gets a time.

use base::Diagnostic;
use bench_suite::{
    Arm, ArmLine, Arrays, Cell, Measured, Mode, Peaks, Reference, Ruler, Status, Subject, Work, measure,
    prepare,
    protocol::Load,
    statistics::{differ, ratio},
};
use std::{collections::BTreeMap, path::Path, time::Duration};
use tensor::Tensor;

/// `y = 2 x`, said to be a thousand million operations.
struct Double;

impl Reference for Double {
    type Fault = Diagnostic;

    fn weights(&mut self) -> Result<Arrays, Diagnostic> {
        Ok(Arrays::new())
    }

    fn results(&mut self, _: &Arrays, inputs: &Arrays) -> Result<Arrays, Diagnostic> {
        let doubled: Vec<f64> = inputs["x"].to_f64_vec().iter().map(|x| 2.0 * x).collect();
        Ok(BTreeMap::from([("y".to_string(), Tensor::from_vec([doubled.len()], doubled)?)]))
    }

    fn work(&mut self, _: &Arrays) -> Result<Work, Diagnostic> {
        Ok(Work { flops: Some(1e6), bytes: Some(800.0) })
    }
}

fn cell() -> Cell {
    Cell {
        model: "double".into(),
        mode: Mode::Infer,
        batch: 1,
        sizes: BTreeMap::new(),
        threads: 1,
        precision: "f32".into(),
    }
}

fn subject(fault: &str, folder: &Path, again: bool) -> Subject {
    let name = if fault.is_empty() { "honest" } else { fault };
    let arm = Arm {
        name: name.into(),
        command: vec![env!("CARGO_BIN_EXE_planted-arm").into(), fault.into()],
        style: "eager".into(),
        install: String::new(),
        options: BTreeMap::new(),
        described_in: String::new(),
        dynamic_sizes: None,
    };
    let load = Load {
        arm: name.into(),
        model: "double".into(),
        mode: "infer".into(),
        batch: 1,
        sizes: BTreeMap::new(),
        threads: 1,
        precision: "f32".into(),
        style: "eager".into(),
        folder: folder.display().to_string(),
        source: String::new(),
        name: String::new(),
        settings: BTreeMap::new(),
        train: serde_json::Value::Null,
        options: BTreeMap::new(),
    };
    Subject { arm, load, again }
}

fn ruler() -> Ruler {
    Ruler {
        processes: (3, 3),
        seconds: 0.02,
        samples: 5,
        warm: 0.01,
        redo: 0,
        singles: 30,
        patience: Duration::from_secs(3),
        ..Ruler::quick(1)
    }
}

fn measured(faults: &[&str], ruler: &Ruler) -> Measured {
    let root = tempfile::tempdir().expect("a folder");
    let x = Tensor::from_vec([4], [1.0f32, -2.0, 3.0, 0.5]).expect("a tensor");
    let inputs = BTreeMap::from([("x".into(), x)]);
    let folder = prepare(root.path(), "double", &inputs, &mut Double).expect("a cell");
    let mut subjects: Vec<Subject> = faults.iter().map(|fault| subject(fault, &folder.path, false)).collect();
    subjects.push(subject("", &folder.path, true));
    // 100 GFLOP/s: a call of a million operations takes ten microseconds at least.
    let peaks = Peaks { flops: BTreeMap::from([(1, 1e11)]), ..Peaks::default() };
    measure(&cell(), &subjects, &folder, (1e-4, 1.0), &peaks, ruler, &mut |_| {})
}

/// The line of the arm with this fault, beside an honest one that has to get its time.
fn with(fault: &str) -> ArmLine {
    let found = measured(&["", fault], &ruler());
    assert_eq!(found.arms[0].status, Status::Ok, "{:?}", found.arms[0].why);
    let line = found.arms[1].clone();
    if line.status != Status::Ok {
        assert_eq!((line.median_s, line.ci95_s, line.n), (None, None, 0), "{fault}");
        assert!(line.samples_s.is_empty() && line.p50_s.is_none() && line.first_s.is_none(), "{fault}");
    }
    line
}

fn refused(fault: &str, status: Status, words: &str) {
    let line = with(fault);
    let why = line.why.unwrap_or_default();
    assert_eq!(line.status, status, "{fault}: {why}");
    assert!(why.contains(words), "{fault}: {why}");
}

#[test]
fn an_honest_arm_gets_a_time() {
    let found = measured(&[""], &ruler());
    let line = &found.arms[0];
    assert_eq!((line.status, line.correct, line.processes), (Status::Ok, Some(true), 3));
    let middle = line.median_s.unwrap();
    assert!((1.9e-4..2e-2).contains(&middle), "{middle}");
    let [low, high] = line.ci95_s.unwrap();
    assert!(low <= middle && middle <= high);
    assert!(line.p50_s.is_some() && line.p99_s.is_none(), "30 samples say nothing of the 99th percentile");
    assert!(line.first_s.unwrap() > middle && line.peak_bytes.unwrap() > 1 << 16);
    assert!(found.floor.is_some());
    assert_eq!(found.arms.len(), 1, "the arm that runs again has no line of its own");
}

#[test]
fn a_wrong_output_has_no_speed() {
    refused("wrong", Status::Wrong, "where 6 is expected");
}

#[test]
fn other_threads_have_no_speed() {
    refused("threads", Status::Threads, "asked for 1 threads and runs with 2");
}

#[test]
fn more_processors_than_threads_have_no_speed() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let line = with("busy");
    let why = line.why.unwrap_or_default();
    // On a machine with one core, or one that is busy, two threads do not keep two processors busy.
    assert!(line.status == Status::Threads || cores == 1 || line.others > 0.3, "{why}");
    if line.status == Status::Threads {
        assert!(why.contains("processors busy"), "{why}");
    }
}

#[test]
fn another_precision_has_no_speed() {
    refused("dtype", Status::Failed, "computes in bfloat16");
}

#[test]
fn what_is_faster_than_the_machine_has_no_speed() {
    refused("impossible", Status::Impossible, "GFLOP/s, where this machine reached 100");
}

#[test]
fn what_is_not_a_reply_ends_an_arm() {
    refused("prints", Status::Failed, "it has `step 3 done`");
}

#[test]
fn an_arm_that_hangs_is_ended() {
    refused("hangs", Status::Failed, "no reply to `load` within 3 s");
}

#[test]
fn an_arm_that_dies_tells_its_last_words() {
    let line = with("dies");
    let why = line.why.unwrap();
    assert!(why.contains("exit status: 3") && why.contains("out of luck"), "{why}");
}

#[test]
fn refusals_are_told_apart() {
    refused("cannot", Status::Cannot, "it does not infer");
    refused("missing", Status::Missing, "pip install planted");
    refused("error", Status::Failed, "it fell over");
    refused("fails", Status::Failed, "no memory for the third call");
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let root = tempfile::tempdir().unwrap();
    let x = Tensor::from_vec([1], [1.0f32]).unwrap();
    let folder = prepare(root.path(), "double", &BTreeMap::from([("x".into(), x)]), &mut Double).unwrap();
    let mut subject = subject("", &folder.path, false);
    subject.arm.command = vec!["there-is-no-such-program".into()];
    let found = measure(&cell(), &[subject], &folder, (1e-4, 1.0), &Peaks::default(), &ruler(), &mut |_| {});
    assert_eq!(found.arms[0].status, Status::Failed);
    assert!(found.arms[0].why.as_ref().is_some_and(|why| why.contains("there-is-no-such-program")));
}

#[test]
fn warming_up_is_apart_from_the_steady_time() {
    let line = with("warms");
    assert_eq!(line.status, Status::Ok);
    let (first, steady) = (line.warm_up_s[0], line.median_s.unwrap());
    assert!(first > 3.0 * steady, "{first} {steady}");
}

#[test]
fn a_slower_arm_is_seen() {
    let found = measured(&["", "slow"], &Ruler { processes: (5, 5), ..ruler() });
    let between = ratio(&found.arms[0].process_medians_s, &found.arms[1].process_medians_s).unwrap();
    let floor = found.floor.unwrap().spread;
    // On a machine that does much else the floor may be high; then nothing may be claimed either.
    assert!(differ(between, floor) || floor > 0.3, "{between:?} {floor}");
    assert!(between.middle > 1.2 || floor > 0.3, "{between:?} {floor}");
}

#[test]
fn a_damaged_folder_is_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let inputs = BTreeMap::from([("x".to_string(), Tensor::from_vec([1], [1.0f32]).unwrap())]);
    let first = prepare(root.path(), "double", &inputs, &mut Double).unwrap();
    let whole = std::fs::read(first.path.join("oracle.npz")).unwrap();
    std::fs::write(first.path.join("oracle.npz"), b"nonsense").unwrap();
    let second = prepare(root.path(), "double", &inputs, &mut Double).unwrap();
    assert_eq!(std::fs::read(second.path.join("oracle.npz")).unwrap(), whole);
    assert_eq!((first.results, first.hashes), (second.results, second.hashes));
}
